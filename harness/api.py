"""`check` and `assert_rule` judge one rule in this process: `bp.check(rule).verdict` is `"holds"` or worse."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from backprove.harness.core.arguments import as_given, worded
from backprove.harness.core.errors import UsageError

if TYPE_CHECKING:
    from backprove.harness.report import Report
    from backprove.harness.statements.own_theorem import OwnTheorem
    from backprove.harness.statements.rule import Rule

DTYPES = ("float64", "float32", "bfloat16", "float16")
"""The formats that a run may name (kept here by name: the command line starts without NumPy)."""


@worded("check")
def check(
    rule: Rule | OwnTheorem,
    *,
    points: int = 10_000,
    dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    accuracy: float | None = None,
) -> Report:
    """Check `rule`; nothing is written to disk.

    ```python
    import numpy as np
    import backprove as bp

    rule = bp.Rule("sine", forward=np.sin, vjp=lambda x, g: g * np.cos(x), inputs={"x": bp.array("n")})
    assert bp.check(rule, points=20, dtypes=["float64"]).ok
    ```

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
        raise UsageError(f"check: expected a bp.Rule or a bp.theorem, got {as_given(rule)}; {_instead(rule)}")
    options = checked_options(points=points, dtypes=dtypes, seed=seed, accuracy=accuracy)
    from backprove.harness.campaign import subjects

    return Report(subjects.run(rule, **options), options)


def _instead(given: object) -> str:
    """What to do with something that is no rule."""
    if isinstance(given, (list, tuple, dict, set)):
        return "check its rules one by one, or those of a file with backprove check FILE"
    if isinstance(given, (str, os.PathLike)):
        return f"the rules of a file are checked by backprove check {given}"
    if isinstance(given, type) or not callable(given):
        return 'make one, as in bp.Rule("name", forward=..., vjp=..., inputs=...)'
    return "state its rule with bp.Rule(...), or judge the framework's own derivative with bp.from_call(fn, example)"


@worded("assert_rule")
def assert_rule(
    rule: Rule | OwnTheorem,
    *,
    points: int = 10_000,
    dtypes: Sequence[str] = ("float64", "float32"),
    seed: int = 0,
    accuracy: float | None = None,
) -> None:
    """Raise `AssertionError` with the text of the report unless every property of `rule` holds.

    ```python
    import numpy as np
    import backprove as bp

    rule = bp.Rule("cube", forward=lambda x: x**3, vjp=lambda x, g: 3 * x**2 * g, inputs={"x": bp.array("n")})
    bp.assert_rule(rule, points=20)
    ```

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
        raise UsageError(f"points must be a positive integer such as 10_000, got {as_given(points)}")
    if isinstance(dtypes, str) or not isinstance(dtypes, Iterable):
        raise UsageError(f'dtypes must be a sequence of names such as ("float64", "float32"), got {as_given(dtypes)}')
    names = list(dict.fromkeys(dtypes))
    unknown = [d for d in names if d not in DTYPES]
    if unknown or not names:
        given = ", ".join(map(as_given, unknown)) or "none"
        raise UsageError(f"dtypes: expected one or more of the names {', '.join(DTYPES)}, got {given}")
    if not _is_integer(seed) or seed < 0:
        raise UsageError(f"seed must be an integer that is not negative, got {as_given(seed)}")
    is_number = isinstance(accuracy, (int, float)) and not isinstance(accuracy, bool)
    if accuracy is not None and not (is_number and math.isfinite(accuracy) and accuracy > 0):
        raise UsageError(f"accuracy must be a positive number such as 16, or None, got {as_given(accuracy)}")
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
