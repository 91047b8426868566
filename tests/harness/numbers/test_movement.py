"""Moves, gathers, scatters and integer arithmetic against JAX, entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers import indexing, integers
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.balls import Balls
from backprove.harness.numbers.balls.duals import DualBalls
from backprove.harness.numbers.balls.truth import Undecided
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Equation, Var

POINTS = 7


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, points: int) -> np.ndarray:
    if dtype == "bool":
        return rng.random((*shape, points)) < 0.5
    if "int" in dtype:
        low = 0 if dtype.startswith("u") else -4
        return rng.integers(low, 6, (*shape, points)).astype(dtype)
    return rng.standard_normal((*shape, points))


def against_jax(f: Callable[..., Any], *specs: tuple[tuple[int, ...], str], fixed: tuple[int, ...] = ()) -> None:
    """f run by the floats equals the vmapped f, bit by bit; the inputs in `fixed` do not vary over the points."""
    rng = np.random.default_rng(0)
    inputs = [draw(rng, s, d, 1 if i in fixed else POINTS) for i, (s, d) in enumerate(specs)]
    got = Floats().run(trace(f, *specs), inputs)
    with jax.enable_x64(True):
        full = [
            jnp.asarray(np.broadcast_to(x, (*x.shape[:-1], POINTS)), d) for x, (_, d) in zip(inputs, specs, strict=True)
        ]
        expected = jax.tree.leaves(jax.jit(jax.vmap(f, in_axes=-1, out_axes=-1))(*full))
    assert len(got) == len(expected)
    for value, reference in zip(got, expected, strict=True):
        e = np.asarray(reference)
        g = np.broadcast_to(value, e.shape) if len(fixed) == len(specs) else value
        assert g.shape == e.shape
        if e.dtype.kind not in "iub":
            np.testing.assert_array_equal(np.signbit(g), np.signbit(e))
        np.testing.assert_array_equal(g, e)


F, I = "float64", "int64"
MOVES: dict[str, tuple[Callable[..., Any], Any]] = {
    "broadcast": (lambda x: jnp.broadcast_to(x[:, None], (3, 4, 2)), [((3, 2), F)]),
    "reshape": (lambda x: x.reshape(2, 3, 2), [((4, 3), F)]),
    "reshape of another order": (lambda x: lax.reshape(x, (6,), dimensions=(1, 0)), [((2, 3), F)]),
    "reshape, three axes reordered": (lambda x: lax.reshape(x, (4, 6), dimensions=(2, 0, 1)), [((2, 3, 4), F)]),
    "broadcast to inner axes": (lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (0, 2)), [((2, 1), F)]),
    "slice with a stride": (lambda x: lax.slice(x, (1, 0), (6, 4), (2, 3)), [((6, 4), F)]),
    "stacked on the last axis": (lambda x, y: jnp.stack([x, y], -1), [((3,), F), ((3,), F)]),
    "squeeze": (lambda x: jnp.squeeze(x, (0, 2)), [((1, 3, 1), F)]),
    "expand": (lambda x: lax.expand_dims(x, (0, 2)), [((3, 2), F)]),
    "transpose": (lambda x: x.transpose(2, 0, 1), [((2, 3, 4), F)]),
    "slice": (lambda x: x[1:5:2, ::-1], [((6, 3), F)]),
    "rev": (lambda x: lax.rev(x, (0, 1)), [((3, 2), F)]),
    "copy": (jnp.copy, [((3,), F)]),
    "barrier": (lambda x, y: lax.optimization_barrier((x, y)), [((3,), F), ((2,), I)]),
    "concatenate": (lambda x, y: jnp.concatenate([x, y, x], 1), [((2, 3), F), ((2, 1), F)]),
    "pad": (lambda x, v: lax.pad(x, v, [(1, 2, 0), (0, 1, 2)]), [((2, 3), F), ((), F)]),
    "pad interior, cropped": (lambda x, v: lax.pad(x, v, [(-1, -2, 1)]), [((5,), F), ((), F)]),
    "pad cropped past an entry": (lambda x, v: lax.pad(x, v, [(-4, 3, 2)]), [((5,), F), ((), F)]),
    "pad of nothing": (lambda x, v: lax.pad(x, v, [(2, 1, 3)]), [((0,), F), ((), F)]),
    "pad all cropped": (lambda x, v: lax.pad(x, v, [(-2, 4, 0)]), [((2,), F), ((), F)]),
    "split": (lambda x: jnp.split(x, [1, 1, 4], axis=1), [((2, 5), F)]),
    "iota": (lambda x: x + lax.broadcasted_iota(F, (2, 3), 1), [((2, 3), F)]),
    "empty": (lambda x: x.reshape(0, 4).T[:, :0], [((2, 0), F)]),
    "diag": (jnp.diag, [((3, 3), F)]),
    "diag of a vector": (lambda x: jnp.diag(x, 1), [((3,), F)]),
    "tril": (jnp.tril, [((3, 4), F)]),
    "eye": (lambda x: x + jnp.eye(3, 4), [((3, 4), F)]),
}

INDEXED: dict[str, tuple[Callable[..., Any], Any]] = {
    "rows": (lambda x, i: x[i], [((3, 4), F), ((2,), I)]),
    "entries": (lambda x, i, j: x[i, j], [((3, 4), F), ((5,), I), ((5,), I)]),
    "middle axis": (lambda x, i: x[:, i, 1:], [((2, 3, 4), F), ((2, 2), I)]),
    "take fill": (lambda x, i: jnp.take(x, i, axis=1), [((3, 4), F), ((2,), I)]),
    "take clip": (lambda x, i: jnp.take(x, i, axis=0, mode="clip"), [((3, 4), F), ((2,), I)]),
    "take wrap": (lambda x, i: jnp.take(x, i, axis=0, mode="wrap"), [((3, 4), F), ((2,), I)]),
    "take a fill value": (lambda x, i: x.at[i].get(mode="fill", fill_value=7.0), [((3, 4), F), ((2,), I)]),
    "take integers": (lambda x, i: x.at[i].get(mode="fill"), [((3,), "int32"), ((4,), I)]),
    "take unsigned": (lambda x, i: x.at[i].get(mode="fill"), [((3,), "uint8"), ((4,), I)]),
    "along an axis": (lambda x, i: jnp.take_along_axis(x, i, 1), [((3, 4), F), ((3, 2), I)]),
    "windows": (
        lambda x, i: jax.vmap(lambda k: lax.dynamic_slice(x, (k, 0), (2, 3)))(i),
        [((4, 3), F), ((5,), I)],
    ),
    "batched": (jax.vmap(lambda a, k: a[k]), [((3, 4), F), ((3, 2), I)]),
    "dynamic slice": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), [((4, 3), F), ((), I)]),
    "dynamic update": (
        lambda x, u, i: lax.dynamic_update_slice(x, u, (i, i)),
        [((4, 3), F), ((2, 2), F), ((), I)],
    ),
    "roll": (lambda x, i: jnp.roll(x, i, axis=0), [((4, 3), F), ((), I)]),
    "set": (lambda x, u, i: x.at[i].set(u), [((3, 4), F), ((2, 4), F), ((2,), I)]),
    "set entries": (lambda x, u, i, j: x.at[i, j].set(u), [((3, 4), F), ((2,), F), ((2,), I), ((2,), I)]),
    "set clip": (lambda x, u, i: x.at[:, i].set(u, mode="clip"), [((3, 4), F), ((3, 2), F), ((2,), I)]),
    "add": (lambda x, u, i: x.at[i].add(u), [((3, 2), F), ((4, 2), F), ((4,), I)]),
    "subtract": (lambda x, u, i: x.at[i].subtract(u), [((3, 2), F), ((4, 2), F), ((4,), I)]),
    "multiply": (lambda x, u, i: x.at[i].multiply(u), [((3,), F), ((4,), F), ((4,), I)]),
    "min": (lambda x, u, i: x.at[i].min(u), [((3,), F), ((4,), F), ((4,), I)]),
    "max": (lambda x, u, i: x.at[i].max(u), [((3,), F), ((4,), F), ((4,), I)]),
    "count": (lambda i: jnp.zeros(5, jnp.int32).at[i].add(1), [((6,), I)]),
    "windows added": (
        lambda x, g, i: jax.vjp(lambda y: jax.vmap(lambda k: lax.dynamic_slice(y, (k,), (2,)))(i), x)[1](g),
        [((4,), F), ((3, 2), F), ((3,), I)],
    ),
    "batched add": (
        jax.vmap(lambda a, b, k: a.at[k].add(b)),
        [((3, 4), F), ((3,), F), ((3,), I)],
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    f, specs = MOVES[name]
    against_jax(f, *specs)
    if len(specs) > 1:
        against_jax(f, *specs, fixed=(0,))
        against_jax(f, *specs, fixed=(1,))


@pytest.mark.parametrize("name", INDEXED)
def test_indexed(name: str) -> None:
    """Indices that vary over the points and indices that do not, data that vary and data that do not."""
    f, specs = INDEXED[name]
    whole = tuple(i for i, (_, d) in enumerate(specs) if d == I)
    data = tuple(i for i, (_, d) in enumerate(specs) if d != I)
    against_jax(f, *specs)
    against_jax(f, *specs, fixed=whole)
    against_jax(f, *specs, fixed=data)


A, B, C, L = ((3, 4), "int32"), ((3, 4), "int32"), ((4,), "uint8"), ((3, 4), "bool")
INTEGERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "arithmetic": (lambda a, b: (a + b, a - b, a * b, -a, abs(a), a**2, lax.square(a), jnp.sign(a)), [A, B]),
    "wrap around": (lambda a: a * jnp.int32(2**30) + jnp.int32(2**31 - 1), [A]),
    "division": (lambda a, b: (lax.div(a, b), lax.rem(a, b), a // jnp.where(b == 0, 1, b)), [A, B]),
    "extremes": (lambda a, b: (jnp.maximum(a, b), jnp.minimum(a, b), jnp.clip(a, -1, 2)), [A, B]),
    "comparisons": (lambda a, b: (a < b, a <= b, a > b, a >= b, a == b, a != b), [A, B]),
    "bits": (lambda a, b: (a & b, a | b, a ^ b, ~a), [A, B]),
    "shifts": (
        lambda a, b: (lax.shift_left(a, b), lax.shift_right_logical(a, b), lax.shift_right_arithmetic(a, b)),
        [A, B],
    ),
    "shifts of 64 bits": (
        lambda a, b: (lax.shift_left(a, b), lax.shift_right_logical(a, b), lax.shift_right_arithmetic(a, b)),
        [((3, 4), I), ((3, 4), I)],
    ),
    "population": (lax.population_count, [A]),
    "reductions": (lambda a: (a.sum(0), a.prod(), a.max(1), a.min()), [A]),
    "empty reductions": (
        lambda a: (a.sum(0), lax.reduce_max_p.bind(a, axes=(0,), out_sharding=None)),
        [((0, 2), "int32")],
    ),
    "arguments": (lambda a: (a.argmax(0), a.argmin(1)), [A]),
    "running": (lambda a: (jnp.cumsum(a, 0), jnp.cumprod(a, 1), lax.cummax(a, 0), lax.cummin(a, 1, reverse=True)), [A]),
    "sort": (lambda a: (jnp.sort(a, 1), jnp.argsort(a, 0), lax.sort((a, -a, a * a), num_keys=2)), [A]),
    "unsigned": (lambda c: (c + jnp.uint8(250), c.astype("int32") - 1, c.astype("int8")), [C]),
    "one hot": (lambda i: jax.nn.one_hot(i, 4), [((3,), I)]),
    "matrix product": (lambda a, b: a @ b.T, [A, B]),
    "truth": (lambda m, n: (m & n, m | n, ~m, m ^ n, m == n, m.any(0), m.all(1), m.sum(0), m.argmax(1)), [L, L]),
    "truth of nothing": (lambda m: (m.any(0), m.all(0)), [((0, 2), "bool")]),
    "conversions": (lambda m, a: (m.astype("int32") + a, a.astype(bool), m.astype("float32")), [L, A]),
    "sorted truth": (lambda m: jnp.sort(m, axis=0), [L]),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str) -> None:
    f, specs = INTEGERS[name]
    against_jax(f, *specs)
    against_jax(f, *specs, fixed=(0,))


def test_objects_move_too() -> None:
    """Gather, pad, scatter and concatenate take arrays of objects; what is out of bounds becomes NaN of their type."""
    from flint import arb

    def f(x: Any, i: Any) -> Any:
        return jnp.take(lax.pad(x, 0.0, [(1, 0, 0)]), i).at[1].set(x[0])

    class Objects(Floats):
        def constant(self, value: Any, var: Var) -> Any:
            out = super().constant(value, var)
            return np.vectorize(arb, otypes=[object])(out) if var.dtype == F else out

    x = np.vectorize(arb, otypes=[object])(np.arange(6.0).reshape(2, 3))
    out = evaluate(trace(f, ((2,), F), ((3,), I)), Objects(), x, np.array([[1, 2, 0], [0, 0, 0], [2, 5, 1]]))[0]
    assert out.dtype == object and out.shape == (3, 3)
    assert [[float(v) for v in row] for row in out[:2]] == [[0.0, 4.0, 0.0], [0.0, 1.0, 2.0]]
    assert out[2, 0] == 3 and out[2, 1].is_nan() and out[2, 2] == 2


def test_scatter_positions_mark_dropped_updates() -> None:
    program = trace(lambda x, i, u: x.at[i].add(u, mode="drop"), ((3,), F), ((2,), I), ((2,), F))
    equation = next(e for e in program.equations if e.primitive == "scatter-add")
    positions = indexing.scatter_positions(equation, np.array([[[0, 2]], [[3, -1]]]))
    assert positions.tolist() == [[0, 2], [-1, -1]]


def equation(name: str, inputs: list[str], output: str, **params: Any) -> Equation:
    variables = tuple(Var(i, (2,), d) for i, d in enumerate(inputs))
    return Equation(name, params, variables, (Var(9, (2,), output),))


def test_undecided_truth_values_are_refused() -> None:
    truth = np.array([[1], [2]], np.int8)
    with pytest.raises(UnsupportedPrimitive, match="'xor'"):
        integers.apply(equation("xor", ["bool", "bool"], "bool"), [truth, truth])
    decided = integers.apply(equation("xor", ["bool", "bool"], "bool"), [truth % 2, np.array([[True], [True]])])
    assert decided[0].dtype == np.int8 and decided[0].tolist() == [[0], [1]]
    with pytest.raises(UnsupportedPrimitive, match="'and'"):
        integers.apply(equation("and", ["bool", "bool"], "bool"), [truth, truth])
    bits = integers.apply(equation("and", ["int64", "int64"], "int64"), [np.array([[300]]), np.array([[260]])])
    assert bits[0].tolist() == [[300 & 260]]


def test_an_undecided_integer_is_no_number() -> None:
    """A truth value that is undecided may become the index of a `cond` and nothing else."""
    truth = np.array([[1], [2]], np.int8)
    value = integers.apply(equation("convert_element_type", ["bool"], "int32"), [truth])[0]
    assert isinstance(value, integers.UndecidedInteger) and value.codes is truth
    for use in (np.asarray, lambda v: v.astype(float), lambda v: np.add(v, 1)):
        with pytest.raises(UnsupportedPrimitive):
            use(value)
    code_seven_is_a_number = np.array([[7], [2]], np.int8)
    out = integers.apply(equation("convert_element_type", ["int8"], "int32"), [code_seven_is_a_number])[0]
    assert out.tolist() == [[7], [2]]


@pytest.mark.parametrize("system", [Floats(), Balls(), DualBalls(1), Running("float64")], ids=lambda s: s.name)
def test_bits_of_integers_are_those_of_numpy_in_every_system(system: Any) -> None:
    program = trace(lambda i, j: [i & j, i | j, ~i], ((), I), ((), I))
    i, j = np.array([300]), np.array([260])
    assert [int(v[0]) for v in evaluate(program, system, i, j)] == [300 & 260, 300 | 260, ~300]


def test_a_sort_by_undecided_truth_values_is_refused() -> None:
    program = trace(lambda m, x: lax.sort((m, x), num_keys=1)[1], ((2,), "bool"), ((2,), F))
    x = lift(np.array([[1.0], [2.0]]))
    (out,) = evaluate(program, Balls(), np.array([[1], [0]], np.int8), x)
    assert [float(v) for v in out[:, 0]] == [2.0, 1.0]
    with pytest.raises(Undecided):
        evaluate(program, Balls(), np.array([[1], [2]], np.int8), x)
