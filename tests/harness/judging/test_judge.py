"""The judge: counts, verdicts, determinism and what stops a property from being judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign.subjects import judge_part
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import HISTOGRAM_EDGES, PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging import judge as judge_module
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.drawing import planted
from backprove.harness.judging.drawing.batch import Plan
from backprove.harness.judging.equality import EqualityAt
from backprove.harness.judging.judge import Judge
from backprove.harness.numbers.floats import runs
from backprove.harness.numbers.floats.device import Jitted
from backprove.rules.all import load
from backprove.strategies.array import ArraySpec


def square(x: Any) -> Any:
    return x * x


def square_right(x: Any, g: Any) -> Any:
    return 2 * x * g


def square_wrong(x: Any, g: Any) -> Any:
    return x * g


def rule(
    vjp: Callable[..., Any] = square_right,
    forward: Callable[..., Any] = square,
    spec: ArraySpec | None = None,
    **more: Any,
) -> bp.Rule:
    return bp.Rule("square", forward=forward, vjp=vjp, inputs={"x": spec or bp.array("n")}, **more)


def judge(of: bp.Rule, points: int = 300, dtype: str = "float64", **plan: Any) -> tuple[PropertyResult, Judge]:
    binder = binders_of(of)[0]
    judge = Judge(binder, of.where, Plan(dtype, points, **plan))
    return judge.run(), judge


def judged(of: bp.Rule, **plan: Any) -> PropertyResult:
    return judge(of, **plan)[0]


# -- points and counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [1, 500, 5000])
def test_the_wanted_points_are_reached(points: int) -> None:
    result = judged(rule(), points=points)
    assert result.verdict is Verdict.HOLDS
    assert result.points >= points
    assert result.points <= points + 2500


def test_counts_add_up() -> None:
    result = judged(rule(lambda x, g: g * np.sign(x), np.abs), points=500)
    assert result.verdict is Verdict.HOLDS
    assert sum(result.shapes.values()) == result.points + result.counts.get("outside_domain", 0)
    assert sum(result.regions.values()) == sum(result.shapes.values())
    assert len(result.histogram) == len(HISTOGRAM_EDGES) + 1
    exact = result.layers["exact"]
    assert exact.checked == exact.agreed + exact.refuted + exact.undecided
    assert result.counts["kink"] <= exact.checked
    assert set(result.shapes) >= {"n=0", "n=1"}


def test_a_refusal_ends_the_search() -> None:
    assert judged(rule(square_wrong), points=10_000).points < 500


def test_points_outside_the_domain_do_not_count() -> None:
    result = judged(rule(lambda x, g: g / x, np.log))
    assert result.verdict is Verdict.HOLDS
    assert result.counts["outside_domain"] > 0
    assert result.points >= 300


# -- hypotheses --------------------------------------------------------------------------------------------------------


def test_where_keeps_points_out() -> None:
    """The rule is wrong for negative sums only, which the condition excludes."""

    def one_sided(x: Any, g: Any) -> Any:
        return np.where(x.sum() >= 0, 2.0, 3.0) * x * g

    result = judged(rule(one_sided, where=lambda x: x.sum() >= 0))
    assert result.verdict is Verdict.HOLDS
    assert result.counts["discarded"] > 0
    assert result.points >= 300
    assert judged(rule(one_sided)).verdict is Verdict.FALSIFIED


def test_nothing_evaluated_is_inconclusive() -> None:
    result = judged(rule(where=lambda x: False))
    assert (result.verdict, result.points) == (Verdict.INCONCLUSIVE, 0)
    assert "no point" in result.reason


def test_a_forward_that_is_never_finite_is_inconclusive() -> None:
    result = judged(rule(square_right, lambda x: x * np.inf + np.inf, bp.array("3")))
    assert (result.verdict, result.points) == (Verdict.INCONCLUSIVE, 0)


# -- sizes -------------------------------------------------------------------------------------------------------------


def test_a_forward_that_raises_at_size_zero_is_unsupported_there() -> None:
    result = judged(rule(lambda x, g: g * (x == x.max()) / (x == x.max()).sum(), lambda x: x.max()))
    assert result.verdict is Verdict.HOLDS
    assert result.counts["unsupported"] > 0
    assert any("unsupported" in note for note in result.notes)
    assert "n=0" not in result.shapes


def test_a_rule_that_raises_at_size_zero_is_unsupported_there() -> None:
    def picky(x: Any, g: Any) -> Any:
        if not x.size:
            raise ValueError("an empty input")
        return 2 * x * g

    result = judged(rule(picky))
    assert result.verdict is Verdict.HOLDS
    assert result.counts["unsupported"] > 0


# -- errors ------------------------------------------------------------------------------------------------------------


def raises(x: Any, g: Any) -> Any:
    raise RuntimeError("not written yet")


def raises_at_points(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    if float(x.max(initial=-1.0)) > 2:
        raise RuntimeError("too large")
    return 2 * x * g


def overwrites(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    x *= 2
    x *= g
    return x


@pytest.mark.parametrize(
    "vjp, words",
    [
        (raises, "not written yet"),
        (raises_at_points, "too large"),
        (lambda x, g: (x * g).sum(), "shape"),
        (lambda x, g: (2 * x * g)[None], "shape"),
        (lambda x, g: (x * g, x * g), "shape"),
        (lambda x, g: None, "shape"),
        (overwrites, "changed its argument x"),
    ],
    ids=["raises", "raises at points", "scalar", "one more axis", "two results", "none", "overwrites"],
)
def test_violations_of_the_contract_are_errors(vjp: Callable[..., Any], words: str) -> None:
    result = judged(rule(vjp))
    assert result.verdict is Verdict.ERROR, result
    assert words in result.reason


def test_two_answers_are_an_error() -> None:
    rng = np.random.default_rng(0)

    def noisy(x: np.ndarray, g: np.ndarray) -> np.ndarray:
        return 2 * x * g * (1 + 1e-12 * rng.standard_normal(x.shape))

    result = judged(rule(noisy))
    assert result.verdict is Verdict.ERROR, result
    assert "two answers" in result.reason


# -- accuracy and determinism ------------------------------------------------------------------------------------------


def test_accuracy_refuses_what_is_otherwise_graded() -> None:
    def cancels(x: Any, g: Any) -> Any:
        return g * ((x + 1) * (x + 1) - x * x - 1)

    lossy = rule(cancels)
    graded = judged(lossy)
    assert graded.verdict is Verdict.HOLDS
    assert graded.grade in ("lossy", "lost")
    asked = judged(lossy, accuracy=16.0)
    assert asked.verdict is Verdict.INACCURATE
    assert "accuracy=16" in asked.reason
    assert judged(rule(), accuracy=16.0).verdict is Verdict.HOLDS


@pytest.mark.parametrize("vjp", [square_right, square_wrong])
def test_the_same_seed_gives_the_same_result(vjp: Callable[..., Any]) -> None:
    first, second = (judged(rule(vjp), seed=3) for _ in range(2))
    assert to_plain(first) == to_plain(second)


def test_another_seed_gives_other_points() -> None:
    first, second = (judged(rule(lambda x, g: g * np.exp(x), np.exp), seed=s) for s in (0, 1))
    assert first.histogram != second.histogram


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    binder = binders_of(rule())[0]
    Judge(binder, None, Plan("float64", 100), lambda *now: told.append(now)).run()
    assert told[-1] == ("vjp", 100, 100)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


# -- minimal counterexamples -------------------------------------------------------------------------------------------


def test_the_failing_point_is_minimal() -> None:
    result, seen = judge(rule(square_wrong))
    assert result.verdict is Verdict.FALSIFIED
    assert seen.failure is not None
    (x,), (g,) = seen.failure.point.arrays, seen.failure.point.directions
    assert x.tolist() == [1.0]
    assert g.tolist() == [1.0]


def test_a_failing_point_fails_by_itself() -> None:
    _, seen = judge(rule(square_wrong))
    assert seen.failure is not None
    violation, outcome = seen.probe(seen.failure.point)
    assert violation is not None
    assert outcome is not None
    assert violation.verdict is Verdict.FALSIFIED


# -- points beyond the first ones --------------------------------------------------------------------------------------


def test_further_points_are_screened_and_counted() -> None:
    result = judged(rule(), points=30_000)
    assert result.verdict is Verdict.HOLDS
    screened = result.layers["screen"]
    assert result.points >= 30_000
    assert screened.agreed > 15_000
    assert screened.checked == screened.agreed + screened.suspicious
    assert sum(result.shapes.values()) == sum(result.regions.values()) >= result.points


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_every_format_is_screened_after_the_first_points_of_each_size(dtype: str) -> None:
    result = judged(rule(), points=10_000, dtype=dtype)
    assert result.layers["screen"].agreed > 7_000
    assert result.layers["rounding"].checked > 1_000
    assert "screen" not in judged(rule(), points=1_000, dtype=dtype).layers


def test_a_later_part_of_which_the_screen_lets_all_points_pass_holds() -> None:
    theorem = load()["Proofs.Autograd.TapeNodes.elemwise"]
    found = judge_part(theorem, dtype="float64", part=1, points=400_000, dtypes=["float64"])
    assert {p.verdict for p in found} == {Verdict.HOLDS}
    assert all(p.layers["screen"].agreed > 100_000 for p in found)


def test_numpy_code_is_called_as_it_is_at_more_points() -> None:
    calls = []

    def backward(x: Any, g: Any) -> Any:
        calls.append(type(x) is np.ndarray)
        return np.multiply(2 * np.array(x, copy=True), g)

    result = judged(rule(backward, forward=np.square), points=3_000)
    assert result.verdict is Verdict.HOLDS and result.layers["screen"].checked < 1_000
    assert sum(calls) > 2_000  # its program serves some of the points


def test_accuracy_asked_for_is_judged_at_every_point() -> None:
    """The screen measures no errors."""
    assert "screen" not in judged(rule(), points=3_000, accuracy=16).layers


@pytest.fixture
def unplanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No point is solved for where code compares something: only drawn points meet what is `rarely` so."""
    monkeypatch.setattr(planted, "at_thresholds", lambda _, start, end: tuple(a[..., :0] for a in start))


def rarely(x: Any) -> Any:
    """Two entries in 100,000, and none of the points that the constants plant."""
    return (x - 1.5 > 1.611) & (x - 1.5 < 1.6111)


@pytest.mark.usefixtures("unplanted")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_wrong_at_a_few_further_points_is_refused(dtype: str) -> None:
    def rarely_wrong(x: Any, g: Any) -> Any:
        return np.where(rarely(x), 2.001, 2.0) * x * g

    result, judge_ = judge(rule(rarely_wrong), points=300_000, dtype=dtype)
    # where rounding decides the comparison the floats alone are wrong
    assert result.verdict is Verdict.FALSIFIED or (dtype == "float32" and result.verdict is Verdict.INACCURATE)
    assert judge_.failure is not None
    assert rarely(judge_.failure.point.arrays[0]).any()
    assert result.points > 10_000


@pytest.mark.usefixtures("unplanted")
def test_accuracy_lost_at_further_points_is_refused() -> None:
    def coarse(x: Any, g: Any) -> Any:
        y = 2 * x * g
        return np.where(rarely(x), y.astype(np.float32).astype(y.dtype), y)

    result = judged(rule(coarse), points=300_000)
    assert result.verdict is Verdict.INACCURATE


def test_points_outside_the_domain_of_the_screen_meet_the_layers() -> None:
    result = judged(rule(forward=np.log, vjp=lambda x, g: g / x), points=30_000)
    assert result.verdict is Verdict.HOLDS
    assert result.counts["outside_domain"] > 1000
    assert result.points >= 30_000


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_screen_counts_points_outside_the_domain_as_the_layers_do(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    of = rule(forward=jnp.log, vjp=lambda x, g: g / x)
    with_screen = judged(of, points=30_000, dtype=dtype)
    for kind in (DerivativeAt, EqualityAt):
        monkeypatch.setattr(kind, "screen", lambda self, **_: None)
    without = judged(of, points=30_000, dtype=dtype)
    assert with_screen.layers["screen"].agreed and "screen" not in without.layers
    assert with_screen.counts["outside_domain"] == without.counts["outside_domain"] > 1000
    assert (with_screen.shapes, with_screen.regions) == (without.shapes, without.regions)


@pytest.mark.usefixtures("unplanted")
@pytest.mark.parametrize(("dtype", "slip"), [("float64", 0.0), ("float64", 1e-3), ("bfloat16", 0.0)])
def test_a_device_screens_what_numpy_would(monkeypatch: pytest.MonkeyPatch, dtype: str, slip: float) -> None:
    """The device is the CPU here; many points, since it takes over late."""
    made: list[Jitted] = []

    def spy(*arguments: Any) -> Jitted:
        made.append(Jitted(*arguments))
        return made[-1]

    monkeypatch.setattr(runs, "on_device", lambda: True)
    monkeypatch.setattr(judge_module, "on_device", lambda: True)
    monkeypatch.setattr(runs, "Jitted", spy)
    of = rule(
        forward=jnp.sqrt,
        vjp=lambda x, g: g * jnp.where(rarely(x), 1 + slip, 1) / (2 * jnp.sqrt(x)),
        spec=bp.array("n", low=-1, high=9),
    )
    result = judged(of, points=100_000, dtype=dtype)
    assert made and result.layers["screen"].agreed
    assert result.verdict is (Verdict.FALSIFIED if slip else Verdict.HOLDS)
    if not slip:
        assert result.counts["outside_domain"] > 1000 and result.points >= 100_000


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_rule_that_widens_may_round_once_more(dtype: str) -> None:
    def widens(x: Any, g: Any) -> Any:
        return np.where(x > 0, 3.0, 3.0) * x * x * g  # float64 in NumPy

    result = judged(
        rule(widens, forward=lambda x: x * x * x, spec=bp.array("n", low=-9, high=9)), points=2000, dtype=dtype
    )
    assert result.verdict is Verdict.HOLDS
    assert result.layers["rounding"].suspicious == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_numpy_sums_in_the_short_format_itself(dtype: str) -> None:
    def backward(x: Any, g: Any) -> Any:
        return (2 * x.sum(-1) * g)[..., None] * np.ones_like(x)

    result = judged(
        rule(backward, forward=lambda x: x.sum(-1) ** 2, spec=bp.array("m n", low=-9, high=9)), points=2000, dtype=dtype
    )
    assert result.verdict is Verdict.HOLDS
