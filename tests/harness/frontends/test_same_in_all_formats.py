"""Traces of one dtype from those of another: the real ones for the catalogue; code that looks at dtypes is traced."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.function import Function
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.same_in_all_formats import FormatGenericTrace
from backprove.harness.judging.binder import DerivativeBinder
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.examination import Unsupported
from backprove.harness.oracles.autodiff import derivative_program
from backprove.harness.programs.equality import same
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.retype import BASE, renamed
from backprove.rules.all import load
from backprove.strategies.shapes import shape_buckets

THEOREMS = load()
SHAPES: list[tuple[int, ...]] = [(3,), (), (0,), (1,), (2, 3), (5,)]


def at(shape: tuple[int, ...], dtype: str) -> Signature:
    return ((shape, dtype),)


def traces(function: Any) -> tuple[FormatGenericTrace, list[Signature]]:
    """The traces of a function, and a list of the signatures at which it is really traced."""
    asked: list[Signature] = []

    def really(signature: Signature) -> Program:
        asked.append(signature)
        return trace(function, *signature)

    return FormatGenericTrace(really), asked


def softplus(x: Any) -> Any:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))) + 0.1 * x.sum()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_is_renamed_is_the_real_trace(dtype: str) -> None:
    found, asked = traces(softplus)
    for shape in SHAPES:
        found(at(shape, BASE))
    for shape in SHAPES:
        program = found(at(shape, dtype))
        assert program is not None and same(program, trace(softplus, *at(shape, dtype)))
    # the sum of the short formats is in float32: no renaming gives that
    really = [s for s in asked if s[0][1] == dtype]
    assert really == [at(s, dtype) for s in (SHAPES[:1] if dtype == "float32" else SHAPES)]


def test_constants_are_rounded() -> None:
    found, _ = traces(lambda x: x * 0.1)
    found(at((3,), BASE))
    found(at((2,), BASE))
    found(at((3,), "float32"))
    program = found(at((2,), "float32"))
    assert program is not None
    (constant,) = program.constants.values()
    assert constant.dtype == np.float32 and constant == np.float32(0.1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + jnp.finfo(x.dtype).tiny,
        lambda x: jnp.where(x > -jnp.log(jnp.finfo(x.dtype).eps), x, jnp.log1p(jnp.exp(x))),
        lambda x: x * 2 if x.dtype == jnp.float32 else x + x,
        lambda x: jnp.sum(x, dtype=jnp.float64) * x,
    ],
)
def test_code_that_looks_at_its_dtype_is_traced(function: Any) -> None:
    found, asked = traces(function)
    for dtype in (BASE, "float32"):
        for shape in SHAPES:
            program = found(at(shape, dtype))
            assert program is not None and same(program, trace(function, *at(shape, dtype)))
    assert len(asked) == 2 * len(SHAPES)


def test_a_first_shape_that_tells_nothing_is_not_the_one_compared() -> None:
    def odd(x: Any) -> Any:
        return x * 2 if x.dtype == jnp.float32 and x.size > 1 else x + x

    found, _ = traces(odd)
    for dtype in (BASE, "float32"):
        for shape in [(), (0,), (1,), (3,), (5,)]:
            program = found(at(shape, dtype))
            assert program is not None and same(program, trace(odd, *at(shape, dtype)))


def test_the_limit_code_that_looks_at_dtype_and_size_at_once() -> None:
    """Why the code of a user is always traced: it differs at a shape other than the one that was compared."""

    def odd(x: Any) -> Any:
        return x * 2 if x.dtype == jnp.float32 and x.size == 5 else x + x

    found, _ = traces(odd)
    signatures = [at(s, d) for d in (BASE, "float32") for s in ((3,), (5,))]
    last = [found(s) for s in signatures][-1]
    assert last is not None and not same(last, trace(odd, *signatures[-1]))
    users = Function(odd, "forward")
    for s in signatures:
        program = users.program(s)
        assert program is not None and same(program, trace(odd, *s))


def test_two_formats_in_one_signature_are_traced() -> None:
    found, asked = traces(lambda x, y: x * y.astype(x.dtype))
    for dtype in (BASE, "float32"):
        for shape in ((3,), (5,)):
            found(((shape, dtype), (shape, "float32")))
    assert len(asked) == 4


@pytest.mark.parametrize("name", THEOREMS)
def test_every_function_of_the_catalogue(name: str) -> None:
    """At every fixed shape what a run uses is what the function gives when it is traced there."""
    theorem = THEOREMS[name]
    compared = 0
    for binder in binders_of(theorem):
        for dtype in (BASE, "float32", "bfloat16"):
            for sizes in shape_buckets(dict(theorem.inputs)):
                try:
                    claim_at: Any = binder.bind([s.shape(sizes) for s in theorem.inputs.values()], dtype)
                except Unsupported:
                    continue
                if isinstance(binder, DerivativeBinder):
                    f = binder.functions
                    used = [(f.forward, claim_at.signature), (f.rule, claim_at.rule_signature)]
                    jax = derivative_program(trace(f.forward.call, *claim_at.signature), claim_at.mode, claim_at.wrt)
                    assert (claim_at.autodiff is None) == (jax is None)
                    assert jax is None or same(claim_at.autodiff, jax), (binder.name, "autodiff", dtype, sizes)
                else:
                    used = [(s.function, s.signature) for s in claim_at.sides]
                for function, signature in used:
                    program = function.program(signature)
                    assert program is not None
                    assert same(program, trace(function.call, *signature)), (binder.name, function.label, signature)
                    compared += 1
    assert compared


def test_programs_inside_programs_are_renamed_too() -> None:
    from jax import lax

    def looped(x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, y: y * 0.3 + x, x)

    program = renamed(trace(looped, *at((3,), BASE)), "float32")
    assert same(program, trace(looped, *at((3,), "float32")))
    assert not same(program, trace(looped, *at((3,), BASE)))
