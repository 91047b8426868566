"""Part "suite": what one more rule costs in a process that checks many, beside other checkers on the same maps.

Twenty right rules at default options: the eight of the benchmark in JAX and in NumPy, and four functions of torch. And
the first verdict: a wrong rule in a file, from the command to its refusal.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from types import FunctionType
from typing import Any

import numpy as np

import backprove as bp
from scripts.bench import rules as written
from scripts.bench import runs
from scripts.bench.rules import RULES, BenchRule, log_softmax_rule
from scripts.bench.torch_functions import functions

SUITE = tuple(log_softmax_rule(32) if r.name == "log-softmax 1000" else r for r in RULES)
"""The rules of the benchmark; thousand logits are no ordinary size of a test."""

WRONG = """
import numpy as np

import backprove as bp

wrong = bp.Rule("tanh", forward=np.tanh, vjp=lambda x, g: g * (1 - np.tanh(x)), inputs={"x": bp.array("n")})
"""


def measure(only: Callable[[str], bool], limit: float) -> dict[str, Any]:
    """Processor time of each rule, ours and others', in the order in which they are checked.

    Args:
        only: which of the benchmark's rules.
        limit: seconds after which a run of the command line is ended.
    """
    first = _first_verdict(limit)
    rows = []
    for k, (name, framework, rule, other) in enumerate(_subjects(only)):
        if not k:
            bp.check(rule)  # imports, and what every first check pays for
        started = process_time()
        report = bp.check(rule)
        mine = process_time() - started
        if report.verdict.fails:
            raise AssertionError(f"{name} in {framework} is right and was refused: {report}")
        started = process_time()
        other()
        rows.append({"rule": name, "framework": framework, "cpu": mine, "other": process_time() - started})
        rows[-1]["verdict"] = str(report.verdict)
        print(f"bench: suite: {name}, {framework}: {mine:.2f} s", file=sys.stderr)
    return {"rows": rows, "first": first}


def _subjects(only: Callable[[str], bool]) -> Iterator[tuple[str, str, bp.Rule, Callable[[], None]]]:
    """Name, framework, rule, and the check of another tool on the same map, cold."""
    chosen = [r for r in SUITE if only(r.name)]
    for rule in chosen:
        yield rule.name, "JAX", as_rule(rule), lambda rule=rule: _check_grads(rule)  # type: ignore[misc]
    for rule in chosen:
        yield rule.name, "NumPy", as_rule(in_numpy(rule)), lambda rule=rule: _check_grads(rule)  # type: ignore[misc]
    if find_spec("torch") is not None:
        for rule, function in ((r, f) for r in chosen for n, f in functions().items() if n == r.name):
            named = _inputs(rule)
            yield rule.name, "torch", bp.from_torch(function, inputs=named), lambda r=rule, f=function: _gradcheck(r, f)  # type: ignore[misc]


def as_rule(rule: BenchRule) -> bp.Rule:
    """A rule of the benchmark as one of backprove."""
    single = len(rule.shapes) == 1
    vjp = (lambda *a: rule.vjp(*a)[0]) if single else rule.vjp
    return bp.Rule(rule.name, forward=rule.forward, jvp=rule.jvp, vjp=vjp, inputs=_inputs(rule))


def _inputs(rule: BenchRule) -> Mapping[str, Any]:
    """The inputs: of any size, where the maps hold no data of one size."""
    names = inspect.signature(rule.forward).parameters
    letters = dict(zip(dict.fromkeys(n for s in rule.shapes for n in s), "mnk", strict=False))
    free = not rule.name.startswith(("MLP", "cross entropy", "log-softmax 32"))
    dims = [" ".join(letters[n] if free else str(n) for n in s) for s in rule.shapes]
    return {n: bp.array(d) for n, d in zip(names, dims, strict=True)}


def in_numpy(rule: BenchRule) -> BenchRule:
    """The same formulas with NumPy in the place of `jax.numpy`."""
    names: dict[str, Any] = dict(vars(written))

    def moved(f: Any) -> Any:
        return FunctionType(f.__code__, names, f.__name__, f.__defaults__, f.__closure__)

    names |= {n: moved(f) for n, f in names.items() if isinstance(f, FunctionType)}
    names |= {"_np": lambda: np, "_held": lambda x: x}
    return replace(rule, forward=moved(rule.forward), jvp=moved(rule.jvp), vjp=moved(rule.vjp))


def _check_grads(rule: BenchRule) -> None:
    """`jax.test_util.check_grads` in both modes at one point, of a function that it has not met."""
    import jax
    from jax.test_util import check_grads

    def fresh(*x: Any) -> Any:
        return rule.forward(*x)

    with jax.enable_x64(True):
        inputs, _, _ = rule.draw(1)
        check_grads(fresh, tuple(jax.numpy.asarray(a[0]) for a in inputs), order=1, modes=("fwd", "rev"))


def _gradcheck(rule: BenchRule, function: Any) -> None:
    """`torch.autograd.gradcheck` at its defaults at one point."""
    import torch

    inputs, _, _ = rule.draw(1)
    torch.autograd.gradcheck(function.apply, tuple(torch.tensor(a[0], requires_grad=True) for a in inputs))


def _first_verdict(limit: float) -> list[dict[str, Any]]:
    """Wall and processor time of `backprove check` of a wrong rule, and of importing JAX alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.py"
        path.write_text(WRONG, "utf-8")
        found = runs.run("check mine.py", ["check"], [str(path)], {}, limit)
    if found.status not in (1, None):
        raise AssertionError(f"the wrong rule of the first verdict ended with exit status {found.status}")
    started, before = perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", "import jax"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return [
        {"what": "backprove check mine.py, a wrong rule", "seconds": found.seconds, "cpu": found.cpu},
        {"what": 'python -c "import jax"', "seconds": perf_counter() - started, "cpu": cpu},
    ]
