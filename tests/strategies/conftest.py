"""Inputs that the tests of the strategies share."""

from __future__ import annotations

import pytest

from backprove.strategies.array import ArraySpec, array

CASES: dict[str, dict[str, ArraySpec]] = {
    "vector": {"x": array("n")},
    "matrix": {"x": array("m n")},
    "scalar": {"x": array("")},
    "batch": {"x": array("*batch n"), "y": array("n")},
    "rank 4": {"x": array("a b c d")},
    "square": {"x": array("n n"), "y": array("n")},
    "shared": {"a": array("m n"), "b": array("n p"), "c": array("m p")},
    "positive": {"x": array("n", low=0.1)},
    "unit": {"x": array("n", low=0, high=1), "y": array("n", low=-1, high=0)},
    "nonzero": {"x": array("n", nonzero=True), "y": array("n", low=0, nonzero=True)},
    "distinct": {"x": array("n", distinct=True), "y": array("n", low=0, high=0.5, distinct=True, nonzero=True)},
    "far": {"x": array("n", low=5000), "y": array("n", high=-3e-3)},
    "labels": {"z": array("m n"), "t": array("m n", kind="one_hot")},
    "simplex": {"p": array("m n", kind="simplex"), "q": array("m n", kind="simplex", low=0.01)},
    "mask": {"x": array("n n"), "m": array("n n", kind="mask")},
    "index": {"w": array("v d"), "i": array("n", kind="index", high="v")},
    "permutation": {"x": array("n"), "i": array("n", kind="index", high="n", distinct=True)},
    "integers": {"k": array("n", dtype="int32"), "l": array("n", dtype="uint8", nonzero=True)},
    "symmetric": {"a": array("n n", kind="symmetric"), "s": array("*b n n", kind="symmetric", low=1, high=3)},
    "spd": {"a": array("n n", kind="spd"), "b": array("*b n n", kind="spd", low=0.5, high=40)},
    "triangular": {"l": array("m n", kind="lower", nonzero=True), "u": array("n n", kind="upper", low=-2)},
    "orthogonal": {"q": array("*b n n", kind="orthogonal"), "x": array("n")},
    "rows": {"u": array("m n", kind="unit"), "p": array("m n", kind="stochastic"), "s": array("m n", kind="sorted")},
    "increasing": {"s": array("n", kind="sorted", distinct=True, low=0)},
    "extreme": {"x": array("n", extreme=True)},
}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> dict[str, ArraySpec]:
    """One description of inputs after the other."""
    specs: dict[str, ArraySpec] = CASES[request.param]
    return specs


@pytest.fixture(params=["float64", "float32", "bfloat16", "float16"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Each float format in turn."""
    name: str = request.param
    return name
