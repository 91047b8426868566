"""A point that a user gives is admitted here: its numbers are read, and held against the shapes and the domain stated.

A point may be of sizes that no run draws. What it may not be is outside the bounds and kinds of its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.errors import UsageError
from backprove.strategies.arranged import independent, is_free
from backprove.strategies.array import ArraySpec
from backprove.strategies.dimensions import bounds_of
from backprove.strategies.domain import integer_bounds
from backprove.strategies.kinds import is_plain, storage
from backprove.strategies.points import PointSpace
from backprove.strategies.shapes import Sizes
from backprove.strategies.structures import STRUCTURES

NEAR = 1e-6
"""So far from a row that sums to 1, or from another structure, numbers written by hand may be: they are repaired."""


def numbers(who: str, value: Any) -> NDArray[Any]:
    """An array of numbers: float64, int64 or bool.

    Args:
        who: the start of messages, with the name of the input.
        value: a number, an array of NumPy, JAX or torch, or nested lists of numbers and of texts such as "0x1.8p+0".

    Raises:
        UsageError: where there are no such numbers.
    """
    try:
        array = np.asarray(_plain(value))
    except (ValueError, TypeError, RuntimeError, OverflowError) as why:
        raise UsageError(f"{who} must be numbers of one shape, got {_short(value)} ({why})") from None
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "f" or str(array.dtype) in ("bfloat16", "float16"):
        return array.astype(np.float64)
    if array.size == 0 and array.dtype.kind in "OU":
        return array.astype(np.float64)
    raise UsageError(f"{who} must be numbers of one shape, got {_short(value)}")


def _plain(value: Any) -> Any:
    """Tensors as arrays, texts as floats."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(value, (list, tuple)):
        return np.array([_plain(v) for v in value])
    if isinstance(value, str):
        return float.fromhex(value) if "0x" in value.lower() else float(value)
    return value


def sizes_of(who: str, specs: Mapping[str, ArraySpec], arrays: Mapping[str, NDArray[Any]]) -> Sizes:
    """The sizes of the names from the shapes of all inputs.

    Raises:
        UsageError: where a shape is not that of its input, or two inputs disagree on a size.
    """
    sizes: Sizes = {}
    first: dict[str, str] = {}
    for name, spec in specs.items():
        shape = arrays[name].shape
        stars = sum(isinstance(d, str) and d.startswith("*") for d in spec.dims)
        more = len(shape) - (len(spec.dims) - stars)
        if more < 0 or (more and not stars):
            raise UsageError(f"{who}: {name} has shape {list(shape)} where {_dims(spec)} was expected")
        at = 0
        for d in spec.dims:
            if isinstance(d, str) and d.startswith("*"):
                size: int | tuple[int, ...] = shape[at : at + more]
                at += more
            else:
                size = shape[at]
                at += 1
            if isinstance(d, int):
                if size != d:
                    raise UsageError(f"{who}: {name} has shape {list(shape)} where {_dims(spec)} was expected")
                continue
            key = d.lstrip("*")
            if sizes.setdefault(key, size) != size:
                raise UsageError(
                    f"{who}: {name} has shape {list(shape)}, which makes {key} {_size(size)}; "
                    f"in {first[key]} it is {_size(sizes[key])}"
                )
            first.setdefault(key, name)
    broken = bounds_of(specs).broken(sizes)
    if broken is not None:
        raise UsageError(f"{who}: {broken.name} is {_size(sizes[broken.name])} where {broken} was stated")
    return sizes


def admitted(who: str, name: str, spec: ArraySpec, sizes: Sizes, given: NDArray[Any]) -> NDArray[Any]:
    """The input as points are stored: float64, int64 or bool, inside the stated domain.

    Raises:
        UsageError: that names the bound or kind which it violates.
    """
    what = f"{who}: {name}"
    kept = storage(spec)
    if kept == np.float64:
        x: NDArray[Any] = given.astype(np.float64)
        if not np.isfinite(x).all():
            raise UsageError(f"{what} holds {x[~np.isfinite(x)].flat[0].item()!r}; a point has finite numbers")
    elif kept == np.bool_:
        if not np.isin(given, (0, 1)).all():
            raise UsageError(f"{what} is a mask, which holds True and False, got {_short(given.tolist())}")
        return given.astype(np.bool_)
    else:
        if given.dtype.kind == "f" and not (np.isfinite(given).all() and (given == np.round(given)).all()):
            raise UsageError(f"{what} has dtype {spec.dtype} and holds integers, got {_short(given.tolist())}")
        x = given.astype(np.int64)
    _check_bounds(what, spec, sizes, x)
    return x if is_plain(spec) or kept != np.float64 else _of_kind(what, name, spec, sizes, x)


def _check_bounds(what: str, spec: ArraySpec, sizes: Sizes, x: NDArray[Any]) -> None:
    if spec.kind in STRUCTURES:
        if not is_free(spec):
            return  # the bounds, if any, are no bounds of entries; `_of_kind` looks at them
        x = x[independent(spec, x.shape)]
    if spec.low is not None and (x < spec.low).any():
        raise UsageError(f"{what} holds {x[x < spec.low].flat[0].item()!r}, which is below low={spec.low!r}")
    if spec.kind == "index":
        high = integer_bounds(spec, sizes)[1]
        least = 0 if spec.low is None else spec.low
        if ((x > high) | (x < least)).any():
            wrong = x[(x > high) | (x < least)].flat[0].item()
            shown = f" ({spec.high}={high + 1})" if isinstance(spec.high, str) else ""
            raise UsageError(f"{what} holds the index {wrong!r}, which is not below high={spec.high!r}{shown}")
    elif isinstance(spec.high, (int, float)) and (x > spec.high).any():
        raise UsageError(f"{what} holds {x[x > spec.high].flat[0].item()!r}, which is above high={spec.high!r}")
    if spec.nonzero and (x == 0).any():
        raise UsageError(f"{what} holds 0, which nonzero=True excludes")
    if spec.distinct and np.unique(x).size < x.size:
        raise UsageError(f"{what} holds a number twice, which distinct=True excludes: {_short(x.tolist())}")


def _of_kind(what: str, name: str, spec: ArraySpec, sizes: Sizes, x: NDArray[Any]) -> NDArray[Any]:
    """An input of a kind, repaired by no more than what writing numbers down loses."""
    if not x.size:
        return x
    (found,) = PointSpace({name: spec}, "float64", extreme=True).repaired(sizes, [x], ()).arrays
    if not np.allclose(found, x, rtol=NEAR, atol=NEAR):
        raise UsageError(f"{what} is not of kind={spec.kind!r}: {_short(x.tolist())}")
    return found


def _dims(spec: ArraySpec) -> str:
    return f'the shape of dims "{" ".join(map(str, spec.dims))}"' if spec.dims else "a single number"


def _size(size: int | Sequence[int]) -> str:
    return str(size) if isinstance(size, int) else str(list(size))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
