"""The same points given to the usual checkers at their defaults: which wrong rules they refuse, and which right ones.

`jax.test_util.check_grads` runs as it is (reverse mode, order 1: its `check_vjp`); torch's `gradcheck` is emulated in
JAX from its documented comparison (central differences with step 1e-6 per entry, |a - n| <= 1e-5 + 1e-3 |n|), so that
both judge the very same code. A refusal counts as a kill only at a point where the tool accepts the right rule.

Usage: python -m scripts.peers [--tool T] [--points N] [--dtype D] [--only GLOB] [--seed N] [--out DIR]
    [--tables FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_vjp
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.harness.environment import describe
from backprove.strategies.shapes import shape_buckets
from backprove.strategies.values import draw_points
from scripts.measurement_tables import write_tables
from tests.mutants.mutants import MUTANTS
from tests.mutants.problem import Formula, Problem
from tests.mutants.rules import PROBLEMS

Array = NDArray[Any]

DTYPES = ("float64", "float32", "bfloat16")
STEP, ATOL, RTOL = 1e-6, 1e-5, 1e-3
"""Defaults of torch.autograd.gradcheck."""


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


def by_check_grads(forward: Formula, vjp: Formula, arrays: Sequence[Array]) -> Callable[[int], bool]:
    """Whether check_grads accepts the rule at point `i`.

    In reverse mode at order 1 check_grads is one call of `check_vjp`, which takes the rule as it is: compiled once,
    where check_grads would trace it again at every point.
    """
    run, rule = jax.jit(forward), jax.jit(vjp)

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


def by_gradcheck(forward: Formula, vjp: Formula, arrays: Sequence[Array]) -> Callable[[int], bool]:
    """Whether gradcheck accepts the rule at point `i`; all points are evaluated at once."""
    accepted = gradcheck(forward, vjp, arrays)
    return lambda i: bool(accepted[i])


def gradcheck(forward: Formula, vjp: Formula, arrays: Sequence[Array]) -> Array:
    """Per point: every entry of the analytical Jacobian is close to the central difference.

    Args:
        arrays: inputs in their dtype, points on the first axis.
    """
    flat = jax.jit(jax.vmap(lambda *x: forward(*x).reshape(-1)))
    shape = jax.eval_shape(forward, *(a[0] for a in arrays)).shape
    size = int(np.prod(shape))
    unit = jnp.eye(size, dtype=arrays[0].dtype).reshape(size, *shape)

    def rows(*x: Any) -> Any:
        def row(g: Any) -> Any:
            found = vjp(*x, g)
            return jnp.concatenate([c.reshape(-1) for c in (found if isinstance(found, tuple) else (found,))])

        return jax.vmap(row)(unit)

    analytical = np.asarray(jax.jit(jax.vmap(rows))(*arrays)).astype(np.float64)
    columns = []
    for k, a in enumerate(arrays):
        for entry in np.ndindex(a.shape[1:]):
            ends = []
            for step in (STEP, -STEP):
                moved = a.copy()
                at = (slice(None), *entry)
                moved[at] = (a[at].astype(np.float64) + step).astype(a.dtype)
                ends.append(flat(*(moved if j == k else b for j, b in enumerate(arrays))))
            columns.append(np.asarray((ends[0] - ends[1]) / (2 * STEP)).astype(np.float64))
    numerical = np.stack(columns, axis=-1)
    with np.errstate(all="ignore"):
        close = (np.abs(analytical - numerical) <= ATOL + RTOL * np.abs(numerical)) & np.isfinite(numerical)
    accepted: Array = (close | (analytical == numerical)).all(axis=(1, 2))
    return accepted


TOOLS: dict[str, Callable[[Formula, Formula, Sequence[Array]], Callable[[int], bool]]] = {
    "check_grads": by_check_grads,
    "gradcheck": by_gradcheck,
}


def compare(tool: str, problem: Problem, dtype: str, points: int, seed: int) -> Row:
    """One tool on one problem: the right rule at every point, then every wrong rule until it is refused."""
    arrays = inputs(problem, dtype, points, seed)
    count = arrays[0].shape[0]
    accepts = TOOLS[tool](problem.forward, problem.forms["stable"], arrays)
    trusted = [i for i in range(count) if accepts(i)]
    row = Row(tool, problem.name, dtype, count, count - len(trusted))
    for mutant in MUTANTS.values():
        if mutant.problem == problem.name and dtype not in mutant.equivalent:
            judge = TOOLS[tool](problem.forward, mutant.vjp, arrays)
            killed = any(not judge(i) for i in trusted)
            (row.killed if killed else row.survived).append(mutant.name)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200, help="points per rule and dtype")
    parser.add_argument("--tool", action="append", choices=list(TOOLS), help="repeatable; all if left out")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="repeatable; all three if left out")
    parser.add_argument("--only", default="*", help="glob over the names of the right rules")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/measurements"), help="folder of the figures")
    parser.add_argument("--tables", type=Path, default=Path("docs/measurements.md"), help="file of the tables")
    options = parser.parse_args(arguments)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        for tool in options.tool or TOOLS:
            started, rows = perf_counter(), []
            for name, problem in PROBLEMS.items():
                for dtype in options.dtype or DTYPES if fnmatch.fnmatch(name, options.only) else ():
                    rows.append(compare(tool, problem, dtype, options.points, options.seed))
                    r = rows[-1]
                    print(
                        f"{tool} {name} {dtype}: refused {r.refused}/{r.points}, killed {len(r.killed)}",
                        file=sys.stderr,
                    )
                figures = {
                    "points": options.points,
                    "seed": options.seed,
                    "seconds": perf_counter() - started,
                    "environment": describe(),
                    "rows": [asdict(r) for r in rows],
                }
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / f"{tool}.json").write_text(
                    json.dumps(figures, indent=1, allow_nan=False) + "\n", "utf-8"
                )
    write_tables(options.out, options.tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
