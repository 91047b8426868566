"""Runs to report on: the documented catalogue with all well, with failures, a user's rule, many, and hostile ones."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from backprove.harness.core.results import (
    HISTOGRAM_EDGES,
    Counterexample,
    LayerTally,
    PropertyResult,
    RunResult,
    SubjectResult,
)
from backprove.harness.core.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[2]
DTYPES = ("float64", "float32", "bfloat16")
ENVIRONMENT = {"python": "3.11.7", "jax": "0.10.2", "numpy": "2.4.6", "machine": "x86_64, 2 cores"}
TEX = {
    "has_derivative": r"\partial f(x)[\delta x] = \lim_{t\to 0} \frac{f(x+t\,\delta x)-f(x)}{t}",
    "adjointness": r"\langle J\,\delta x,\ \delta\rangle = \langle \delta x,\ J^{*}\delta\rangle",
    "gradient": r"\nabla_W L = \delta\,x^{\top}",
    "definition": r"y_i = x_i - \log\sum_{j} e^{x_j}",
    "positivity": r"\sum_{i} e^{x_i} > 0",
    "self_adjoint": r"\langle\operatorname{relu}'(x)\odot u, w\rangle = \langle u, D\odot w\rangle",
}
TEST = """\
import numpy as np


def test_logsoftmax_vjp():
    z = np.array([[0.0, 1.0]])  # minimal
    g = np.array([[1.0, 0.0]])
    got = rule.vjp(z, g)
    assert abs(got[0, 1] - -0.7310585786300049) < 1e-12, f"got {got}"
"""
ENTRY = """\
theorem(
    "{name}",
    Derivative(forward=log_softmax, rule=lambda x, d: d - softmax(x) * d.sum(), mode="vjp"),
    inputs={{"x": array("n"), "d": array("n")}},
    words="the closed form is the adjoint of the derivative",
)
"""


def _histogram(rng: random.Random, points: int, centre: float = -0.3) -> list[int]:
    counts = [0] * (len(HISTOGRAM_EDGES) + 1)
    counts[0] = points // 5
    for _ in range(60):
        e = rng.gauss(centre, 0.55)
        counts[min(len(counts) - 1, max(0, math.floor(e - HISTOGRAM_EDGES[0]) + 1))] += points // 75
    return counts


def make_property(rng: random.Random, name: str, dtype: str, points: int = 10_000) -> PropertyResult:
    """A property that holds."""
    worst = round(10 ** rng.uniform(-0.2, 1.1), 4)
    lossy = rng.random() < 0.04
    return PropertyResult(
        name,
        dtype,
        Verdict.HOLDS,
        points,
        worst,
        grade="lossy" if lossy else "stable",
        grade_factor=round(worst * (40 if lossy else 0.8), 3),
        grade_region="saturated" if lossy else "ordinary",
        layers={
            "wide": LayerTally(points, points, worst=0.5),
            "autodiff": LayerTally(points, points - 3, suspicious=3, cleared=3, worst=worst),
            "differences": LayerTally(points // 8, points // 8, worst=900.0),
            "exact": LayerTally(120, 120, worst=70.0),
            "rounding": LayerTally(points, points, worst=worst),
            "compiled": LayerTally(1024, 1024, worst=worst),
        },
        histogram=_histogram(rng, points),
        counts={"kink": points // 50, "outside_domain": points // 200, "balls_only": points // 300},
        shapes={f"n={n}": points // 5 for n in (1, 2, 3, 7, 16)},
        regions={
            "ordinary": points // 2,
            "large": points // 5,
            "zero": points // 10,
            "tie": points // 10,
            "kink": points // 10,
        },
        seconds=0.02,
    )


@lru_cache(maxsize=1)
def _entries() -> list[dict[str, Any]]:
    with (ROOT / "rules" / "catalogue" / "documented.toml").open("rb") as f:
        return list(tomllib.load(f)["entry"])


def _subject(rng: random.Random, entry: dict[str, Any], earlier: list[str]) -> SubjectResult:
    claim = entry["property"]
    names = ["derivative", "adjointness", "linearity"] if claim in ("has_derivative", "adjointness") else [claim]
    short = entry["name"].rsplit(".", 1)[-1]
    return SubjectResult(
        "theorem",
        entry["name"],
        entry["module"],
        [make_property(rng, n, d) for n in names for d in DTYPES],
        statement=entry["statement"],
        hypotheses=entry["hypotheses"],
        kind_of_claim=claim,
        latex=TEX.get(claim, r"f(x) = g(x)"),
        property_words=f"the closed form agrees with the derivative of the forward map ({claim.replace('_', ' ')})",
        rests_on=rng.sample(earlier[-14:], min(len(earlier), rng.choice([0, 1, 1, 2]))),
        source={"file": "rules/elementwise.py", "line": 12 + 9 * len(earlier)},
        code=ENTRY.format(name=short),
        mutation={"mutants": 14, "equivalent": 1, "killed": 13, "survivors": []},
        front_end={"forward": "traced by JAX", "vjp": "traced by JAX"},
    )


def make_catalogue_run(seed: int = 0) -> RunResult:
    """The documented catalogue, everything holds."""
    rng = random.Random(seed)
    subjects: list[SubjectResult] = []
    for entry in _entries():
        if entry["executable"]:
            subjects.append(_subject(rng, entry, [s.name for s in subjects if s.module == entry["module"]]))
    names = [s.name for s in subjects]
    rest = [e for e in _entries() if not e["executable"]]
    reached = [
        {
            "name": e["name"],
            "module": e["module"],
            "executable": False,
            "why_not": e["why_not"],
            "covered_by": [rng.choice(names)],
        }
        for e in rest
    ]
    subjects[3].properties[0].findings.append("log-softmax loses all digits where one logit exceeds the others by 37")
    for s in subjects[40:52]:
        s.properties[1].findings.append("the float32 forward map overflows above 88.72")
    n = len(_entries())
    return RunResult(
        "verify",
        "0.1.0",
        0,
        subjects,
        dict(ENVIRONMENT),
        {"points": 10_000, "dtypes": list(DTYPES), "profile": "ci"},
        {"documented": {"declared": n, "executable": len(subjects), "covered": n, "holds": n}},
        reached,
        "2026-11-21T12:00:00Z",
        31.4,
    )


def make_counterexample(name: str = "adjointness", dtype: str = "float64") -> Counterexample:
    """The log-softmax backward that keeps only the diagonal of the Jacobian."""
    z, g = [[0.0, 1.0]], [[1.0, 0.0]]
    y = np.exp(np.array([0.0, 1.0]) - np.log(1 + math.e))
    true = np.eye(2) - y[None, :].T @ np.ones((1, 2))
    return Counterexample(
        id="logsoftmax-7f3a91c2e4",
        property=name,
        dtype=dtype,
        inputs={"z": z},
        inputs_hex={"z": [[v.hex() for v in row] for row in z]},
        tangents={},
        cotangents={"g": g},
        argument="z",
        entry=[0, 1],
        got=0.0,
        expected=-float(y[1]),
        oracle="ball arithmetic, 128 bits",
        region="ordinary",
        test=TEST,
        message="The cotangent of z at [0, 1] is 0.0, where the adjoint of the derivative gives -0.7310585786300049.",
        jacobians={"rule": np.diag(1 - y).tolist(), "true": true.tolist()},
    )


def make_failing_run() -> RunResult:
    """The same catalogue with one theorem of each bad verdict, two not covered, and the run cut short."""
    run = make_catalogue_run(seed=1)
    bad = run.subjects[4]
    for p in bad.properties:
        p.verdict = Verdict.FALSIFIED
        p.counterexample = make_counterexample(p.name, p.dtype)
        p.layers["exact"] = LayerTally(120, 100, refuted=20, worst=3.0)
    bad.diagnosis = "Only the diagonal of the Jacobian is applied; the term exp(y) * sum(g) of the full one is missing."
    worse = run.subjects[20].properties[1]
    worse.verdict, worse.max_ulp, worse.grade = Verdict.INACCURATE, 3.4e7, "lost"
    worse.counterexample = make_counterexample(worse.name, worse.dtype)
    worse.histogram[12] = 40
    run.subjects[30].properties[0].verdict = Verdict.ERROR
    run.subjects[30].properties[0].reason = "the rule raised ValueError: operands could not be broadcast together"
    for p in run.subjects[50].properties:
        p.verdict, p.reason, p.points = Verdict.INCONCLUSIVE, "no layer could read `lax.igamma`", 0
    run.subjects[51].mutation = {"mutants": 14, "equivalent": 1, "killed": 11, "survivors": ["drop term", "0 -> 1"]}
    run.subjects[52].properties.pop()
    run.subjects[53].properties[0].counts["discarded"] = 60_000
    for s in (run.subjects.pop(), run.subjects.pop()):
        run.not_covered.append(
            {"name": s.name, "module": s.module, "executable": True, "why_not": "", "covered_by": []}
        )
    run.coverage = {
        "documented": {"declared": 93, "executable": 81, "covered": 91, "holds": 87},
        "library": {"declared": 724, "executable": 502, "covered": 118, "holds": 118},
    }
    run.gate = {"passed": False, "reasons": ["coverage of the documented catalogue is 97.85 %, fail_under is 100 %"]}
    run.started, run.partial, run.exit = "2026-11-22T12:00:00Z", True, 1
    return run


def make_user_run() -> RunResult:
    """`check` on a user's wrong log-softmax and a right rule beside it."""
    rng = random.Random(5)
    code = (
        "def logsoftmax_backward(out, g):\n    return g * (1 - np.exp(out))  # a classic mistake\n\n\n"
        'rule = bp.Rule(\n    "logsoftmax",\n    forward=logsoftmax,\n'
        '    vjp=lambda z, g: logsoftmax_backward(logsoftmax(z), g),\n    inputs={"z": bp.array("m n")},\n)\n'
    )
    spots = [
        {
            "inputs": {"z": [[1.0, 2.0, 3.0]]},
            "cotangent": [[1.0, 1.0, 1.0]],
            "got": [0.90996943, 0.75527153, 0.33475904],
            "expected": [0.72990829, 0.26581459, -0.99572288],
        }
    ]
    wrong = SubjectResult(
        "rule",
        "logsoftmax",
        "examples/logsoftmax.py",
        [make_property(rng, n, d) for n in ("vjp", "adjointness") for d in DTYPES[:2]],
        source={"file": "examples/logsoftmax.py", "line": 11, "spots": spots},
        code=code,
        diagnosis="Only the diagonal of the Jacobian is applied: g * (1 - exp(y)) where g - exp(y) * sum(g) is right.",
        front_end={"forward": "object arrays", "vjp": "object arrays"},
    )
    for p in wrong.properties:
        if p.name == "vjp":
            p.verdict = Verdict.FALSIFIED
            p.counterexample = make_counterexample("vjp", p.dtype)
            p.layers["exact"] = LayerTally(40, 0, refuted=40, worst=1.0)
            p.histogram = [0] * len(p.histogram)
            p.max_ulp = p.grade = p.grade_factor = None
    right = SubjectResult(
        "rule",
        "softplus",
        "examples/logsoftmax.py",
        [make_property(rng, "vjp", d) for d in DTYPES[:2]],
        source={"file": "examples/logsoftmax.py", "line": 30},
        code="softplus = bp.from_jax(softplus, inputs={'x': bp.array('n')})\n",
        front_end={"forward": "traced by JAX", "vjp": "traced by JAX"},
    )
    options = {"points": 10_000, "dtypes": list(DTYPES[:2])}
    return RunResult(
        "check",
        "0.1.0",
        7,
        [wrong, right],
        dict(ENVIRONMENT),
        options,
        started="2026-11-21T13:00:00Z",
        seconds=1.2,
        exit=1,
    )


def make_synthetic_run(n: int = 1000) -> RunResult:
    """`n` theorems in 40 modules."""
    rng = random.Random(3)
    subjects: list[SubjectResult] = []
    by_module: dict[str, list[str]] = {}
    for i in range(n):
        module = f"Lib.Part{i % 40:02d}"
        earlier = by_module.setdefault(module, [])
        entry = {
            "name": f"Lib.Part{i % 40:02d}.theorem{i:04d}",
            "module": module,
            "property": rng.choice(list(TEX)),
            "statement": f"Statement number {i} about a derivative rule that holds for every x in R^n.",
            "hypotheses": "none",
        }
        subjects.append(_subject(rng, entry, earlier))
        earlier.append(entry["name"])
    coverage = {"library": {"declared": n, "executable": n, "covered": n, "holds": n}}
    return RunResult(
        "verify", "0.1.0", 0, subjects, dict(ENVIRONMENT), {"dtypes": list(DTYPES)}, coverage, seconds=300.0
    )


EVIL = (
    "<script>document.title='owned'</script>",
    "</script><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    '"><svg onload=alert(1)>',
    '=HYPERLINK("http://example.invalid")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "\ttab",
    "nul\x00 bell\x07 lone \ud800 end",
    "| pipe `tick` ```fence [link](javascript:alert(1)) @everyone",
    "{{ 7 * 7 }} {% raw %}",
    "",
)


def make_hostile_run() -> RunResult:
    """Rules whose every text is an attack."""
    rng = random.Random(9)
    subjects = []
    for i, text in enumerate(EVIL):
        p = make_property(rng, text, "float64")
        p.verdict = list(Verdict)[i % 5]
        p.reason = p.grade_region = text
        p.findings, p.notes, p.shapes, p.regions = [text], [text], {text: 3}, {text: 4}
        p.layers[text] = LayerTally(1, 1, note=text)
        c = make_counterexample(text)
        p.counterexample = replace(
            c,
            id=text,
            inputs={text: [1.0, None]},
            inputs_hex={text: text},
            argument=text,
            oracle=text,
            region=text,
            message=text,
            test=text,
            got=None,
            expected=[-1.0, 1.0],
            jacobians={"rule": [[None, None], [1.0, 2.0]], "true": [[1.0, 2.0], [3.0, 4.0]]},
        )
        subjects.append(
            SubjectResult(
                "rule", text, text, [p], text, text, text, text, text, [text, EVIL[0]], [text],
                {"file": text, "line": 1, "spots": [{"inputs": {text: [1.0]}, "got": [None], "expected": [1.0]}]},
                text, text, {"mutants": 1, "equivalent": 0, "killed": 0, "survivors": [text]}, {text: text},
            )
        )  # fmt: skip
    not_covered = [{"name": t, "module": t, "executable": False, "why_not": t, "covered_by": [t]} for t in EVIL]
    gate = {"passed": False, "reasons": list(EVIL)}
    return RunResult(
        "verify", EVIL[0], 0, subjects, {EVIL[0]: EVIL[1]}, {EVIL[0]: EVIL[1]},
        {EVIL[0]: {"declared": 2, "executable": 2, "covered": 1, "holds": 0}}, not_covered, EVIL[0], 1.0, gate=gate,
    )  # fmt: skip


@pytest.fixture
def holding_run() -> RunResult:
    return make_catalogue_run()


@pytest.fixture
def failing_run() -> RunResult:
    return make_failing_run()


@pytest.fixture
def user_run() -> RunResult:
    return make_user_run()


@pytest.fixture
def hostile_run() -> RunResult:
    return make_hostile_run()


@pytest.fixture
def evil() -> tuple[str, ...]:
    return EVIL


@pytest.fixture
def synthetic_run() -> Callable[[int], RunResult]:
    return make_synthetic_run
