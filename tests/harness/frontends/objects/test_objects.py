"""NumPy code, unchanged, on balls, dual balls and error bounds: right values, sound bounds, honest refusals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import flint
import jax
import numpy as np
import pytest
import scipy.special
from flint import arb

from backprove.harness.frontends.numpy_trace.trace import as_jax
from backprove.harness.frontends.objects.balls import BallScalar, DualScalar
from backprove.harness.frontends.objects.branches import Branches, compare, current, explore
from backprove.harness.frontends.objects.run import run_on_balls, run_on_bounded, run_on_duals
from backprove.harness.frontends.objects.scalar import NotRunnable
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.balls.truth import Undecided
from tests.numpy_code import CASES, Case, attention, call, flat, logsoftmax, normal


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before = flint.ctx.prec
    flint.ctx.prec = 128
    yield
    flint.ctx.prec = before


def as_balls(case: Case):
    return [lift(a) if np.asarray(a).dtype.kind == "f" else a for a in case.inputs]


def floats(balls):
    return np.array([float(b.mid()) for b in balls.ravel()], dtype=float).reshape(balls.shape)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_balls_contain_numpys_values(case: Case) -> None:
    expected = call(case)
    got = run_on_balls(case.function, as_balls(case))
    assert [a.shape for a in got] == [b.shape for b in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(floats(a), b, rtol=1e-12, atol=1e-13)
        assert all(x.rad() <= 1e-30 * (1 + abs(x)) for x in a.ravel())


@pytest.mark.parametrize("case", [c for c in CASES if c.traceable], ids=str)
def test_duals_are_the_derivatives_that_jax_finds(case: Case) -> None:
    floating = [i for i, a in enumerate(case.inputs) if np.asarray(a).dtype.kind == "f"]
    moves = {i: normal(*np.shape(case.inputs[i])) for i in floating}

    def of_floats(*some):
        full = list(case.inputs)
        for i, a in zip(floating, some, strict=True):
            full[i] = a
        out = as_jax(case.function)(*full)
        return [o.astype(float) for o in (out if isinstance(out, tuple) else (out,))]

    with jax.enable_x64(True):
        primals = tuple(jax.numpy.asarray(case.inputs[i]) for i in floating)
        tangents = tuple(jax.numpy.asarray(moves[i]) for i in floating)
        _, expected = jax.jvp(of_floats, primals, tangents)
    directions = [lift(moves[i]) if i in moves else None for i in range(len(case.inputs))]
    values, moved, touched = run_on_duals(case.function, as_balls(case), directions)
    for v, b in zip(values, call(case), strict=True):
        np.testing.assert_allclose(floats(v), b, rtol=1e-12, atol=1e-13)
    for t, b in zip(moved, expected, strict=True):
        np.testing.assert_allclose(floats(t), b, rtol=1e-10, atol=1e-11)
    # the tie rule compares x with its own maximum: the same number, no boundary
    assert not touched


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_bounds_hold_and_are_useful(case: Case, dtype: str) -> None:
    rng = np.random.default_rng(7)
    for scale in (1.0, 1.0, 1e-3, 30.0):
        inputs = [np.asarray(a) for a in case.inputs]
        inputs = [
            (a * scale * rng.uniform(0.5, 2, a.shape)).astype(dtype) if a.dtype.kind == "f" else a for a in inputs
        ]
        with np.errstate(all="ignore"):
            got = flat(case.function(*(a.copy() for a in inputs)))
        try:
            bounds = run_on_bounded(
                case.function, [a.astype(float) if a.dtype.kind == "f" else a for a in inputs], dtype
            )
        except Undecided:
            assert dtype == "float16"
            continue
        for y, (v, e) in zip(got, bounds, strict=True):
            assert v.shape == e.shape == y.shape
            finite = np.isfinite(e)
            assert np.all(np.abs(y.astype(np.longdouble) - v)[finite] <= e[finite])
            if scale == 1.0 and dtype == "float64":
                assert finite.all()
                assert np.median(e) <= 300 * 2.0**-53 * (np.max(np.abs(v)) + 1)


def test_the_bound_refuses_errors_that_rounding_cannot_explain() -> None:
    z = normal(2, 3)
    ((v, e),) = run_on_bounded(logsoftmax, [z], "float64")
    wrong = logsoftmax(z) * (1 + 1e-12)
    narrowed = logsoftmax(z.astype(np.float32)).astype(float)
    assert np.any(np.abs(wrong - v) > e)
    assert np.any(np.abs(narrowed - v) > e)


def test_sums_are_bounded_in_any_order() -> None:
    terms = np.array([1e16, -1e16, 1.0, 1.0] * 8)
    ((v, e),) = run_on_bounded(np.sum, [terms], "float64")
    ((_, d),) = run_on_bounded(lambda x: x @ np.ones(32), [terms], "float64")
    assert v == 16
    for order in range(20):
        y = np.sum(np.random.default_rng(order).permutation(terms))
        assert abs(y - v) <= e
        assert abs(y - v) <= d


def test_overflow_makes_the_bound_infinite_and_masks_of_infinity_do_not() -> None:
    ((_, e),) = run_on_bounded(np.exp, [np.array([1.0, 89.0])], "float32")
    assert np.isfinite(e[0])
    assert np.isinf(e[1])
    ((_, e),) = run_on_bounded(attention, [normal(3, 2), normal(3, 2), normal(3, 2)], "float64")
    assert np.isfinite(e).all()


def test_a_branch_on_a_rounded_number_charges_both_outcomes() -> None:
    def code(x):
        y = x * 0.1 * 10
        return np.where(y > 1, 5.0, 0.0) + x

    ((v, e),) = run_on_bounded(code, [np.array([1.0, 2.0])], "float64")
    assert e[0] >= 5
    assert e[1] < 1e-14
    assert abs(code(np.array([1.0]))[0] - v[0]) <= e[0]


def dual(function, x, t):
    values, tangents, touched = run_on_duals(function, [lift(np.array(x))], [lift(np.array(t))])
    return values[0], tangents[0], touched


@pytest.mark.parametrize(
    ("function", "at", "low", "high"),
    [
        (np.abs, [0.0], -1, 1),
        (lambda x: np.maximum(x, 0), [0.0], 0, 1),
        (lambda x: np.clip(x, 0, 2), [2.0], 0, 1),
        (lambda x: np.abs(x) + x, [0.0], 0, 2),
    ],
)
def test_kinks_are_touched_and_hulls_contain_both_slopes(function, at, low, high) -> None:
    _, t, touched = dual(function, at, [1.0])
    assert touched
    assert t[0].contains(arb(low))
    assert t[0].contains(arb(high))
    _, _, touched = dual(function, [1.5], [1.0])
    assert not touched


def test_a_tie_of_a_maximum_is_touched_unless_both_sides_move_alike() -> None:
    _, t, touched = dual(np.max, [1.0, 1.0, 0.0], [1.0, 2.0, 9.0])
    assert touched
    assert t[()].contains(arb(1))
    assert t[()].contains(arb(2))
    _, t, touched = dual(np.max, [1.0, 1.0], [3.0, 3.0])
    assert not touched
    assert t[()] == 3


def test_a_comparison_at_its_boundary_is_touched() -> None:
    assert dual(lambda x: np.where(x > 0, x, 2 * x), [0.0], [1.0])[2]
    assert dual(lambda x: (x == x.max()) * x, [2.0, 2.0], [1.0, 0.0])[2]
    assert not dual(lambda x: np.where(np.zeros(1) >= 0, x, 0), [0.0], [1.0])[2]


def test_overlapping_balls_try_both_branches() -> None:
    wide = np.array([arb(0, 1), arb(3)], dtype=object)
    (out,) = run_on_balls(lambda x: np.where(x > 0, 10.0, -10.0), [wide])
    assert out[0].contains(arb(10))
    assert out[0].contains(arb(-10))
    assert out[1] == 10


def test_the_same_question_has_one_answer_within_a_run() -> None:
    wide = np.array([arb(0, 1)], dtype=object)
    (out,) = run_on_balls(lambda x: (x > 0) * 1.0 + (x <= 0) * 1.0, [wide])
    assert out[0] == 1


def test_too_many_undecided_comparisons_are_reported() -> None:
    wide = np.array([arb(0, 1) for _ in range(7)], dtype=object)
    with pytest.raises(Undecided):
        run_on_balls(lambda x: np.where(x > 0, 1.0, 0.0), [wide])


def test_explore_runs_every_combination_once() -> None:
    seen = explore(lambda: tuple(current().decide() for _ in range(3)))
    assert len(seen) == len(set(seen)) == 8
    assert seen[0] == (False, False, False)
    with pytest.raises(Undecided):
        explore(lambda: [current().decide() for _ in range(3)], limit=7)
    with pytest.raises(Undecided):
        compare("lt", arb(0, 1), arb(0))


@pytest.mark.parametrize(
    ("relation", "a", "b", "outcome", "touched"),
    [
        ("lt", arb(1), arb(2), True, False),
        ("ge", arb(1), arb(2), False, False),
        ("le", arb(2), arb(2), True, True),
        ("lt", arb(2), arb(2), False, True),
        ("eq", arb(2), arb(2), True, True),
        ("ne", arb(2), arb(3), True, False),
    ],
)
def test_decided_comparisons(relation, a, b, outcome, touched) -> None:
    with Branches() as branches:
        assert compare(relation, a, b) is outcome
        assert branches.touched is touched
        assert branches.taken == []


def test_even_powers_of_balls_around_zero_are_not_negative() -> None:
    x = np.array([arb(0, 1)], dtype=object)
    for code in (lambda x: x**2, np.square, lambda x: x * x, lambda x: x**4):
        (out,) = run_on_balls(code, [x])
        assert out[0].is_finite()
        assert out[0] >= -1e-8
        assert out[0].contains(arb(1))


def test_where_slopes_diverge_nothing_is_claimed() -> None:
    _, t, _ = dual(np.sqrt, [0.0], [1.0])
    assert not t[0].is_finite()
    _, t, _ = dual(np.linalg.norm, [0.0, 0.0], [1.0, 0.0])
    assert not t[()].is_finite()
    _, t, _ = dual(lambda x: x + np.sqrt(np.zeros(1)), [0.0], [1.0])  # a constant does not move
    assert t[0] == 1


def test_literals_are_widened_on_request() -> None:
    (exact,) = run_on_balls(lambda x: x * 0.1 + 0.5, [lift(np.array([1.0]))])
    (wide,) = run_on_balls(lambda x: x * 0.1 + 0.5, [lift(np.array([1.0]))], widen=2.0**-53)
    assert not exact[0].contains(arb("0.6"))
    assert wide[0].contains(arb(6) / 10)


REFUSED = {
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "float of item": lambda x: float(x[0].item()),
    "float of a sum": lambda x: float(x.sum()) * x,
    "math": lambda x: math.exp(x[0]),
    "scipy": scipy.special.expit,
    "erf": scipy.special.erf,
    "ordinary array": lambda x: np.arange(3.0).__setitem__(0, x[0]),
    "ordinary in place": lambda x: np.arange(3.0).__iadd__(x),
    "integers": lambda x: x.astype(int),
    "integer array": lambda x: np.asarray(x, dtype=np.int64),
    "solve": lambda x: np.linalg.solve(np.outer(x, x), x),
    "eigenvalues": lambda x: np.linalg.eigvalsh(np.outer(x, x)),
    "nextafter": lambda x: np.nextafter(x, 1.0),
    "text": lambda x: "no array",
    "index": lambda x: [1, 2, 3][x[0]],
    "shape error": lambda x: x + np.ones(2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused(name: str) -> None:
    x = np.array([0.5, 1.5, -1.0])
    with pytest.raises(NotRunnable):
        run_on_balls(REFUSED[name], [lift(x)])
    with pytest.raises(NotRunnable):
        run_on_duals(REFUSED[name], [lift(x)], [lift(x)])
    with pytest.raises(NotRunnable):
        run_on_bounded(REFUSED[name], [x], "float64")


def test_numpy_is_restored_and_inputs_are_untouched() -> None:
    before, x = np.zeros, lift(np.array([1.0, 2.0]))
    run_on_balls(lambda x: x.__imul__(2), [x])
    assert np.zeros is before
    assert x[0] == 1


def test_unset_entries_are_not_numbers() -> None:
    for code in (lambda x: np.empty(2) * x, lambda x: np.empty_like(x) + x):
        (out,) = run_on_balls(code, [lift(np.ones(2))])
        assert not any(b.is_finite() for b in out)


def test_predicates_and_small_helpers() -> None:
    def code(x):
        assert not np.isnan(x).any()
        assert np.isfinite(x).all()
        assert np.any(x > 1) and not np.all(x > 1)
        assert x.argmax() == 2 and list(np.argsort(-x)) == [2, 1, 0]
        assert np.logical_and(x > 0, x < 9).all()
        s = x[0]
        assert s.shape == () and s.reshape(1).shape == (1,)
        return (
            np.where(np.isinf(x), 0.0, np.copysign(x, -1.0)),
            np.float64(2) * s,
            np.ones(2) * s,
            s.sum(),
            x.tolist()[0],
        )

    out = run_on_balls(code, [lift(np.array([1.0, 2.0, 3.0]))])
    assert [o.shape for o in out] == [(3,), (), (2,), (), ()]
    np.testing.assert_array_equal(floats(out[0]), [-1.0, -2.0, -3.0])


def test_sizes_zero() -> None:
    (out,) = run_on_balls(lambda x: np.exp(x) * 2, [lift(np.zeros((0, 3)))])
    assert out.shape == (0, 3)
    ((v, e),) = run_on_bounded(lambda x: x.sum(axis=0), [np.zeros((0, 3))], "float64")
    assert v.shape == e.shape == (3,)


def test_scalars_mix_with_python_and_numpy_numbers() -> None:
    a, d = BallScalar(arb(2)), DualScalar(arb(2), arb(1))
    assert (1 + a * np.float32(3) - 4 / a).v == 5
    assert (d**3).t == 12
    assert (2**d).v == 4
    (out,) = run_on_balls(lambda x: np.float64(3) / x[0] - np.int64(4) * x[0], [lift(np.array([2.0]))])
    assert out[()] == -6.5
    assert a.__add__("text") is NotImplemented
