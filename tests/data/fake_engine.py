"""A stand-in for the engine: central differences at one point, enough to drive what surrounds it."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from backprove.harness.campaign import parts
from backprove.harness.core.results import Counterexample, PropertyResult, SubjectResult
from backprove.harness.core.verdicts import Verdict
from backprove.harness.judging.drawing.batch import points_of_part
from backprove.harness.statements.claims import Positivity
from backprove.harness.statements.theorem import Theorem
from backprove.strategies.array import array


def run(subject, **options):
    return (_run_theorem if isinstance(subject, Theorem) else _run_rule)(subject, **options)


def _run_rule(rule, *, points, dtypes, seed, accuracy, progress=None):
    if rule.name == "other":
        raise ZeroDivisionError("the engine has a mistake")
    subject = SubjectResult("rule", rule.name, rule.source[0])
    for name, _ in rule.named_claims():
        for dtype in dtypes:
            if progress is not None:
                progress(name, 1, 2)
            subject.properties.append(_judge(rule, name, dtype, points))
    return subject


def _judge(rule, name, dtype, points):
    x = np.arange(1.0, 3.0) if len(rule.inputs["x" if "x" in rule.inputs else "z"].dims) == 1 else np.zeros((2, 2))
    try:
        out = rule.forward(x)
    except Exception as e:
        return PropertyResult(name, dtype, Verdict.INCONCLUSIVE, reason=f"forward raises everywhere: {e}")
    g = np.zeros_like(out)
    g.flat[0] = 1.0
    got = np.asarray(rule.vjp(x, g))
    if got.shape != x.shape:
        reason = f"the cotangent of x has the shape {got.shape}, expected {x.shape}"
        return PropertyResult(name, dtype, Verdict.ERROR, points, reason=reason)
    for i in range(x.size):
        step = np.zeros_like(x)
        step.flat[i] = 1e-4
        expected = float((rule.forward(x + step) - rule.forward(x - step)).flat[0] / 2e-4)
        if abs(float(got.flat[i]) - expected) > 1e-6:
            entry = [int(k) for k in np.unravel_index(i, x.shape)]
            hexes = [float.hex(float(v)) for v in x.flat]
            point = Counterexample(
                "eJfake", name, dtype, {"z": x.tolist()}, {"z": hexes}, {}, {"out": g.tolist()}, "z", entry,
                float(got.flat[i]), expected, "central differences", "tie",
            )  # fmt: skip
            return PropertyResult(name, dtype, Verdict.FALSIFIED, points, 1e6, point)
    return PropertyResult(name, dtype, Verdict.HOLDS, points, 0.5)


def _first_time(words):
    """Whether the file that follows `once` in the words is made now."""
    _, once, file = words.partition("once ")
    if once and Path(file).exists():
        return False
    if once:
        Path(file).touch()
    return True


def _run_theorem(theorem, *, points, dtypes, seed, accuracy, progress=None):
    if "interrupt" in theorem.words:
        raise KeyboardInterrupt
    if "bug" in theorem.words:
        raise ZeroDivisionError("the engine has a mistake")
    if "kill" in theorem.words and _first_time(theorem.words):
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in theorem.words:
        time.sleep(60)
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    verdict = Verdict.FALSIFIED if "false" in theorem.words else Verdict.HOLDS
    properties = [PropertyResult("jvp", d, verdict, points, 1.0) for d in dtypes]
    return SubjectResult("theorem", theorem.name, properties=properties)


def _wait_while_held(log):
    """Once FAKE_HOLD parts have started, further ones wait for as long as there is a file beside the log."""
    held = log.with_name("hold")
    while held.exists() and len(log.read_text().splitlines()) > int(os.environ["FAKE_HOLD"]):
        time.sleep(0.02)


def judge_part(of, *, dtype, part, points, dtypes, seed, accuracy, progress=None):
    """A rule as `run` judges it; a theorem whose words hold `part K false` is refused in part K alone."""
    if not isinstance(of, Theorem):
        return _run_rule(of, points=points, dtypes=[dtype], seed=seed, accuracy=accuracy, progress=progress).properties
    k = parts.parts_of(points)
    if "FAKE_LOG" in os.environ:
        with open(os.environ["FAKE_LOG"], "a") as log:
            log.write(f"{of.name} {dtype} {part}\n")
        _wait_while_held(Path(os.environ["FAKE_LOG"]))
    seconds = 30.0 if f"part {part} slow" in of.words else float(os.environ.get("FAKE_SECONDS", "0"))
    time.sleep(seconds)
    refused = f"part {part} false" in of.words
    result = PropertyResult("jvp", dtype, Verdict.FALSIFIED if refused else Verdict.HOLDS)
    result.points = points_of_part(points, part, k)
    result.max_ulp = float((part * 7) % 5)
    result.histogram[part % 3] = result.points
    result.reason = f"part {part}" if refused else ""
    return [result]


def conclude(of, properties):
    if isinstance(of, Theorem):
        return SubjectResult("theorem", of.name, properties=list(properties))
    order = [name for name, _ in of.named_claims()]
    return SubjectResult(
        "rule", of.name, of.source[0], sorted(properties, key=lambda p: (order.index(p.name), p.dtype != "float64"))
    )


def replay(payload):
    return "still 3.0, expected 2.0" if payload.property == "vjp" else ""


def load(words=None):
    """Three theorems of the catalogue, for the commands that go through it; FAKE_WORDS says what becomes of them."""
    words = words or tuple(os.environ.get("FAKE_WORDS", "true,false,true").split(","))
    names = ("sumExp_pos", "sumExp_ne_zero", "logSoftmaxVec")
    claim = Positivity(abs)
    return {
        f"Proofs.Autograd.{n}": Theorem(f"Proofs.Autograd.{n}", {"x": array("n")}, (claim,), words=w)
        for n, w in zip(names, words, strict=True)
    }
