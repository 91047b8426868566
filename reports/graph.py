"""What rests on what: states of theorems, and a layered drawing order for a graph of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backprove.harness.core.results import RunResult
from backprove.harness.core.verdicts import Verdict, worst

STATES = {
    "holds-all": "holds with all it rests on",
    "holds": "holds, but not all it rests on does",
    "reached": "reached through others",
    "inconclusive": "inconclusive",
    "inaccurate": "inaccurate",
    "falsified": "falsified",
    "error": "error",
    "uncovered": "not covered",
}
"""State of a catalogue entry -> what it means, in the order of the legend."""


def states(run: RunResult) -> dict[str, str]:
    """Every theorem, rule and catalogue entry of the run with its state (a key of `STATES`).

    An entry that is only reached through others shows their worst verdict when none of them holds.
    """
    verdicts = {s.name: s.verdict for s in run.subjects}
    rests = {s.name: s.rests_on for s in run.subjects}
    through = {str(e["name"]): [str(n) for n in e.get("covered_by") or []] for e in run.not_covered}

    def sound(name: str, seen: set[str]) -> bool:
        """Whether `name` and everything below it holds; what a search from the same start saw already adds nothing."""
        stack = [name]
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if n in verdicts:
                if verdicts[n] is not Verdict.HOLDS:
                    return False
                stack += rests[n]
            elif through.get(n):
                stack += through[n]
            else:
                return False
        return True

    out = {}
    for name, verdict in verdicts.items():
        if verdict is Verdict.HOLDS:
            out[name] = "holds-all" if sound(name, set()) else "holds"
        else:
            out[name] = verdict.value
    for name, by in through.items():
        known = [verdicts[n] for n in by if n in verdicts]
        fine = by and (not known or Verdict.HOLDS in known)
        out.setdefault(name, "reached" if fine else worst(known).value if known else "uncovered")
    return out


def edges(run: RunResult) -> list[tuple[str, str]]:
    """(what is used, what uses it) between theorems of the run, each once, none from a theorem to itself."""
    names = {s.name for s in run.subjects}
    found = [(r, s.name) for s in run.subjects for r in s.rests_on if r in names and r != s.name]
    return list(dict.fromkeys(found))


def module_edges(run: RunResult) -> list[tuple[str, str]]:
    """The edges between the modules of the theorems."""
    module = {s.name: s.module for s in run.subjects}
    found = [(module[a], module[b]) for a, b in edges(run) if module[a] != module[b]]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Layout:
    """Where the nodes of a layered graph go.

    Attributes:
        layers: names of the nodes, layer by layer, each layer in drawing order. None stands for the place where
            an edge passes through.
        routes: for each edge the (layer, place) pairs that it visits, from its start to its end.
    """

    layers: list[list[str | None]]
    routes: dict[tuple[str, str], list[tuple[int, int]]]


def layered(nodes: Sequence[str], links: Iterable[tuple[str, str]], sweeps: int = 12) -> Layout:
    """Lay out a directed graph in layers.

    The layer of a node is the length of the longest path to it, so every edge points to a later layer; edges over
    several layers get a place in each layer between (Sugiyama's method). Each layer is then ordered by the barycentre
    of its neighbours in the layer before and after, in turn, and the order with the fewest crossings is kept. Edges
    that close a cycle are laid out reversed.
    """
    forward = _acyclic(nodes, links)
    depth = _longest_path(nodes, forward)
    keys: list[list[object]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for n in nodes:
        keys[depth[n]].append(n)
    routes: dict[tuple[str, str], list[object]] = {}
    segments: list[tuple[object, object]] = []
    for (a, b), back in forward.items():
        route: list[object] = [a]
        for layer in range(depth[a] + 1, depth[b]):
            place = (a, b, layer)
            keys[layer].append(place)
            route.append(place)
        route.append(b)
        segments += itertools.pairwise(route)
        routes[(b, a) if back else (a, b)] = route[::-1] if back else route
    ordered = _order(keys, segments, sweeps)
    at = {k: (i, j) for i, layer in enumerate(ordered) for j, k in enumerate(layer)}
    return Layout(
        [[k if isinstance(k, str) else None for k in layer] for layer in ordered],
        {edge: [at[k] for k in route] for edge, route in routes.items()},
    )


def _acyclic(nodes: Sequence[str], links: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    """The edges with those that close a cycle turned round; the value says whether an edge was turned."""
    known = set(nodes)
    after: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in dict.fromkeys(links):
        if a in known and b in known and a != b:
            after[a].append(b)
    out: dict[tuple[str, str], bool] = {}
    done: set[str] = set()
    for root in nodes:
        if root in done:
            continue
        path = {root}
        stack = [(root, iter(after[root]))]
        while stack:
            node, rest = stack[-1]
            nxt = next(rest, None)
            if nxt is None:
                done.add(node)
                path.discard(node)
                stack.pop()
            elif nxt in path:
                out.setdefault((nxt, node), True)
            else:
                out[(node, nxt)] = False
                if nxt not in done:
                    path.add(nxt)
                    stack.append((nxt, iter(after[nxt])))
    return out


def _longest_path(nodes: Sequence[str], links: Mapping[tuple[str, str], bool]) -> dict[str, int]:
    after: dict[str, list[str]] = {n: [] for n in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for a, b in links:
        after[a].append(b)
        waiting[b] += 1
    depth = dict.fromkeys(nodes, 0)
    ready = [n for n in nodes if not waiting[n]]
    for n in ready:
        for m in after[n]:
            depth[m] = max(depth[m], depth[n] + 1)
            waiting[m] -= 1
            if not waiting[m]:
                ready.append(m)
    return depth


def _order(layers: list[list[object]], segments: Sequence[tuple[object, object]], sweeps: int) -> list[list[object]]:
    before: dict[object, list[object]] = {}
    after: dict[object, list[object]] = {}
    for a, b in segments:
        after.setdefault(a, []).append(b)
        before.setdefault(b, []).append(a)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after)
    current = [list(layer) for layer in layers]
    for sweep in range(sweeps):
        down = sweep % 2 == 0
        neighbours = before if down else after
        for i in range(1, len(current)) if down else range(len(current) - 2, -1, -1):
            place = {k: j for j, k in enumerate(current[i - 1 if down else i + 1])}
            own = {k: j for j, k in enumerate(current[i])}
            current[i].sort(key=lambda k: (_barycentre(neighbours.get(k, []), place, own[k]), own[k]))
        n = _crossings(current, after)
        if n < fewest:
            best, fewest = [list(layer) for layer in current], n
        if not fewest:
            break
    return best


def _barycentre(neighbours: list[object], place: Mapping[object, int], default: int) -> float:
    return sum(place[n] for n in neighbours) / len(neighbours) if neighbours else float(default)


def _crossings(layers: Sequence[Sequence[object]], after: Mapping[object, list[object]]) -> int:
    """Pairs of edges between neighbouring layers that cross, counted as inversions with a Fenwick tree."""
    total = 0
    for upper, lower in itertools.pairwise(layers):
        place = {k: j for j, k in enumerate(lower)}
        ends = [e for k in upper for e in sorted(place[n] for n in after.get(k, []))]
        tree = [0] * (len(lower) + 1)
        for seen, end in enumerate(ends):
            i, smaller = end + 1, 0
            while i:
                smaller += tree[i]
                i &= i - 1
            total += seen - smaller
            i = end + 1
            while i <= len(lower):
                tree[i] += 1
                i += i & -i
    return total
