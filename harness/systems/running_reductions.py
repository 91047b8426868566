"""Sums, products, maxima and sorts for the running error bound, over any order in which they may be evaluated.

Backends reduce in different orders, so every bound here holds for all of them: n terms meet at most n - 1 roundings,
each of at most u times the sum of the absolute values (Higham, Accuracy and Stability, 4.2).
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.systems.running_truth import Bounded, Flags

Array = NDArray[Any]
Errors = NDArray[np.float64]


def float64(x: Array) -> Errors:
    return np.asarray(x, dtype=np.float64)


def gamma(n: int, u: float) -> float:
    """Bound on (1 + u)**n - 1: the relative error that n roundings can cause."""
    return float(np.expm1(n * u))


def reach(x: Bounded) -> Array:
    """Largest absolute value that the float program may have, in the wide format."""
    return np.abs(x.v) + x.e


def extreme_error(x: Bounded, axes: tuple[int, ...], sign: int) -> Errors:
    """Error of a maximum (sign 1) or minimum (-1): the largest among the entries that may be the extreme one."""
    v = sign * x.v
    floor = np.max(v - x.e, axis=axes, keepdims=True)
    # an infinite error makes its entry a candidate always
    candidate = (v + x.e >= floor) | ~np.isfinite(x.e)
    return np.asarray(np.max(np.where(candidate, x.e, 0.0), axis=axes, initial=0.0))


def extreme_doubt(x: Bounded, axis: int, sign: int) -> Flags:
    """Where the position of the extreme entry along `axis` depends on rounding."""
    v = sign * x.v
    floor = np.max(v - x.e, axis=axis, keepdims=True)
    candidate = (v + x.e >= floor) | ~np.isfinite(x.e)
    several = np.sum(candidate, axis=axis) > 1
    return np.asarray(several & np.any(candidate & (x.e > 0), axis=axis))


def product_steps(x: Bounded, axis: int) -> tuple[Array, Errors, Array]:
    """Running products along `axis`: value, propagated error, and the largest product over any subset of the factors."""
    v, e = np.moveaxis(x.v, axis, 0), np.moveaxis(x.e, axis, 0)
    value, error = np.ones_like(v[:1]), np.zeros_like(e[:1])
    largest = np.ones_like(value)
    values, errors, tops = [], [], []
    for factor, slack in zip(v, e, strict=True):
        error = float64(error * (np.abs(factor) + slack) + np.abs(value) * slack)
        value = value * factor
        largest = largest * np.maximum(np.abs(factor) + slack, 1)
        values.append(value)
        errors.append(error)
        tops.append(largest)

    def back(parts: list[Array]) -> Array:
        return np.moveaxis(np.concatenate(parts), 0, axis) if parts else x.v

    return back(values), float64(back(errors)), back(tops)


def along(function: Callable[[Bounded], Bounded], x: Bounded, axis: int, reverse: bool) -> Bounded:
    """A cumulative function, from the other end where `reverse`."""
    if not reverse:
        return function(x)
    y = function(Bounded(np.flip(x.v, axis), np.flip(x.e, axis)))
    return Bounded(np.flip(y.v, axis), np.flip(y.e, axis))


def contraction(dimension_numbers: Any, left: int, right: int) -> str:
    """The einsum specification of a `dot_general`, points on the last axis.

    Args:
        dimension_numbers: those of the primitive.
        left, right: ranks of the operands without points.
    """
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    letters = iter(string.ascii_letters)
    a, b = [""] * left, [""] * right
    batch = ""
    for pairs, is_batch in (((batch_a, batch_b), True), ((contract_a, contract_b), False)):
        for i, j in zip(*pairs, strict=True):
            a[i] = b[j] = c = next(letters)
            batch += c if is_batch else ""
    free_a = [i for i, c in enumerate(a) if not c]
    free_b = [i for i, c in enumerate(b) if not c]
    for i in free_a:
        a[i] = next(letters)
    for i in free_b:
        b[i] = next(letters)
    free = "".join(a[i] for i in free_a) + "".join(b[i] for i in free_b)
    return f"{''.join(a)}...,{''.join(b)}...->{batch}{free}..."


def order(keys: Sequence[Any], axis: int) -> tuple[Array, Flags]:
    """The stable order along `axis` by the first key, then the next, and where rounding may change it.

    Returns:
        the permutation (shape of the keys + points) and a flag per slice (length 1 along `axis`).
    """
    plain = [k.v if isinstance(k, Bounded) else np.asarray(k) for k in keys]
    permutation = np.lexsort(plain[::-1], axis=axis) if len(plain) > 1 else np.argsort(plain[0], axis=axis, kind="stable")
    rough = [k for k in keys if isinstance(k, Bounded)]
    exact = np.full((1,) * plain[0].ndim, True)
    for k in rough:
        exact = exact & np.all(k.e == 0, axis=axis, keepdims=True)
    first = keys[0]
    if not rough or not isinstance(first, Bounded):
        return permutation, ~exact
    v = np.moveaxis(np.take_along_axis(first.v, permutation, axis), axis, 0)
    e = np.moveaxis(np.take_along_axis(first.e, permutation, axis), axis, 0)
    above = np.maximum.accumulate(v + e, axis=0)[:-1] < (v - e)[1:]
    if len(keys) == 1:
        above |= (v[:-1] == v[1:]) & (e[:-1] == 0) & (e[1:] == 0)
    apart = np.all(above, axis=0) & np.all(np.isfinite(e), axis=0)
    return permutation, ~(exact | np.expand_dims(apart, axis))
