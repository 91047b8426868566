"""The record keeps the last result of `backprove mutate` for the reports of later runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypedDict

from backprove.harness.core.files import write_whole
from backprove.harness.core.records import Malformed, from_json, to_json
from backprove.harness.core.results import Mutation

FILE = "mutation.json"


class OfTheorem(Mutation):
    """What the claims of one theorem refuse."""

    name: str


class OfRule(Mutation):
    """What the claims that use one rule refuse.

    `float_only` are those of the equivalent that overflow where the rule does not; `killed_by` counts by theorem.
    """

    name: str
    float_only: list[str]
    theorems: list[str]
    killed_by: dict[str, int]


class Weak(TypedDict):
    """A theorem whose own claims refuse none of its rules' variants, and why."""

    name: str
    reason: str


class MutationResult(TypedDict):
    """What `backprove mutate` finds."""

    rules: list[OfRule]
    theorems: list[OfTheorem]
    weak: list[Weak]
    seconds: float


def _path() -> Path:
    return Path(os.environ.get("BACKPROVE_HOME") or ".backprove") / FILE


def _last() -> MutationResult:
    """The last result; an empty one where there is none that can be read."""
    with contextlib.suppress(OSError, Malformed):
        return from_json(_path().read_bytes(), MutationResult)
    return {"rules": [], "theorems": [], "weak": [], "seconds": 0.0}


def stored() -> dict[str, Mutation]:
    """What the last runs found of each theorem, by name."""
    keys = Mutation.__annotations__
    return {t["name"]: {k: v for k, v in t.items() if k in keys} for t in _last()["theorems"]}  # type: ignore[misc]


def store(result: MutationResult, *, partial: bool) -> None:
    """Write the result beside the runs; what a partial run did not look at is kept."""
    data = result.copy()
    if partial:
        before, rules, theorems = _last(), result["rules"], result["theorems"]
        seen, of = {r["name"] for r in rules}, {t["name"] for t in theorems}
        data["rules"] = [r for r in before["rules"] if r["name"] not in seen] + rules
        data["theorems"] = [t for t in before["theorems"] if t["name"] not in of] + theorems
        data["weak"] = [w for w in before["weak"] if w["name"] not in of] + result["weak"]
    with contextlib.suppress(OSError):  # the result is printed in any case
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_path(), to_json(data, indent=1).encode())
