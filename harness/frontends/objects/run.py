"""This front end runs NumPy code, unchanged, on balls, on dual balls and under the running error bound.

The code runs on object arrays of exact scalars, once for every combination of outcomes of the comparisons that the
balls, or the bounds, leave open; the results are united.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array, Code, Tree
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.numpy_trace.patches import patched
from backprove.harness.frontends.objects.array import ExactArray, ExactHost, as_scalar
from backprove.harness.frontends.objects.balls import BallScalar, DualScalar
from backprove.harness.frontends.objects.bounds import BoundedScalar
from backprove.harness.frontends.objects.branches import current, explore
from backprove.harness.frontends.objects.scalar import SETTINGS, ExactScalar, NotRunnable, Settings
from backprove.harness.numbers.balls.truth import Undecided

Wides: TypeAlias = NDArray[np.longdouble]
"""Values over the reals, in the wide format."""

Errors: TypeAlias = NDArray[np.float64]
"""Bounds on the error of floats beside such values."""


def run_on_balls(function: Code, arrays: Sequence[Array], *, widen: float = 0.0) -> list[Array]:
    """Enclosures of the outputs of NumPy code over the reals.

    Args:
        function: returns an array, a number, or a tuple or list of them (None is left out).
        arrays: object arrays of `arb`; integer and boolean arrays are passed as they are.
        widen: relative radius given to float literals that are not short dyadics (0: literals are exact).

    Returns:
        one object array of `arb` per output, the union over all outcomes of undecided comparisons.

    Raises:
        NotRunnable: if the code does something that exact scalars cannot follow.
        Undecided: if too many comparisons are undecided at this precision.
    """
    settings = Settings(BallScalar, widen)
    inputs = [_pack(BallScalar, a) for a in arrays]
    runs = explore(lambda: _outputs(function, inputs, settings, lambda s: s.v))
    return _unite(runs)


def run_on_duals(
    function: Code, arrays: Sequence[Array], tangents: Sequence[Array | None], *, widen: float = 0.0
) -> tuple[list[Array], list[Array], bool]:
    """Values and directional derivatives of NumPy code over the reals.

    Args:
        function, arrays, widen: see `run_on_balls`.
        tangents: one object array of `arb` per array; None where the input does not move.

    Returns:
        values, tangents (object arrays of `arb`), and whether the point touches a kink, a tie or an undecided branch.

    Raises:
        NotRunnable, Undecided: see `run_on_balls`.
    """
    settings = Settings(DualScalar, widen)
    inputs = [_pack(DualScalar, a, t) for a, t in zip(arrays, tangents, strict=True)]

    def run() -> tuple[list[Array], list[Array], bool]:
        scalars = _outputs(function, inputs, settings, lambda s: s)
        values, moved = ([_entries(a, name) for a in scalars] for name in ("v", "t"))
        return values, moved, current().touched

    runs = explore(run)
    return _unite([r[0] for r in runs]), _unite([r[1] for r in runs]), any(r[2] for r in runs)


def run_on_bounded(function: Code, arrays: Sequence[Array], dtype: str) -> list[tuple[Wides, Errors]]:
    """Values of NumPy code over the reals, with bounds on the error of its floats in `dtype`.

    Args:
        function: see `run_on_balls`.
        arrays: float64 arrays whose entries are numbers of `dtype`; integers and booleans are passed as they are.
        dtype: one of the four formats under test.

    Returns:
        per output the value (np.longdouble) and the bound (float64, infinite where an intermediate may overflow).

    Raises:
        NotRunnable, Undecided: see `run_on_balls`.
    """
    settings = Settings(BoundedScalar, 0.0, FORMATS[dtype])
    inputs = [_bounded_input(a, settings) if a.dtype.kind == "f" else a for a in map(np.asarray, arrays)]
    runs = explore(lambda: _outputs(function, inputs, settings, lambda s: s))
    results = []
    for column in zip(*_same_shapes(runs), strict=True):
        values = [_entries(a, "v").astype(np.longdouble) for a in column]
        bounds = [_entries(a, "e").astype(np.float64) for a in column]
        v, e = values[0], bounds[0]
        for other, bound in zip(values[1:], bounds[1:], strict=True):
            with np.errstate(all="ignore"):
                apart = np.where(other == v, 0.0, np.abs(other - v)).astype(np.float64)
                e = np.maximum(e, apart + bound)
        results.append((v, np.where(np.isnan(e), np.inf, e)))
    return results


def _pack(scalar: Callable[..., ExactScalar], array: Array, tangent: Array | None = None) -> Array:
    """Balls (and tangents) as an ExactArray; other arrays as they are."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    out = np.empty(array.shape, dtype=object)
    moves = None if tangent is None else np.broadcast_to(tangent, array.shape)
    for i in np.ndindex(array.shape):
        out[i] = scalar(array[i]) if moves is None else scalar(array[i], moves[i])
    return out.view(ExactArray)


def _bounded_input(array: Array, settings: Settings) -> Array:
    """Inputs are exact, -0 is 0, and subnormal ones may be flushed to zero."""
    out = np.empty(array.shape, dtype=object)
    for i in np.ndindex(array.shape):
        x = float(array[i]) + 0.0
        out[i] = BoundedScalar(x, abs(x) if abs(x) < settings.format.tiny else 0.0)
    return out.view(ExactArray)


def _outputs(
    function: Code, inputs: list[Array], settings: Settings, read: Callable[[ExactScalar], object]
) -> list[Array]:
    """Call the code on copies of the inputs; its outputs as object arrays of `read(scalar)`."""
    token = SETTINGS.set(settings)
    try:
        with patched(ExactHost()), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*(a.copy() for a in inputs))
        return [_map(read, leaf) for leaf in _leaves(result)]
    except (NotRunnable, Undecided):
        raise
    except Exception as why:
        cause: BaseException | None = why
        while cause is not None and not isinstance(cause, (NotRunnable, Undecided)):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise cause from why
        raise NotRunnable(f"{type(why).__name__}: {why}") from why
    finally:
        SETTINGS.reset(token)


def _leaves(result: Tree) -> list[object]:
    if result is None:
        return []
    if isinstance(result, dict):
        return [leaf for key in sorted(result) for leaf in _leaves(result[key])]
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in _leaves(part)]
    return [result]


def _map(read: Callable[[ExactScalar], object], leaf: object) -> Array:
    source = leaf.array() if isinstance(leaf, ExactScalar) else np.asarray(leaf)
    if source.dtype != object and source.dtype.kind not in "fiub" and str(source.dtype) not in FORMATS:
        raise NotRunnable(f"the code returns {type(leaf).__name__} where an array of numbers was expected")
    out = np.empty(source.shape, dtype=object)
    for i in np.ndindex(source.shape):
        out[i] = read(as_scalar(source.view(np.ndarray)[i]))
    return out


def _entries(scalars: Array, name: str) -> Array:
    out = np.empty(scalars.shape, dtype=object)
    for i in np.ndindex(scalars.shape):
        out[i] = getattr(scalars[i], name)
    return out


def _same_shapes(runs: list[list[Array]]) -> list[list[Array]]:
    if any([a.shape for a in r] != [a.shape for a in runs[0]] for r in runs):
        raise NotRunnable("the shapes of the outputs depend on an undecided comparison")
    return runs


def _unite(runs: list[list[Array]]) -> list[Array]:
    """Entry by entry the smallest ball that contains those of all runs."""
    first, *rest = _same_shapes(runs)
    for run in rest:
        for out, other in zip(first, run, strict=True):
            for i in np.ndindex(out.shape):
                out[i] = _union(out[i], other[i])
    return first


def _union(a: Any, b: Any) -> Any:
    return a if a.is_exact() and b.is_exact() and a == b else a.union(b)
