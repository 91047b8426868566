"""Parts of a large run: their shares, and that merging gives the same in any order."""

from __future__ import annotations

import random
from typing import Any

import jax.numpy as jnp
import pytest

import backprove as bp
from backprove.harness.campaign import parts, subjects
from backprove.harness.campaign.subjects import conclude, judge_part
from backprove.harness.core.records import to_plain
from backprove.harness.core.results import Counterexample, LayerTally, PropertyResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.drawing.batch import points_of_part
from backprove.harness.statements.claims import Derivative
from backprove.harness.statements.theorem import Theorem

POINTS = 1000


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_POINTS", 300)


def part(verdict: Verdict = Verdict.HOLDS, points: int = 5, **more: Any) -> PropertyResult:
    found = PropertyResult("vjp", "float64", verdict, points, **more)
    if verdict is not Verdict.INCONCLUSIVE:
        found.evidence.at("n=3", {"exact": points}, "full")
    return found


def point(name: str) -> Counterexample:
    return Counterexample(name, "vjp", "float64", {}, {}, {}, {}, "x", [0], 1.0, 2.0, "balls", "tie")


@pytest.mark.parametrize("points", [1, 200_000, 200_001, 999_999, 10**7])
def test_the_shares_add_up_and_are_bounded(points: int) -> None:
    number = parts.parts_of(points)
    shares = [points_of_part(points, k, number) for k in range(number)]
    assert sum(shares) == points
    assert max(shares) <= parts.PART_POINTS and max(shares) - min(shares) <= 1
    assert number == 1 or min(shares) > parts.PART_POINTS // 3


def test_counts_add_up_and_the_worst_is_kept() -> None:
    first = part(max_ulp=1.0, grade="stable", grade_factor=2.0, grade_region="a", counts={"kink": 1}, shapes={"n=3": 5})
    other = part(max_ulp=3.0, grade="lost", grade_factor=1.0, grade_region="b", counts={"kink": 2}, shapes={"n=1": 5})
    first.layers["exact"] = LayerTally(checked=3, agreed=3, worst=1.0)
    other.layers["exact"] = LayerTally(checked=4, agreed=4)
    first.remark("loses digits at 1", "loses digits")
    other.remark("loses digits at 2", "loses digits")
    other.remark("loses digits at a kink")
    merged = parts.merge_property([first, other, part(max_ulp=3.0, grade="lossy", grade_factor=9.0)])
    assert (merged.points, merged.max_ulp, merged.counts, merged.shapes) == (15, 3.0, {"kink": 3}, {"n=3": 5, "n=1": 5})
    assert (merged.grade, merged.grade_factor, merged.grade_region) == ("lost", 9.0, "b")
    assert merged.layers["exact"] == LayerTally(checked=7, agreed=7, worst=1.0)
    assert merged.findings == ["loses digits at 1", "loses digits at a kink"]


def test_a_refusal_ends_the_search_and_ties_go_to_the_earlier_part() -> None:
    wrong = {k: [part(Verdict.FALSIFIED, reason=str(k), counterexample=point(str(k)))] for k in (2, 4)}
    found = {0: [part()], **wrong}
    assert not parts.complete(found, 5)
    found[1] = [part(Verdict.INACCURATE, reason="1")]
    assert parts.complete(found, 5)
    shuffled = {k: found[k] for k in (4, 1, 2, 0)}
    [merged] = parts.merge_parts(shuffled)
    assert (merged.verdict, merged.reason, merged.points) == (Verdict.FALSIFIED, "2", 15)
    assert merged.counterexample == point("2")
    assert to_plain(merged) == to_plain(parts.merge_parts(found)[0])


def test_one_part_that_decides_is_enough_to_hold() -> None:
    undecided = part(Verdict.INCONCLUSIVE, reason="no layer could judge")
    assert parts.merge_property([undecided, part()]).verdict is Verdict.HOLDS
    assert parts.merge_property([undecided, undecided]).reason == "no layer could judge"


def test_an_objection_in_any_part_is_one_of_the_whole() -> None:
    doubtful = part()
    doubtful.evidence.object("differences", 3, 2)
    merged = parts.merge_property([part(), doubtful])
    assert merged.verdict is Verdict.INCONCLUSIVE and "at 2 points" in merged.reason


def plain(result: Any) -> Any:
    data = to_plain(result)
    for p in data["properties"]:
        del p["seconds"]
    return data


def cubes() -> Theorem:
    claim = Derivative(lambda x: (x**3).sum(), lambda x, t: (3 * x * x * t).sum(), "jvp")
    return Theorem("cubes", {"x": bp.array("n")}, (claim,))


@pytest.mark.usefixtures("small_parts")
def test_a_theorem_in_parts_is_the_same_in_any_order() -> None:
    options: dict[str, Any] = {"points": POINTS, "dtypes": ["float64", "float32"], "seed": 1}
    whole = subjects.run(cubes(), **options)
    assert whole.verdict is Verdict.HOLDS
    assert POINTS <= min(p.points for p in whole.properties) <= max(p.points for p in whole.properties) < 4 * POINTS
    keys = [(d, k) for d in options["dtypes"] for k in range(parts.parts_of(POINTS))]
    random.Random(0).shuffle(keys)
    found: dict[str, dict[int, list[PropertyResult]]] = {d: {} for d in options["dtypes"]}
    for dtype, k in keys:
        found[dtype][k] = judge_part(cubes(), dtype=dtype, part=k, **options)
    merged = [p for d in options["dtypes"] for p in parts.merge_parts(found[d])]
    assert plain(conclude(cubes(), merged)) == plain(whole)
    # no two parts see the same points, and only the first has the special ones
    histograms = [tuple(found["float64"][k][0].histogram) for k in found["float64"]]
    assert len(set(histograms)) == len(histograms)
    exact = {k: p[0].layer("exact").checked for k, p in found["float64"].items()}
    assert exact[0] > 100 > max(n for k, n in exact.items() if k)
    compiled = [p[0].layer("compiled").checked for _, p in sorted(found["float64"].items())]
    assert compiled[0] > 0 and not any(compiled[1:])


@pytest.mark.usefixtures("small_parts")
def test_a_wrong_rule_in_parts_is_refused_and_diagnosed() -> None:
    rule = bp.Rule("sines", forward=jnp.sin, vjp=lambda x, g: -g * jnp.cos(x), inputs={"x": bp.array("n")})
    subject = subjects.run(rule, points=POINTS, dtypes=["float64"])
    assert subject.verdict is Verdict.FALSIFIED and subject.properties[0].counterexample is not None
    assert subject.diagnosis is not None and subject.points < 700
