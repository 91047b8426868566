"""Rounding constants say how far each float primitive strays from the correctly rounded result, per format and
backend.

The numbers stand in `rounding_constants.json`, which `scripts/calibrate.py` writes. The computed value of f at x is
taken to lie within `k u |f(x)|` of f at some point within `kappa u |x|` of x: `kappa` is 0 except where an
implementation rounds its argument (sinh and cosh as exp(x - log 2)), where the error grows with the condition number.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backprove.harness.core.errors import UsageError
from backprove.harness.core.thresholds.rounding import CORRECTLY_ROUNDED, DOUBLE_ROUNDING_K

DATA = Path(__file__).with_name("rounding_constants.json")

BASIC = frozenset({"float64", "float32"})


@dataclass(frozen=True)
class RoundingConstant:
    """`k` and `kappa` in units of the unit roundoff u; see the module's description."""

    k: float
    kappa: float = 0.0


def measurements(path: Path = DATA) -> dict[str, Any]:
    """The recorded measurements: backend -> {"version", "points", "seed", "formats": {format: {primitive: record}}}.

    A record holds `ulp` (largest error beyond what `kappa` explains), `kappa`, `worst_ulp` (largest error of all) and
    `at` (hexadecimal argument there).

    Raises:
        UsageError: if the file is missing or of another schema.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: write it with scripts/calibrate.py") from None
    if data.get("schema") != 1:
        raise UsageError(f"{path}: expected schema 1, got {data.get('schema')!r}; write it with scripts/calibrate.py")
    backends: dict[str, Any] = data["backends"]
    return backends


def from_ulp(ulp: float) -> float:
    """`k` for a largest error of `ulp` ulps: an ulp is up to 2 u |f|; rounded up to an integer."""
    return DOUBLE_ROUNDING_K if ulp <= CORRECTLY_ROUNDED else float(math.ceil(2 * ulp))


@functools.cache
def constants(dtype: str) -> dict[str, RoundingConstant]:
    """The constants of one format by primitive, the worst over all recorded backends."""
    out: dict[str, RoundingConstant] = {}
    for backend in measurements().values():
        for name, record in backend["formats"].get(dtype, {}).items():
            old = out.get(name, RoundingConstant(0.0))
            out[name] = RoundingConstant(max(old.k, from_ulp(record["ulp"])), max(old.kappa, record["kappa"]))
    return out


def rounding_constant(dtype: str, primitive: str) -> RoundingConstant:
    """The constants of one primitive; what was not measured is arithmetic, which IEEE 754 rounds correctly.

    bfloat16 and float16 are computed in float32 and rounded again, hence the head-room there.
    """
    return constants(dtype).get(primitive, RoundingConstant(1.0 if dtype in BASIC else DOUBLE_ROUNDING_K))
