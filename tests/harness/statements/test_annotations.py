"""Inputs read from annotations with the attributes of jaxtyping's."""
# ruff: noqa: F722, F821, UP037

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, NamedTuple, TypedDict

import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.annotations import inputs_of

FLOATS = ("bfloat16", "float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64")


class Kind:
    """`Float[np.ndarray, "m n"]` gives a class with the attributes that jaxtyping's has."""

    def __init__(self, dtypes: Any) -> None:
        self.dtypes = dtypes

    def __getitem__(self, item: tuple[Any, str]) -> Any:
        array_type, dim_str = item
        name = f"Kind[{array_type.__name__}, '{dim_str}']"
        return type(name, (), {"dim_str": dim_str, "dtypes": self.dtypes, "array_type": array_type})


Float, Int, Bool, UInt8 = Kind(FLOATS), Kind(INTEGERS), Kind(("bool", "bool_")), Kind(("uint8",))
Float32, Shaped, Key = Kind(("float32",)), Kind(object()), Kind(("prng_key",))
N = np.ndarray


def read(annotation: Any) -> Any:
    def forward(x: Any) -> Any:
        return x

    forward.__annotations__ = {"x": annotation}
    return inputs_of(forward, "Rule('r')")["x"]


@pytest.mark.parametrize(
    ("annotation", "spec"),
    [
        (Float[N, "m n"], bp.array("m n")),
        (Float[N, " m   4 "], bp.array("m 4")),
        (Float[N, ""], bp.array("")),
        (Float[N, "*batch n"], bp.array("*batch n")),
        (Float[N, "... n"], bp.array("*x_axes n")),
        (Float[N, "_ n _"], bp.array("x_axis0 n x_axis2")),
        (Float[N, "#n"], bp.array("n")),
        (Float[N, "*#batch n"], bp.array("*batch n")),
        (Float[N, "rows=4"], bp.array("4")),
        (Float32[N, "n"], bp.array("n")),
        (Shaped[N, "n"], bp.array("n")),
        (Kind(INTEGERS + FLOATS)[N, "n"], bp.array("n")),
        (Int[N, "n"], bp.array("n", dtype="int64")),
        (UInt8[N, "n"], bp.array("n", dtype="uint8")),
        (Bool[N, "n"], bp.array("n", dtype="bool")),
        (float, bp.array("")),
        (int, bp.array("", dtype="int64")),
        (bool, bp.array("", dtype="bool")),
        (Annotated[Float[N, "n"], "a remark"], bp.array("n")),
        (Annotated[N, bp.array("n", low=0)], bp.array("n", low=0)),
        (tuple[Float[N, "n"], Float[N, "m"]], (bp.array("n"), bp.array("m"))),
    ],
)
def test_what_an_annotation_says(annotation: Any, spec: Any) -> None:
    assert read(annotation) == spec


class Params(TypedDict):
    W: Float[N, "m n"]  # type: ignore[valid-type]
    b: Float[N, "m"]  # type: ignore[valid-type]


class State(NamedTuple):
    x: Float[N, "n"]  # type: ignore[valid-type]


def test_structures_have_names() -> None:
    assert read(Params) == {"W": bp.array("m n"), "b": bp.array("m")}
    assert read(State) == State(bp.array("n"))
    assert read(Float[N, "n"] | Float[list, "n"]) == bp.array("n")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Float[N, "n+1"], r"the dimension 'n\+1' of parameter 'x' \(Kind.*n\+1.*\) cannot be understood"),
        (Float[N, "?n"], "the dimension '\\?n'"),
        (Float[N, "n {k}"], "the dimension '{k}'"),
        (Float[N, "*4"], "the dimension '\\*4'"),
        (Float[N, "*a *b"], "at most one name"),
        (Key[N, ""], "whose dtype .prng_key. is not supported"),
        (N, "annotated ndarray, which does not tell a shape"),
        (Any, "does not tell a shape"),
        (tuple[float, ...], "does not tell a shape"),
        (Float[N, "n"] | Float[N, "m"], "does not tell a shape"),
        ("NoSuchName", "cannot be read: NameError"),
    ],
)
def test_what_cannot_be_understood_is_named(annotation: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(annotation)


def scale(x: Float[N, "n"], y: Float[N, "n"], eps: float = 1e-5, *, axis: int = 0) -> Float[N, "n"]:  # type: ignore[valid-type]
    return x * y + eps


def scale_vjp(x: Any, y: Any, g: Any) -> Any:
    return g * y, g * x


def test_defaults_are_left_alone_and_partials_bind() -> None:
    assert list(inputs_of(scale, "r")) == ["x", "y"]
    assert list(inputs_of(functools.partial(scale, np.ones(2)), "r")) == ["y"]
    assert list(inputs_of(functools.wraps(scale)(scale_vjp), "r")) == ["x", "y"]


def test_a_rule_without_inputs_reads_them() -> None:
    rule = bp.Rule("scale", forward=scale, vjp=scale_vjp)
    assert rule.inputs == {"x": bp.array("n"), "y": bp.array("n")}
    given = {"x": bp.array("n", low=0), "y": bp.array("n")}
    assert bp.Rule("scale", forward=scale, vjp=scale_vjp, inputs=given).inputs == given


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: x, "parameter 'x' of forward has no annotation; give inputs="),
        (lambda *x: x, r"forward takes \*x, whose number"),
        (lambda: 0, "has no annotated parameter"),
        (max, "does not tell its parameters|no annotation|takes"),
        (math.hypot, "tell|no annotation"),
        (3, "forward must be a function, got 3"),
    ],
)
def test_a_rule_that_says_nothing_of_its_inputs_is_refused(forward: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"Rule.*{message}"):
        bp.Rule("r", forward=forward, vjp=lambda x, g: g)


def test_other_ways_to_state_a_rule_read_them_too() -> None:
    import jax

    @jax.custom_vjp
    def double(x: Float[N, "n"]) -> Any:  # type: ignore[valid-type]
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda r, g: (2 * g,))
    assert bp.from_jax(double).inputs == {"x": bp.array("n")}

    def fwd(x: Float[N, "m n"]) -> Any:  # type: ignore[valid-type]
        return 2 * x, None

    assert bp.from_fwd_bwd(fwd, lambda r, g: 2 * g).inputs == {"x": bp.array("m n")}


def test_jaxtypings_own_annotations() -> None:
    jaxtyping = pytest.importorskip("jaxtyping")
    kinds = jaxtyping.Float, jaxtyping.Int, jaxtyping.Bool
    assert [read(k[np.ndarray, "*batch n"]) for k in kinds] == [
        bp.array("*batch n", dtype=d) for d in ("float", "int64", "bool")
    ]
    assert read(jaxtyping.Float[jaxtyping.ArrayLike, "n"]) == bp.array("n")
    with pytest.raises(UsageError, match=r"the dimension 'n\+1'"):
        read(jaxtyping.Float[np.ndarray, "n+1"])
