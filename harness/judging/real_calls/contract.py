"""The contract of code is checked before its numbers are: it leaves its inputs alone and has one answer for
one input.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from backprove.harness.core.arrays import Array, cast, flatten, quiet
from backprove.harness.core.verdicts import Verdict
from backprove.harness.frontends import random_draws
from backprove.harness.frontends.function import Function
from backprove.harness.judging.examination import Examination, Violation
from backprove.harness.programs.program import Signature
from backprove.harness.statements.rule import UnderContract
from backprove.strategies.philox import generator


def two_answers(function: Callable[..., Any], arguments: Sequence[Array]) -> bool:
    """Whether two calls with the same arguments give different bits, shapes or dtypes.

    NaN equals NaN, whatever its payload; -0 differs from +0. Each call gets its own copies of the arguments, so that
    code that writes into them (another violation) is not taken for one that answers twice.

    Args:
        function: code as the user wrote it; returns an array, None, or nested tuples and lists of them.
        arguments: ordinary arrays of the real dtypes.

    Raises:
        Exception: whatever the code raises.
    """
    with quiet():
        first, second = (flatten(function(*(np.array(a) for a in arguments))) for _ in range(2))
    return len(first) != len(second) or not all(_same(a, b) for a, b in zip(first, second, strict=True))


def changed(function: Callable[..., Any], arguments: Sequence[Array]) -> int | None:
    """Position of the first argument that a call writes into; None where it writes into none.

    A trace does not show this: traced arrays are immutable, so `x *= 2` there makes a new array.

    Args:
        function: code as the user wrote it.
        arguments: ordinary arrays of the real dtypes; the call gets copies.

    Raises:
        Exception: whatever the code raises.
    """
    given = [np.array(a) for a in arguments]
    with quiet():
        function(*given)
    return next((k for k, (a, b) in enumerate(zip(arguments, given, strict=True)) if not _same(np.asarray(a), b)), None)


def broken(function: Callable[..., Any], arguments: Sequence[Array]) -> str | None:
    """What of its framework's contract code breaks, in words; None where it keeps to it or knows of none.

    Adapters know such contracts (every subset of inputs that may require grad in torch), see `UnderContract`.

    Args:
        function: code as an adapter made it.
        arguments: ordinary arrays of the real dtypes; the contract gets copies.

    Raises:
        Exception: whatever the code raises.
    """
    if not isinstance(function, UnderContract):
        return None
    with quiet():
        return function.contract(*(np.array(a) for a in arguments))


def violation(function: Function, arguments: Sequence[Array], names: Sequence[str]) -> Violation | None:
    """What code does wrong at a point before its numbers are looked at, as an error; None where nothing.

    Args:
        arguments: ordinary arrays of the real dtypes.
        names: of the arguments.

    Raises:
        Exception: whatever the code raises.
    """
    argument = changed(function.at, arguments)
    if argument is not None:
        what = f"{function.label} changed its argument {names[argument]}"
        return Violation(Verdict.ERROR, what, argument=names[argument])
    if two_answers(function.at, arguments):
        return Violation(Verdict.ERROR, random_draws.two_answers(function.label, function.call, arguments))
    said = broken(function.call, arguments)
    return None if said is None else Violation(Verdict.ERROR, said)


def remarks(
    function: Function, arguments: Sequence[Array], names: Sequence[str], results: Mapping[str, Any]
) -> list[str]:
    """What is no mistake and worth knowing: results that are an argument itself, or narrower than they should be.

    Args:
        arguments: ordinary arrays of the real dtypes; the call gets copies.
        names: of the arguments.
        results: name -> dtype expected of each result.

    Raises:
        Exception: whatever the code raises.
    """
    given = [np.array(a) for a in arguments]
    found = function.at(*given)
    said = []
    for k, ((name, dtype), r) in enumerate(zip(results.items(), found, strict=False)):
        for argument, a in zip(names, given, strict=True):
            if r.size and np.shares_memory(r, a):
                said.append(f"{function.label} returns memory of its argument {argument} for {name}; writing into one "
                            "changes the other")  # fmt: skip
        if _bits(r.dtype) < _bits(dtype):
            said.append(f"{function.label} returns {r.dtype} for {name} where {np.dtype(dtype)} was given")
        elif r.dtype == np.float64 == np.dtype(dtype) and _narrow(function, arguments, k):
            said.append(f"{function.label} gives float32 numbers for {name} where float64 was given: "
                        "something inside is computed in a narrower dtype")  # fmt: skip
    return said


@dataclass
class Watch:
    """Looks at the functions of a claim once per shape, and again for every single point."""

    kept: bool = False

    def violated(
        self,
        pairs: Sequence[tuple[Function, Signature, Sequence[Array]]],
        names: Sequence[str],
        results: Mapping[str, Any],
        seen: Examination,
    ) -> bool:
        """Whether one of the functions breaks the contract; the finding and remarks are entered in `seen`.

        Args:
            pairs: forward and the rule, with their arguments at many points.
            names: of the rule's arguments.
            results: name -> dtype expected of each result of the rule.
        """
        n = seen.outside.size
        if (self.kept and n > 1) or seen.outside.all():
            return False
        self.kept = True
        busy = [np.broadcast_to(a, (*a.shape[:-1], n)).reshape(-1, n) for a in pairs[-1][2]]
        filled = np.concatenate([a != 0 for a in busy]).sum(axis=0) * ~seen.outside
        i = int(np.argmax(filled))
        for function, signature, arrays in pairs:
            point = [cast(a[..., i % a.shape[-1]], dt) for a, (_, dt) in zip(arrays, signature, strict=True)]
            found = None
            with contextlib.suppress(Exception):  # what raises is reported by the layer that calls
                found = violation(function, point, names)
                if found is None and function is pairs[-1][0]:
                    for text in remarks(function, point, names, results):
                        seen.remark(text)
            if found is not None:
                self.kept = False
                seen.violations[i] = found
                return True
        return False


def _narrow(function: Function, arguments: Sequence[Array], which: int) -> bool:
    """Whether a result holds numbers of float32 alone, at two points whose own numbers need float64.

    Every entry is moved by a factor of its own, so that nothing cancels in a quotient or a difference; entries that
    are the same at both points, such as 1/2 or the sign of an input, would be numbers of float32 in any case.
    """
    rng, seen = generator("narrow"), []
    for _ in range(2):
        fine = [_moved(np.array(a), rng) for a in arguments]
        seen.append(np.asarray(function.at(*fine)[which]).astype(np.float64))
    first, second = seen
    if first.shape != second.shape:
        return False
    told = np.isfinite(first) & np.isfinite(second) & (first != second)
    with np.errstate(all="ignore"):
        return bool(told.any() and all((r[told] == r[told].astype(np.float32)).all() for r in seen))


def _moved(a: Array, rng: np.random.Generator) -> Array:
    """Floats made smaller by 2**-13 to 2**-12 of themselves, each by another part; the rest as it is."""
    return a * (1 - 2.0**-12 * (0.5 + rng.random(a.shape) / 2)) if a.dtype == np.float64 else a


def _bits(dtype: Any) -> int:
    """Bits of the significand; integers, which are exact, have many."""
    d = np.dtype(dtype)
    return 64 if d.kind in "iubO" else int(ml_dtypes.finfo(d).nmant)


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "biuO":
        return bool(np.all(a == b))
    x, y = a.astype(np.float64), b.astype(np.float64)  # exact for every format under test
    both_nan = np.isnan(x) & np.isnan(y)
    return bool(np.all(both_nan | ((x == y) & (np.signbit(x) == np.signbit(y)))))
