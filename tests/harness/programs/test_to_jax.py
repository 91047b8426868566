"""Programs as JAX functions: traced again they compute the same, and JAX differentiates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.program import Equation, Program, Signature, Var, inner_programs
from backprove.harness.programs.retype import renamed
from backprove.harness.programs.to_jax import as_jax_function
from tests.harness.numbers.floats.test_linked import FUNCTIONS, drawn
from tests.harness.numbers.test_control import CASES, draw

F = "float64"


def power_by_scan(x: Any, a: Any) -> Any:
    """A carry, slices and a constant; a cond inside that depends on the carry."""

    def turn(c: Any, y: Any) -> Any:
        c = lax.cond(c > 0.5, lambda v: jnp.sin(v) * y, lambda v: v * v + a, c)
        return c, c * y

    return lax.scan(turn, a, x)


def loop_in_scan(x: Any) -> Any:
    def turn(c: Any, y: Any) -> Any:
        return lax.fori_loop(0, 3, lambda i, v: v * y + i, c), c

    return lax.scan(turn, 1.0, x)


def scan_in_switch(i: Any, x: Any) -> Any:
    return lax.switch(i, [lambda y: lax.scan(lambda c, z: (c * z, c), 1.0, y)[0], lambda y: jnp.exp(y).sum()], x)


def halve(x: Any) -> Any:
    return lax.while_loop(lambda s: s[0] > 1.0, lambda s: (s[0] / 2, s[1] * jnp.cos(s[0] * x)), (40 * x * x, x))[1]


NESTED: dict[str, tuple[Callable[..., Any], list[tuple[tuple[int, ...], str]]]] = {
    "cond in scan": (power_by_scan, [((4,), F), ((), F)]),
    "loop in scan": (loop_in_scan, [((3,), F)]),
    "scan in switch": (scan_in_switch, [((), "int64"), ((3,), F)]),
    "while": (halve, [((), F)]),
}
CONTROL = CASES | NESTED
REVERSIBLE = ["scan", "scan backwards", "scan with constants", "gradient of a scan", "for", "cond", "cond on arrays"]
REVERSIBLE += ["switch", "cond in scan", "loop in scan", "scan in switch"]


def round_trip(program: Program) -> Program:
    return trace(as_jax_function(program), *signature(program))


def steps(program: Program) -> Counter[str]:
    """How often each primitive stands in a program; JAX drops conversions to the dtype that a value has."""
    found = Counter(e.primitive for e in program.equations if e.primitive != "convert_element_type")
    for e in program.equations:
        for p in inner_programs(e):
            found += steps(p)
    return found


def signature(program: Program) -> Signature:
    return tuple((v.shape, v.dtype) for v in program.inputs)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_traced_again_gives_the_same_bits(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    program = trace(function, *((s, dtype) for s in shapes))
    again = round_trip(program)
    given = drawn(program, 12)
    assert steps(again) == steps(program)
    with np.errstate(all="ignore"):
        pairs = zip(Floats().run(again, given), Floats().run(program, given), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CONTROL)
def test_scan_cond_and_while_come_back(name: str) -> None:
    function, specs = CONTROL[name]
    program = trace(function, *specs)
    again = round_trip(program)
    assert steps(again) == steps(program)
    given = [draw(s, 7) for s in specs]
    for a, b in zip(Floats().run(again, given), Floats().run(program, given), strict=True):
        np.testing.assert_array_equal(a, b)


def floats_of(outputs: Any) -> list[Any]:
    return [o for o in jax.tree.leaves(outputs) if jnp.issubdtype(o.dtype, jnp.floating)]


@pytest.mark.parametrize("name", CONTROL)
def test_the_jvp_is_that_of_the_function(name: str) -> None:
    function, specs = CONTROL[name]
    program = trace(function, *specs)
    moving = [k for k, (_, dtype) in enumerate(specs) if dtype == F]
    with jax.enable_x64(True):
        x = [jnp.asarray(draw(s, 1)[..., 0]) for s in specs]
        t = [jnp.asarray(np.random.default_rng(k).standard_normal(specs[k][0])) for k in moving]

        def tangents(f: Callable[..., Any]) -> list[Any]:
            def partial(*moved: Any) -> Any:
                full = list(x)
                for k, m in zip(moving, moved, strict=True):
                    full[k] = m
                return floats_of(f(*full))

            return list(jax.jvp(partial, [x[k] for k in moving], t)[1])

        got, expected = tangents(as_jax_function(program)), tangents(function)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", REVERSIBLE)
def test_the_vjp_is_that_of_the_function(name: str) -> None:
    function, specs = CONTROL[name]
    program = trace(function, *specs)
    with jax.enable_x64(True):
        x = [jnp.asarray(draw(s, 1)[..., 0]) for s in specs]

        def cotangents(f: Callable[..., Any]) -> list[Any]:
            moving = tuple(k for k, (_, dtype) in enumerate(specs) if dtype == F)

            def weighted(*a: Any) -> Any:
                return sum((jnp.cos(o) * (1 + jnp.arange(o.size).reshape(o.shape))).sum() for o in floats_of(f(*a)))

            return list(jax.grad(weighted, moving)(*x))

        for a, b in zip(cotangents(as_jax_function(program)), cotangents(function), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


def test_a_program_in_another_format_comes_back_in_it() -> None:
    """Bodies too: a float32 carry must not meet float64 constants."""
    program = renamed(trace(power_by_scan, ((4,), F), ((), F)), "float32")
    again = round_trip(program)
    assert {v.dtype for v in again.outputs} == {"float32"}
    x = [np.array([[0.5, 1.0], [2.0, -1.0], [0.25, 3.0], [1.0, 1.0]]), np.array([0.75, -0.5])]
    for a, b in zip(Floats().run(again, x), Floats().run(program, x), strict=True):
        np.testing.assert_array_equal(a, b)


@jax.custom_jvp
def wrong_sine(x: Any) -> Any:
    return jnp.sin(x)


@wrong_sine.defjvp
def _wrong(primals: Any, tangents: Any) -> Any:
    return jnp.sin(primals[0]), 5 * tangents[0]


def test_custom_rules_of_the_function_are_gone() -> None:
    program = trace(wrong_sine, ((), F))
    with jax.enable_x64(True):
        assert jax.grad(wrong_sine)(0.5) == 5.0
        assert jax.grad(lambda x: as_jax_function(program)(x)[0])(0.5) == pytest.approx(np.cos(0.5), rel=1e-15)


def test_what_stops_gradients_stops_them() -> None:
    program = trace(lambda x: x * lax.stop_gradient(x), ((), F))
    with jax.enable_x64(True):
        assert jax.grad(lambda x: as_jax_function(program)(x)[0])(3.0) == 3.0


def test_a_split_and_a_barrier_come_back() -> None:
    program = trace(lambda x: lax.optimization_barrier(tuple(jnp.split(x, [2]))), ((5,), F))
    assert {"split", "optimization_barrier"} <= program.primitives
    assert round_trip(program).primitives == program.primitives


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside a body"])
def test_an_unknown_primitive_is_named(inside: bool) -> None:
    x = Var(0, (), F)
    y = Var(1, (), F)
    program = Program((x,), (y,), {}, (Equation("no_such_thing", {}, (x,), (y,)),))
    if inside:
        index = Var(2, (), "int32")
        program = Program((index, x), (y,), {}, (Equation("cond", {"branches": (program,) * 2}, (index, x), (y,)),))
    with pytest.raises(UnsupportedPrimitive, match="no_such_thing"):
        as_jax_function(program)


def test_products_keep_all_digits_where_asked() -> None:
    """In a body too."""
    program = trace(lambda a: lax.scan(lambda c, m: (m @ c, None), jnp.ones(2), a)[0], ((3, 2, 2), F))
    for asked in (False, True):
        (scan,) = trace(as_jax_function(program, all_digits=asked), ((3, 2, 2), F)).equations[-1:]
        (product,) = (e for e in scan.params["jaxpr"].equations if e.primitive == "dot_general")
        assert (product.params["precision"] is not None) == asked


@pytest.mark.parametrize("transformed", [False, True])
def test_a_linear_solve_is_differentiated_by_its_definition(transformed: bool) -> None:
    """Both as it was traced and as JAX's own derivative of it holds it, with the parts exchanged."""

    def pulled(a: Any, b: Any) -> Any:
        return jax.vjp(jnp.linalg.solve, a, b)[1](jnp.cos(b)) if transformed else jnp.linalg.solve(a, b)

    rng = np.random.default_rng(2)
    a, b, c = rng.normal(size=(3, 3)), rng.normal(size=(3, 2)), rng.normal(size=(3, 3))
    with jax.enable_x64(True):
        rebuilt = as_jax_function(trace(pulled, (a.shape, F), (b.shape, F)))
        moved, again = (jax.tree.leaves(jax.jvp(f, (a, b), (c, b))) for f in (pulled, rebuilt))
        for x, y in zip(again, moved, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)
        wanted = jax.grad(lambda x: sum(v.sum() for v in jax.tree.leaves(pulled(x, b))))(a)
        np.testing.assert_allclose(jax.grad(lambda x: sum(v.sum() for v in rebuilt(x, b)))(a), wanted, rtol=1e-9)
