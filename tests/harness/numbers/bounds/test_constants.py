"""The measured rounding constants, and that they hold at new points."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import lax

from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.bounds.constants import (
    DATA,
    constants,
    from_ulp,
    measurements,
    rounding_constant,
    wide_constant,
)
from backprove.harness.numbers.bounds.functions import EXACT, FUNCTIONS


def test_an_ulp_is_two_unit_roundoffs_rounded_up() -> None:
    assert from_ulp(0.5) == 1.05
    assert from_ulp(0.6) == 2
    assert from_ulp(1.4) == 3


def test_every_function_is_measured_in_every_format_on_both_backends() -> None:
    for backend in ("xla-cpu", "numpy"):
        for dtype in FORMATS:
            measured = measurements()[backend]["formats"][dtype]
            assert FUNCTIONS.keys() - EXACT <= measured.keys()
            assert {"pow", "rem", "atan2"} <= measured.keys()
            assert all(np.isfinite(r["ulp"]) and r["points"] > 100 for r in measured.values())


def test_the_worse_backend_counts() -> None:
    for name, got in constants("float32").items():
        ulps = [b["formats"]["float32"][name]["ulp"] for b in measurements().values()]
        assert got.k == max(map(from_ulp, ulps))


def test_known_weak_spots_are_seen() -> None:
    assert rounding_constant("float64", "log1p").k > 200
    # sinh and cosh round their argument: the error grows with |x|
    assert rounding_constant("float64", "sinh").kappa > 0.5
    assert rounding_constant("float64", "sinh").k < 20
    assert rounding_constant("float64", "mul").k == 1
    assert rounding_constant("bfloat16", "mul").k > 1


def test_the_wide_evaluation_is_accurate() -> None:
    assert wide_constant("add", arithmetic=True).k == 1
    assert wide_constant("exp", arithmetic=False).k < 10


@pytest.mark.parametrize("dtype", FORMATS)
def test_constants_hold_at_new_points(dtype: str) -> None:
    fmt = FORMATS[dtype]
    rng = np.random.default_rng(5)
    x = fmt.round(rng.normal(0, 2, 3000))
    wide = x.astype(np.longdouble)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        for name in FUNCTIONS.keys() - EXACT:
            got = np.asarray(jax.jit(getattr(lax, name))(x.astype(fmt.numpy))).astype(np.float64)
            exact = FUNCTIONS[name].value(wide)
            c = rounding_constant(dtype, name)
            allowed = c.k * fmt.u * np.abs(exact) + FUNCTIONS[name].growth(wide, c.kappa * fmt.u * np.abs(x))
            inside = np.isfinite(exact) & (np.abs(exact) < fmt.max) & np.isfinite(allowed)
            excess = np.abs(got - exact)[inside] / (allowed + 4 * fmt.tiny)[inside]
            assert excess.max() < 1.2, f"{name}: {excess.max()} times the constant"


def test_a_missing_or_foreign_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"calibrate\.py"):
        measurements(tmp_path / "none.json")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"schema": 99}))
    with pytest.raises(UsageError, match="99"):
        measurements(other)


def test_the_file_is_strict_json() -> None:
    assert "NaN" not in DATA.read_text() and "Infinity" not in DATA.read_text()
