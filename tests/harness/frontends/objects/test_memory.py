"""Code that reads the memory of an array, where exact scalars have addresses, is judged as a black box."""

from __future__ import annotations

import ctypes
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.arrays import Array
from backprove.harness.frontends.objects.run import run_on_balls
from backprove.harness.frontends.objects.scalar import NotRunnable
from backprove.harness.numbers.balls.arrays import lift

Copy = Callable[[Array], Array]


def by_bytes(x: Array) -> Array:
    whole = np.ascontiguousarray(x, dtype=np.float64)
    return np.frombuffer(whole.tobytes(), dtype=np.float64).reshape(x.shape)


def by_pointer(x: Array) -> Array:
    whole = np.ascontiguousarray(x, dtype=np.float64)
    if not whole.size:
        return whole
    start = whole.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    return np.array(start[: whole.size]).reshape(x.shape)


@pytest.mark.parametrize("read", [lambda a: a.data, pickle.dumps, lambda a: a.tofile("/dev/null")])
def test_other_ways_to_memory_stop_exact_scalars(read: Callable[[Array], object]) -> None:
    def code(x: Array) -> Array:
        read(x)
        return x

    with pytest.raises(NotRunnable, match="memory"):
        run_on_balls(code, [lift(np.ones((2, 1)))[:, 0]])


@pytest.mark.parametrize("copy", [by_bytes, by_pointer])
def test_memory_is_no_number(copy: Copy) -> None:
    def solved(a: Array) -> Array:
        return np.linalg.inv(copy(a)).astype(a.dtype)

    for sign, verdict in ((-1, "holds"), (1, "falsified")):

        def vjp(a: Array, g: Array, sign: int = sign) -> Array:
            return sign * solved(a).T @ copy(g) @ solved(a).T

        rule = bp.Rule("inverse", forward=solved, vjp=vjp, inputs={"a": bp.array("2 2", low=-1, high=1)})
        report = bp.check(rule, points=40, dtypes=["float64"])
        assert str(report.verdict) == verdict, str(report)
        assert "black box" in str(report)
