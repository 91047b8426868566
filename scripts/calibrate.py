"""Measure how far elementary functions of each backend stray from the exact value, in ulps.

Writes `rounding_constants.json`, from which the running error bound takes its constants. The exact values are balls of
python-flint; the 16-bit formats are measured at all their normal numbers, the others at a sample.

Usage: python scripts/calibrate.py [--backend xla-cpu numpy] [--only NAME ...] [--points N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flint
import jax
import numpy as np
from flint import arb
from jax import lax
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.bounds.constants import DATA, from_ulp
from backprove.harness.numbers.elementary.row import Elementary, Growth
from backprove.harness.numbers.elementary.table import ROWS, having
from backprove.harness.numbers.floats.floats import Floats

SEED = 20240229
PRECISIONS = (160, 640, 2560)
"""Bits tried in turn until the ball is accurate: arguments of 1e300 reduced modulo pi need more than a thousand."""

BENIGN = 2.0
"""Relative condition number up to which all of the error is charged to k."""

UNEXPLAINED = 16.0
"""Largest relative error (units of u) that k alone describes; beyond it kappa is tried."""

SMALLEST = 4.0
"""Results below this multiple of the smallest normal number are not measured: there intermediate results underflow."""

KAPPAS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True)
class Function:
    """A primitive: the JAX function, its exact value, and the arguments at which it is defined."""

    name: str
    jax: Callable[..., Any]
    exact: Callable[..., arb]
    domain: Callable[..., Array]
    arguments: int = 1


def _atan2(y: arb, x: arb) -> arb:
    return arb.atan2(y, x)


def _rem(a: arb, b: arb) -> arb:
    return (abs(a) - (abs(a) / abs(b)).floor() * abs(b)) * a.sgn()


def of_row(row: Elementary) -> Function:
    """An elementary function; its name is that of JAX's function too."""
    return Function(row.name, getattr(lax, row.name), row.enclosure, row.domain.contains)


TABLE = (
    *(of_row(row) for row in having("growth").values() if not row.exact),
    Function("pow", lax.pow, lambda x, y: x**y, lambda x, y: x > 0, 2),
    Function("atan2", lax.atan2, _atan2, lambda y, x: (x != 0) | (y != 0), 2),
    Function("rem", lax.rem, _rem, lambda a, b: (b != 0) & (np.abs(a) / 1e30 < np.abs(b)), 2),
)


def sample(fmt: FloatFormat, points: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Zero and normal numbers of the format: all of them for 16 bits, else a mixture of scales."""
    if fmt.numpy.itemsize == 2:
        x = np.arange(2**16, dtype=np.uint16).view(fmt.numpy).astype(np.float64)
    else:
        low, high = np.log10(fmt.tiny), np.log10(fmt.max)
        n = points // 6
        sign = rng.choice([-1.0, 1.0], 3 * n)
        special = [0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, np.nextafter(1.0, 0), fmt.max, -fmt.max, fmt.tiny, -fmt.tiny]
        x = np.concatenate(
            [
                special,
                rng.normal(0, 3, n),
                sign[:n] * 10 ** rng.uniform(low, high, n),
                sign[n : 2 * n] * 10 ** rng.uniform(-8, 3, n),
                1 + sign[2 * n :] * 10 ** rng.uniform(-16, 0, n),
                rng.uniform(-1, 1, n),
                rng.uniform(-1.06, 1.06, n) * np.log(fmt.max),
            ]
        )
        x = fmt.round(x)
    x = x[np.isfinite(x) & ((np.abs(x) >= fmt.tiny) | (x == 0))]
    return np.unique(x + 0.0)


def arguments(function: Function, fmt: FloatFormat, points: int, rng: np.random.Generator) -> list[Array]:
    """The points at which a function is measured, one array per argument."""
    xs = [sample(fmt, points, rng)]
    for _ in range(function.arguments - 1):
        xs.append(sample(fmt, points, rng))
    if function.arguments == 2:
        n = min(points, *(len(x) for x in xs))
        xs = [rng.choice(x, n) for x in xs]
        near = slice(0, n // 2)
        # half of the pairs of moderate size: most others over- or underflow
        xs = [np.where(np.arange(n) < near.stop, fmt.round(rng.lognormal(0, 2, n) * np.sign(x)), x) for x in xs]
    keep = function.domain(*xs)
    return [x[keep] for x in xs]


def exact_values(function: Function, xs: Sequence[Array], fmt: FloatFormat) -> tuple[Array, Array]:
    """The exact values as unevaluated sums of two float64 numbers (NaN: not a normal number of the format)."""
    head, tail = np.full(xs[0].shape, np.nan), np.zeros(xs[0].shape)
    smallest, largest = SMALLEST * fmt.tiny, arb(fmt.max) * (1 + arb(fmt.u) / 2)
    for i, point in enumerate(zip(*xs, strict=True)):
        args = [arb(float(p)) for p in point]
        for bits in PRECISIONS:
            flint.ctx.prec = bits
            value = function.exact(*args)
            accurate = value.is_finite() and (value.is_exact() or value.rel_accuracy_bits() > 100)
            if accurate or abs(value) < smallest or abs(value) > largest:
                break
        if not accurate or not (value == 0 or (abs(value) >= smallest and abs(value) <= largest)):
            continue
        head[i] = np.clip(float(value.mid()), -np.finfo(np.float64).max, np.finfo(np.float64).max)
        tail[i] = float((value - arb(head[i])).mid())
    return head, tail


def relative_error(got: Array, head: Array, tail: Array, fmt: FloatFormat) -> tuple[Array, Array]:
    """|got - exact| in ulps of the exact value and in units of u |exact|; infinite where got must be finite."""
    with np.errstate(all="ignore"):
        difference = np.abs((got - head) - tail)
        zero = head == 0
        ulps = np.where(zero, np.where(got == 0, 0.0, np.inf), difference / fmt.ulp(head))
        units = np.where(zero, ulps, difference / np.abs(head) / fmt.u)
        # a result that overflows in the last half ulp below the largest number is right
        wrong = ~np.isfinite(got) & (np.abs(head) < fmt.max)
        ignored = np.isnan(head) | (~np.isfinite(got) & ~wrong)
    ulps, units = (np.where(ignored, 0.0, np.where(wrong, np.inf, x)) for x in (ulps, units))
    return ulps, units


def condition_fit(
    growth: Growth, x: Array, head: Array, ulps: Array, units: Array, fmt: FloatFormat
) -> tuple[float, float]:
    """`(ulp, kappa)`: the smallest kappa in the list that explains what the well-conditioned points do not."""
    u = fmt.u
    with np.errstate(all="ignore"):
        condition = growth(x, 1e-9 * np.abs(x)) / (1e-9 * np.abs(head))
        benign = ~(condition > BENIGN)
        ulp = float(np.max(ulps[benign], initial=0.5))
        excess = (units - from_ulp(ulp)) * u * np.abs(head)
        for kappa in KAPPAS:
            if not np.any(excess > growth(x, kappa * u * np.abs(x))):
                return ulp, kappa
    return float(np.max(ulps)), 0.0


def measure(function: Function, dtype: str, run: Callable[..., Array], points: int) -> dict[str, Any]:
    """The record of one function, format and backend."""
    fmt = FORMATS[dtype]
    rng = np.random.default_rng([SEED, len(function.name), *function.name.encode()])
    xs = arguments(function, fmt, points, rng)
    head, tail = exact_values(function, xs, fmt)
    ulps, units = relative_error(run(function, xs, dtype), head, tail, fmt)
    if fmt.numpy.itemsize > 2:  # look again around the worst points
        peaks = np.argsort(ulps)[-20:]
        more = [fmt.round(x[peaks, None] * rng.normal(1, 1e-3, (20, points // 100))).ravel() for x in xs]
        keep = function.domain(*more) & np.all(np.isfinite(more), axis=0)
        more = [x[keep] for x in more]
        head2, tail2 = exact_values(function, more, fmt)
        ulps2, units2 = relative_error(run(function, more, dtype), head2, tail2, fmt)
        xs = [np.concatenate(pair) for pair in zip(xs, more, strict=True)]
        head, ulps, units = (np.concatenate(p) for p in ((head, head2), (ulps, ulps2), (units, units2)))
    worst = int(np.argmax(ulps))
    ulp, kappa = float(ulps[worst]), 0.0
    if units.max() > UNEXPLAINED and function.arguments == 1 and np.isfinite(ulp):
        growth = ROWS[function.name].growth
        assert growth is not None
        ulp, kappa = condition_fit(growth, xs[0], head, ulps, units, fmt)
    return {
        "ulp": _number(ulp),
        "kappa": kappa,
        "worst_ulp": _number(float(ulps[worst])),
        "at": [float(x[worst]).hex() for x in xs],
        "points": int(np.count_nonzero(~np.isnan(head))),
    }


def _number(x: float) -> float:
    return float(f"{x:.4g}")


def run_xla(function: Function, xs: Sequence[Array], dtype: str) -> Array:
    """The compiled function on JAX's default device."""
    with jax.enable_x64(True):
        arrays = [jax.numpy.asarray(x.astype(FORMATS[dtype].numpy)) for x in xs]
        return np.asarray(jax.jit(function.jax)(*arrays)).astype(np.float64)


def run_numpy(function: Function, xs: Sequence[Array], dtype: str) -> Array:
    """The function as the NumPy number system evaluates it."""
    program = trace(function.jax, *[((), dtype)] * len(xs))
    return Floats().run(program, xs)[0]


def backends() -> dict[str, tuple[Callable[..., Array], str]]:
    """Name -> (runner, version)."""
    xla = f"xla-{jax.default_backend()}"
    return {xla: (run_xla, f"jax {jax.__version__}"), "numpy": (run_numpy, f"numpy {np.__version__}")}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = backends()
    parser.add_argument("--backend", nargs="+", default=list(known), choices=list(known))
    names = [function.name for function in TABLE]
    parser.add_argument("--only", nargs="+", default=names, choices=names, help="keep the other records as they are")
    parser.add_argument(
        "--points", type=int, help="per function, for the formats of 32 and 64 bits (default: as recorded, else 20000)"
    )
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args(arguments)
    data: dict[str, Any] = {"schema": 1, "backends": {}}
    if options.out.exists():
        data = json.loads(options.out.read_text())
    for name in options.backend:
        run, version = known[name]
        recorded = data["backends"].get(name, {})
        old, points = recorded.get("formats", {}), options.points or recorded.get("points", 20_000)
        formats: dict[str, dict[str, Any]] = {}
        for dtype in FORMATS:
            formats[dtype] = {n: r for n, r in old.get(dtype, {}).items() if n in names and n not in options.only}
            for function in TABLE:
                if function.name not in options.only:
                    continue
                record = measure(function, dtype, run, points)
                formats[dtype][function.name] = record
                print(f"{name} {dtype} {function.name}: {record}", file=sys.stderr)
        data["backends"][name] = {"version": version, "points": points, "seed": SEED, "formats": formats}
        options.out.write_text(json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
