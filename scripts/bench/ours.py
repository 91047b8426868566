"""The project's own bulk check of a benchmark rule: `Screen` on programs that the engine traced."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

import backprove as bp
from backprove.harness.core.arrays import quiet
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.judging.binder import binder_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.judging.examination import Examination
from backprove.harness.judging.screens.screen import ClaimPrograms, Screen
from backprove.harness.numbers.floats.linked import SharedLinked
from backprove.harness.oracles.autodiff import derivative_program
from backprove.harness.statements.claims import Derivative
from scripts.bench.peers import Refused
from scripts.bench.rules import BenchRule

Array = NDArray[np.float64]

POINTS = 8192
"""Points of a rule, gone through again and again; fewer for large arrays."""
MOST_ENTRIES = 2**20
"""Entries of the inputs of all points together."""
LAYERED_POINTS = 512
ELEMENTARY = (np.exp, np.exp2, np.expm1, np.log, np.log1p, np.tanh, np.sin, np.cos, np.arctan, np.power)


def programs(rule: BenchRule, dtype: str = "float64") -> ClaimPrograms:
    """What the screen needs, traced at the rule's sizes."""
    n = len(rule.shapes)
    x, g = tuple((s, dtype) for s in rule.shapes), ((rule.output, dtype),)
    forward = trace(rule.forward, *x)
    jax_jvp = derivative_program(forward, "jvp", range(n))
    jax_vjp = derivative_program(forward, "vjp", range(n))
    assert jax_jvp is not None and jax_vjp is not None, rule.name
    jvp, vjp = trace(rule.jvp, *x, *x), trace(rule.vjp, *x, *g)
    return ClaimPrograms(forward, jvp, vjp, jax_jvp, jax_vjp, tuple(range(n)))


def points_last(rule: BenchRule, points: int) -> tuple[list[Array], list[Array], list[Array]]:
    """Inputs, tangents and cotangents of a rule with the points on the last axis."""
    inputs, tangents, cotangent = rule.draw(points)

    def last(a: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(a, 0, -1))

    return [last(a) for a in inputs], [last(a) for a in tangents], [last(cotangent)]


def bulk(rule: BenchRule) -> Callable[[int], int]:
    """Screens at least that many points, whole rounds of them; returns how many."""
    entries = sum(int(np.prod(s)) for s in rule.shapes)
    points = min(POINTS, max(MOST_ENTRIES // entries, 64))
    screen, arguments = Screen(programs(rule), "float64"), points_last(rule, points)

    def run(count: int) -> int:
        rounds = -(-count // points)
        for _ in range(rounds):
            seen = screen.run(*arguments)
            if seen.suspicious.sum() > points // 100:
                raise Refused(f"the screen stopped {int(seen.suspicious.sum())} of {points} points of {rule.name}")
        return rounds * points

    return run


def profile(rule: BenchRule, seconds: float) -> dict[str, float]:
    """Where the screen's time goes: processor seconds per point, each the median of runs of a part by itself.

    Args:
        seconds: spent on each part.
    """
    screen = Screen(programs(rule), "float64")
    chunk, points = screen.chunk, screen.points
    arguments = points_last(rule, points)
    screen.run(*arguments)
    assert isinstance(chunk.forward, SharedLinked) and isinstance(chunk.programs, SharedLinked)
    calls = [*chunk.programs.flat.calls, *chunk.forward.flat.calls]
    elementary = [(f, np.array(a[0].shape)) for f, a in calls if f in ELEMENTARY]
    with np.errstate(all="ignore"):
        whole = _median(lambda: screen.run(*arguments), seconds) / points
        derivatives = _median(chunk.programs.run, seconds) / points
        forward = _median(chunk.forward.run, seconds) / points
        spent = 0.0
        for function, shape in elementary:
            x = np.abs(np.random.default_rng(0).standard_normal(shape))
            out = np.empty_like(x)
            spent += _median(lambda f=function, x=x, out=out: f(x, out), seconds / 10) / points  # type: ignore[misc]
    return {
        "chunk": points,
        "calls": len(calls),
        "all": whole,
        "derivatives": derivatives,
        "forward": forward,
        "rest": max(whole - derivatives - forward, 0.0),
        "functions": sum(int(np.prod(shape)) for _, shape in elementary) // points,
        "elementary": spent,
    }


def _median(function: Callable[[], object], seconds: float) -> float:
    """Median processor time of a call over that many seconds, at least three calls."""
    times: list[float] = []
    ends = perf_counter() + seconds
    while len(times) < 3 or perf_counter() < ends:
        started = process_time()
        function()
        times.append(process_time() - started)
    return statistics.median(times)


def layers(rule: BenchRule) -> Callable[[int], int]:
    """The layers with error bounds, JVP and VJP, as a campaign runs them on bulk points (no exact layer)."""
    inputs = {f"x{k}": bp.array(" ".join(map(str, s))) for k, s in enumerate(rule.shapes)}
    entries = sum(int(np.prod(s)) for s in rule.shapes)
    points = min(LAYERED_POINTS, max(MOST_ENTRIES // 16 // entries, 16))
    x, v, g = points_last(rule, points)
    bounds = []
    for mode, formula, directions in (("jvp", rule.jvp, v), ("vjp", rule.vjp, g)):
        bound = binder_of(mode, Derivative(rule.forward, formula, mode=mode), inputs).bind(list(rule.shapes), "float64")
        assert isinstance(bound, DerivativeAt)
        bounds.append((bound, directions))

    def run(count: int) -> int:
        rounds = -(-count // points)
        for _ in range(rounds):
            for bound, directions in bounds:
                with quiet():
                    seen: Examination = bound.examine(x, directions, np.zeros(points, dtype=bool))
                if any(f is not None for f in seen.violations):
                    raise Refused(f"the layers refused {rule.name}")
        return rounds * points

    return run
