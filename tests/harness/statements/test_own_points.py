"""Points of a user's own: what their names and numbers may be, and that they are judged first."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.judging.drawing import sampling
from backprove.harness.statements.own_points import Named
from backprove.harness.statements.rule import Rule

FEW: dict[str, Any] = {"points": 40, "dtypes": ["float64"]}
SPOT = 3.2468013579
CUBE = SPOT**3


def sine(examples: Any, vjp: Any = None, **options: Any) -> Rule:
    return Rule(
        "sine",
        forward=np.sin,
        vjp=vjp or (lambda x, g: g * np.where(np.abs(x * (x + 3) - SPOT * (SPOT + 3)) < 1e-6, 2.0, np.cos(x))),
        inputs={"x": bp.array("n", **options)},
        examples=examples,
    )


@pytest.fixture
def unplanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No point is planted where code compares something, so that the examples alone meet what is hidden."""
    monkeypatch.setattr(sampling.Batches, "_planted", lambda *_: iter(()))


# -- judging -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unplanted")
def test_only_the_example_shows_what_is_wrong() -> None:
    assert bp.check(sine([]), **FEW).ok
    report = bp.check(sine([{"x": [1.0, 2.0]}, {"x": [0.5, SPOT, 1.0], "g": [1, 2, "0x1p-1"]}]), **FEW)
    assert report.verdict == "falsified"
    (point,) = report.counterexamples
    assert point.example == "example 2"
    assert len(point.inputs["x"]) == 1, "made as small as it stays wrong"
    assert "example 2" in str(report)


def test_right_examples_are_counted_once_a_property_and_format() -> None:
    rule = sine([{"x": [1.0]}, {"x": [2.0, 3.0]}], lambda x, g: g * np.cos(x))
    report = bp.check(rule, points=40, dtypes=["float64", "float32"])
    assert report.ok
    assert [p.counts["examples"] for p in report.properties] == [2, 2]
    assert "2 examples among them" in str(report)


@pytest.mark.parametrize("size", [0, 1, 150])
def test_sizes_may_be_such_as_are_never_drawn(size: int) -> None:
    assert bp.check(sine([{"x": [1.0] * size}], lambda x, g: g * np.cos(x)), **FEW).ok
    if size:
        report = bp.check(sine([{"x": [SPOT] * size}]), **FEW)
        assert len(report.counterexamples[0].inputs["x"]) == 1


@pytest.mark.usefixtures("unplanted")
def test_directions_given_are_taken() -> None:
    def vjp(x: Any, g: Any) -> Any:
        return np.cos(x) * np.where(np.abs(g * (g + 3) - 0.99) < 1e-9, 1.0, g)

    assert bp.check(sine([{"x": [1.0]}], vjp), **FEW).ok
    for name in ("g", "cotangent", "cotangent 0"):
        assert bp.check(sine([{"x": [1.0], name: [0.3]}], vjp), **FEW).verdict == "falsified"


@pytest.mark.usefixtures("unplanted")
def test_tangents_go_by_the_name_of_the_report_or_of_the_parameter() -> None:
    def rule(examples: Any) -> Rule:
        return Rule(
            "product",
            forward=lambda x, w: x * w,
            jvp=lambda x, w, dx, dw: dx * w + x * np.where(np.abs(dw * (dw + 3) - 0.99) < 1e-9, 1.0, dw),
            inputs={"x": bp.array("n"), "w": bp.array("n")},
            examples=examples,
        )

    at = {"x": [1.0, 2.0], "w": [3.0, 4.0]}
    assert bp.check(rule([at]), **FEW).ok
    for name in ("dw", "tangent of w"):
        report = bp.check(rule([{**at, name: [0.3, 0.0]}]), **FEW)
        assert report.verdict == "falsified"
        assert report.counterexamples[0].example == "example 1"


def test_what_a_format_cannot_hold_is_left_out_there() -> None:
    rule = sine([{"x": [1e300]}], lambda x, g: g * np.cos(x))
    report = bp.check(rule, points=40, dtypes=["float32"])
    assert report.ok
    assert any("example 1 was not judged in float32: x overflows there" in n for n in report.properties[0].notes)


@pytest.mark.usefixtures("unplanted")
def test_black_boxes_meet_their_examples() -> None:
    def forward(x: Any) -> Any:
        return np.array([float(v) ** 2 for v in x])

    def rule(examples: Any) -> Rule:
        def vjp(x: Any, g: Any) -> Any:
            factors = [3.0 if abs(float(v) ** 3 - CUBE) < 1e-2 else 2.0 for v in x]
            return np.array([f * float(v) * float(w) for f, v, w in zip(factors, x, g, strict=True)])

        return Rule("squares", forward=forward, vjp=vjp, inputs={"x": bp.array("n")}, examples=examples)

    assert bp.check(rule([]), **FEW).ok
    assert bp.check(rule([{"x": [SPOT], "g": [1.0]}]), **FEW).verdict == "falsified"


# -- every way to state a rule ----------------------------------------------------------------------------------------


def spoilt(x: Any) -> Any:
    return jnp.where(jnp.abs(x * (x + 3) - SPOT * (SPOT + 3)) < 0.001, 2.0, jnp.cos(x))


def from_jax(examples: Any) -> Rule:
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, gout: (gout * spoilt(x),))
    return bp.from_jax(f, inputs={"x": bp.array("n")}, examples=examples)


def from_pair(examples: Any) -> Rule:
    return bp.from_fwd_bwd(
        lambda x: (jnp.sin(x), x), lambda x, gout: gout * spoilt(x), inputs={"x": bp.array("n")}, examples=examples
    )


def from_torch(examples: Any) -> Rule:
    torch = pytest.importorskip("torch")

    class Sine(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return torch.sin(x)

        @staticmethod
        def backward(ctx: Any, gout: Any) -> Any:
            (x,) = ctx.saved_tensors
            return gout * torch.where((x * (x + 3) - SPOT * (SPOT + 3)).abs() < 1e-3, 2.0, torch.cos(x))

    return bp.from_torch(Sine, inputs={"x": bp.array("n")}, examples=examples)


@pytest.mark.usefixtures("unplanted")
@pytest.mark.parametrize("state", [from_jax, from_pair, from_torch])
def test_every_way_to_state_a_rule_takes_examples(state: Any) -> None:
    assert bp.check(state([{"x": [1.0, 2.0], "gout": [1.0, 1.0]}]), **FEW).ok
    assert bp.check(state([{"x": [1.0, SPOT], "gout": [1.0, 1.0]}]), **FEW).verdict == "falsified"


def test_structures_are_given_nested_or_by_dotted_names() -> None:
    def rule(examples: Any) -> Rule:
        return Rule(
            "dense",
            forward=lambda params, x: {"y": x @ params["W"]},
            vjp=lambda params, x, g: ({"W": x.T @ g["y"]}, g["y"] @ params["W"].T),
            inputs={"params": {"W": bp.array("d n")}, "x": bp.array("b d")},
            examples=examples,
        )

    nested = {"params": {"W": [[1.0, 2.0]]}, "x": [[3.0]], "g": {"y": [[1.0, 0.5]]}}
    dotted = {"params.W": np.array([[1.0, 2.0]]), "x": [[3.0]], "cotangent": [[1.0, 0.5]]}
    report = bp.check(rule([nested, dotted]), **FEW)
    assert report.ok
    assert report.properties[0].counts["examples"] == 2
    for wrong, said in (
        ({"params": {"V": [[1.0]]}, "x": [[3.0]]}, "must have the structure of the input: params.W; got 'V'"),
        ({"params": 3.0, "x": [[3.0]]}, "must have the structure of the input"),
        ({"params": {"W": [[1.0, 2.0]]}}, "lacks x"),
    ):
        with pytest.raises(UsageError, match=said):
            rule([wrong])


@pytest.mark.parametrize("make", [list, np.array, jnp.asarray, tuple, lambda v: [str(w) for w in v]])
def test_numbers_of_every_kind_are_read(make: Any) -> None:
    (point,) = sine([{"x": make([1.0, 2.0])}]).own_points
    assert point.arrays[0].tolist() == [1.0, 2.0]


def test_tensors_are_read() -> None:
    torch = pytest.importorskip("torch")
    (point,) = sine([{"x": torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)}]).own_points
    assert point.arrays[0].tolist() == [1.0, 2.0]


# -- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ({"x": 1.0}, "examples must be a list of dicts"),
        ("x", "examples must be a list of dicts"),
        (None, "examples must be a list of dicts"),
        ([3], "example 1 must be a dict"),
        ([{1: 2.0}], "names are strings"),
        ([{"x": [1.0]}, {"x": [1.0], "q": 2}], "example 2: 'q' is the name of nothing .* known are x, g, cotangent"),
        ([{"g": [1.0]}], "example 1 lacks x"),
        ([{"x": [[1.0]]}], r"x has shape \[1, 1\] where the shape of dims \"n\" was expected"),
        ([{"x": ["a"]}], "x must be numbers of one shape"),
        ([{"x": [[1.0], [2.0, 3.0]]}], "x must be numbers of one shape"),
        ([{"x": [1j]}], "x must be numbers of one shape"),
        ([{"x": None}], "x must be numbers of one shape"),
        ([{"x": [float("nan")]}], "x holds nan; a point has finite numbers"),
        ([{"x": [1.0], "g": [float("inf")]}], "g holds inf; a direction has finite numbers"),
    ],
)
def test_what_is_no_example_is_refused(examples: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sine(examples)


@pytest.mark.parametrize(
    ("options", "x", "said"),
    [
        ({"low": 0}, [-1.0], "holds -1.0, which is below low=0"),
        ({"high": 2}, [3.0], "holds 3.0, which is above high=2"),
        ({"nonzero": True}, [0.0], "holds 0, which nonzero=True excludes"),
        ({"distinct": True}, [1.0, 1.0], "holds a number twice, which distinct=True excludes"),
        ({"kind": "simplex"}, [0.5, 0.6], "is not of kind='simplex'"),
        ({"kind": "one_hot"}, [0.5, 0.5], "is not of kind='one_hot'"),
    ],
)
def test_values_lie_in_the_stated_domain(options: Any, x: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sine([{"x": x}], **options)
    sine([], **options)


@pytest.mark.parametrize(
    ("options", "x"),
    [({"low": 0.1}, [0.1]), ({"kind": "simplex"}, [1 / 3, 1 / 3, 1 / 3]), ({"kind": "one_hot"}, [0, 1, 0])],
)
def test_the_ends_of_the_domain_belong_to_it_in_every_format(options: Any, x: Any) -> None:
    rule = sine([{"x": x}], lambda x, g: g * np.cos(x), **options)
    report = bp.check(rule, points=40, dtypes=["float64", "bfloat16"])
    assert [p.counts["examples"] for p in report.properties] == [1, 1]


def test_indices_masks_and_sizes_are_held_to_each_other() -> None:
    def rule(example: Any) -> Rule:
        return Rule(
            "gather",
            forward=lambda x, i, m: jnp.where(m, x[i], 0.0),
            vjp=lambda x, i, m, g: jnp.zeros_like(x).at[i].add(jnp.where(m, g, 0.0)),
            inputs={
                "x": bp.array("n"),
                "i": bp.array("k", kind="index", high="n"),
                "m": bp.array("k", kind="mask"),
            },
            examples=[example],
        )

    right = {"x": [1.0, 2.0], "i": [1, 1, 0], "m": [True, False, True]}
    assert bp.check(rule(right), **FEW).ok
    for wrong, said in (
        ({"i": [2, 0, 0]}, r"holds the index 2, which is not below high='n' \(n=2\)"),
        ({"i": [-1, 0, 0]}, "holds the index -1"),
        ({"i": [0.5, 0, 0]}, "holds integers"),
        ({"m": [2, 0, 0]}, "is a mask"),
        ({"m": [True]}, r"m has shape \[1\], which makes k 1; in i it is 3"),
    ):
        with pytest.raises(UsageError, match=said):
            rule({**right, **wrong})
    with pytest.raises(UsageError, match="i has no tangent"):
        rule({**right, "tangent of i": [1.0, 1.0, 1.0]})


def test_shapes_of_directions_are_known_before_the_first_point() -> None:
    for name, value, said in (
        ("g", [1.0, 2.0], r"example 1: the cotangent has shape \[2\] where \[1\] was expected"),
        ("cotangent 1", [1.0], "the rule has no cotangent 1"),
        ("tangent of x", [1.0], "the rule has no tangent of x"),
    ):
        with pytest.raises(UsageError, match=said):
            bp.check(sine([{"x": [1.0], name: value}]), **FEW)


def test_the_condition_over_several_inputs_holds_at_an_example() -> None:
    def rule(x: Any) -> Rule:
        return Rule(
            "log", forward=np.log, vjp=lambda x, g: g / x, inputs={"x": bp.array("n")},
            where=lambda x: (x > 0.5).all(), examples=[{"x": x}],
        )  # fmt: skip

    assert bp.check(rule([1.0, 2.0]), **FEW).ok
    with pytest.raises(UsageError, match="example 1 does not satisfy the condition where="):
        rule([1.0, 0.25])


def test_a_point_may_have_a_name_of_its_own() -> None:
    rule = sine([{"x": [1.0]}])
    more = rule.with_examples([Named({"x": [SPOT]}, "points.json, example 7")])
    assert len(rule.own_points) == 1
    assert [p.label for p in more.own_points] == ["example 1", "points.json, example 7"]
    assert more.source == rule.source
    assert bp.check(more, **FEW).counterexamples[0].example == "points.json, example 7"


def test_an_example_of_a_size_that_the_bounds_exclude_is_refused() -> None:
    def rule(example: list[float]) -> bp.Rule:
        return bp.Rule(
            "square",
            forward=lambda x: x * x,
            vjp=lambda x, g: 2 * x * g,
            inputs={"x": bp.array("n>=2")},
            examples=[{"x": example}],
        )

    with pytest.raises(UsageError, match="example 1: n is 1 where n>=2 was stated"):
        rule([1.0])
    assert rule([1.0, 2.0]).own_points[0].sizes == {"n": 2}


def test_bounds_that_no_size_keeps_are_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"Rule\('square'\): array: no sizes keep to all of n>=4, n<=3"):
        bp.Rule(
            "square",
            forward=lambda x, y: x * y,
            vjp=lambda x, y, g: (y * g, x * g),
            inputs={"x": bp.array("n>=4"), "y": bp.array("n<=3")},
        )
