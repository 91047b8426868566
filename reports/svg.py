"""Small drawings by hand: error histograms, heat maps of Jacobians, trends. All text in them is escaped.

Colours come from the style sheet through classes, so that the drawings follow light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from backprove.harness.core.results import HISTOGRAM_EDGES, RunResult
from backprove.reports.history import PastRun
from backprove.reports.text import percent, ulps

BINS = len(HISTOGRAM_EDGES) + 1

CONTRACT_ULPS = 16.0
"""The grade `stable` ends at 16 times the error that conditioning forces: 16 ulps where it forces one."""

WIDTH, HEIGHT = 440, 110
"""Size of the plotting area of a large histogram."""

SPARK_WIDTH, SPARK_HEIGHT = 132, 24
"""Size of the plotting area of a small one, in a row of the table."""


def _heights(counts: Sequence[int], top: int, height: float) -> list[float]:
    # Logarithmic, so that one bad point in a million is still seen.
    scale = math.log1p(top)
    return [math.log1p(n) / scale * height if n else 0.0 for n in counts]


def add(histograms: Sequence[Sequence[int]]) -> list[int]:
    """The sum of histograms, bin by bin; ones of another length are left out."""
    total = [0] * BINS
    for h in histograms:
        if len(h) == BINS:
            total = [a + b for a, b in zip(total, h, strict=True)]
    return total


def histogram_words(counts: Sequence[int]) -> str:
    """A histogram for those who cannot see it."""
    n = sum(counts)
    if not n:
        return "no errors measured"
    half, seen, median = n / 2, 0, 0
    for i, c in enumerate(counts):
        seen += c
        if seen >= half:
            median = i
            break
    beyond = sum(c for i, c in enumerate(counts) if i > 0 and HISTOGRAM_EDGES[i - 1] >= math.log10(CONTRACT_ULPS))
    middle = f"half below {ulps(10.0 ** HISTOGRAM_EDGES[min(median, BINS - 2)])} ulps"
    return f"error histogram: {middle}, {percent(beyond / n)} above 100 ulps"


@dataclass(frozen=True)
class Axis:
    """The axis of errors in ulps, logarithmic, that all histograms of a page share.

    Attributes:
        bins: how many of the bins of `HISTOGRAM_EDGES` are drawn; all beyond them are empty.
    """

    bins: int = BINS

    @classmethod
    def of(cls, runs: Sequence[RunResult]) -> Axis:
        """The axis that shows every error of the runs, and at least those up to 1000 ulps."""
        last = HISTOGRAM_EDGES.index(3)
        for run in runs:
            for s in run.subjects:
                for p in s.properties:
                    if len(p.histogram) == BINS:
                        last = max(last, *(i for i, n in enumerate(p.histogram) if n), 0)
        return cls(last + 1)

    def _x(self, exponent: float, width: float) -> float:
        """Where an error of 10**exponent ulps lies on an axis of the given width."""
        return (exponent - HISTOGRAM_EDGES[0] + 1) / self.bins * width

    def _bars(self, counts: Sequence[int], top: int, width: float, height: float) -> str:
        step = width / self.bins
        return "".join(
            f"M{_n(i * step)} {height:g}v-{_n(max(h, 1))}h{_n(step - 0.6)}V{height:g}"
            for i, h in enumerate(_heights(counts, top, height))
            if h
        )

    def _steps(self, counts: Sequence[int], top: int, width: float, height: float) -> str:
        """The outline of the bars, from the first to the last that is not empty."""
        filled = [i for i, n in enumerate(counts) if n]
        if not filled:
            return ""
        step = width / self.bins
        hs = _heights(counts, top, height)
        path = f"M{_n(filled[0] * step)} {height:g}"
        for i in range(filled[0], filled[-1] + 1):
            path += f"V{_n(height - hs[i])}H{_n((i + 1) * step)}"
        return path + f"V{height:g}"

    def sparkline(self, counts: Sequence[int], ghost: Sequence[int] | None = None) -> Markup:
        """The error histogram of a table row: bars over the axis, the previous run as an outline."""
        if not sum(counts):
            return Markup("")
        width, height = SPARK_WIDTH, SPARK_HEIGHT
        previous = ghost or []
        top = max([*counts, *previous])
        outline = f'<path class="g" d="{self._steps(previous, top, width, height)}"/>' if sum(previous) else ""
        words, bars = escape(histogram_words(counts)), self._bars(counts, top, width, height)
        return Markup(
            f'<svg class="spark" viewBox="0 0 {width} {height + 12}" role="img" aria-label="{words}">'
            f'<use href="#spark-axis"/><path d="{bars}"/>{outline}</svg>'
        )

    def histogram(self, series: Mapping[str, Sequence[int]], ghost: Sequence[int] | None = None) -> Markup:
        """The error histogram of a theorem's section: one outline per number format.

        Args:
            series: number format -> counts; drawn as outlines of classes d0, d1, ...
            ghost: the previous run, all formats together, as a pale area behind.
        """
        width, height = WIDTH, HEIGHT
        total = add(list(series.values()))
        if not sum(total):
            return Markup("")
        previous = list(ghost or [])
        top = max(*(max(c) for c in series.values()), *(previous or [0]))
        behind = f'<path class="g" d="{self._steps(previous, top, width, height)}Z"/>' if sum(previous) else ""
        lines = "".join(
            f'<path class="d{i}" d="{self._steps(c, top, width, height)}"/>'
            for i, c in enumerate(series.values())
            if sum(c)
        )
        return Markup(
            f'<svg class="histogram" viewBox="-6 -4 {width + 12} {height + 26}" role="img" '
            f'aria-label="{escape(histogram_words(total))}"><use href="#ulp-axis"/>{behind}{lines}</svg>'
        )

    def symbols(self) -> Markup:
        """The drawings of the axes; placed once in the page, the histograms use them by reference."""
        return Markup('<svg class="defs" aria-hidden="true" width="0" height="0">{}{}</svg>').format(
            self._spark_symbol(), self._symbol()
        )

    def _spark_symbol(self) -> Markup:
        width, height = SPARK_WIDTH, SPARK_HEIGHT
        x = self._x(math.log10(CONTRACT_ULPS), width)
        one = self._x(0, width)
        end = "1e19+" if self.bins == BINS else f"1e{HISTOGRAM_EDGES[self.bins - 1]}"
        return Markup(
            f'<symbol id="spark-axis" overflow="visible"><g class="axis"><path d="M0 {height}H{width}"/>'
            f'<path d="M0 {height}v3M{_n(one)} {height}v3M{width} {height}v3"/>'
            f'<text class="s" x="0" y="{height + 11}">0</text><text x="{_n(one)}" y="{height + 11}">1</text>'
            f'<text class="e" x="{width}" y="{height + 11}">{end}</text></g>'
            f'<path class="c" d="M{_n(x)} 0V{height}"/></symbol>'
        )

    def _symbol(self) -> Markup:
        width, height = WIDTH, HEIGHT
        exponents = [e for e in (-2, 0, 2, 4, 8, 12, 16) if self._x(e, width) < 0.93 * width]
        ticks = [(0.5 / self.bins * width, "exact")] + [(self._x(e, width), _power(e)) for e in exponents]
        marks = "".join(
            f'<path d="M{x:.1f} {height}v4"/><text x="{x:.1f}" y="{height + 17}">{words}</text>' for x, words in ticks
        )
        x = self._x(math.log10(CONTRACT_ULPS), width)
        return Markup(
            '<symbol id="ulp-axis" overflow="visible">'
            f'<g class="axis"><path d="M0 {height}H{width}"/>{marks}'
            f'<text x="{width}" y="{height + 17}" class="e">ulps</text></g><path class="c" d="M{x:.1f} 0V{height}"/>'
            f'<text class="cl" x="{x + 5:.1f}" y="8">{CONTRACT_ULPS:g} ulps</text></symbol>'
        )


def _n(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def _power(exponent: int) -> str:
    return {0: "1", 2: "100"}.get(exponent, f'10<tspan dy="-4" font-size="9">{exponent}</tspan>')


def heat_maps(jacobians: Mapping[str, Any] | None) -> list[tuple[str, Markup]]:
    """The rule's Jacobian, the true one and their difference as (title, drawing).

    Empty unless both are matrices of one size.
    """
    rule, true = (_matrix((jacobians or {}).get(k)) for k in ("rule", "true"))
    if not rule or not true or (len(rule), len(rule[0])) != (len(true), len(true[0])):
        return []
    difference = [
        [None if a is None or b is None else a - b for a, b in zip(r, t, strict=True)]
        for r, t in zip(rule, true, strict=True)
    ]
    top = max((abs(v) for m in (rule, true) for row in m for v in row if v is not None), default=0.0)
    return [
        ("the rule's Jacobian", _heat_map(rule, top, "the rule's Jacobian")),
        ("the true Jacobian", _heat_map(true, top, "the true Jacobian")),
        ("rule minus true", _heat_map(difference, top, "the difference")),
    ]


def _matrix(value: Any) -> list[list[float | None]] | None:
    """Rows of numbers; None unless `value` is a matrix with 1 to 32 rows and columns."""
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= 32:
        return None
    rows = [list(r) if isinstance(r, (list, tuple)) else [r] for r in value]
    if len({len(r) for r in rows}) != 1 or not 1 <= len(rows[0]) <= 32:
        return None
    return [[float(v) if isinstance(v, (int, float)) and math.isfinite(v) else None for v in r] for r in rows]


def _heat_map(matrix: list[list[float | None]], top: float, title: str) -> Markup:
    rows, columns = len(matrix), len(matrix[0])
    cell = 54 if max(rows, columns) <= 6 else max(8, 230 // max(rows, columns))
    high = cell * 0.6 if cell == 54 else cell
    out = []
    for i, row in enumerate(matrix):
        for j, v in enumerate(row):
            where = f'x="{j * cell:g}" y="{i * high:g}" width="{cell - 1:g}" height="{high - 1:g}"'
            label = "not finite" if v is None else f"{v:.4g}"
            if v is None:
                out.append(f'<rect class="bad" {where}><title>[{i}, {j}]: {label}</title></rect>')
            else:
                share = min(1.0, abs(v) / top) if top else 0.0
                sign = "neg" if v < 0 else "pos"
                opacity = f"{0.06 + 0.74 * share:.2f}"
                out.append(
                    f'<rect class="{sign}" fill-opacity="{opacity}" {where}><title>[{i}, {j}]: {label}</title></rect>'
                )
            if cell == 54:
                text = "\N{MULTIPLICATION SIGN}" if v is None else _short(v)
                out.append(f'<text x="{j * cell + 26.5:g}" y="{i * high + high / 2 + 4:g}">{text}</text>')
    words = escape(f"heat map of {title}, {rows} by {columns}")
    return Markup(
        f'<svg class="heat" viewBox="0 0 {columns * cell - 1:g} {rows * high - 1:g}" width="{columns * cell - 1:g}" '
        f'role="img" aria-label="{words}">{"".join(out)}</svg>'
    )


def _short(value: float) -> str:
    if value == 0:
        return "0"
    text = f"{value:.3f}" if 0.001 <= abs(value) < 100 else f"{value:.1e}"
    return text.replace("-", "\N{MINUS SIGN}")


def trend_chart(runs: Sequence[PastRun]) -> Markup:
    """Share that holds (and share covered) over the last runs, from 0 to 100 %; nothing below two runs."""
    if len(runs) < 2:
        return Markup("")
    width, height = 500, 90
    step = width / (len(runs) - 1)

    def line(shares: Sequence[float | None]) -> str:
        known = [(i * step, height * (1 - s)) for i, s in enumerate(shares) if s is not None]
        return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in known) if known else ""

    dots = "".join(
        f'<circle class="{"bad" if r.refused else "ok"}" cx="{_n(i * step)}" cy="{_n(height * (1 - r.holds))}" r="3">'
        f"<title>{escape(r.started)}: {r.holding} of {r.out_of} hold</title></circle>"
        for i, r in enumerate(runs)
    )
    words = escape(
        f"trend over {len(runs)} runs: {percent(runs[0].holds)} held at first, {percent(runs[-1].holds)} now"
    )
    grid = "".join(f'<path d="M0 {height * s:g}H{width}"/>' for s in (0, 0.5, 1))
    labels = "".join(f'<text x="-6" y="{height * (1 - s) + 3.5:g}">{percent(s)}</text>' for s in (0, 0.5, 1))
    ends = (
        f'<text class="s" x="0" y="{height + 16}">{_day(runs[0])}</text>'
        f'<text x="{width}" y="{height + 16}">{_day(runs[-1])}</text>'
    )
    covered = line([None if r.covered is None else r.covered / r.out_of for r in runs])
    return Markup(
        f'<svg class="trend" viewBox="-44 -8 552 118" role="img" aria-label="{words}">'
        f'<g class="axis">{grid}{labels}{ends}</g>'
        f'<path class="cov" d="{covered}"/><path class="hold" d="{line([r.holds for r in runs])}"/>{dots}</svg>'
    )


def _day(run: PastRun) -> Markup:
    return escape(run.started[:16].replace("T", " "))
