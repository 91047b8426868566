"""Surrogates: rules that must equal the derivative of another function than forward."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.rule import Rule

FEW = {"points": 60, "dtypes": ["float64"]}
X = {"x": bp.array("n", low=-3, high=3)}


def quantised(x):
    return np.round(x * 16) / 16


def quantiser(vjp, **further):
    return Rule("quantise", forward=quantised, vjp=vjp, inputs=X, **further)


def verdict(rule, **options):
    return str(bp.check(rule, **{**FEW, **options}).verdict)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_straight_through_estimator_holds_and_twice_it_does_not(dtype):
    right, wrong = (quantiser(vjp, surrogate=lambda x: x) for vjp in (lambda x, g: 1.0 * g, lambda x, g: 2 * g))
    assert verdict(right, dtypes=[dtype]) == "holds"
    report = bp.check(wrong, points=60, dtypes=[dtype])
    assert report.verdict == "falsified"
    assert "the vjp is not the derivative of the surrogate" in str(report)
    assert "test_quantise_vjp" in report.counterexamples[0].test
    assert report.subject.front_end["surrogate"] == "jax"


def test_without_the_surrogate_the_derivative_of_forward_is_asked_for():
    assert verdict(quantiser(lambda x, g: 1.0 * g)) == "falsified"


def test_a_spike_may_be_a_truth_value():
    def slope(v):
        return 1 / (1 + np.abs(v)) ** 2

    def spikes(factor):
        return Rule(
            "spike",
            forward=lambda v: v > 0,
            jvp=lambda v, dv: dv * slope(v),
            vjp=lambda v, g: factor * g * slope(v),
            surrogate=lambda v: v / (1 + np.abs(v)),
            inputs={"v": bp.array("n")},
        )

    report = bp.check(spikes(1), **FEW)
    assert report.ok
    assert {p.name for p in report.properties} >= {"jvp", "vjp", "adjointness"}
    assert verdict(spikes(2)) == "falsified"


def test_points_where_forward_is_not_finite_lie_outside():
    def rule(factor):
        return Rule(
            "rounded logarithm",
            forward=lambda x: np.round(np.log(x)),
            vjp=lambda x, g: factor * g * np.ones_like(x),
            surrogate=lambda x: x,
            inputs={"x": bp.array("n", low=-3, high=3)},
        )

    report = bp.check(rule(1), **FEW)
    assert report.ok
    assert report.properties[0].counts["outside_domain"] > 0
    assert verdict(rule(2)) == "falsified"


def test_forward_has_one_answer_and_leaves_its_inputs_alone():
    state = np.random.default_rng(0)

    def dithered(x):
        return np.round(x + state.uniform(-500, 500))

    def in_place(x):
        x *= 2
        return np.round(x)

    for forward in (dithered, in_place):
        rule = Rule("odd", forward=forward, vjp=lambda x, g: 1.0 * g, surrogate=lambda x: x, inputs=X)
        assert verdict(rule) == "error"


def test_shapes_of_the_surrogate_are_those_of_forward():
    report = bp.check(quantiser(lambda x, g: g * np.ones_like(x), surrogate=lambda x: x.sum()), **FEW)
    assert report.verdict == "error"
    assert "the surrogate returns outputs of shapes" in str(report)


def test_a_black_box_is_judged_by_differences_of_the_surrogate():
    def opaque(x):
        return np.array([float(v) ** 2 for v in np.ravel(x)]).reshape(np.shape(x))

    def rule(factor):
        return quantiser(lambda x, g: factor * np.array([float(v) for v in np.ravel(x)]) * g, surrogate=opaque)

    assert verdict(rule(2)) == "holds"
    report = bp.check(rule(3), **FEW)
    assert report.verdict == "falsified"
    assert "of the surrogate" in report.counterexamples[0].message


def test_structures_pass_the_boundary():
    def forward(p):
        return {"out": jnp.round(p["w"] * p["x"])}

    def surrogate(p):
        return {"out": p["w"] * p["x"]}

    def rule(factor):
        def vjp(p, g):
            return {"w": factor * g["out"] * p["x"], "x": g["out"] * p["w"]}

        inputs = {"p": {"w": bp.array("n"), "x": bp.array("n")}}
        return Rule("scaled", forward=forward, vjp=vjp, surrogate=surrogate, inputs=inputs)

    assert verdict(rule(1)) == "holds"
    assert verdict(rule(2)) == "falsified"


def clipped(edge):
    @jax.custom_vjp
    def quantise(x, levels):
        return jnp.round(x * levels) / levels

    quantise.defvjp(
        lambda x, levels: (jnp.round(x * levels) / levels, x),
        lambda x, g: (jnp.where(jnp.abs(x) <= edge, g, 0.0), None),
    )
    return quantise


def test_from_jax_takes_a_surrogate_with_fixed_arguments():
    def surrogate(x, levels):
        return jnp.clip(x, -1, 1)

    for edge, expected in ((1.0, "holds"), (1.5, "falsified")):
        rule = bp.from_jax(clipped(edge), inputs=X, fixed={"levels": 8.0}, surrogate=surrogate)
        assert verdict(rule) == expected


def test_from_jax_takes_a_surrogate_of_structures():
    def rule(factor):
        @jax.custom_jvp
        def rounded(p):
            return {"y": jnp.round(p["a"])}

        rounded.defjvp(lambda primals, tangents: (rounded(*primals), {"y": factor * tangents[0]["a"]}))
        return bp.from_jax(rounded, inputs={"p": {"a": bp.array("n")}}, surrogate=lambda p: {"y": p["a"]})

    assert verdict(rule(1.0)) == "holds"
    assert verdict(rule(2.0)) == "falsified"


def test_from_fwd_bwd_takes_a_surrogate():
    def rule(factor):
        return bp.from_fwd_bwd(
            lambda x: (np.sign(x), x),
            lambda x, g: factor * g * (1 - np.tanh(x) ** 2),
            inputs=X,
            surrogate=np.tanh,
        )

    assert verdict(rule(1)) == "holds"
    assert verdict(rule(2)) == "falsified"


@pytest.mark.parametrize("in_torch", [True, False])
def test_from_torch_takes_a_surrogate_of_torch_or_of_arrays(in_torch):
    torch = pytest.importorskip("torch")

    def spiking(factor):
        class Spike(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return (x > 0).to(x.dtype)

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                s = torch.sigmoid(4 * x)
                return factor * g * 4 * s * (1 - s)

        surrogate = (lambda x: torch.sigmoid(4 * x)) if in_torch else (lambda x: 1 / (1 + jnp.exp(-4 * x)))
        return bp.from_torch(Spike, inputs=X, surrogate=surrogate)

    assert verdict(spiking(1)) == "holds"
    assert verdict(spiking(2)) == "falsified"


@pytest.mark.parametrize(
    ("surrogate", "said"),
    [
        (3, "surrogate must be a function"),
        (lambda: 0.0, "wrong number of parameters"),
        (lambda x, y: x, "wrong number of parameters"),
    ],
)
def test_what_is_no_surrogate_is_refused(surrogate, said):
    with pytest.raises(UsageError, match=said):
        quantiser(lambda x, g: g, surrogate=surrogate)


def test_a_surrogate_of_inputs_in_another_order_is_refused():
    def rule(surrogate):
        return Rule(
            "scaled", forward=lambda x, w: np.round(x * w), vjp=lambda x, w, g: (g * w, g * x), surrogate=surrogate,
            inputs={"x": bp.array("n"), "w": bp.array("n")},
        )  # fmt: skip

    rule(lambda x, w: x * w)
    rule(lambda a, b: a * b)
    rule(functools.partial(lambda k, a, b: k * a * b, 1.0))
    with pytest.raises(UsageError, match="surrogate takes w, x"):
        rule(lambda w, x: x * w)
