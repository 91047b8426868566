"""Control flow in the floats against JAX, and what it refuses."""

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
from backprove.harness.numbers import control, movement
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.evaluate import evaluate
from backprove.harness.programs.program import Equation, Var

POINTS = 9
F, I = "float64", "int64"


def collatz(n: Any) -> Any:
    return lax.while_loop(
        lambda s: s[0] > 1, lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (n, 0)
    )


def halve(x: Any) -> Any:
    return lax.while_loop(lambda y: y > 1.0, lambda y: y / 2 * jnp.cos(x) ** 2, jnp.abs(x) * 40)


CASES: dict[str, tuple[Callable[..., Any], list[tuple[tuple[int, ...], str]]]] = {
    "scan": (lambda x: lax.scan(lambda c, y: (c * y + 1, (c, y[0])), jnp.ones(2), x), [((3, 2), F)]),
    "scan backwards": (lambda x: lax.scan(lambda c, y: (c + y, c * y), 0.0, x, reverse=True), [((4,), F)]),
    "scan with constants": (lambda x, a: lax.scan(lambda c, y: (c + a * y, c), a, x), [((4,), F), ((), F)]),
    "scan of integers": (lambda x, i: lax.scan(lambda c, k: (c + x[k], k * 2), 0.0, i), [((5,), F), ((3,), I)]),
    "scan of nothing": (lambda x: lax.scan(lambda c, y: (c + y, (c, y > 0)), 1.0, x), [((0,), F)]),
    "scan without input": (lambda x: lax.scan(lambda c, _: (c * x, c), 1.0, None, length=3), [((), F)]),
    "stacked entries that do not vary": (lambda x: lax.scan(lambda c, y: (c + y, c), 0.0, x)[1], [((3,), F)]),
    "for": (lambda x: lax.fori_loop(0, 5, lambda i, c: c * x + i, 1.0), [((), F)]),
    "for with a bound that varies": (lambda x, n: lax.fori_loop(0, n, lambda i, c: c * x + i, 1.0), [((), F), ((), I)]),
    "gradient of a scan": (
        lambda x, g: jax.vjp(lambda y: lax.scan(lambda c, z: (jnp.sin(c) * z, c), 1.0, y)[1], x)[1](g),
        [((3,), F), ((3,), F)],
    ),
    "cond": (lambda x: lax.cond(x > 0, lambda y: y * 2, lambda y: -y, x), [((), F)]),
    "cond on arrays": (
        lambda p, x: lax.cond(p > 0, lambda y: (y, y.sum()), lambda y: (-y, 0.0), x),
        [((), F), ((3,), F)],
    ),
    "switch": (lambda i, x: lax.switch(i, [lambda y: y, lambda y: y * y, lambda y: 1 / y], x), [((), I), ((2,), F)]),
    "while that varies": (halve, [((), F)]),
    "while of integers": (lambda i: collatz(jnp.abs(i) + 1), [((), I)]),
}


def draw(spec: tuple[tuple[int, ...], str], points: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape, dtype = spec
    return rng.integers(-2, 5, (*shape, points)) if dtype == I else rng.standard_normal((*shape, points))


@pytest.mark.parametrize("points", [1, POINTS])
@pytest.mark.parametrize("name", CASES)
def test_against_jax(name: str, points: int) -> None:
    f, specs = CASES[name]
    inputs = [draw(s, points) for s in specs]
    got = Floats().run(trace(f, *specs), inputs)
    with jax.enable_x64(True):
        expected = jax.tree.leaves(jax.jit(jax.vmap(f, in_axes=-1, out_axes=-1))(*inputs))
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape
        np.testing.assert_allclose(g, np.asarray(e), rtol=1e-13)


def test_only_the_branch_that_is_taken_runs() -> None:
    """With one index for all points the other branches are not evaluated."""
    unknown = lambda x: lax.linalg.schur(jnp.full((1, 1), x))[0][0, 0]  # noqa: E731
    program = trace(lambda i, x: lax.switch(i, [jnp.sin, unknown, jnp.cos], x), ((), I), ((), F))
    x = np.array([0.3, 0.4])
    assert np.array_equal(Floats().run(program, [np.array([2, 2]), x])[0], np.cos(x))
    assert np.array_equal(Floats().run(program, [np.array([0, 9]), x])[0], [np.sin(0.3), np.cos(0.4)])
    with pytest.raises(UnsupportedPrimitive, match="schur"):
        Floats().run(program, [np.array([1, 2]), x])


def test_no_points_at_all() -> None:
    program = trace(CASES["cond"][0], ((), F))
    assert Floats().run(program, [np.empty((0,))])[0].shape == (0,)


class Recording(Floats):
    """Takes truth values of 2 for undecided and selects their mean."""

    def select(self, which: Any, cases: Any) -> Any:
        which = np.asarray(which)
        if which.dtype == np.int8 and (which >= 2).any():
            return np.where(which >= 2, (cases[0] + cases[1]) / 2, np.where(which == 1, cases[1], cases[0]))
        return super().select(which, cases)

    def apply(self, equation: Equation, inputs: Any) -> Any:
        if equation.primitive == "gt" and equation.inputs[0].dtype == F:
            a, b = inputs
            return [np.where(a == b, 2, a > b).astype(np.int8)]
        return super().apply(equation, inputs)


def test_an_undecided_branch_goes_to_select() -> None:
    program = trace(lambda x: lax.cond(x > 0, lambda y: y + 10, lambda y: y - 20, x), ((), F))
    out = evaluate(program, Recording(), np.array([1.0, 0.0, -1.0]))[0]
    assert out.tolist() == [11.0, -5.0, -21.0]


def test_an_undecided_while_is_refused() -> None:
    program = trace(lambda x: lax.while_loop(lambda y: y > 0, lambda y: y - 1, x), ((), F))
    assert evaluate(program, Recording(), np.array([0.5, 2.5]))[0].tolist() == [-0.5, -0.5]
    with pytest.raises(UnsupportedPrimitive, match="while with an undecided condition"):
        evaluate(program, Recording(), np.array([0.5, 2.0]))


def test_an_endless_while_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_TURNS", 50)
    program = trace(lambda x: lax.while_loop(lambda y: y > 0, lambda y: y + 1, x), ((), F))
    with pytest.raises(UnsupportedPrimitive, match="more than 50 turns"):
        Floats().run(program, [np.array([1.0])])
    assert Floats().run(program, [np.array([-1.0])])[0].tolist() == [-1.0]


def test_cond_takes_a_truth_value_as_index() -> None:
    branches = tuple(trace(f, ((), F)) for f in (jnp.sin, jnp.cos))
    x = Var(1, (), F)
    equation = Equation("cond", {"branches": branches}, (Var(0, (), "bool"), x), (Var(2, (), F),))
    for truth in (np.array([True, False]), np.array([1, 0], np.int8)):
        out = control.apply(equation, [truth, np.array([1.0, 1.0])], Floats())[0]
        assert out.tolist() == [np.cos(1.0), np.sin(1.0)]
    assert "cond" not in movement.PRIMITIVES
