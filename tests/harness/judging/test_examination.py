"""What was seen of a batch of points."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.examination import Examination, Violation


def test_an_empty_examination_has_one_entry_per_point() -> None:
    seen = Examination.empty(3)
    assert seen.violations == seen.outcomes == [None] * 3
    for flags in (seen.outside, seen.balls_only, seen.lost):
        assert flags.tolist() == [False] * 3
    for numbers in (seen.ulps, seen.factor):
        assert np.isnan(numbers).tolist() == [True] * 3


def test_arrays_of_two_examinations_are_their_own() -> None:
    first, second = Examination.empty(1), Examination.empty(1)
    first.outside[0] = True
    first.note("seen")
    first.layer("exact").checked += 1
    assert not second.outside[0]
    assert (second.notes, second.layers) == ([], {})
    assert first.outside is not first.balls_only


def test_layers_are_made_once_and_notes_kept_once() -> None:
    seen = Examination.empty(1)
    seen.layer("exact").checked += 2
    seen.layer("exact").checked += 3
    assert seen.layers["exact"].checked == 5
    for text in ("a", "b", "a"):
        seen.note(text)
    assert seen.notes == ["a", "b"]


def test_findings_of_one_key_are_one_and_a_text_is_its_own_key() -> None:
    seen = Examination.empty(2)
    seen.remark("the value is 0 at x = 1", "the value is 0")
    seen.remark("the value is 0 at x = 2", "the value is 0")
    seen.part(np.array([1])).remark("raises at import")
    seen.remark("raises at a call")
    assert list(seen.findings.values()) == ["the value is 0 at x = 1", "raises at import", "raises at a call"]
    assert seen.notes == []


def test_a_finding_needs_a_verdict_and_a_sentence_only() -> None:
    violation = Violation(Verdict.ERROR, "vjp raised")
    assert (violation.argument, violation.entry, violation.got, violation.expected) == ("", (), None, None)
