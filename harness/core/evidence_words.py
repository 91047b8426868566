"""The evidence of a property in words, for every report: who judged how much, what was left out, what is open.

rests_on(p)     "judged in balls at 412 points of 9 sizes; 3 sizes left out: forward raises ValueError at n=1, n=2, n=4"
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from backprove.harness.core.evidence import listed
from backprove.harness.core.results import PropertyResult
from backprove.harness.core.verdicts import Verdict

WAYS = {
    "exact": "in balls",
    "black box": "as a black box, by differences,",
    "wide": "in a wider format",
    "autodiff": "against JAX's derivative",
    "differences": "by differences",
    "screen": "in plain floats",
}
"""How a layer judges; of those that no number system or differences stand behind the first alone is named."""

CALLS = {"plain": "times as it is", "jitted": "under jit", "layouts": "in other layouts"}
"""How own code is called."""

MEANING = {
    Verdict.ERROR: "the rule does not run as it should",
    Verdict.FALSIFIED: "the formula is wrong",
    Verdict.INACCURATE: "wrong in floats where they could be right",
    Verdict.INCONCLUSIVE: "the evidence is not enough",
    Verdict.HOLDS: "no violation found",
}
"""What a verdict means, whoever judged."""

OVER_REALS = "the formula is wrong over the reals"
BLACK_BOX = "black box: the formula differs from finite differences by more than their error"
NO_VALUE = "the formula has no finite value where the derivative has one"
NOT_IN_FLOATS = "right over the reals, not in floats"


def meaning(properties: Sequence[PropertyResult]) -> str:
    """What the worst verdict of some properties means, with who found out: balls, differences, or floats."""
    if not properties:
        return MEANING[Verdict.INCONCLUSIVE]
    worst = min(properties, key=lambda p: p.verdict.rank)
    if worst.verdict is Verdict.FALSIFIED:
        return _falsified([p for p in properties if p.verdict is Verdict.FALSIFIED])
    if worst.verdict is Verdict.INACCURATE and judged(worst, "exact"):
        return NOT_IN_FLOATS
    return MEANING[worst.verdict]


def _falsified(wrong: Sequence[PropertyResult]) -> str:
    shown = next((p for p in wrong if p.counterexample is not None), wrong[0])
    point = shown.counterexample
    if point is not None and point.oracle and not (point.got is not None and math.isfinite(point.got)):
        return NO_VALUE
    if _refuted(shown, "black box") and not _refuted(shown, "exact"):
        return BLACK_BOX
    return OVER_REALS if _refuted(shown, "exact") else MEANING[Verdict.FALSIFIED]


def _refuted(p: PropertyResult, layer: str) -> bool:
    return layer in p.layers and p.layers[layer].refuted > 0


def judged(p: PropertyResult, layer: str) -> int:
    """Points with entries at which a layer agreed."""
    return sum(s.agreed.get(layer, 0) for s in p.evidence.sizes.values() if s.extent != "empty")


def is_black_box(p: PropertyResult) -> bool:
    """Whether code that can only be called was judged: no number system ran it at a single point."""
    told = {name: tally.agreed + tally.refuted for name, tally in p.layers.items()}
    return not told.get("exact") and bool(told.get("black box") or told.get("wide"))


def rests_on(p: PropertyResult) -> str:
    """One line: who judged at how many points, what is left out, open or not asked; "" where nothing is known."""
    return "; ".join([s for s in (_ways(p), calls(p), *left_out(p), *_open(p), p.evidence.unasked) if s])


def judges(p: PropertyResult) -> dict[str, int]:
    """Who decided, in words, with the points at which they refuted a falsified claim, or agreed; the strongest."""
    ways = WAYS | ({"wide": "as a black box, in float64,"} if is_black_box(p) else {})
    if p.verdict is Verdict.FALSIFIED:
        return {ways[name]: t.refuted for name, t in p.layers.items() if t.refuted and name in ways}
    found = [(way, judged(p, layer)) for layer, way in ways.items()]
    return dict([(w, n) for w, n in found[:2] if n] or [(w, n) for w, n in found[2:] if n][:1])


def sizes_judged(p: PropertyResult) -> int:
    """Sizes, those of empty arrays apart, at which a layer decided."""
    return sum(1 for s in p.evidence.sizes.values() if s.extent != "empty" and s.decided)


def _ways(p: PropertyResult) -> str:
    found = judges(p)
    if not found:
        return ""
    said = " and ".join(f"{way} at {_count(n, 'point')}" for way, n in found.items())
    if p.verdict is Verdict.FALSIFIED:
        return f"refuted {said}"
    empty = any(s.decided for s in p.evidence.sizes.values() if s.extent == "empty")
    size = f"judged {said} of {_count(sizes_judged(p), 'size')}" + (", empty arrays apart" if empty else "")
    return size + _approximation(p)


def _approximation(p: PropertyResult) -> str:
    """How near an approximation came; "" where the claim is of none."""
    near = p.evidence.approximation
    if near is None:
        return ""
    worst = "" if near.worst is None else f" ({near.worst:.2g} at worst)"
    return f", within {near.units:g} units of {near.of}{worst}"


def calls(p: PropertyResult) -> str:
    """How often the user's own code was called, and in which ways; "" where it was not."""
    made = p.evidence.calls
    said = [f"{made[how]:,} {words}" for how, words in CALLS.items() if made.get(how)]
    return f"own code called: {', '.join(said)}" if said else ""


def sizes_left_out(p: PropertyResult) -> dict[str, list[str]]:
    """The sizes left out, by reason."""
    groups = p.evidence.grouped(p.evidence.left_out)
    if not p.verdict.fails:  # else the search ended on the way
        for size, seen in p.evidence.sizes.items():
            if seen.extent != "empty" and not seen.decided:
                why = "no layer could tell" if seen.inside else "forward has no finite value"
                groups.setdefault(why, []).append(size)
    return groups


def left_out(p: PropertyResult) -> list[str]:
    """The sizes left out, a phrase for each reason."""
    return [
        f"{_count(len(sizes), 'size')} left out: {why} at {listed(sizes)}" for why, sizes in sizes_left_out(p).items()
    ]


def _open(p: PropertyResult) -> Iterable[str]:
    suspicious, uncleared = sum(p.evidence.suspicious.values()), sum(p.evidence.uncleared.values())
    if suspicious and p.verdict in (Verdict.HOLDS, Verdict.INCONCLUSIVE):
        left = f"{uncleared:,} of them not cleared" if uncleared else "all cleared"
        yield f"{_count(suspicious, 'suspicious point')}, {left}"
    if p.counts.get("undecided"):
        yield f"{_count(p.counts['undecided'], 'point')} undecided"


def accuracy(p: PropertyResult) -> str:
    """The grade of what holds, with its error as a multiple of what conditioning forces; "" where there is none."""
    if p.verdict is not Verdict.HOLDS or not p.grade:
        return ""
    where = f" for {p.grade_region}" if p.grade_region and p.grade != "stable" else ""
    if p.grade_factor is None:
        return f"{p.grade}{where}"
    return f"{p.grade}{where} (error up to {p.grade_factor:.3g} times what conditioning forces)"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
