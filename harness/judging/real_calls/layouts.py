"""Layouts of memory are tried in which code may meet its arguments: transposed, strided, reversed, expanded, read-only.

The layers call code with fresh contiguous arrays alone. In use the cotangent of a transposition is transposed and that
of a sum is one number with stride 0; a rule that raises then, or answers otherwise, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, cast
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.thresholds.called_code import AMPLIFIED, CALLED, PERTURBED
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends.function import Function
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.judging.real_calls.jit_and_vmap import shortened
from backprove.harness.programs.program import Signature
from backprove.harness.statements.rule import UnderContract
from backprove.strategies.philox import generator


def transposed(a: Array) -> Array:
    """The last two axes are swapped in memory."""
    return np.swapaxes(np.array(np.swapaxes(a, -1, -2), order="C"), -1, -2)


def fortran_ordered(a: Array) -> Array:
    """The first axis is contiguous."""
    return np.array(a, order="F")


def strided(a: Array) -> Array:
    """Every other entry of an array that is twice as long."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def reversed_in_memory(a: Array) -> Array:
    """Strides are negative."""
    back = (slice(None, None, -1),) * a.ndim
    return np.array(a[back], order="C")[back]


def expanded(a: Array) -> Array:
    """One number with stride 0: the largest."""
    flat = a.reshape(-1)
    return np.broadcast_to(flat[np.argmax(np.abs(flat.astype(np.float64)))], a.shape)


def read_only(a: Array) -> Array:
    """Contiguous, and not to be written into."""
    out = np.array(a, order="C")
    out.flags.writeable = False
    return out


LAYOUTS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "transposed": (transposed, 2),
    "Fortran-ordered": (fortran_ordered, 3),
    "strided": (strided, 1),
    "reversed": (reversed_in_memory, 1),
    "expanded (stride 0)": (expanded, 1),
    "read-only": (read_only, 1),
}
"""Name -> how it is made, and the least number of axes for which it is another layout than those before it."""


@dataclass
class Layouts:
    """Calls the functions of one claim with arguments in every layout, once for each signature.

    What forward does not take of an input, no rule need take: such layouts are left out, in NumPy code for cotangents
    and tangents too. In torch the user has no say in the layout of a cotangent.

    Attributes:
        done: functions and signatures that were called so.
        failed: something differed; every single point is tried then, so that it can be made smaller.
    """

    done: set[tuple[str, Signature]] = field(default_factory=set)
    failed: bool = False

    def violated(
        self, triples: Sequence[tuple[Function, Signature, Sequence[Array]]], names: Sequence[str], seen: Examination
    ) -> bool:
        """Whether a function answers differently by layout; the violation is entered in `seen`.

        Args:
            triples: functions with their arguments at many points, the rule last.
            names: of the rule's arguments, the inputs first.
        """
        n = seen.outside.size
        if seen.outside.all() or all((f.label, s) in self.done and not (self.failed and n == 1) for f, s, _ in triples):
            return False
        i = busiest(triples[-1][2], seen)
        refused: set[tuple[str, str]] = set()
        for function, signature, arrays in triples:
            self.done.add((function.label, signature))
            point = [cast(np.array(a[..., i % a.shape[-1]]), dt) for a, (_, dt) in zip(arrays, signature, strict=True)]
            is_rule = function is triples[-1][0]
            seen.called("layouts", sum(a.ndim >= axes and a.size > 1 for a in point for _, axes in LAYOUTS.values()))
            strict = isinstance(function.call, UnderContract)
            for layout, k, said, raised in _differing(function, point, names):
                if is_rule and ((layout, names[k]) in refused or (not strict and layout in {r for r, _ in refused})):
                    continue
                if raised and not is_rule:
                    refused.add((layout, names[k]))
                    continue
                self.failed = True
                seen.violations[i] = Violation(Verdict.ERROR, f"{function.label} {said}", argument=names[k])
                return True
        return False


def busiest(arrays: Sequence[Array], seen: Examination) -> int:
    """The point, of those inside, with the most entries that are not zero."""
    n = seen.outside.size
    every = [np.broadcast_to(a, (*a.shape[:-1], n)).reshape(-1, n) for a in arrays]
    return int(np.argmax(np.concatenate([a != 0 for a in every]).sum(axis=0) * ~seen.outside))


def _differing(
    function: Function, point: Sequence[Array], names: Sequence[str]
) -> Iterator[tuple[str, int, str, bool]]:
    """Layouts and arguments for which calls raise or answer differently: with words, and whether they raise."""
    plain: dict[tuple[int, bool], list[Array] | None] = {}
    for k, a in enumerate(point):
        for layout, (make, axes) in LAYOUTS.items():
            if a.ndim < axes or a.size < 2:
                continue
            other = make(a)
            contiguous = np.array(other, order="C")
            key = (k, layout.startswith("expanded"))
            if key not in plain:
                plain[key] = _called(function, [*point[:k], contiguous, *point[k + 1 :]])
            expected = plain[key]
            if expected is None or (key[1] and not all(np.isfinite(e.astype(np.float64)).all() for e in expected)):
                continue  # outside the domain of the code, as a matrix of equal entries may be, or for other checks
            given = [*(np.array(b) for b in point[:k]), other, *(np.array(b) for b in point[k + 1 :])]
            article = "an" if layout[0] == "e" else "a"
            try:
                found = function.at(*given)
            except Exception as why:
                text = (str(why).strip().splitlines() or [""])[0][:200]
                yield layout, k, f"raises {type(why).__name__} for {article} {layout} {names[k]}: {text}", True
                continue
            if not _same(found, expected, function, [*point[:k], contiguous, *point[k + 1 :]]):
                values = f"{shortened(found)} instead of {shortened(expected)}"
                yield layout, k, f"gives other values for {article} {layout} {names[k]}: {values}", False


def _called(function: Function, arguments: Sequence[Array]) -> list[Array] | None:
    try:
        found = [np.array(r) for r in function.at(*(np.array(a, order="C") for a in arguments))]
    except Exception:
        return None
    return found if all(r.dtype.kind in "iubfV" for r in found) else None


def _same(found: Sequence[Array], expected: Sequence[Array], function: Function, arguments: Sequence[Array]) -> bool:
    """Equal up to the order of sums, which the layout decides.

    Args:
        function, arguments: whose call with contiguous arguments gave `expected`.
    """
    if [f.shape for f in found] != [e.shape for e in expected]:
        return False
    if all(f.tobytes() == e.tobytes() for f, e in zip(found, expected, strict=True)):
        return True
    for f, e, more in zip(found, expected, _noise(function, arguments), strict=True):
        v, w = f.astype(np.float64), e.astype(np.float64)
        with np.errstate(all="ignore"):
            size = np.abs(w[np.isfinite(w)]).max(initial=0.0)
            share = CALLED.get(str(e.dtype), 0.0)
            near = (v == w) | (np.isnan(v) & np.isnan(w)) | (np.abs(v - w) <= share * size + more)
        if not near.all():
            return False
    return True


def _noise(function: Function, arguments: Sequence[Array]) -> list[Any]:
    """How far results move when all inputs are moved by an ulp or two, many times over; 0 where they cannot be had.

    An entry that came back to where it was each time moves as far as others of its array do: the distance of equal
    entries from their mean is a rounding of either sign, or none.
    """
    first = _called(function, arguments)
    if first is None:
        return []
    rng, out = generator("layouts"), [np.zeros(r.shape) for r in first]
    for _ in range(PERTURBED):
        moved = [
            (a * (1 + 2 * FORMATS[str(a.dtype)].u * rng.choice([-1.0, 1.0], a.shape))).astype(a.dtype)
            if str(a.dtype) in FORMATS
            else a
            for a in arguments
        ]
        other = _called(function, moved)
        if other is not None and [r.shape for r in other] == [r.shape for r in first]:
            with np.errstate(all="ignore"):
                far = [np.abs(p.astype(np.float64) - q.astype(np.float64)) for p, q in zip(other, first, strict=True)]
                out = [np.fmax(o, np.where(np.isfinite(f), AMPLIFIED * f, 0.0)) for o, f in zip(out, far, strict=True)]
    return [np.where(o > 0, o, np.median(o[o > 0])) if (o > 0).any() else o for o in out]
