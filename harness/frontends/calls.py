"""Code is called here as it is, point by point or in batches, under the contract that every call must keep.

The code must return arrays of the right shapes, leave its arguments alone and give one answer for one input. What it
does wrong is reported per point; whether that is an error of the rule, or only a point outside the domain, is the
caller's to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from backprove.harness.core.arrays import Array, any_entry, at_point, cast, flatten, quiet
from backprove.harness.core.errors import ContractError
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.guard import EndedByCode
from backprove.harness.core.thresholds.called_code import ANOTHER_WAY, SAME_CALL
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.random_draws import two_answers
from backprove.harness.programs.program import Signature

Shapes = Sequence[tuple[int, ...]]

CALLED_TWICE = 3
"""Points of one batch that are called a second time."""
COMPARED = 3
"""Points of one batched call that are also called one by one."""


@dataclass(frozen=True)
class Trouble:
    """What a call did wrong at a point.

    Attributes:
        kind: "raised", "structure" (no arrays of real numbers, or in another structure), "shape", "changed" or
            "two answers".
        text: what happened, in words.
        shapes: shapes of the results, where they are wrong.
        argument: position of the changed argument.
        singular: what was raised says that a matrix is singular, or not positive definite.
        ends: what was raised ends the program that calls the code, as `SystemExit` does.
    """

    kind: str
    text: str
    shapes: tuple[tuple[int, ...], ...] = ()
    argument: int = -1
    singular: bool = False
    ends: bool = False


@dataclass
class Called:
    """Results of calls at many points.

    Attributes:
        values: float64 arrays of shape + points; NaN where the call gave nothing.
        troubles: by point.
        notes: remarks on how the calls were made.
        made: points at which the code was called; 0 where its program was evaluated.
    """

    values: list[Array]
    troubles: dict[int, Trouble] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    made: int = 0


def arguments_at(arrays: Sequence[Array], signature: Signature, point: int) -> list[Array]:
    """The arguments of one call: arrays of the real dtypes without a points axis."""
    return [cast(np.array(at_point(a, point)), dt) for a, (_, dt) in zip(arrays, signature, strict=True)]


def call_points(
    function: Function,
    signature: Signature,
    arrays: Sequence[Array],
    shapes: Shapes,
    dtype: str,
    *,
    skip: Array | None = None,
    batched: bool = False,
    floats_only: bool = False,
) -> Called:
    """Call code at many points.

    Args:
        arrays: arguments, shape + points (or 1); floats as float64.
        shapes: expected shapes of the results.
        dtype: format to which results are rounded; a wider one is accepted.
        skip: points that are not called.
        batched: the code accepts a leading axis of points; where that fails it is called point by point.
        floats_only: results of integers and truth values are left out.
    """
    n = max((a.shape[-1] for a in arrays), default=1)
    todo = np.arange(n) if skip is None else np.flatnonzero(~skip)
    out = Called([np.full((*s, n), np.nan) for s in shapes], made=int(todo.size))
    if batched and todo.size > 1 and _batched(function, signature, arrays, shapes, dtype, todo, floats_only, out):
        return out
    again = set(todo[:: max(1, todo.size // CALLED_TWICE)][:CALLED_TWICE].tolist())
    rows = [_points_first(a, dt, n) for a, (_, dt) in zip(arrays, signature, strict=True)]
    untouched = [r.copy() for r in rows]
    values = [np.full((n, *s), np.nan) for s in shapes]
    with _as_called():
        for i in todo.tolist():
            found = _call(function, [r[i, ...] for r in rows], shapes, floats_only)
            if not isinstance(found, Trouble) and i in again:
                found = [np.array(g) for g in found]  # a view of an argument may change with the next call
                second = _call(function, [r[i, ...].copy() for r in untouched], shapes, floats_only)
                if isinstance(second, Trouble) or not _same(found, second, dtype, SAME_CALL):
                    found = Trouble(
                        "two answers", two_answers(function.label, function.call, [u[i, ...] for u in untouched])
                    )
            if isinstance(found, Trouble):
                out.troubles[i] = found
                continue
            for v, g in zip(values, found, strict=True):
                v[i] = g if g.dtype.itemsize <= 8 and g.dtype.kind != "O" else FORMATS[dtype].round(g)
    for o, v in zip(out.values, values, strict=True):
        o[...] = np.moveaxis(FORMATS[dtype].round(v), 0, -1)
    for k, (r, u) in enumerate(zip(rows, untouched, strict=True)):
        for i in _changed_rows(r, u):
            if i not in out.troubles or out.troubles[i].kind == "two answers":
                out.troubles[i] = Trouble("changed", f"{function.label} changed its argument", argument=k)
                for o in out.values:
                    o[..., i] = np.nan
    return out


def _points_first(a: Array, dtype: str, count: int) -> Array:
    """One argument at all points in its real dtype, points on the first axis, each point contiguous."""
    every = np.broadcast_to(a, (*a.shape[:-1], count))
    return cast(np.array(np.moveaxis(every, -1, 0), order="C"), dtype)


def _changed_rows(now: Array, before: Array) -> list[int]:
    same = now == before
    if now.dtype.kind not in "iub":
        same |= np.isnan(now) & np.isnan(before)
    found: list[int] = np.flatnonzero(~same.reshape(len(now), -1).all(axis=1)).tolist()
    return found


@contextlib.contextmanager
def _as_called() -> Iterator[None]:
    """The settings under which code is called; entered once for many calls."""
    import jax

    with jax.enable_x64(True), quiet():
        yield


def plain_values(
    function: Function, signature: Signature, arrays: Sequence[Array], shapes: Shapes, floats_only: bool = False
) -> list[Array]:
    """Float64 results of many calls without a look at the contract; NaN where a call gives nothing.

    Points with NaN among their inputs are none, and not called.
    """
    import jax

    n = max((a.shape[-1] for a in arrays), default=1)
    out = [np.full((*s, n), np.nan) for s in shapes]
    points = np.flatnonzero(~any_entry([np.isnan(a) for a in arrays if a.dtype.kind == "f"], n))
    with jax.enable_x64(True), quiet():
        for i in points.tolist():
            try:
                got = flatten(function.call(*arguments_at(arrays, signature, i)))
            except Exception:  # outside the domain of the code
                continue
            if floats_only:
                got = [g for g in got if g.dtype.kind not in "iub"]
            if len(got) == len(out):
                for o, g in zip(out, got, strict=True):
                    if g.shape == o.shape[:-1] and _is_real(g):
                        o[..., i] = g
    return out


def _call(function: Function, arguments: list[Array], shapes: Shapes, floats_only: bool) -> list[Array] | Trouble:
    """One call, under `_as_called`; the results may share memory with the arguments."""
    try:
        got = flatten(function.call(*arguments))
    except ContractError as why:
        return Trouble("structure", str(why))
    except Exception as why:
        what = f"{function.label} raised {type(why).__name__}: {why}"
        singular, ends = isinstance(why, np.linalg.LinAlgError), isinstance(why, EndedByCode)
        return Trouble("raised", what, singular=singular, ends=ends)
    if floats_only:
        got = [g for g in got if g.dtype.kind not in "iub"]
    strange = next((g for g in got if not _is_real(g)), None)
    if strange is not None:
        what = "text" if strange.dtype.kind in "US" else f"an array of dtype {strange.dtype}"
        return Trouble("structure", f"{function.label} returned {what} where an array of real numbers was expected")
    found = tuple(g.shape for g in got)
    if found != tuple(shapes):
        return Trouble("shape", f"{function.label} returned shapes {[list(s) for s in found]}", shapes=found)
    return got


def _is_real(a: Array) -> bool:
    """Whether an array holds real numbers; one of objects may."""
    if a.dtype.kind != "O":
        return a.dtype.kind in "iubfV"
    try:
        a.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _same(a: Sequence[Array], b: Sequence[Array], dtype: str, factor: float) -> bool:
    u = FORMATS[dtype].u
    for p, q in zip(a, b, strict=True):
        v, w = np.asarray(p).astype(np.float64), np.asarray(q).astype(np.float64)
        with np.errstate(all="ignore"):
            near = (
                (v == w)
                | (np.isnan(v) & np.isnan(w))
                | (np.abs(v - w) <= factor * u * np.maximum(np.abs(v), np.abs(w)))
            )
        if not near.all():
            return False
    return True


def _batched(
    function: Function,
    signature: Signature,
    arrays: Sequence[Array],
    shapes: Shapes,
    dtype: str,
    todo: Array,
    floats_only: bool,
    out: Called,
) -> bool:
    """One call with a leading axis of points; False where it does not do what single calls do."""
    n = out.values[0].shape[-1] if out.values else 1
    stacked = []
    for a, (_, dt) in zip(arrays, signature, strict=True):
        every = np.broadcast_to(a, (*a.shape[:-1], n))[..., todo]
        stacked.append(cast(np.ascontiguousarray(np.moveaxis(every, -1, 0)), dt))
    before = [a.copy() for a in stacked]
    try:
        got = function.at(*stacked)
    except Exception as why:
        out.notes.append(
            f"{function.label}: the batched call raised {type(why).__name__}; points were called one by one"
        )
        return False
    if floats_only:
        got = [g for g in got if g.dtype.kind not in "iub"]
    changed = any(
        not np.array_equal(a, b, equal_nan=a.dtype.kind not in "iub") for a, b in zip(stacked, before, strict=True)
    )
    if changed or tuple(g.shape for g in got) != tuple((todo.size, *s) for s in shapes):
        out.notes.append(f"{function.label}: the batched call returned other shapes; points were called one by one")
        return False
    values = [np.moveaxis(FORMATS[dtype].round(g), 0, -1) for g in got]
    for k in range(0, todo.size, max(1, todo.size // COMPARED)):
        with _as_called():
            single = _call(function, arguments_at(arrays, signature, int(todo[k])), shapes, floats_only)
        if isinstance(single, Trouble) or not _near([v[..., k] for v in values], single, dtype):
            out.notes.append(f"{function.label}: batched and single calls differ; points were called one by one")
            return False
    for o, v in zip(out.values, values, strict=True):
        o[..., todo] = v
    return True


def _near(a: Sequence[Array], b: Sequence[Array], dtype: str) -> bool:
    """Equal up to rounding at the size of the largest entry."""
    u = FORMATS[dtype].u
    for p, q in zip(a, b, strict=True):
        w = FORMATS[dtype].round(q)
        with np.errstate(all="ignore"):
            size = np.abs(w[np.isfinite(w)]).max(initial=0.0)
            near = (p == w) | (np.isnan(p) & np.isnan(w)) | (np.abs(p - w) <= ANOTHER_WAY * u * size)
        if not near.all():
            return False
    return True
