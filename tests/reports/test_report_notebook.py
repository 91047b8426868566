"""What a notebook shows of a report: short, escaped, and readable on light and dark ground."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from backprove.harness.core.results import PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.report import Report
from backprove.reports.notebook import COLOURS, LONGEST

HOSTILE = "<script>alert('x')</script>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def shown(verdict: Verdict, reason: str = "") -> Tags:
    result = PropertyResult("vjp", "float64", verdict, 10, reason=reason)
    result.findings = [HOSTILE] if verdict.fails else []
    subject = SubjectResult("rule", HOSTILE, properties=[result], property_words="It is so.", diagnosis=reason or None)
    tags = Tags()
    tags.feed(Report(subject)._repr_html_())
    return tags


@pytest.mark.parametrize("verdict", list(Verdict))
def test_it_shows_verdict_statement_and_reason_and_no_markup_of_the_rule(verdict: Verdict) -> None:
    page = shown(verdict, reason="" if verdict is Verdict.HOLDS else f"because {HOSTILE}")
    assert not {"script", "style", "img", "a"} & set(page.tags)
    assert HOSTILE in page.words and "It is so." in page.words and verdict.value in page.words
    assert ("because" in page.words) == (verdict is not Verdict.HOLDS)


def test_long_texts_are_cut() -> None:
    assert len(shown(Verdict.ERROR, reason="x" * 3 * LONGEST).words) < 6 * LONGEST


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_verdicts_can_be_read_on_light_and_dark_ground(ground: str) -> None:
    for colour in COLOURS.values():
        low, high = sorted((luminance(colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3, colour
