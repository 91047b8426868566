"""The same points given to the usual checkers at their defaults: which wrong rules they refuse, and which right ones.

`jax.test_util.check_grads` (reverse mode, order 1: its `check_vjp`), `torch.autograd.gradcheck` and this project's own
examination judge the very same code at the very same points: the rule is handed to JAX as it is, and to torch as an
`autograd.Function` whose forward and backward go through NumPy. A refusal counts as a kill only at a point where the
tool accepts the right rule.

Usage: python -m scripts.peers [--tool T] [--points N] [--dtype D] [--only GLOB] [--seed N] [--jobs N] [--out DIR]
    [--tables FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np
from jax.test_util import check_vjp

from backprove.harness.core.arrays import Array, quiet
from backprove.harness.core.environment import describe
from backprove.harness.core.formats import FORMATS
from backprove.harness.judging.binders import binders_of
from backprove.harness.judging.derivative import DerivativeAt
from backprove.harness.oracles.problem import Status
from backprove.strategies.cotangents import draw_directions
from backprove.strategies.shapes import shape_buckets
from backprove.strategies.values import draw_points
from scripts.measurement_tables import write_tables
from tests.mutants.mutants import MUTANTS
from tests.mutants.problem import Formula, Problem
from tests.mutants.rules import PROBLEMS

DTYPES = ("float64", "float32", "bfloat16")
Accepts = Callable[[int], bool]
"""Whether a tool accepts the rule at point `i`."""


@dataclass
class Row:
    """What one tool made of one problem and its wrong rules at one dtype.

    Attributes:
        points: given, forward finite.
        refused: points at which it refused the right (stable) rule.
        killed, survived: names of wrong rules; equivalent ones are left out.
    """

    tool: str
    rule: str
    dtype: str
    points: int
    refused: int
    killed: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)


def inputs(problem: Problem, dtype: str, count: int, seed: int) -> list[Array]:
    """`count` wild points of the first shape, points on the first axis, where forward is finite."""
    specs = dict(problem.inputs)
    sizes = shape_buckets(specs)[0]
    drawn = draw_points(specs, sizes, dtype, count, seed, ("peers", problem.name))
    arrays = [np.moveaxis(a, -1, 0).astype(FORMATS[dtype].numpy) for a in drawn.arrays]
    out = np.asarray(jax.jit(jax.vmap(problem.forward))(*arrays)).astype(np.float64)
    finite = np.isfinite(out.reshape(count, -1)).all(axis=1)
    return [a[finite] for a in arrays]


def by_check_grads(problem: Problem, vjp: Formula, arrays: Sequence[Array], dtype: str) -> Accepts:
    """`check_grads` at every point.

    In reverse mode at order 1 check_grads is one call of `check_vjp`, which takes the rule as it is: compiled once,
    where check_grads would trace it again at every point.
    """
    run, rule = jax.jit(problem.forward), jax.jit(vjp)

    def with_pullback(*x: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        def pullback(g: Any) -> tuple[Any, ...]:
            found = rule(*x, g)
            return found if isinstance(found, tuple) else (found,)

        return run(*x), pullback

    def accepts(i: int) -> bool:
        try:
            check_vjp(run, with_pullback, tuple(np.asarray(a[i]) for a in arrays))
        except AssertionError:
            return False
        return True

    return accepts


def by_gradcheck(problem: Problem, vjp: Formula, arrays: Sequence[Array], dtype: str) -> Accepts:
    """`torch.autograd.gradcheck` at every point."""
    from torch.autograd.gradcheck import GradcheckError, gradcheck

    function = torch_function(problem.forward, vjp)

    def accepts(i: int) -> bool:
        given = [to_torch(np.ascontiguousarray(a[i])).requires_grad_() for a in arrays]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it advises float64
            try:
                return bool(gradcheck(function.apply, given))
            except GradcheckError:
                return False

    return accepts


def torch_function(forward: Formula, vjp: Formula) -> Any:
    """The JAX code as a `torch.autograd.Function`."""
    import torch

    run, rule = jax.jit(forward), jax.jit(vjp)

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *x: Any) -> Any:
            ctx.save_for_backward(*x)
            return to_torch(np.asarray(run(*map(from_torch, x))))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            found = rule(*map(from_torch, ctx.saved_tensors), from_torch(g))
            out = tuple(to_torch(np.asarray(a)) for a in (found if isinstance(found, tuple) else (found,)))
            return out if len(out) > 1 else out[0]

    return Wrapped


BFLOAT16 = FORMATS["bfloat16"].numpy


def to_torch(array: Array) -> Any:
    """A tensor with the numbers of `array`; bfloat16, which torch does not take from NumPy, by its bits."""
    import torch

    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def from_torch(tensor: Any) -> Array:
    """The numbers of a tensor."""
    import torch

    plain = tensor.detach().contiguous()
    if plain.dtype == torch.bfloat16:
        return np.asarray(plain.view(torch.int16).numpy()).view(BFLOAT16)
    return np.asarray(plain.numpy())


def by_backprove(problem: Problem, vjp: Formula, arrays: Sequence[Array], dtype: str) -> Accepts:
    """This project's examination: all points at once, all of them by the exact layer."""
    points = arrays[0].shape[0]
    binder = next(b for b in binders_of(problem.rule(vjp)) if b.name == "vjp")
    bound = binder.bind([a.shape[1:] for a in arrays], dtype)
    assert isinstance(bound, DerivativeAt)
    bound.kink_budget = points
    directions = draw_directions(bound.direction_shapes, points, 0, ("peers", problem.name), dtype)
    last = [np.moveaxis(a, 0, -1).astype(np.float64) for a in arrays]
    with quiet():
        seen = bound.examine(last, directions, np.ones(points, dtype=bool), cap=points)

    def accepts(i: int) -> bool:
        outcome = seen.outcomes[i]  # apart beside a refused point: refused too, were it judged by itself
        return seen.violations[i] is None and (outcome is None or outcome.status is not Status.APART)

    return accepts


TOOLS: dict[str, Callable[[Problem, Formula, Sequence[Array], str], Accepts]] = {
    "check_grads": by_check_grads,
    "gradcheck": by_gradcheck,
    "backprove": by_backprove,
}


def compare(tool: str, problem: Problem, dtype: str, points: int, seed: int) -> Row:
    """One tool on one problem: the right rule at every point, then every wrong rule until it is refused."""
    with jax.enable_x64(True), np.errstate(all="ignore"):
        arrays = inputs(problem, dtype, points, seed)
        count = arrays[0].shape[0]
        accepts = TOOLS[tool](problem, problem.forms["stable"], arrays, dtype)
        trusted = [i for i in range(count) if accepts(i)]
        row = Row(tool, problem.name, dtype, count, count - len(trusted))
        for mutant in MUTANTS.values():
            if mutant.problem == problem.name and dtype not in mutant.equivalent:
                judge = TOOLS[tool](problem, mutant.vjp, arrays, dtype)
                killed = any(not judge(i) for i in trusted)
                (row.killed if killed else row.survived).append(mutant.name)
    return row


def _one(work: tuple[str, str, str, int, int]) -> Row:
    tool, name, dtype, points, seed = work
    return compare(tool, PROBLEMS[name], dtype, points, seed)


def _rows(work: Sequence[tuple[str, str, str, int, int]], jobs: int) -> Iterator[Row]:
    if jobs == 1:
        yield from map(_one, work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_one, work)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200, help="points per rule and dtype")
    parser.add_argument("--tool", action="append", choices=list(TOOLS), help="repeatable; all if left out")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="repeatable; all three if left out")
    parser.add_argument("--only", default="*", help="glob over the names of the right rules")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("docs/measurements"), help="folder of the figures")
    parser.add_argument("--tables", type=Path, default=Path("docs/measurements.md"), help="file of the tables")
    options = parser.parse_args(arguments)
    for tool in options.tool or TOOLS:
        started, rows = perf_counter(), []
        names = [n for n in PROBLEMS if fnmatch.fnmatch(n, options.only)]
        work = [(tool, n, d, options.points, options.seed) for n in names for d in options.dtype or DTYPES]
        for r in _rows(work, options.jobs):
            rows.append(r)
            told = f"{tool} {r.rule} {r.dtype}: refused {r.refused}/{r.points}, killed {len(r.killed)}"
            print(told, file=sys.stderr, flush=True)
        figures = {
            "points": options.points,
            "seed": options.seed,
            "seconds": perf_counter() - started,
            "environment": describe(),
            "rows": [asdict(r) for r in rows],
        }
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{tool}.json").write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", "utf-8")
    write_tables(options.out, options.tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
