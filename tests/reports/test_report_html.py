"""The page as text: what it says, that nothing in it is fetched and that nothing in it can be a script."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict
from backprove.reports.html import LATE, TEMPLATES, to_html


class Page(HTMLParser):
    """Tags, attributes, ids, links and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.ids = [a["id"] for _, a in self.tags if a.get("id")]
        self.links = [a["href"] or "" for _, a in self.tags if "href" in a]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("name", ["holding_run", "failing_run", "user_run", "hostile_run"])
def test_the_page_stands_alone(name: str, request: pytest.FixtureRequest) -> None:
    page = Page(to_html(request.getfixturevalue(name)))
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert (link.startswith("#") and link[1:] in page.ids) or link.startswith("https://"), link
    for tag, attributes in page.tags:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base"), tag
        assert not any(a == "src" or a.startswith("on") for a in attributes), (tag, attributes)
    assert [t for t, _ in page.tags].count("script") == 1
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert "default-src 'none'" in (policy or "") and "script-src 'sha256-" in (policy or "")


def test_links_lead_to_the_page_of_a_declaration(holding_run: RunResult) -> None:
    page, entry = "https://e.org/docs/M.html", holding_run.not_covered[0]
    first, second = holding_run.subjects[:2]
    first.source["page"], second.source["page"] = f"{page}#{first.name}", "javascript:alert(1)"
    entry["page"] = f"{page}#{entry['name']}"
    shown = Page(to_html(holding_run))
    links = [link for link in shown.links if not link.startswith("#")]
    assert [a["rel"] for _, a in shown.tags if (a.get("href") or "").startswith("http")] == ["noreferrer"] * 2
    assert links == [page, f"{page}#{first.name}"], "an entry leads to the page of its module"


def test_the_catalogue_is_folded_by_family(failing_run: RunResult) -> None:
    for s in failing_run.subjects:
        s.family = "softmax"
    for e in failing_run.not_covered:
        e["family"] = "higher_order"
    html = to_html(failing_run)
    section = html[html.index('class="families"') : html.index("Theorems that rest on each other")]
    assert section.count('<details class="family">') == 2 and "<b>higher order</b>" in section
    for e in failing_run.not_covered:
        assert e["name"].rsplit(".", 1)[-1] in section
    assert 'class="family"' not in to_html(RunResult("check", "0", 0, failing_run.subjects[:2]))


def test_templates_fetch_nothing() -> None:
    for path in TEMPLATES.iterdir():
        assert not re.search(r"https?:|//[a-z]|@import|url\(", path.read_text().replace("http-equiv", "")), path.name


def test_every_subject_says_what_its_verdict_rests_on(holding_run: RunResult) -> None:
    subject = holding_run.subjects[0]
    for p in subject.properties:
        p.evidence.at("n=3", {"exact": 41}, "full")
        p.max_ulp, p.grade, p.grade_factor, p.grade_region = 2.7e305, "stable", 1.5, "large"
    subject.properties[0].evidence.leave_out("n=1", "forward raises ValueError", "<b>", empty=False)
    html = to_html(holding_run)
    assert "judged in balls at 41 points of 1 size; 1 size left out: forward raises ValueError at n=1" in html
    assert "stable (error up to 1.5 times what conditioning forces)" in html
    assert "2.7e305 ulp, stable" not in html
    assert (
        '<div class="ev">judged in balls at 41 points of 1 size; 1 size left out: forward raises ValueError at n=1<'
        in html
    )
    assert '<td class="num u">1.5&nbsp;×' in html and "Worst error</button>" in html


def test_hostile_text_stays_text(hostile_run: RunResult, evil: tuple[str, ...]) -> None:
    html = to_html(hostile_run)
    text = "".join(Page(html).text)
    assert "<script>document" not in html and "<img" not in html and "<svg onload" not in html
    for attack in evil[:4]:
        assert attack in text
    assert "{{ 7 * 7 }} {% raw %}" in text and "49" not in re.findall(r"\{\{.*?\}\}", text)


def test_numbers_come_from_the_run(holding_run: RunResult) -> None:
    assert "93 of 93 documented entries are covered" in to_html(holding_run)
    holding_run.coverage = {"documented": {"declared": 57, "executable": 40, "covered": 57, "holds": 57}}
    html = to_html(holding_run)
    assert "57 of 57 documented entries are covered" in html and "93 of 93" not in html


def test_failures_then_the_counts_then_the_doubts_then_the_table(
    failing_run: RunResult, holding_run: RunResult
) -> None:
    html = to_html(failing_run, previous=holding_run, changes=["it got worse"])
    parts = [
        'id="answer"',
        "The gate did not pass",
        'id="wrong"',
        f'href="#t-{failing_run.subjects[50].name}"',  # what is open stands below what fails
        'class="tally"',
        "Before you rely on it",
        "it got worse",
        'id="table"',
        'id="map"',
        'id="details"',
    ]
    places = [html.index(p) for p in parts]
    assert places == sorted(places)
    assert "was holds" in html and "reached through others" in html and "not covered" in html
    assert re.search(r'<details class="subject v-falsified"[^>]* open>', html)
    assert not re.search(r'<details class="subject v-holds"[^>]* open>', html)


def test_a_refused_rule_leads_with_what_is_wrong(user_run: RunResult) -> None:
    html = to_html(user_run)
    section = html[html.index('id="t-logsoftmax"') : html.index('id="t-softplus"')]
    order = [
        "The cotangent of z at [0, 1] is 0.0",
        "Only the diagonal of the Jacobian",
        "(0.9100, 0.7553, 0.3348)",
        "(0.7299, 0.2658, -0.9957)",
        "-0x1.764d4f5d5a2bdp-1",
        "[[0.0, 1.0]]",
        "[[0x0.0p+0, 0x1.0000000000000p+0]]",
        "the true Jacobian",
        "backprove replay logsoftmax-7f3a91c2e4",
        "test_logsoftmax_vjp",
        "logsoftmax_backward",
    ]
    places = [section.index(part) for part in order]
    assert places == sorted(places)
    assert section.count('class="heat"') == 6, "three maps for each of the two counterexamples"
    assert "z = (1, 2, 3), cotangent = (1, 1, 1)" in section
    assert ">Evidence<" in html and "Statement and evidence" not in html, "rules have no statement"


def test_the_statement_of_a_rule_is_shown(user_run: RunResult) -> None:
    first, second = user_run.subjects
    first.latex, first.property_words = r"y = x, \quad x > 0", "The words of <b>whoever</b> stated it."
    second.latex, second.property_words = "", "A sentence alone."
    html = to_html(user_run)
    assert "Statement and evidence" in html
    assert html.count("The words of &lt;b&gt;whoever&lt;/b&gt; stated it.") == 1, (
        "in the details; the formula in the row"
    )
    assert '<div class="f">A sentence alone.</div>' in html and '<p class="statement">A sentence alone.</p>' in html


def test_an_error_leads_with_what_was_seen(user_run: RunResult) -> None:
    s = user_run.subjects[0]
    for p in s.properties:
        p.verdict = Verdict.ERROR
    assert s.properties[0].counterexample
    html = to_html(user_run)
    card = html[html.index('class="wrong"') : html.index('class="tally"')]
    assert s.properties[0].counterexample.message[:30] in card and str(s.diagnosis) not in card


def test_refused_without_counterexample(user_run: RunResult) -> None:
    for p in user_run.subjects[0].properties:
        p.counterexample, p.reason = None, "it raised ZeroDivisionError"
    user_run.subjects[0].diagnosis = None
    assert to_html(user_run).count("it raised ZeroDivisionError") >= 2


def test_empty_and_minimal_runs() -> None:
    assert "Nothing ran" in to_html(RunResult("verify", "0", 0))
    assert "Nothing ran" in to_html(RunResult("check", "0", 0))


def test_the_previous_run_is_ghosted(holding_run: RunResult) -> None:
    assert 'class="g"' not in to_html(holding_run)
    before = copy.deepcopy(holding_run)
    before.subjects[0].properties[0].grade_factor = 77.0
    html = to_html(holding_run, previous=before)
    assert 'class="g"' in html and "was 77" in html


def test_page_of_the_catalogue_is_small(holding_run: RunResult) -> None:
    assert len(to_html(holding_run, previous=holding_run).encode()) < 1_000_000


def test_large_reports_unfold_late(synthetic_run: Callable[[int], RunResult]) -> None:
    html = to_html(synthetic_run(LATE + 5))
    assert html.count('<script type="text/html">') == LATE + 5
    assert "Graph of Part00" in html or "theorems that rest on each other" in html
    assert '<script type="text/html">' not in to_html(synthetic_run(20))


def test_writing_the_page_is_quick(holding_run: RunResult) -> None:
    to_html(holding_run)
    start = time.process_time()
    to_html(holding_run)
    assert time.process_time() - start < 1.0


def luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_contrast(theme: int) -> None:
    css = (TEMPLATES / "base.css").read_text()
    palette = {n: (a, b)[theme] for n, a, b in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", css)}
    for text in ("ink", "soft", "link", "holds", "falsified", "inaccurate", "inconclusive", "error"):
        for ground in ("bg", "card", "inset"):
            low, high = sorted((luminance(palette[text]), luminance(palette[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
