"""`Inside` gives points of the stated domain at which code is called to learn what it returns.

inside = Inside({"x": array("n", low=2, high=9)})
next(inside((((3,), "float64"),)))          [array([5., 2.8, 3.9])]: three numbers from 2 to 9, in float64
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import quiet
from backprove.harness.core.errors import UsageError
from backprove.harness.core.formats import FORMATS
from backprove.strategies.generic import draw
from backprove.strategies.shapes import Sizes, Specs
from backprove.strategies.values import draw_points

GENERIC, DRAWN = 4, 12
"""Points tried at most: of ordinary size without ties, then from the mixture that the claims are judged at."""

Signature = tuple[tuple[tuple[int, ...], str], ...]


@dataclass(frozen=True)
class Inside:
    """Points of the domain of one rule or theorem.

    Attributes:
        specs: the inputs, in order.
        where: domain condition over several inputs.
    """

    specs: Specs
    where: Callable[..., Any] | None = None

    def __call__(self, signature: Signature) -> Iterator[list[NDArray[Any]]]:
        """Arguments of calls, without a points axis, of ordinary points first.

        Args:
            signature: shape and dtype of the inputs, then of any directions, which are ones.
        """
        n = len(self.specs)
        further = [np.ones(shape) for shape, _ in signature[n:]]
        for arrays in self._admitted([shape for shape, _ in signature[:n]]):
            yield [_real(a, dtype) for a, (_, dtype) in zip([*arrays, *further], signature, strict=True)]

    def _admitted(self, shapes: list[tuple[int, ...]]) -> Iterator[list[NDArray[Any]]]:
        """Points that satisfy the condition; where none of those tried does, those that do not."""
        refused = []
        for arrays in self._points(sizes_at(self.specs, shapes)):
            if self._admits(arrays):
                yield arrays
            else:
                refused.append(arrays)
        if len(refused) == GENERIC + DRAWN:
            yield from refused

    def _points(self, sizes: Sizes) -> Iterator[list[NDArray[Any]]]:
        for seed in range(GENERIC):
            with contextlib.suppress(ValueError):  # no generic point has these sizes
                yield draw(dict(self.specs), dict(sizes), seed)
        with contextlib.suppress(UsageError):
            drawn = draw_points(self.specs, sizes, "float64", DRAWN, 0, "inside")
            for k in range(drawn.count):
                yield list(drawn.point(k))

    def _admits(self, arrays: list[NDArray[Any]]) -> bool:
        if self.where is None:
            return True
        with quiet(), contextlib.suppress(Exception):  # what the condition raises is the judge's to say
            return bool(np.all(self.where(*(a.copy() for a in arrays))))
        return True


def _real(a: NDArray[Any], dtype: str) -> NDArray[Any]:
    """A copy in the dtype of the argument; integers keep the dtype in which points are stored."""
    if dtype in FORMATS:
        return np.array(a, dtype=FORMATS[dtype].numpy)
    return np.array(a, dtype=bool if dtype == "bool" else np.int64)


def sizes_at(specs: Specs, shapes: list[tuple[int, ...]]) -> Sizes:
    """Sizes of the names from the shapes of all inputs, which fit."""
    sizes: Sizes = {}
    for spec, shape in zip(specs.values(), shapes, strict=True):
        at, more = 0, len(shape) - sum(not _is_star(d) for d in spec.dims)
        for d in spec.dims:
            if _is_star(d):
                sizes[str(d).lstrip("*")] = shape[at : at + more]
            elif isinstance(d, str):
                sizes[d] = shape[at]
            at += more if _is_star(d) else 1
    return sizes


def _is_star(d: int | str) -> bool:
    return isinstance(d, str) and d.startswith("*")
