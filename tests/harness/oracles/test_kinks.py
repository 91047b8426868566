"""Kinks: every member of the generalized (Clarke) derivative is accepted, what lies outside is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.oracles import pieces
from backprove.harness.oracles.exact import ExactLayer
from backprove.harness.oracles.kinks import at_kink
from backprove.harness.oracles.problem import Status
from tests.harness.oracles.problems import judge, vjp_of, vjp_problem

ACCEPTED, REFUSED = Status.KINK_AGREES, Status.KINK_REFUTED
W6 = [1.5, -0.75, 2.0, -1.0, 0.5, -3.0]


def relu(x: Any) -> Any:
    return jnp.where(x > 0, x, 0.0)


def slope_at_zero(value: Any, left: float, right: float) -> Callable[..., Any]:
    """An elementwise rule with the given slopes at, left of and right of zero."""
    return lambda x, w: w * jnp.where(x > 0, right, jnp.where(x < 0, left, jnp.asarray(value)))


def constant(jacobian: Any) -> Callable[..., Any]:
    """A rule that returns `w @ jacobian`."""
    matrix = np.asarray(jacobian, dtype=float)
    return lambda x, w: jnp.tensordot(w, matrix, axes=w.ndim)


def status(
    forward: Callable[..., Any], rule: Callable[..., Any], inputs: Sequence[Any], w: Any, **extra: Any
) -> Status:
    problem = vjp_problem(forward, rule, [np.shape(x) for x in inputs], **extra)
    return judge(problem, inputs, [w]).status


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("forward", [relu, lambda x: jnp.maximum(x, 0.0), lambda x: (x + jnp.abs(x)) / 2])
def test_relu_may_have_any_slope_between_0_and_1(forward: Any, value: float) -> None:
    assert status(forward, slope_at_zero(value, 0.0, 1.0), [0.0], -1.5) is ACCEPTED


@pytest.mark.parametrize("value", [2.0, -0.1, 1.001])
@pytest.mark.parametrize("forward", [relu, lambda x: jnp.maximum(x, 0.0)])
def test_relu_may_have_no_other_slope(forward: Any, value: float) -> None:
    assert status(forward, slope_at_zero(value, 0.0, 1.0), [0.0], -1.5) is REFUSED


@pytest.mark.parametrize(("value", "wanted"), [(-1.0, ACCEPTED), (0.0, ACCEPTED), (0.3, ACCEPTED), (1.0, ACCEPTED)])
def test_abs_may_have_any_slope_between_its_own(value: float, wanted: Status) -> None:
    assert status(jnp.abs, slope_at_zero(value, -1.0, 1.0), [0.0], 0.7) is wanted


def test_abs_may_not_be_steeper() -> None:
    assert status(jnp.abs, slope_at_zero(1.1, -1.0, 1.0), [0.0], 0.7) is REFUSED


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_clip_at_a_bound(value: float) -> None:
    def rule(x: Any, w: Any) -> Any:
        return w * jnp.where((x == 1.0) | (x == -1.0), value, jnp.where(jnp.abs(x) < 1, 1.0, 0.0))

    for forward in (lambda x: jnp.clip(x, -1.0, 1.0), lambda x: lax.clamp(-1.0, x, 1.0)):
        assert status(forward, rule, [1.0], 2.0) is ACCEPTED
        assert status(forward, rule, [-1.0], -2.0) is ACCEPTED


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.1, 0.9, 0.0), (0.0, 1.0, 0.0)])
@pytest.mark.parametrize("forward", [jnp.max, lambda x: jnp.sort(x)[-1], lambda x: -jnp.min(-x)])
def test_ties_of_max_take_any_convex_weights(forward: Any, weights: tuple[float, ...]) -> None:
    assert status(forward, constant(weights), [[2.0, 2.0, 1.0]], -1.0) is ACCEPTED


@pytest.mark.parametrize("weights", [(1.0, 1.0, 0.0), (0.5, 0.4, 0.0), (0.5, 0.4, 0.1), (1.2, -0.2, 0.0)])
def test_ties_of_max_take_no_other_weights(weights: tuple[float, ...]) -> None:
    assert status(jnp.max, constant(weights), [[2.0, 2.0, 1.0]], -1.0) is REFUSED


def test_ties_of_maximum() -> None:
    def rule(share: float, total: float = 1.0) -> Callable[..., Any]:
        return lambda x, y, w: (
            w * jnp.where(x > y, 1.0, jnp.where(x < y, 0.0, share)),
            w * jnp.where(y > x, 1.0, jnp.where(y < x, 0.0, total - share)),
        )

    inputs, w = [[1.0, 3.0, -2.0], [1.0, 2.0, -2.0]], [1.0, 1.0, -1.0]
    for share in (0.0, 0.5, 1.0):
        assert status(jnp.maximum, rule(share), inputs, w) is ACCEPTED
    assert status(jnp.maximum, rule(1.0, total=2.0), inputs, w) is REFUSED
    assert status(jnp.maximum, rule(0.5, total=0.9), inputs, w) is REFUSED


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_norm_at_zero_has_the_unit_ball(n: int) -> None:
    rng = np.random.default_rng(n)
    for radius in (0.0, 0.6, 0.999, 1.0):
        v = rng.normal(size=n)
        v *= radius / np.linalg.norm(v)
        problem = vjp_problem(lambda x: jnp.sqrt(jnp.sum(x * x)), constant(v), [(n,)])
        assert not judge(problem, [np.zeros(n)], [1.3]).status.refused, (n, radius)
    v = rng.normal(size=n)
    v *= 1.1 / np.linalg.norm(v)
    assert status(lambda x: jnp.sqrt(jnp.sum(x * x)), constant(v), [np.zeros(n)], 1.3) is REFUSED


def test_the_norm_at_zero_accepts_its_centre() -> None:
    def norm(x: Any) -> Any:
        return jnp.sqrt(jnp.sum(x * x))

    assert status(norm, lambda x, w: 0 * x * w, [np.zeros(3)], 1.3) is ACCEPTED


@pytest.mark.parametrize(("forward", "low", "high"), [(relu, 0.0, 1.0), (jnp.abs, -1.0, 1.0)])
def test_six_kinks_at_once_with_mixed_conventions(forward: Any, low: float, high: float) -> None:
    mixed = low + (high - low) * np.array([0.0, 0.5, 1.0, 0.25, 0.0, 1.0])
    assert status(forward, slope_at_zero(mixed, low, high), [np.zeros(6)], W6) is ACCEPTED
    wrong = mixed.copy()
    wrong[3] = high + 0.1
    problem = vjp_problem(forward, slope_at_zero(wrong, low, high), [(6,)])
    outcome = judge(problem, [np.zeros(6)], [W6])
    assert outcome.status is REFUSED
    assert outcome.entry == (3,)


def test_two_kinks_of_opposite_sign_are_not_judged_by_their_slopes() -> None:
    def forward(x: Any) -> Any:
        return jnp.stack([jnp.abs(x), jnp.abs(x)]).reshape(2)

    for first, second in ((1.0, 1.0), (0.0, 0.0), (-1.0, -1.0), (0.3, 0.3)):
        rule = constant([first, second])
        assert status(forward, rule, [0.0], [1.0, -1.0]) is ACCEPTED
    assert status(lambda x: jnp.abs(x[0]) - jnp.abs(x[1]), constant([1.0, 1.0]), [[0.0, 0.0]], 1.0) is ACCEPTED
    assert status(lambda x: jnp.abs(x[0]) - jnp.abs(x[1]), constant([1.0, -1.5]), [[0.0, 0.0]], 1.0) is REFUSED


TIED = [2.0, 1.0, 2.0, 0.0]


def scatter_back(order: Sequence[int]) -> Callable[..., Any]:
    return lambda x, w: jnp.zeros(4).at[jnp.array(order)].set(w)


def test_sort_with_ties() -> None:
    w = [1.0, -2.0, 0.5, 3.0]
    assert status(jnp.sort, scatter_back([3, 1, 0, 2]), [TIED], w) is ACCEPTED
    assert status(jnp.sort, scatter_back([3, 1, 2, 0]), [TIED], w) is ACCEPTED
    assert status(jnp.sort, lambda x, g: g[jnp.array([3, 1, 0, 2])], [TIED], w) is REFUSED
    assert status(jnp.sort, scatter_back([3, 0, 1, 2]), [TIED], w) is REFUSED


def test_median_and_top_k_with_ties() -> None:
    x = [1.0, 1.0, 0.0, 3.0, 1.0]
    for weights in ([1.0, 0.0, 0.0, 0.0, 0.0], [0.2, 0.3, 0.0, 0.0, 0.5]):
        assert status(jnp.median, constant(weights), [x], 1.0) is ACCEPTED
    assert status(jnp.median, constant([0.2, 0.3, 0.1, 0.0, 0.4]), [x], 1.0) is REFUSED

    def top(y: Any) -> Any:
        return lax.top_k(y, 2)[0]

    assert status(top, vjp_of(top), [x], [1.0, -2.0]) is ACCEPTED
    last = np.zeros((2, 5))
    last[0, 3] = last[1, 4] = 1.0
    assert status(top, constant(last), [x], [1.0, -2.0]) is ACCEPTED
    last[1, 0] = 1.0
    assert status(top, constant(last), [x], [1.0, -2.0]) is REFUSED


def test_a_removable_kink_has_one_derivative() -> None:
    def lse(x: Any) -> Any:
        c = jnp.max(x)
        return c + jnp.log(jnp.sum(jnp.exp(x - c)))

    x = [1.0, 1.0, 0.0]
    right = vjp_problem(lse, lambda x, w: w * jnp.exp(x - lse(x)), [(3,)])
    assert judge(right, [x], [1.5]).status.accepted
    assert status(lse, constant([0.5, 0.4, 0.1]), [x], 1.5) in (Status.REFUTED, REFUSED)


def softplus(x: Any) -> Any:
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def test_softplus_written_with_abs_has_slope_one_half_at_zero() -> None:
    def forward(x: Any) -> Any:
        return jnp.where(x > 0, x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))

    assert judge(vjp_problem(forward, lambda x, w: w / (1 + jnp.exp(-x)), [()]), [0.0], [1.0]).status.accepted
    # JAX differentiates it piecewise, with abs'(0) = 1: 0 - 1/2, or 0 in other spellings
    outcome = judge(vjp_problem(forward, vjp_of(forward), [()]), [0.0], [1.0])
    assert outcome.status.refused
    assert outcome.expected_value == pytest.approx(0.5)
    assert judge(vjp_problem(softplus, slope_at_zero(0.0, 0.0, 1.0), [()]), [0.0], [1.0]).status.refused


def test_l1_and_linf_norms_at_zero() -> None:
    def l1(x: Any) -> Any:
        return jnp.sum(jnp.abs(x))

    def linf(x: Any) -> Any:
        return jnp.max(jnp.abs(x))

    zero = np.zeros(3)
    for v in ([0.0, 0.0, 0.0], [1.0, -1.0, 0.3]):
        assert status(l1, constant(v), [zero], -2.0) is ACCEPTED
    assert status(l1, constant([1.0, -1.2, 0.3]), [zero], -2.0) is REFUSED
    for v in ([0.0, 0.0, 0.0], [0.5, -0.2, 0.3], [0.0, -1.0, 0.0]):
        assert status(linf, constant(v), [zero], -2.0) is ACCEPTED
    assert status(linf, constant([0.5, -0.4, 0.3]), [zero], -2.0) is REFUSED


def test_a_declared_convention_is_the_only_right_value() -> None:
    zero, half = slope_at_zero(0.0, 0.0, 1.0), slope_at_zero(0.5, 0.0, 1.0)
    assert status(relu, zero, [0.0], 1.0, convention=zero) is ACCEPTED
    assert status(relu, half, [0.0], 1.0, convention=half) is ACCEPTED
    outcome = judge(vjp_problem(relu, half, [()], convention=zero), [0.0], [1.0])
    assert outcome.status is REFUSED
    assert outcome.got_value == 0.5
    assert outcome.expected_value == (0.0, 0.0)


SINGULAR: dict[str, tuple[Callable[..., Any], float]] = {
    "sqrt": (jnp.sqrt, 0.0),
    "root of abs": (lambda x: jnp.abs(x) ** 0.5, 0.0),
    "cbrt": (jnp.cbrt, 0.0),
    "x log x": (lambda x: jnp.where(x > 0, x * jnp.log(jnp.where(x > 0, x, 1.0)), 0.0), 0.0),
    "KL": (lambda p: jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1.0) / 0.25), 0.0), 0.0),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_nothing_is_claimed_where_slopes_diverge(name: str) -> None:
    forward, x = SINGULAR[name]
    assert status(forward, lambda x, w: 7.0 * w + 0 * x, [x], 1.0) is Status.SINGULAR


def test_small_gaps_are_not_stepped_over() -> None:
    tiny, one = 1e-300, 1.0
    above = 1.0 + 2.0**-52
    # the order of the two entries is certain: one slope each, nothing else
    assert status(jnp.max, constant([0.0, 1.0]), [[one, above]], 1.0) is Status.AGREES
    assert status(jnp.max, constant([0.5, 0.5]), [[one, above]], 1.0) is Status.REFUTED
    # a kink at zero next to an entry of 1e-300, whose own slope is certain
    both = [0.0, tiny]
    assert status(relu, slope_at_zero(0.5, 0.0, 1.0), [both], [1.0, 1.0]) is ACCEPTED
    wrong = lambda x, w: w * jnp.where(x > 0, 0.9, 0.5)  # noqa: E731
    assert status(relu, wrong, [both], [1.0, 1.0]) is REFUSED
    assert status(jnp.max, constant([0.0, 1.0, 0.0]), [[0.0, tiny, 0.0]], 1.0) is Status.AGREES
    tied = [0.0, 0.0, tiny]
    assert status(lambda x: jnp.sort(x)[2], constant([0.1, 0.0, 0.9]), [tied], 1.0).refused
    # a tie of two numbers with a third one ulp above: only the two may share
    three = [one, one, above]
    smallest = jnp.min
    assert status(smallest, constant([0.3, 0.7, 0.0]), [three], 1.0) is ACCEPTED
    assert status(smallest, constant([0.3, 0.3, 0.4]), [three], 1.0) is REFUSED


class PiecewiseLinear:
    """Max, min and abs of random linear maps; all pieces meet at one point."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.n = int(rng.integers(1, 5))
        self.m = int(rng.integers(1, 3))
        self.centre = rng.integers(-8, 9, self.n) / 4.0
        draw = lambda: rng.integers(-8, 9, (self.m, self.n)) / 4.0  # noqa: E731
        self.a, self.b, self.c, self.d = draw(), draw(), draw(), draw()
        self.kind = int(rng.integers(0, 4))

    def __call__(self, x: Any, lib: Any = jnp) -> Any:
        def line(matrix: Any) -> Any:
            # sums written out: exact in balls, and linear whatever the shape
            return sum(
                (matrix[:, k] * (x[k] - self.centre[k]) for k in range(1, self.n)),
                matrix[:, 0] * (x[0] - self.centre[0]),
            )

        p, q, r, s = (line(m) for m in (self.a, self.b, self.c, self.d))
        if self.kind == 0:
            return lib.maximum(p, q) + lib.abs(r)
        if self.kind == 1:
            return lib.minimum(lib.maximum(p, q), r)
        if self.kind == 2:
            return lib.maximum(lib.abs(p) - q, lib.minimum(r, s))
        return lib.abs(lib.maximum(p, 0.0) - lib.minimum(q, r))

    def limiting_jacobian(self, rng: np.random.Generator) -> np.ndarray:
        """The Jacobian at a random place near the kink: a limit of derivatives, found by differences of floats."""
        x = self.centre + rng.normal(size=self.n) * 1e-3
        steps = np.eye(self.n) * 2.0**-40
        return np.stack([(self(x + h, np) - self(x - h, np)) / 2.0**-39 for h in steps], axis=1)


@pytest.mark.parametrize("seed", range(200))
def test_members_of_the_clarke_derivative_are_never_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forward = PiecewiseLinear(rng)
    pieces = [np.round(forward.limiting_jacobian(rng) * 4) / 4 for _ in range(4)]
    weights = rng.dirichlet(np.ones(len(pieces))) if seed % 2 else np.eye(len(pieces))[0]
    member = sum(w * p for w, p in zip(weights, pieces, strict=True))
    w = rng.integers(-4, 5, forward.m) / 2.0
    outcome = judge(vjp_problem(forward, constant(member), [(forward.n,)]), [forward.centre], [w])
    assert not outcome.status.refused, outcome
    if np.any(w) and seed % 4 == 0:
        sample = np.stack([w @ forward.limiting_jacobian(rng) for _ in range(400)])
        direction = np.zeros(forward.n)
        direction[int(rng.integers(forward.n))] = 1.0
        extreme = sample[np.argmax(sample @ direction)]
        outside = extreme + direction * 1e-3 * max(1.0, float(np.abs(sample).max()))
        rule = lambda x, g: jnp.asarray(outside) + 0 * x  # noqa: E731
        outcome = judge(vjp_problem(forward, rule, [(forward.n,)]), [forward.centre], [w])
        assert not outcome.status.accepted, outcome


@pytest.mark.parametrize("n", [4, 8])
def test_a_vertex_is_found_fast(n: int) -> None:
    problem = vjp_problem(relu, slope_at_zero(0.0, 0.0, 1.0), [(n,)])
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        assert judge(problem, [np.zeros(n)], [np.linspace(-1.0, 1.5, n)]).status is ACCEPTED
        best = min(best, time.process_time() - start)
    assert best < 0.1


def test_jax_derivatives_at_kinks_of_common_functions_are_accepted() -> None:
    for forward in (jax.nn.relu, jax.nn.relu6, jax.nn.leaky_relu, jax.nn.hard_tanh, jnp.abs, jax.nn.elu):
        assert judge(
            vjp_problem(forward, vjp_of(forward), [(3,)]), [[0.0, 0.0, 1.0]], [[1.0, -1.0, 2.0]]
        ).status.accepted


def outcomes(rule: Any, x: Any, budget: int) -> tuple[list[Status], int]:
    """What is said of several points at once, and what is left of the budget."""
    problem = vjp_problem(jnp.abs, rule, [(2,)])
    points = np.asarray(x, dtype=float).T
    layer = ExactLayer(kinks=at_kink, kink_budget=budget)
    found = layer.derivative(problem, [points], [np.ones(points.shape)])
    return [o.status for o in found], layer.kink_budget


def test_kinks_of_a_batch_are_judged_one_by_one_as_far_as_the_budget_goes() -> None:
    right = lambda x, w: w * jnp.sign(x)  # noqa: E731
    points = [[0, 1], [2, 3], [0, 0], [1e-300, 0], [-4, 0]]
    accepted, smooth = Status.KINK_AGREES, Status.AGREES
    assert outcomes(right, points, 9) == ([accepted, smooth, accepted, accepted, accepted], 5)
    assert outcomes(right, points, 2) == ([accepted, smooth, accepted, Status.UNEXAMINED, Status.UNEXAMINED], 0)
    assert outcomes(right, points, 0)[0] == [
        Status.UNEXAMINED if s is accepted else s for s in outcomes(right, points, 9)[0]
    ]


def test_the_first_refusal_of_a_batch_of_kinks_is_the_last_one_examined() -> None:
    wrong = lambda x, w: w * jnp.where(x == 0, jnp.flip(x) + 0.5, jnp.sign(x))  # noqa: E731
    found, left = outcomes(wrong, [[0, 0], [0, 0.25], [0, 1], [0, 2]], 9)
    assert found == [Status.KINK_AGREES, Status.KINK_AGREES, Status.KINK_REFUTED, Status.UNEXAMINED]
    assert left == 0


def test_a_value_between_two_pieces_needs_no_linear_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(pieces: Any, value: Any) -> Any:
        raise AssertionError("a linear program")

    monkeypatch.setattr(pieces, "hull_distance", program)
    assert (
        outcomes(lambda x, w: w * jnp.where(x == 0, 0.3, jnp.sign(x)), [[0, 0], [0, 1]], 9)[0]
        == [Status.KINK_AGREES] * 2
    )
    with pytest.raises(AssertionError, match="a linear program"):
        outcomes(lambda x, w: w * jnp.where(x == 0, 1.1, jnp.sign(x)), [[0, 1]], 9)


def test_a_weight_of_zero_hides_no_divergence() -> None:
    """The slope of w * arccos(x) by x at w = 0, x = 1 is 0 * inf: nothing is claimed. 0/0 elsewhere is a mistake."""

    def weighted(w: Any, x: Any, g: Any) -> Any:
        return g * jnp.arccos(x), -g * w / jnp.sqrt(1 - x * x)

    problem = vjp_problem(lambda w, x: w * jnp.arccos(x), weighted, [(1,), (1,)])
    for g in (0.0, 1.0):
        assert judge(problem, [[0.0], [1.0]], [[g]]).status is Status.SINGULAR

    def divided(w: Any, x: Any, g: Any) -> Any:
        return g * jnp.abs(x), g * w * x / jnp.abs(x)

    problem = vjp_problem(lambda w, x: w * jnp.abs(x), divided, [(1,), (1,)])
    assert judge(problem, [[0.0], [0.0]], [[1.0]]).status is Status.UNDEFINED
