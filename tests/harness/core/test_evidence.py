"""What a verdict rests on, and which verdict follows."""

from __future__ import annotations

from backprove.harness.core.evidence import Evidence
from backprove.harness.core.records import from_json, to_json
from backprove.harness.core.verdicts import Verdict


def evidence(extent: str = "full", size: str = "n=3") -> Evidence:
    found = Evidence()
    found.at(size, {"exact": 30, "rounding": 90}, extent)  # type: ignore[arg-type]
    return found


def test_points_at_an_ordinary_size_are_enough() -> None:
    assert evidence().verdict(30) == (Verdict.HOLDS, "")
    assert evidence().sizes["n=3"].agreed == {"exact": 30}, "the rounding bound decides nothing"


def test_empty_arrays_and_single_entries_support_nothing() -> None:
    for extent, words in (("empty", "empty arrays"), ("thin", "a single entry along an axis")):
        verdict, why = evidence(extent, "n=1").verdict(30)
        assert verdict is Verdict.INCONCLUSIVE
        assert words in why and "n=1" in why


def test_no_points_and_no_layer() -> None:
    assert Evidence().verdict(0, "why not") == (Verdict.INCONCLUSIVE, "no point could be evaluated: why not")
    assert Evidence().verdict(5) == (Verdict.INCONCLUSIVE, "no layer could judge a single point")


def test_an_objection_that_nothing_clears_is_told_with_its_count() -> None:
    found = evidence()
    found.object("autodiff", 7, 0)
    assert found.verdict(30)[0] is Verdict.HOLDS
    found.object("differences", 1200, 1100)
    verdict, why = found.verdict(30)
    assert verdict is Verdict.INCONCLUSIVE
    assert "differences object at 1,100 points" in why and "autodiff" not in why


def test_a_black_box_that_differences_could_hardly_judge_is_not_held() -> None:
    def asked(asked: int, answered: int, layer: str = "black box") -> Verdict:
        found = Evidence()
        found.at("n=3", {layer: answered + 20}, "full")
        found.ask(asked, answered)
        return found.verdict(30)[0]

    assert asked(200, 3) is asked(4, 1) is Verdict.INCONCLUSIVE
    assert asked(200, 8) is asked(4, 2) is asked(0, 0) is Verdict.HOLDS
    assert asked(200, 3, "exact") is Verdict.HOLDS


def test_a_size_with_entries_that_is_left_out_is_told() -> None:
    found = evidence()
    found.leave_out("n=0", "forward raises ValueError", "an empty one", empty=True)
    assert found.verdict(30)[0] is Verdict.HOLDS
    for n in (1, 2, 4, 5, 6, 7, 8):
        found.leave_out(f"n={n}", "forward raises ValueError", f"too few: {n}", empty=False)
    found.advice = 'write "n>=9"'
    verdict, why = found.verdict(30)
    assert verdict is Verdict.INCONCLUSIVE
    assert why.startswith("forward raises ValueError at n=1, n=2, n=4, n=5, n=6 and 2 more")
    assert "too few: 1" in why and 'write "n>=9"' in why and "empty" not in why


def test_a_law_beside_the_claims_says_nothing_of_sizes() -> None:
    found = evidence("thin", "n=1")
    found.leave_out("n=3", "left raises", "left raises", empty=False)
    found.beside = True
    assert found.verdict(30)[0] is Verdict.HOLDS
    found.object("wide", 2, 2)
    assert found.verdict(30)[0] is Verdict.INCONCLUSIVE


def test_parts_add_up_in_any_order() -> None:
    one, other = evidence(), evidence("thin", "n=1")
    one.object("wide", 3, 1)
    other.object("wide", 2, 2)
    other.leave_out("n=2", "why", "text", empty=False)
    texts = []
    for first, second in ((one, other), (other, one)):
        merged = Evidence()
        merged.merge(first)
        merged.merge(second)
        texts.append(to_json(merged, sort_keys=True))
    assert texts[0] == texts[1]
    again = from_json(texts[0], Evidence)
    assert again.uncleared == {"wide": 3} and set(again.sizes) == {"n=1", "n=3"} and set(again.left_out) == {"n=2"}
