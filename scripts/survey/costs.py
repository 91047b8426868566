"""Costs of the functions whose reach is promised: a right rule holds, one off by 1e-9 is refused, in so many seconds.

    python -m scripts.survey.costs [--only GLOB] [--points N]

The derivative is JAX's, for NumPy's and SciPy's functions that of their twins in JAX. CPU-seconds are those of the
right rule, the longest of three seeds; the first one includes tracing and compilation.
"""

# ruff: noqa: PLW0108 (inputs have the names of the parameters)

from __future__ import annotations

import argparse
import fnmatch
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.survey.page import COSTS, written

ROOT = Path(__file__).parents[2]
SEEDS = (0, 1, 2)
OFF = 1 + 1e-9


@dataclass(frozen=True)
class Target:
    """A function, the one whose derivative JAX has, and what its inputs look like: options of `bp.array` by dims."""

    forward: Callable[..., Any]
    twin: Callable[..., Any]
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def targets() -> dict[str, Target]:
    """The functions by name."""
    import jax.numpy as jnp
    import jax.scipy as jsp
    import scipy.linalg as sl
    import scipy.special as ss
    from jax import lax

    found: dict[str, Target] = {}

    def add(name: str, forward: Callable[..., Any], twin: Callable[..., Any] | None = None, **inputs: Any) -> None:
        found[name] = Target(forward, twin or forward, inputs)

    square, spd, tall = {"dims": "5 5"}, {"dims": "5 5", "kind": "spd"}, {"dims": "5 3"}
    symmetric, lower, row = {"dims": "5 5", "kind": "symmetric"}, {"dims": "5 5", "kind": "lower"}, {"dims": "5"}
    positive, unit = {"dims": "5", "low": 0.1, "high": 9}, {"dims": "5", "low": 0.02, "high": 0.98}

    add("jnp.linalg.cholesky", lambda x: jnp.linalg.cholesky(x), x=spd)
    add("lax.linalg.lu", lambda x: lax.linalg.lu(x)[0], x=square)
    add("triangular_solve", lambda x, y: jsp.linalg.solve_triangular(x, y, lower=True), x=lower, y=row)
    add("jnp.linalg.qr", lambda x: jnp.linalg.qr(x), x=tall)
    add("jnp.linalg.eigh", lambda x: jnp.linalg.eigh(x)[0], x=symmetric)
    add("jnp.linalg.svd", lambda x: jnp.linalg.svd(x, compute_uv=False), x=tall)
    add("jnp.linalg.inv", lambda x: jnp.linalg.inv(x), x=square)
    add("jnp.linalg.solve", lambda x, y: jnp.linalg.solve(x, y), x=square, y=row)
    add("jnp.linalg.det", lambda x: jnp.linalg.det(x), x=square)
    add("jnp.linalg.slogdet", lambda x: jnp.linalg.slogdet(x)[1], x=square)
    add("slogdet of spd", lambda x: jnp.linalg.slogdet(x)[1], x=spd)
    add("jsp.linalg.expm", lambda x: jsp.linalg.expm(x), x={"dims": "3 3"})
    add("jnp.linalg.lstsq", lambda x, y: jnp.linalg.lstsq(x, y)[0], x=tall, y=row)
    add("jnp.linalg.pinv", lambda x: jnp.linalg.pinv(x), x=tall)
    add("jnp.linalg.matrix_power", lambda x: jnp.linalg.matrix_power(x, 3), x=square)
    image, kernel = {"dims": "1 2 5 5"}, {"dims": "2 1 3 3"}
    add(
        "lax.conv_general_dilated",
        lambda x, y: lax.conv_general_dilated(x, y, (2, 1), ((1, 0), (1, 1)), (1, 1), (1, 2), feature_group_count=2),
        x=image,
        y=kernel,
    )

    def pool(start: float, join: Any) -> Callable[[Any], Any]:
        return lambda x: lax.reduce_window(x, np.float64(start), join, (2, 2), (1, 2), "VALID")

    add("average pooling", lambda x: pool(0.0, lax.add)(x) / 4, x=square)
    add("max pooling", pool(-np.inf, lax.max), x=square)
    add("lax.cumlogsumexp", lambda x: lax.cumlogsumexp(x), x=row)
    add("lax.top_k", lambda x: lax.top_k(x, 2)[0], x=row)
    add("jnp.fft.fft", lambda x: jnp.abs(jnp.fft.fft(x)) ** 2, x=row)
    add("jnp.fft.ifft", lambda x: jnp.fft.ifft(x).imag, x=row)
    add("jnp.fft.rfft", lambda x: jnp.fft.rfft(x).real, x=row)
    add("jnp.fft.irfft", lambda x: jnp.fft.irfft(x, 5), x={"dims": "3"})
    add("lax.lgamma", lambda x: lax.lgamma(x), x={"dims": "5", "low": -9, "high": 9})
    add("lax.digamma", lambda x: lax.digamma(x), x=positive)
    add("lax.polygamma", lambda x: lax.polygamma(np.full(5, 2.0), x), x=positive)
    add("lax.zeta", lambda x: lax.zeta(np.full(5, 2.5), x), x=positive)
    add("lax.igamma in x", lambda x: lax.igamma(np.full(5, 1.5), x), x=positive)
    add("lax.igamma", lambda x, y: lax.igamma(x, y), x=positive, y=positive)
    add("lax.igammac", lambda x, y: lax.igammac(x, y), x=positive, y=positive)
    add("jsp.special.betainc", lambda x: jsp.special.betainc(1.5, 2.5, x), x=unit)
    add("lax.bessel_i0e", lambda x: lax.bessel_i0e(x), x=row)
    add("lax.bessel_i1e", lambda x: lax.bessel_i1e(x), x=row)

    def both(name: str, call: Callable[..., Any], **inputs: Any) -> None:
        """A call of `numpy` or `scipy`, as it is and with JAX's modules of the same names."""
        theirs, twin = _Modules(np, sl, ss), _Modules(jnp, jsp.linalg, jsp.special)
        if len(inputs) == 1:
            add(name, lambda x: call(theirs, x), lambda x: call(twin, x), **inputs)
        else:
            add(name, lambda x, y: call(theirs, x, y), lambda x, y: call(twin, x, y), **inputs)

    both("np.linalg.cholesky", lambda m, x: m.np.linalg.cholesky(x), x=spd)
    both("np.linalg.qr", lambda m, x: m.np.linalg.qr(x)[1], x=tall)
    both("np.linalg.eigvalsh", lambda m, x: m.np.linalg.eigvalsh(x), x=symmetric)
    both("np.linalg.svd", lambda m, x: m.np.linalg.svd(x, compute_uv=False), x=tall)
    both("np.linalg.inv", lambda m, x: m.np.linalg.inv(x), x=square)
    both("np.linalg.det", lambda m, x: m.np.linalg.det(x), x=square)
    both("np.linalg.slogdet", lambda m, x: m.np.linalg.slogdet(x)[1], x=square)
    both("np.linalg.solve", lambda m, x, y: m.np.linalg.solve(x, y), x=square, y=row)
    both("np.linalg.lstsq", lambda m, x, y: m.np.linalg.lstsq(x, y)[0], x=tall, y=row)
    both("np.linalg.pinv", lambda m, x: m.np.linalg.pinv(x), x=tall)
    both("np.linalg.matrix_power", lambda m, x: m.np.linalg.matrix_power(x, -2), x=square)
    both("np.fft.rfft", lambda m, x: m.np.abs(m.np.fft.rfft(x)) ** 2, x=row)
    both("np.fft.fft", lambda m, x: m.np.fft.fft(x).imag, x=row)
    both("np.einsum", lambda m, x, y: m.np.einsum("ij,jk->ki", x, y), x=square, y=tall)
    both("np.convolve", lambda m, x, y: m.np.convolve(x, y), x=row, y={"dims": "3"})
    both("np.trapezoid", lambda m, x, y: m.np.trapezoid(x, y), x=row, y=row)
    both("np.interp", lambda m, x, y: m.np.interp(x, np.arange(5.0), y), x=row, y=row)
    both("np.percentile", lambda m, x: m.np.percentile(x, 30), x=row)
    both("np.median", lambda m, x: m.np.median(x), x={"dims": "4"})
    both("scipy.linalg.expm", lambda m, x: m.linalg.expm(x), x={"dims": "3 3"})
    both("scipy.special.gammaln", lambda m, x: m.special.gammaln(x), x=positive)
    both("scipy.special.i0e", lambda m, x: m.special.i0e(x), x=row)
    both("scipy.special.betainc", lambda m, x: m.special.betainc(1.5, 2.5, x), x=unit)
    return found


class _Modules(NamedTuple):
    np: Any
    linalg: Any
    special: Any


def measured(target: Target, name: str, points: int) -> dict[str, Any]:
    """Verdicts of the right rule and of the one off by 1e-9, and CPU-seconds, over the seeds."""
    import jax

    import backprove as bp

    count = len(target.inputs)

    def pulled(arguments: tuple[Any, ...]) -> Any:
        out, back = jax.vjp(target.twin, *arguments[:count])
        given = arguments[count:]
        found = back(jax.tree.unflatten(jax.tree.structure(out), given))
        return found[0] if count == 1 else found

    def stated(factor: float) -> Any:
        def vjp(*arguments: Any) -> Any:
            found = pulled(arguments)
            return found if factor == 1 else jax.tree.map(lambda x: x * factor, found)

        inputs = {k: bp.array(**v) for k, v in target.inputs.items()}
        return bp.Rule(name, forward=target.forward, vjp=vjp, inputs=inputs)

    row: dict[str, Any] = {"function": name, "right": [], "wrong": [], "seconds": [], "exact": []}
    for seed in SEEDS:
        start = time.process_time()
        report = bp.check(stated(1.0), points=points, dtypes=("float64",), seed=seed)
        row["seconds"].append(round(time.process_time() - start, 2))
        tally = report.properties[0].layers.get("exact")
        row["exact"].append([tally.checked, tally.agreed] if tally else [0, 0])
        row["right"].append(report.verdict)
        row["wrong"].append(bp.check(stated(OFF), points=points, dtypes=("float64",), seed=seed).verdict)
        if report.verdict != "holds":
            row["why"] = (report.properties[0].reason or "")[:200]
    return row


def section(rows: Sequence[Mapping[str, Any]], points: int) -> str:
    """The table as Markdown."""
    lines = [
        f"At {points} points in float64, seeds 0, 1 and 2; of the wrong rule every entry is off by 1e-9 of itself.",
        "",
        "| function | right | wrong | CPU-seconds, first seed | at most, of the others | exact: agreed of looked at |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        exact = ", ".join(f"{agreed}/{checked}" for checked, agreed in r["exact"])
        right, wrong = (", ".join(dict.fromkeys(r[k])) for k in ("right", "wrong"))
        first, *others = r["seconds"]
        lines.append(f"| `{r['function']}` | {right} | {wrong} | {first} | {max(others)} | {exact} |")
    return "\n".join(lines)


def main() -> None:
    import jax.numpy as jnp

    import backprove as bp

    parser = argparse.ArgumentParser(description="costs of what the exact layer reaches")
    parser.add_argument("--only", default="*", help="functions by name (a glob)")
    parser.add_argument("--points", type=int, default=400, help="points for each function")
    parser.add_argument("--state", type=Path, default=ROOT / ".backprove" / "costs.jsonl", help="where rows are kept")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    bp.check(bp.from_call(jnp.sin, np.ones(3)), points=50, dtypes=("float64",))  # start-up counts for no function
    options.state.parent.mkdir(parents=True, exist_ok=True)
    kept = options.state.read_text().splitlines() if options.state.exists() else []
    done = {json.loads(line)["function"] for line in kept}
    with options.state.open("a") as state:
        for name, target in targets().items():
            if name not in done and fnmatch.fnmatchcase(name, options.only):
                row = measured(target, name, options.points)
                print(json.dumps(row), file=state, flush=True)
                print(row, flush=True)
    rows = [json.loads(line) for line in options.state.read_text().splitlines()]
    (ROOT / "docs" / "measurements" / "reach_costs.json").write_text(json.dumps(rows, indent=1) + "\n")
    page = ROOT / "docs" / "reach.md"
    page.write_text(written(page.read_text(), section(rows, options.points), COSTS))


if __name__ == "__main__":
    main()
