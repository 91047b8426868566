"""The record keeps the last result of `backprove mutate` for the reports of later runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backprove.harness.core.files import write_whole

FILE = "mutation.json"


def _path() -> Path:
    return Path(os.environ.get("BACKPROVE_HOME") or ".backprove") / FILE


def stored() -> dict[str, dict[str, Any]]:
    """The record of each theorem from the last runs, by name; empty where there is none.

    Each is {"mutants", "equivalent", "killed", "survivors"}, as `SubjectResult.mutation` holds it.
    """
    try:
        data = json.loads(_path().read_text(encoding="utf-8"))
        return {t["name"]: {k: v for k, v in t.items() if k != "name"} for t in data["theorems"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def store(result: Mapping[str, Any], *, partial: bool) -> None:
    """Write the result beside the runs; what a partial run did not look at is kept."""
    path = _path()
    data = dict(result)
    if partial:
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            for key in ("rules", "theorems", "weak"):
                new = {r["name"] for r in (result["theorems"] if key == "weak" else result[key])}
                data[key] = [r for r in before[key] if r["name"] not in new] + list(result[key])
        except (OSError, ValueError, KeyError, TypeError):
            pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(data, allow_nan=False, indent=1).encode())
    except OSError:  # the result is printed in any case
        return
