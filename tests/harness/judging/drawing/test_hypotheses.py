"""Hypotheses at many points at once: the same answers as single calls, whatever the code does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.cache import Cache
from backprove.harness.judging.drawing.hypotheses import Hypotheses, hypotheses
from backprove.strategies.array import array
from backprove.strategies.points import Points
from backprove.strategies.values import draw_points

SPECS = {"x": array("m n"), "y": array("n")}


def points(count: int = 500, dtype: str = "float32") -> Points:
    return draw_points(SPECS, {"m": 2, "n": 3}, dtype, count, 0, "where", (1.0,))


class Counted:
    """A `where` that counts the calls with ordinary arrays."""

    def __init__(self, code: Callable[..., Any]) -> None:
        self.code = code
        self.calls = 0

    def __call__(self, *inputs: Any) -> Any:
        self.calls += all(type(a) is np.ndarray for a in inputs)
        return self.code(*inputs)


def off_kinks(x: Any, y: Any) -> bool:
    return bool(np.all(np.asarray(x, dtype=np.float64) @ y != 0))


def branches(x: Any, y: Any) -> bool:
    if x[0, 0] > 5:
        return True
    return bool(y[0] <= 1)


TRACED = {
    "bool": off_kinks,
    "array": lambda x, y: x @ y > 0,
    "jax": lambda x, y: jnp.all(jnp.asarray(x)[0] != y),
    "shape": lambda x, y: x.size >= 1,
    "never": lambda x, y: False,
    "not any": lambda x, y: not np.any(x == 0),
    "and": lambda x, y: np.all(x[0] != 1) and np.all(y != 1),
    "branches": branches,
    "coarse": lambda x, y: np.all((x[0] * y).astype(np.float16) != (x[1] * y).astype(np.float16)),
    "number": lambda x, y: y[0] - 1.0,
    "entries": lambda x, y: [np.all(x > -50), y[0] < 0],
}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("name", TRACED)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_all_at_once_is_one_by_one(name: str, dtype: str) -> None:
    where, at = Counted(TRACED[name]), points(dtype=dtype)
    expected = [bool(np.all(TRACED[name](*at.point(i)))) for i in range(at.count)]
    assert Hypotheses(where).admit(at).tolist() == expected
    # at float64 points code in JAX is called where float32, in which it computes, decides otherwise
    if name not in ("entries", "branches", "coarse"):
        assert where.calls < at.count / 2


def test_rounding_never_decides() -> None:
    """x @ y is zero over the reals, or in one order of summation alone: only calls of the code itself tell."""
    at = points()
    x, y = (a.copy() for a in at.arrays)
    x[:], y[:] = np.array([1.0, 2.0**-60, -1.0])[None, :, None], 1.0
    at = Points(at.sizes, at.shapes, (x, y), at.dtype, at.region, at.dtypes)
    where = Counted(off_kinks)
    expected = [off_kinks(*at.point(i)) for i in range(at.count)]
    assert Hypotheses(where).admit(at).tolist() == expected
    assert where.calls >= at.count


def test_code_that_cannot_be_traced_is_called() -> None:
    where = Counted(lambda x, y: float(x[0, 0]) > 0 and x.tobytes() != b"")
    at = points(100)
    assert Hypotheses(where).admit(at).tolist() == (at.arrays[0][0, 0] > 0).tolist()
    assert where.calls == 100


def test_code_that_differs_from_its_trace_is_called() -> None:
    def where(x: Any, y: Any) -> Any:
        return np.all(x > 0) if type(x) is not np.ndarray else np.all(x <= 0)

    at = points(200)
    hypothesis = Hypotheses(where)
    assert hypothesis.admit(at).tolist() == (at.arrays[0] <= 0).all(axis=(0, 1)).tolist()
    assert hypothesis.admit(at).tolist() == (at.arrays[0] <= 0).all(axis=(0, 1)).tolist()


def test_what_the_code_raises_is_raised() -> None:
    def where(x: Any, y: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        Hypotheses(where).admit(points())


def test_no_hypotheses_and_traces_that_are_kept() -> None:
    assert hypotheses(None).admit(points(5)).all()
    assert hypotheses(off_kinks) is hypotheses(off_kinks)
    cache = Cache()
    hypotheses(off_kinks, cache).admit(points())
    assert any("where True" in str(key) for key in cache.entries)
