"""Numbers and names as readers see them; formulas and source; drawings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from backprove.harness.core.results import HISTOGRAM_EDGES, PropertyResult, RunResult, SubjectResult
from backprove.reports import svg
from backprove.reports.highlight import highlight, numbered
from backprove.reports.history import PastRun
from backprove.reports.mathml import formula, mathml
from backprove.reports.text import (
    anchors,
    breakable,
    common_prefix,
    decimal,
    entry_name,
    expected_words,
    hexadecimal,
    listing,
    percent,
    plain_vector,
    seconds,
    short_count,
    ulps,
    vector,
)


def test_numbers() -> None:
    assert [ulps(x) for x in (None, 0.0, 1e-9, 0.123456, 16.0, 1234.5, 3.4e7)] == [
        "\u2013",
        "0",
        "<0.01",
        "0.123",
        "16",
        "1,234",
        "3.4e7",
    ]
    assert [percent(x) for x in (0.0, 1e-6, 0.5, 0.123, 0.99999, 1.0)] == [
        "0 %",
        "<0.1 %",
        "50 %",
        "12.3 %",
        ">99.9 %",
        "100 %",
    ]
    assert [short_count(n) for n in (10, 10_000, 2_400_000)] == ["10", "10,000", "2.4 million"]
    assert [seconds(x) for x in (0.84, 125, 7300)] == ["0.8 s", "2 min 5 s", "2 h 1 min"]


def test_values_in_decimal_and_hexadecimal_read_back() -> None:
    value = [[0.1, -0.0], [1e300, 5e-324]]
    assert eval(decimal(value)) == value
    flat = re.findall(r"-?0x[0-9a-f.]+p[+-]\d+", hexadecimal(value))
    assert [float.fromhex(x) for x in flat] == [0.1, -0.0, 1e300, 5e-324]
    assert decimal([1.0, None]) == "[1.0, not finite]"
    assert expected_words([0.0, 1.0]) == "between 0.0 and 1.0"
    assert expected_words(0.25) == "0.25"


def test_spot_values_have_four_decimals() -> None:
    assert vector([[0.90996943, 0.75527153, 0.33475904]]) == "(0.9100, 0.7553, 0.3348)"
    assert plain_vector([[1.0, 2.0, 3.0]]) == "(1, 2, 3)"
    assert plain_vector([[1.0, 2.5], [-0.0, 3.0]]) == "((1, 2.5), (-0, 3))"
    assert entry_name("dz", [0, 2]) == "dz[0, 2]" and entry_name("dz", []) == "dz"


def test_names() -> None:
    assert common_prefix(["A.B.c", "A.B.d.e", "A.B.f"]) == "A.B."
    assert common_prefix(["A.b"]) == "" and common_prefix(["a", "b"]) == ""
    found = anchors(["a b", "a-b", "<script>", "", "a b"])
    assert found == {"a b": "t-a-b", "a-b": "t-a-b-2", "<script>": "t-script", "": "t-rule"}
    assert (
        listing(["a"]) == "a"
        and listing(["a", "b", "c"]) == "a, b and c"
        and listing(list("abcd"), 2) == "a, b and 2 more"
    )
    assert breakable("A.b_<i>") == "A.<wbr>b_<wbr>&lt;i&gt;"


@pytest.mark.parametrize(
    "tex", [r"\frac{a}{b}", r"y_i=x_i-\log\sum_j e^{x_j}", r"\begin{cases}a&x>0\\b\end{cases}", r"\text{<b>}"]
)
def test_tex_becomes_mathml_that_parses(tex: str) -> None:
    for display in (False, True):
        root = ET.fromstring(mathml(tex, display=display))
        assert root.tag == "math"
        assert root.find(".//b") is None


def test_a_formula_breaks_after_wide_spaces_and_before_relations() -> None:
    groups = str(formula(r"f(x = 1) = |a = b| - x, \quad x \ge 0")).split('<span class="mg">')[1:]
    parts = [[ET.fromstring(m) for m in re.findall(r"<math>.*?</math>", g)] for g in groups]
    assert [["".join(m.itertext()) for m in group] for group in parts] == [
        ["f(x=1)", "=|a=b|\u2212x,"],
        ["x", "\u22650"],
    ]
    assert parts[0][1][0].attrib["form"] == "infix"
    styled = formula(r"L = \textstyle\sum_i x_i, \quad x_i > 0 = y")
    assert styled.count('class="mg"') == 2 and styled.count("<math") == 5, "what a style encloses is broken too"
    assert formula("") == "" and formula(r"\nosuch").startswith("<code>")


@pytest.mark.parametrize("tex", [r"\frac{a", r"\href{javascript:alert(1)}{x}", "a & b", "\ud800", r"\nosuch"])
def test_tex_that_cannot_be_read_is_shown_as_it_is(tex: str) -> None:
    assert str(mathml(tex)).startswith("<code>") and "<a" not in mathml(tex)


def test_source_is_escaped_and_coloured() -> None:
    source = 'def f(x):  # <b>\n    return "</script>" + 0x1.8p+1 + 12e-3\n'
    html = highlight(source)
    assert "<b>" not in html and "</script>" not in html
    assert (
        '<i class="k">def</i>' in html
        and '<i class="n">0x1.8p+1</i>' in html
        and '<i class="c"># &lt;b&gt;</i>' in html
    )
    assert html.striptags().replace("&lt;", "<") is not None
    assert numbered(source, 7).count("<b></b>") == 2 and "counter-reset:l 6" in numbered(source, 7)


def run_with(histogram: list[int]) -> RunResult:
    result = PropertyResult("a", "float64", histogram=histogram)
    return RunResult("check", "0", 0, [SubjectResult("rule", "r", properties=[result])])


def test_the_axis_shows_every_error() -> None:
    empty = [0] * (len(HISTOGRAM_EDGES) + 1)
    assert ">1e3<" in svg.Axis.of([run_with(empty)]).symbols()
    far = list(empty)
    far[13] = 1  # between 1e8 and 1e9 ulps
    assert ">1e9<" in svg.Axis.of([run_with(empty), run_with(far)]).symbols()
    beyond = list(empty)
    beyond[-1] = 1
    assert svg.Axis.of([run_with(beyond)]).bins == len(beyond)


def test_histograms_are_well_formed_and_say_what_they_show() -> None:
    counts = [0] * (len(HISTOGRAM_EDGES) + 1)
    assert svg.Axis().sparkline(counts) == "" and svg.Axis().histogram({"float64": counts}) == ""
    counts[0], counts[5], counts[7] = 10, 80, 10
    axis = svg.Axis.of([run_with(counts)])
    for drawing in (
        axis.sparkline(counts, counts),
        axis.histogram({"float64": counts, "float32": counts}, counts),
        axis.symbols(),
    ):
        ET.fromstring(drawing)
    assert "half below 10 ulps, 10 % above 100 ulps" in axis.sparkline(counts)


def test_heat_maps_need_two_matrices_of_one_size() -> None:
    good = {"rule": [[1.0, None], [0.0, 2.0]], "true": [[1.0, -1.0], [0.5, 2.0]]}
    maps = svg.heat_maps(good)
    assert [title for title, _ in maps] == ["the rule's Jacobian", "the true Jacobian", "rule minus true"]
    assert all(ET.fromstring(drawing).tag == "svg" for _, drawing in maps)
    refused: list[dict[str, Any] | None] = [
        None,
        {},
        {"rule": [[1.0]], "true": [[1.0, 2.0]]},
        {"rule": [[1.0], [1.0, 2.0]], "true": [[1.0], [1.0]]},
        {"rule": [], "true": []},
    ]
    assert all(svg.heat_maps(jacobians) == [] for jacobians in refused)


def test_trend_needs_two_runs() -> None:
    run = PastRun("<a>", 1, 2, None, 0, 10, 1.0, [])
    assert svg.trend_chart([run]) == ""
    drawing = svg.trend_chart([run, replace(run, holding=2, covered=2, refused=1)])
    ET.fromstring(drawing)
    assert "50 % held at first, 100 % now" in drawing and "&lt;a&gt;" in drawing and 'class="bad"' in drawing
