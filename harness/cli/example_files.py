"""`--example FILE.json` gives points of one's own to the rules of a file; they are read and handed to their rules here.

A file holds a point, `{"x": [1.0, 2.0], "g": [1, 0]}`, or a list of them. Where several rules are checked, a point says
which one it is for: `{"rule": "softplus", "x": 1.5}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backprove.harness.core.errors import UsageError

RULE = "rule"
FORM = 'a point such as {"x": [1.0, 2.0]}, or a list of them'


@dataclass(frozen=True)
class Given:
    """A point of a file.

    Attributes:
        label: how reports call it.
        rule: for which rule it is; None where it does not say.
        point: names and numbers, as JSON holds them.
    """

    label: str
    rule: str | None
    point: dict[str, Any]


def read_examples(files: Sequence[Path]) -> list[Given]:
    """The points of all files, in order.

    Raises:
        UsageError: for a file that cannot be read or is no JSON of the form above.
    """
    found = []
    for file in files:
        whole = _read(file)
        several = isinstance(whole, list)
        for k, point in enumerate(whole if several else [whole], start=1):
            label = f"{file.name}, example {k}" if several else file.name
            if not isinstance(point, dict):
                raise UsageError(f"--example {file}: {_short(point)} is no point; the file holds {FORM}")
            rule = point.get(RULE)
            named = isinstance(rule, str)
            rest = {k: v for k, v in point.items() if k != RULE} if named else point
            found.append(Given(label, rule if named else None, rest))
    return found


def by_rule(given: Sequence[Given], known: Sequence[str], checked: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The points of every rule that is checked, as the engine takes them: `{"label": ..., "point": ...}`.

    Args:
        known: names of the rules that the target names.
        checked: those that are checked; points of the others are left out.

    Raises:
        UsageError: for a point of a rule that is not known, or of none where there are several.
    """
    out: dict[str, list[dict[str, Any]]] = {}
    for g in given:
        names = list(dict.fromkeys(checked))
        if g.rule is None and len(names) > 1:
            raise UsageError(
                f"--example {g.label} does not say for which rule it is: {', '.join(names)}; "
                f'add the name, as in {{"{RULE}": "{names[0]}", ...}}'
            )
        if g.rule is not None and g.rule not in known:
            told = f"which is none of those to check: {', '.join(known)}"
            raise UsageError(f"--example {g.label} is for the rule {g.rule!r}, {told}")
        rule = names[0] if g.rule is None else g.rule
        if rule in names:
            out.setdefault(rule, []).append({"label": g.label, "point": g.point})
    return out


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as why:
        raise UsageError(f"--example {file} cannot be read: {why.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--example {file} is not text in UTF-8; it holds JSON: {FORM}") from None
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as why:
        raise UsageError(f"--example {file}, line {why.lineno}: this is not JSON: {why.msg}") from None
    except (RecursionError, ValueError) as why:  # nested too deeply, a number of too many digits, a name given twice
        raise UsageError(f"--example {file} cannot be read: {why}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is given twice in one point")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON, and no point has it")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
