"""In which region of its domain a point lies, for reports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.dtypes import FORMATS
from backprove.strategies.domain import NEIGHBOURS, float_domain, neighbours
from backprove.strategies.kinds import is_plain
from backprove.strategies.shapes import Specs

REGIONS = ("ordinary", "zero", "tie", "saturated", "large", "kink", "tiny", "extreme")
"""Names of the region codes 0 to 7."""

SATURATED_FROM = 20.0
LARGE_FROM = 1000.0
TINY_UP_TO = 1e-3


def regions(
    specs: Specs, arrays: tuple[NDArray[Any], ...], dtype: str, specials: Iterable[float] = ()
) -> NDArray[np.uint8]:
    """Region code of each point; arrays have the points on the last axis.

    Where several apply, the first of: extreme (beyond the default range), tie (equal entries, or two inputs equal
    somewhere), zero, kink (within 4 floats of a constant in `specials`), large (above 1000), saturated (above 20), tiny
    (below 1e-3), ordinary. Only free float inputs count.
    """
    count = arrays[0].shape[-1] if arrays else 1
    code = np.zeros(count, dtype=np.uint8)
    plain = [
        (s, a.reshape((math.prod(a.shape[:-1]), count)))
        for s, a in zip(specs.values(), arrays, strict=True)
        if is_plain(s) and a.size
    ]
    found: dict[str, NDArray[np.bool_]] = {name: np.zeros(count, dtype=bool) for name in REGIONS}
    fmt = FORMATS[dtype]
    bands = [sorted(neighbours(c, fmt, NEIGHBOURS)) for c in dict.fromkeys(specials) if c and abs(c) <= fmt.max]
    for k, (spec, x) in enumerate(plain):
        usual = float_domain(spec, dtype)
        size = np.abs(x)
        most, least = size.max(axis=0), size.min(axis=0)
        found["extreme"] |= (x.min(axis=0) < usual.low) | (x.max(axis=0) > usual.high)
        found["zero"] |= least == 0
        found["large"] |= most > LARGE_FROM
        found["saturated"] |= most > SATURATED_FROM
        found["tiny"] |= least < TINY_UP_TO
        for band in bands:
            found["kink"] |= ((x >= band[0]) & (x <= band[-1])).any(axis=0)
        ordered = np.sort(x, axis=0)
        found["tie"] |= (ordered[1:] == ordered[:-1]).any(axis=0)
        for _, y in plain[:k]:
            if x.shape == y.shape:
                found["tie"] |= (x == y).any(axis=0)
    for name in ("tiny", "saturated", "large", "kink", "zero", "tie", "extreme"):
        code[found[name]] = REGIONS.index(name)
    return code
