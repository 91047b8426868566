"""`check` and `assert_rule` judge one rule in this process: `bp.check(rule).verdict` is `"holds"` or worse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from backprove.harness.core.errors import UsageError

if TYPE_CHECKING:
    from backprove.harness.report import Report
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule

DTYPES = ("float64", "float32", "bfloat16", "float16")
"""The formats that a run may name (kept here by name: the command line starts without NumPy)."""


def check(
    rule: Rule | OwnTheorem,
    *,
    points: int = 10_000,
    dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    accuracy: float | None = None,
) -> Report:
    """Check `rule`; nothing is written to disk.

    Args:
        rule: the rule, as `Rule(...)` or one of the `from_*` functions make it, or a theorem, as `theorem(...)` does.
        points: evaluations of each claim, per dtype.
        dtypes: formats to check in: float64, float32, bfloat16, float16.
        seed: the same seed gives the same points.
        accuracy: refuse float errors beyond this multiple of what conditioning forces; None grades them only.

    Raises:
        UsageError: when an argument is not of this form.
    """
    __tracebackhide__ = _is_usage_error
    from backprove.harness.report import Report
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule

    if not isinstance(rule, (Rule, OwnTheorem)):
        raise UsageError(f"check: expected a bp.Rule or a bp.theorem, got {type(rule).__name__}: {rule!r}")
    options = checked_options(points=points, dtypes=dtypes, seed=seed, accuracy=accuracy)
    from backprove.harness.campaign import subjects

    return Report(subjects.run(rule, **options), options)


def assert_rule(
    rule: Rule | OwnTheorem,
    *,
    points: int = 10_000,
    dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    accuracy: float | None = None,
) -> None:
    """Raise `AssertionError` with the text of the report unless every property of `rule` holds.

    Args and errors: as `check`.
    """
    __tracebackhide__ = True
    report = check(rule, points=points, dtypes=dtypes, seed=seed, accuracy=accuracy)
    if not report.ok:
        raise AssertionError(str(report))


def checked_options(*, points: Any, dtypes: Any, seed: Any, accuracy: Any) -> dict[str, Any]:
    """The options of a run, validated.

    Raises:
        UsageError: naming the option, what was given and what was expected.
    """
    __tracebackhide__ = _is_usage_error
    if not _is_integer(points) or points < 1:
        raise UsageError(f"points must be a positive integer such as 10_000, got {points!r}")
    if isinstance(dtypes, str) or not isinstance(dtypes, Iterable):
        raise UsageError(f'dtypes must be a sequence of names such as ("float64", "float32"), got {dtypes!r}')
    names = list(dict.fromkeys(dtypes))
    unknown = [d for d in names if d not in DTYPES]
    if unknown or not names:
        given = ", ".join(map(repr, unknown)) or "none"
        raise UsageError(f"dtypes: expected one or more of {', '.join(DTYPES)}, got {given}")
    if not _is_integer(seed) or seed < 0:
        raise UsageError(f"seed must be an integer that is not negative, got {seed!r}")
    is_number = isinstance(accuracy, (int, float)) and not isinstance(accuracy, bool)
    if accuracy is not None and not (is_number and math.isfinite(accuracy) and accuracy > 0):
        raise UsageError(f"accuracy must be a positive number such as 16, or None, got {accuracy!r}")
    return {
        "points": int(points),
        "dtypes": tuple(names),
        "seed": int(seed),
        "accuracy": None if accuracy is None else float(accuracy),
    }


def _is_usage_error(shown: Any) -> bool:
    """For pytest, which leaves a frame out where this says so: wrong use is the caller's line, not ours."""
    return bool(shown.errisinstance(UsageError))


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
