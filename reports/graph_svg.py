"""The dependency graph as SVG: boxes coloured by state, what is used on the left of what uses it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from backprove.reports.graph import STATES, Layout, layered
from backprove.reports.text import plural

ROW = 26.0
"""Distance of two boxes of one layer, px."""

GAP = 64.0
"""Distance of two layers, px; the edges live there."""

CHARACTER = 6.3
"""Width of a character of a label, px."""


@dataclass(frozen=True)
class Node:
    """One box of the graph.

    Attributes:
        key: name by which edges refer to it.
        label: text in the box; a long one is cut in the middle.
        href: fragment that the box links to.
        state: key of `STATES`, the colour.
        title: what the tooltip says.
        tally: for a module, its theorems by state: a thin bar at the bottom of the box.
    """

    key: str
    label: str
    href: str
    state: str
    title: str
    tally: Mapping[str, int] = field(default_factory=dict)


def draw(nodes: Sequence[Node], links: Sequence[tuple[str, str]], words: str) -> Markup:
    """The graph of the nodes that an edge touches, left to right; nothing when there is no edge.

    Args:
        nodes: all nodes, in an order that is kept where the edges do not say otherwise.
        links: (what is used, what uses it).
        words: what the graph shows, for those who cannot see it.
    """
    known = {n.key: n for n in nodes}
    links = [(a, b) for a, b in links if a in known and b in known]
    touched = {k for link in links for k in link}
    keys = [n.key for n in nodes if n.key in touched]
    if not keys:
        return Markup("")
    layout = layered(keys, links)
    ys = _heights(layout)
    widths = [
        max((min(len(known[k].label), 34) * CHARACTER + 18 for k in layer if k is not None), default=40.0)
        for layer in layout.layers
    ]
    lefts = [sum(widths[:i]) + GAP * i for i in range(len(widths))]
    width, height = lefts[-1] + widths[-1], max(y for layer in ys for y in layer) + ROW
    paths = [
        f'<path d="{_curve(route, lefts, widths, ys)}" data-a="{keys.index(a)}" data-b="{keys.index(b)}"/>'
        for (a, b), route in layout.routes.items()
    ]
    index = {k: i for i, k in enumerate(keys)}
    boxes = [
        _box(known[k], index[k], lefts[i], ys[i][j], widths[i])
        for i, layer in enumerate(layout.layers)
        for j, k in enumerate(layer)
        if k is not None
    ]
    return Markup(
        f'<svg class="graph" viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}" width="{width + 4:.0f}" '
        f'role="group" aria-label="{escape(words)}"><g class="edges">{"".join(paths)}</g>{"".join(boxes)}</svg>'
    )


def _heights(layout: Layout) -> list[list[float]]:
    """The y of every place: near the mean of its neighbours, in the layer's order, at least `ROW` apart."""
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for route in layout.routes.values():
        for a, b in itertools.pairwise(route):
            low, high = sorted((a, b))
            after.setdefault(low, []).append(high)
            before.setdefault(high, []).append(low)
    tallest = max(len(layer) for layer in layout.layers)
    ys = [[(j + (tallest - len(layer)) / 2) * ROW for j in range(len(layer))] for layer in layout.layers]
    order = list(range(len(ys)))
    for sweep in range(6):
        near = before if sweep % 2 == 0 else after
        for i in order if sweep % 2 == 0 else order[::-1]:
            wanted = []
            for j, y in enumerate(ys[i]):
                around = near.get((i, j), [])
                wanted.append(sum(ys[a][b] for a, b in around) / len(around) if around else y)
            ys[i] = _apart(wanted)
    top = min(y for layer in ys for y in layer)
    return [[y - top for y in layer] for layer in ys]


def _apart(wanted: Sequence[float]) -> list[float]:
    """The heights nearest to those wanted (least squares) that keep their order and are at least `ROW` apart."""
    # With the i-th wish lowered by i rows this is isotonic regression: pool neighbours that are out of order.
    blocks: list[tuple[float, int]] = []
    for i, w in enumerate(wanted):
        total, n = w - i * ROW, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / n:
            total, n = total + blocks[-1][0], n + blocks[-1][1]
            blocks.pop()
        blocks.append((total, n))
    flat = [total / n for total, n in blocks for _ in range(n)]
    return [y + i * ROW for i, y in enumerate(flat)]


def _curve(
    route: Sequence[tuple[int, int]], lefts: Sequence[float], widths: Sequence[float], ys: Sequence[Sequence[float]]
) -> str:
    steps = sorted(route)
    layer, place = steps[0]
    x, y = lefts[layer] + widths[layer], ys[layer][place] + 10
    out = f"M{x:.0f} {y:.0f}"
    for layer, place in steps[1:]:
        u, v = lefts[layer], ys[layer][place] + 10
        middle = (x + u) / 2
        out += f"C{middle:.0f} {y:.0f} {middle:.0f} {v:.0f} {u:.0f} {v:.0f}"
        x, y = u + widths[layer], v
        if (layer, place) != steps[-1]:
            out += f"H{x:.0f}"
    return out


def _box(node: Node, index: int, x: float, y: float, width: float) -> str:
    label = node.label if len(node.label) <= 34 else node.label[:16] + "\N{HORIZONTAL ELLIPSIS}" + node.label[-17:]
    bar, at = "", 0.0
    total = sum(node.tally.values())
    for state, n in node.tally.items():
        step = (width - 8) * n / total
        bar += f'<rect class="t s-{state}" x="{x + 4 + at:.1f}" y="{y + 16:.1f}" width="{step:.1f}" height="2.5"/>'
        at += step
    text = y + (12.5 if bar else 14)
    return (
        f'<a href="#{escape(node.href)}" class="s-{node.state}" data-n="{index}"><title>{escape(node.title)}</title>'
        f'<rect x="{x:.0f}" y="{y:.1f}" width="{width:.0f}" height="20" rx="5"/>'
        f'<text x="{x + 9:.0f}" y="{text:.1f}">{escape(label)}</text>{bar}</a>'
    )


def tally(names: Sequence[str], state: Mapping[str, str]) -> dict[str, int]:
    """How many of the names are in each state, in the order of the legend."""
    found = Counter(state[n] for n in names)
    return {s: found[s] for s in STATES if found[s]}


def tally_words(counts: Mapping[str, int]) -> str:
    """A tally in words: "holds with all it rests on: 3 entries; not covered: 1 entry"."""
    return "; ".join(f"{STATES[s]}: {plural(n, 'entry', 'entries')}" for s, n in counts.items())


def overall(counts: Mapping[str, int]) -> str:
    """The state that colours a module: its worst."""
    worst_first = ("error", "falsified", "inaccurate", "inconclusive", "uncovered", "holds", "reached", "holds-all")
    return next((s for s in worst_first if counts.get(s)), "uncovered")
