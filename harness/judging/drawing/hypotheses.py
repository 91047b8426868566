"""Hypotheses over several inputs (`where`) are decided here for many points at once.

The code of `where` sees one point. Where it can be traced, it is evaluated for all points at once with bounds on its
rounding errors, and called only where these leave the answer open; else it is called point by point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.cache import Cache
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.black_box import BLACK_BOX
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.numpy_trace.array import ASSUMED, Assumption
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.programs.program import Program, Signature, inner_programs
from backprove.strategies.points import Points

Flags = NDArray[np.bool_]

_ADMITTED: WeakKeyDictionary[Points, tuple[Callable[..., Any], Flags]] = WeakKeyDictionary()
"""What was last asked of points, and the answer: the claims of a theorem ask the same of the same draws."""
FEW = 16
"""So few points are looked at one by one: a trace costs more."""
COMPARED = 4
"""Points of every batch at which the trace is held against the code."""


def hypotheses(where: Callable[..., Any] | None, cache: Cache | None = None) -> Hypotheses:
    """The hypotheses `where`; traces are kept in `cache`, or with the function where there is none."""
    if cache is None and where is not None:
        try:
            return _shared(where)
        except TypeError:  # a callable without a hash
            return Hypotheses(where)
    return Hypotheses(where, cache)


@lru_cache(maxsize=64)
def _shared(where: Callable[..., Any]) -> Hypotheses:
    return Hypotheses(where)


@dataclass
class Hypotheses:
    """A function of one point (arrays without a points axis, floats as float64) that says whether it is admitted.

    Attributes:
        where: the function; None admits all points.
        cache: keeps traces from run to run.
    """

    where: Callable[..., Any] | None
    cache: Cache | None = None
    _paths: list[_Path] = field(init=False)

    def __post_init__(self) -> None:
        self._paths = [] if self.where is None else [_Path.of(self.where, a, self.cache) for a in (True, False)]

    def admit(self, points: Points) -> Flags:
        """Per point, whether it is admitted; not to be written, since claims of one theorem have points in common.

        Raises:
            Exception: whatever `where` raises.
        """
        if self.where is None:
            return np.ones(points.count, dtype=bool)
        where, keep = _ADMITTED.get(points, (None, None))
        if keep is None or where is not self.where:
            keep = self._admit(points)
            keep.flags.writeable = False
            _ADMITTED[points] = self.where, keep
        return keep

    def _admit(self, points: Points) -> Flags:
        keep = np.ones(points.count, dtype=bool)
        left = np.arange(points.count)
        for path in self._paths:
            if len(left) > FEW:
                some = points if len(left) == points.count else points.take(left)
                admitted, refused = path.settle(some)
                settled = np.flatnonzero(admitted | refused)
                for k in settled[:: max(1, len(settled) // COMPARED)][:COMPARED].tolist():
                    if self._call(some, k) != admitted[k]:
                        path.give_up()
                        break
                else:
                    keep[left] = admitted
                    left = left[~(admitted | refused)]
        for k in left.tolist():
            keep[k] = self._call(points, k)
        return keep

    def _call(self, points: Points, k: int) -> bool:
        assert self.where is not None
        return bool(np.all(self.where(*points.point(k))))


@dataclass
class _Path:
    """What the code does where every truth value that it asks for is `answer`."""

    answer: bool
    function: Function

    @staticmethod
    def of(where: Callable[..., Any], answer: bool, cache: Cache | None) -> _Path:
        def asked_and_result(*inputs: Any) -> Any:
            assumption = Assumption(answer)
            token = ASSUMED.set(assumption)
            try:
                result = where(*inputs)
            finally:
                ASSUMED.reset(token)
            if isinstance(result, (list, tuple, dict)):
                raise TypeError("where returned several values")
            return [*assumption.asked, result]

        return _Path(answer, Function(asked_and_result, "where", cache=cache, key=f"where {answer}"))

    def give_up(self) -> None:
        """The trace is not what the code computes."""
        self.function.restrict(BLACK_BOX)

    def settle(self, points: Points) -> tuple[Flags, Flags]:
        """Per point, whether it is certainly admitted, and whether it is certainly not."""
        none = np.zeros(points.count, dtype=bool)
        signature: Signature = tuple((s, str(a.dtype)) for s, a in zip(points.shapes, points.arrays, strict=True))
        program = self.function.program(signature)
        if program is None or not _wide(program):
            return none, none
        try:
            in_jax = self.function.front_end(signature).is_jax_code
            inputs = [_in_jax(a) for a in points.arrays] if in_jax else points.arrays
            *asked, result = _truths(program, inputs, points.count)
        except UnsupportedPrimitive:
            return none, none
        here = ~none
        for true, false in asked:
            here &= true if self.answer else false
        return here & result[0], here & result[1]


def _wide(program: Program) -> bool:
    """Whether all floats are float32 or float64, as the bounds take them to be."""
    return all(
        all(v.dtype not in FORMATS or v.dtype in ("float32", "float64") for v in (*e.inputs, *e.outputs))
        and all(map(_wide, inner_programs(e)))
        for e in program.equations
    )


def _in_jax(a: NDArray[Any]) -> NDArray[Any] | Bounded:
    """An input as JAX code sees it when it is called: rounded to float32."""
    if a.dtype != np.float64:
        return a
    with np.errstate(over="ignore"):
        return Bounded(a, np.abs(a - a.astype(np.float32)))


def _truths(program: Program, inputs: Sequence[Any], count: int) -> Sequence[tuple[Flags, Flags]]:
    """Of every output, the points where all its entries are certainly true, and those where one certainly is false."""
    out = []
    # charged as if in float32: more than any order of evaluation costs, and no numbers wider than float64 are needed
    for b in Running("float32", widening_ignored=True).run(program, inputs):
        size = np.abs(b.v).reshape((-1, b.v.shape[-1]))
        e = b.e.reshape(size.shape)
        true, false = (size > e).all(axis=0), ((size == 0) & (e == 0)).any(axis=0)
        wide = np.ones(count, dtype=bool)
        out.append((true & wide, false & wide))
    return out
