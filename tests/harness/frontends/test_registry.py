"""Front ends: their order, and what the engine asks of each."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.front_end import FrontEnd
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.registry import (
    BLACK_BOX,
    FRONT_ENDS,
    JAX,
    NUMPY,
    OBJECTS,
    REFERENCE,
    TORCH,
    after,
    from_on,
    named,
)

VECTOR = (((3,), "float64"),)
KNOWN = ["torch", "jax", "numpy", "reference", "objects", "black box"]


def branches(x: Any) -> Any:
    return x * x if x[0] > 0 else x


def test_the_names_that_reports_show() -> None:
    names = [end.name for end in FRONT_ENDS]
    assert [n for n in names if n in KNOWN] == KNOWN
    assert all(named(name) is end for name, end in zip(names, FRONT_ENDS, strict=True))
    with pytest.raises(KeyError, match="tensorflow"):
        named("tensorflow")


def test_what_was_found_untrue_moves_on() -> None:
    assert (after(JAX), after(OBJECTS)) == (NUMPY, BLACK_BOX)
    assert from_on(TORCH) == FRONT_ENDS
    assert all(from_on(after(end)) == from_on(end)[1:] for end in FRONT_ENDS[:-1])


@pytest.mark.parametrize("end", [e for e in FRONT_ENDS if e.points_compared], ids=lambda e: e.name)
def test_what_is_compared_has_a_name_for_messages_and_one_that_follows(end: FrontEnd) -> None:
    assert end.what
    assert after(end) in FRONT_ENDS


def test_values_of_numpy_code_are_not_had_from_its_program() -> None:
    assert JAX.is_its_program
    assert not any(e.is_its_program for e in (NUMPY, REFERENCE, OBJECTS, BLACK_BOX))
    assert all(e.is_its_program for e in FRONT_ENDS if e.is_jax_code)


def test_the_last_one_takes_everything() -> None:
    assert FRONT_ENDS[-1].trace(Function(branches, "f"), VECTOR) is None
    assert FRONT_ENDS[-1].exact(Function(branches, "f"), None) is None


def test_a_reference_stands_in_for_code_that_cannot_be_traced() -> None:
    bare, helped = Function(branches, "f"), Function(branches, "f", stand_in=lambda x: jnp.where(x[0] > 0, x * x, x))
    assert (bare.front_end(VECTOR), helped.front_end(VECTOR)) == (OBJECTS, REFERENCE)
    with pytest.raises(TypeError, match="no reference"):
        REFERENCE.trace(bare, VECTOR)


def test_code_that_never_runs_on_exact_scalars_becomes_a_black_box() -> None:
    function = Function(branches, "f")
    assert function.exact(VECTOR) is not None
    function.give_up_exact(VECTOR)
    assert (function.front_end(VECTOR), function.exact(VECTOR)) == (BLACK_BOX, None)
    traced = Function(jnp.exp, "f")
    traced.give_up_exact(VECTOR)
    assert traced.front_end(VECTOR) is JAX


def test_numpy_code_rounds_every_step_of_bfloat16() -> None:
    for call, short in ((lambda x: np.exp(x).sum(), True), (lambda x: jnp.exp(x).sum(), False)):
        function = Function(call, "f")
        assert function.every_step_short((((3,), "bfloat16"),), "bfloat16") == short
        assert not function.every_step_short((((3,), "float32"),), "float32")
