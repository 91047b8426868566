"""Flat programs give the bits of `Floats`, at every chunk size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.linked import Linked, _evaluate
from backprove.harness.programs.program import Program
from tests.harness.numbers.floats.linked_run import run_linked
from tests.mutants.rules import PROBLEMS, RIGHT

SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-310, 3e38, 1e300, 0.5, -2.5)

FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "powers": (lambda x: [jax.lax.integer_pow(x, k) for k in (-6, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 11, 12)], [(4,)]),
    "extremes": (lambda x, y: [jnp.maximum(x, y), jnp.minimum(x, y), jnp.clip(x, -1, 1), jnp.sign(x)], [(5,), (5,)]),
    "comparisons": (lambda x, y: [x == y, x < y, (x > 0) & ~(y > x) | (y == 1)], [(3,), (3,)]),
    "choices": (lambda x, y: jnp.where(x > y, x, jnp.where(y > 0, y * y, -y)), [(2, 3), (2, 3)]),
    "reductions": (lambda x: [x.sum(0), x.sum((0, 2)), x.max(), x.min(1), x.prod(2), jnp.argmax(x, 1)], [(2, 3, 4)]),
    "contractions": (
        lambda a, b, x: [a @ b, a.T @ a, b @ x, jnp.einsum("ij,kj->ik", a, b.T), jnp.outer(x, x), x @ x],
        [(2, 3), (3, 4), (4,)],
    ),
    "two axes at once": (lambda a, b: jnp.einsum("ijk,ljk->il", a, b), [(2, 3, 2), (4, 3, 2)]),
    "fixed factors": (lambda x: [jnp.arange(6.0).reshape(2, 3) @ x, x @ jnp.ones(3)], [(3,)]),
    "moves": (
        lambda x: [
            x.T,
            x.T.reshape(6),
            x[::-1, 1:],
            jnp.concatenate([x, x]),
            jnp.pad(x, 1),
            jnp.broadcast_to(x, (2, 2, 3)),
            x.ravel(),
            jnp.concatenate([jax.lax.slice(x + 1, (0, 0), (0, 3)), x]),
        ],
        [(2, 3)],
    ),
    "symmetric sum": (lambda x: (x + x.T) * x, [(3, 3)]),
    "functions": (
        lambda x: [f(x) for f in (jnp.exp, jnp.tanh, jnp.log1p, jax.nn.sigmoid, jax.lax.rsqrt, jax.scipy.special.erf)],
        [(7,)],
    ),
    "order": (lambda x: [jnp.sort(x), jnp.cumsum(x), jnp.cumprod(x)], [(6,)]),
    "input as output": (lambda x: [x, x, 2.0 * x, jnp.ones(2)], [(2,)]),
    "scalars": (lambda x, y: x * y - x, [(), ()]),
    "nothing": (lambda x: [x * 2, x.sum()], [(0, 3)]),
}


def same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    return bool(np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a), np.signbit(b)))


def drawn(program: Program, points: int) -> list[np.ndarray[Any, Any]]:
    """Normal numbers with special ones strewn in."""
    rng = np.random.default_rng(7)
    found = []
    for v in program.inputs:
        a = rng.standard_normal((*v.shape, points))
        odd = rng.random(a.shape) < 0.2
        a[odd] = rng.choice(SPECIAL, int(odd.sum()))
        found.append(a if v.dtype.startswith(("float", "bfloat")) else rng.integers(0, 2, a.shape))
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bits_are_those_of_floats(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    program = trace(function, *((s, dtype) for s in shapes))
    for points, chunk in ((1, 64), (5, 5), (130, 64), (130, 130)):
        arrays = drawn(program, points)
        wanted = Floats().run(program, arrays)
        for a, b in zip(run_linked(program, arrays, chunk), wanted, strict=True):
            assert a.shape == b.shape and same(a, b)


@pytest.mark.parametrize(("name", "form"), RIGHT)
def test_every_right_rule_gives_the_same_bits(name: str, form: str) -> None:
    problem = PROBLEMS[name]
    sizes = {"m": 2, "n": 3, "k": 2}
    shapes = [tuple(sizes[d] if isinstance(d, str) else d for d in s.dims) for s in problem.inputs.values()]
    signature = [(s, "float64") for s in shapes]
    output = jax.eval_shape(problem.forward, *(jax.ShapeDtypeStruct(s, np.float32) for s in shapes)).shape
    program = trace(problem.forms[form], *signature, (output, "float64"))
    arrays = [np.abs(a) for a in drawn(program, 100)]
    for a, b in zip(run_linked(program, arrays, 100), Floats().run(program, arrays), strict=True):
        assert same(a, b)


def test_bfloat16_is_computed_without_a_detour() -> None:
    program = trace(lambda x, y: jnp.exp(x * y) - y / x, ((4,), "bfloat16"), ((4,), "bfloat16"))
    assert all(f is not _evaluate for f, _ in Linked(program, 16).calls)


def test_inputs_are_kept_and_a_second_run_gives_the_same() -> None:
    program = trace(lambda x, y: jnp.tanh(x * y) + jnp.exp(x - y) * x, ((4,), "float64"), ((4,), "float64"))
    flat = Linked(program, 32)
    rng = np.random.default_rng(0)
    for a in flat.inputs:
        a[...] = rng.standard_normal(a.shape)
    given = [a.copy() for a in flat.inputs]
    flat.run()
    first = [o.copy() for o in flat.outputs]
    flat.run()
    assert all(np.array_equal(a, b) for a, b in zip(flat.inputs, given, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(flat.outputs, first, strict=True))


def test_buffers_are_used_again() -> None:
    def long(x: Any) -> Any:
        for _ in range(30):
            x = jnp.sin(x) * 1.5
        return x

    flat = Linked(trace(long, ((16,), "float64")), 64)
    assert flat.bytes <= 4 * 16 * 64 * 8


def test_an_argument_without_points_of_its_own_is_repeated() -> None:
    program = trace(lambda x, y: x + y, ((2,), "float64"), ((2,), "float64"))
    x, y = np.arange(20.0).reshape(2, 10), np.array([[1.0], [2.0]])
    assert np.array_equal(run_linked(program, [x, y], 4)[0], x + y)


def test_control_flow_is_refused() -> None:
    def looped(x: Any) -> Any:
        return jax.lax.while_loop(lambda y: (y < 10).all(), lambda y: 2 * y, x)

    with pytest.raises(UnsupportedPrimitive, match="while"):
        Linked(trace(looped, ((2,), "float64")), 8)
