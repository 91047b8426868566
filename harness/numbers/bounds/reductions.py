"""These rules bound the errors of primitives that combine entries: sums, products, maxima, contractions, sorts,
scatters.

Backends reduce in different orders, so every bound here holds for all of them: n terms meet at most n - 1 roundings,
each of at most u times the sum of the absolute values (Higham, Accuracy and Stability, 4.2).
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.numbers import indexing
from backprove.harness.numbers.bounds import truth
from backprove.harness.numbers.bounds.arithmetic import Rule
from backprove.harness.numbers.bounds.charges import Charging, Format
from backprove.harness.numbers.bounds.truth import Bounded, Flags, Operand, Value, reach
from backprove.harness.numbers.elementary.row import float64
from backprove.harness.programs.program import ContractedAxes, Equation

Errors = NDArray[np.float64]


def gamma(n: int, u: float) -> float:
    """Bound on (1 + u)**n - 1: the relative error that n roundings can cause."""
    return float(np.expm1(n * u))


def extreme_error(x: Bounded, axes: tuple[int, ...], sign: int) -> Errors:
    """Error of a maximum (sign 1) or minimum (-1): the largest among the entries that may be the extreme one."""
    v = sign * x.v
    if x.exact:
        return np.zeros(np.max(v, axis=axes, initial=-np.inf).shape)
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
    """Running products along `axis`: value, propagated error, and the largest product of any subset of the factors."""
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


def contraction(dimension_numbers: ContractedAxes, left: int, right: int) -> str:
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


def order(keys: Sequence[Operand], axis: int) -> tuple[Array, Flags]:
    """The stable order along `axis` by the first key, then the next, and where rounding may change it.

    Returns:
        the permutation (shape of the keys + points) and a flag per slice (length 1 along `axis`).
    """
    plain = [k.v if isinstance(k, Bounded) else np.asarray(k) for k in keys]
    several = len(plain) > 1
    permutation = np.lexsort(plain[::-1], axis=axis) if several else np.argsort(plain[0], axis=axis, kind="stable")
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


def _axes(equation: Equation) -> tuple[int, ...]:
    return tuple(int(a) for a in equation.params["axes"])


def _summed(system: Charging, fmt: Format, v: Array, size: Array, e: Array, n: int) -> Bounded:
    """A sum of `n` terms: `v` its value, `size` and `e` the sums of the absolute values and of the errors."""
    if n <= 1:
        return Bounded(v, np.broadcast_to(float64(e), np.shape(v)))
    roundings = gamma(n - 1, fmt.constant("add")[0] * fmt.u)
    propagated = float64(e) + roundings * float64(size + e)
    return system.rounded(fmt, v, propagated, k=0.0, eta=float(n), top=size + propagated)


def reduce_sum(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    x, axes = inputs[0], _axes(equation)
    n = math.prod([equation.inputs[0].shape[a] for a in axes])
    fmt = system.format(equation.outputs[0].dtype)
    e = np.zeros(1) if x.exact else x.e.sum(axis=axes)
    return _summed(system, fmt, x.v.sum(axis=axes), x.size.sum(axis=axes), e, n)


def cumsum(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    axis = int(equation.params["axis"])
    n, fmt = equation.inputs[0].shape[axis], system.format(equation.outputs[0].dtype)

    def forwards(x: Bounded) -> Bounded:
        return _summed(system, fmt, x.v.cumsum(axis), x.size.cumsum(axis), x.e.cumsum(axis), n)

    return along(forwards, inputs[0], axis, bool(equation.params["reverse"]))


def dot_general(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    a, b = inputs
    numbers, fmt = equation.params["dimension_numbers"], system.format(equation.outputs[0].dtype)
    subscripts = contraction(numbers, a.v.ndim - 1, b.v.ndim - 1)
    n = math.prod([a.v.shape[i] for i in numbers[0][0]])
    left, right = a.size, b.size
    v = np.einsum(subscripts, a.v, b.v)
    size = np.einsum(subscripts, left, right)
    e = np.zeros(())
    if not b.exact:
        e = e + np.einsum(subscripts, left, b.e)
    if not a.exact:
        e = e + np.einsum(subscripts, a.e, reach(b))
    # one rounding per product besides those of the sum
    roundings = gamma(n, fmt.constant("mul")[0] * fmt.u)
    propagated = e + roundings * (size + e)
    return system.rounded(fmt, v, propagated, k=0.0, eta=2.0 * n, top=size + propagated)


def _product(system: Charging, fmt: Format, x: Bounded, axis: int) -> Bounded:
    """Running products: each rounding and each underflow grows by at most the product of the other factors."""
    n = x.v.shape[axis]
    if n <= 1:
        return x
    v, e, top = product_steps(x, axis)
    propagated = e + gamma(n - 1, fmt.constant("mul")[0] * fmt.u) * float64(np.abs(v) + e)
    underflow = np.where((v == 0) & (e == 0), 0.0, n * system.eta(fmt) * float64(top))
    return system.rounded(fmt, v, propagated + underflow, k=0.0, eta=0.0, top=top)


def cumprod(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    axis, fmt = int(equation.params["axis"]), system.format(equation.outputs[0].dtype)
    return along(lambda x: _product(system, fmt, x, axis), inputs[0], axis, bool(equation.params["reverse"]))


def reduce_prod(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    x, axes = inputs[0], _axes(equation)
    fmt, points = system.format(equation.outputs[0].dtype), x.v.shape[-1]
    kept = [d for d in range(x.v.ndim - 1) if d not in axes]
    shape = tuple(x.v.shape[d] for d in kept)
    n = math.prod([x.v.shape[d] for d in axes])

    def flat(part: Array) -> Array:
        return part.transpose((*axes, *kept, x.v.ndim - 1)).reshape((n, *shape, points))

    if n == 0:
        return Bounded(np.ones((*shape, points), x.v.dtype), np.zeros((*shape, points)))
    y = _product(system, fmt, Bounded(flat(x.v), flat(x.e)), 0)
    return Bounded(y.v[-1], y.e[-1])


def reduce_extreme(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    x, axes = inputs[0], _axes(equation)
    sign = 1 if equation.primitive == "reduce_max" else -1
    if any(equation.inputs[0].shape[a] == 0 for a in axes):
        shape = (*equation.outputs[0].shape, x.v.shape[-1])
        return Bounded(np.full(shape, -sign * np.inf, x.v.dtype), np.zeros(shape))
    v = x.v.max(axis=axes) if sign > 0 else x.v.min(axis=axes)
    return Bounded(v, extreme_error(x, axes, sign))


def cumulative_extreme(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    axis = int(equation.params["axis"])
    ufunc = np.maximum if equation.primitive == "cummax" else np.minimum

    def forwards(x: Bounded) -> Bounded:
        return Bounded(ufunc.accumulate(x.v, axis), np.maximum.accumulate(x.e, axis))

    return along(forwards, inputs[0], axis, bool(equation.params["reverse"]))


def cumlogsumexp(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    """log(e^a + e^b) has slopes that sum to 1; each of the n combinations errs by that of max + log1p(exp(-|d|))."""
    axis, fmt = int(equation.params["axis"]), system.format(equation.outputs[0].dtype)
    n = equation.inputs[0].shape[axis]
    once = fmt.constant("exp")[0] + fmt.constant("log1p")[0] + 3

    def forwards(x: Bounded) -> Bounded:
        if n <= 1:
            return x
        v = np.logaddexp.accumulate(x.v, axis)
        spread = np.maximum.accumulate(np.where(np.isneginf(x.v), 0, reach(x)), axis) + np.log(n) + 1
        e = np.maximum.accumulate(x.e, axis) + float64(n * once * fmt.u * spread)
        masked = np.isneginf(v) & (np.maximum.accumulate(x.e, axis) == 0)
        out = system.rounded(fmt, v, e, k=0.0, eta=float(n))
        return Bounded(v, np.where(masked, 0.0, out.e))

    return along(forwards, inputs[0], axis, bool(equation.params["reverse"]))


def position(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Value:
    """`argmax` and `argmin`."""
    x, axis = inputs[0], _axes(equation)[0]
    sign = 1 if equation.primitive == "argmax" else -1
    where = np.argmax(sign * x.v, axis=axis).astype(np.dtype(equation.outputs[0].dtype))
    return truth.integers(where, extreme_doubt(x, axis, sign))


def sort(system: Charging, equation: Equation, inputs: Sequence[Operand]) -> list[Value]:
    """Sorted keys move by no more than the largest error; what is carried along an undecided order is unknown."""
    axis, num_keys = int(equation.params["dimension"]), int(equation.params["num_keys"])
    if not equation.inputs[0].shape[axis]:
        return list(inputs)
    permutation, doubt = order(inputs[:num_keys], axis)
    out: list[Value] = []
    for i, x in enumerate(inputs):
        plain = x.v if isinstance(x, Bounded) else np.asarray(x)
        shape = np.broadcast_shapes(plain.shape, permutation.shape)
        index = np.broadcast_to(permutation, shape)

        def moved(part: Array, shape: tuple[int, ...] = shape, index: Array = index) -> Array:
            return np.take_along_axis(np.broadcast_to(part, shape), index, axis)

        if isinstance(x, Bounded):
            unsure = np.max(x.e, axis=axis, keepdims=True) if i == 0 else np.inf
            out.append(Bounded(moved(x.v), np.where(doubt, unsure, moved(x.e))))
        elif equation.inputs[i].dtype == "bool":
            codes = moved(truth.codes(plain))
            out.append(truth.encode(truth.nominal(codes), truth.undecided(codes) | doubt))
        else:
            out.append(truth.integers(moved(plain), doubt))
    return out


def scatter_add(system: Charging, equation: Equation, inputs: Sequence[Operand]) -> Bounded:
    x, indices, new = inputs
    assert isinstance(x, Bounded) and isinstance(new, Bounded)
    fmt = system.format(equation.outputs[0].dtype)
    where = indexing.scatter_positions(equation, np.asarray(indices))

    def put(operand: Array, updates: Array) -> Array:
        return indexing.put_positions(operand, where, updates, np.add)

    v, size, e = put(x.v, new.v), put(x.size, new.size), put(x.e, new.e)
    count = put(np.zeros(x.v.shape), np.ones(new.v.shape))
    n = int(count.max(initial=0.0)) + 1
    summed = _summed(system, fmt, v, size, e, n)
    return Bounded(v, np.where(count == 0, e, summed.e))


def scatter_sub(system: Charging, equation: Equation, inputs: Sequence[Operand]) -> Bounded:
    """`scatter-add` of the negatives, which round alike: a - b is a + (-b) in every format."""
    x, indices, new = inputs
    assert isinstance(x, Bounded) and isinstance(new, Bounded)
    return scatter_add(system, equation, [x, indices, Bounded(-new.v, new.e)])


COMBINING: dict[str, Rule] = {
    "reduce_sum": reduce_sum,
    "cumsum": cumsum,
    "dot_general": dot_general,
    "cumprod": cumprod,
    "reduce_prod": reduce_prod,
    "reduce_max": reduce_extreme,
    "reduce_min": reduce_extreme,
    "cummax": cumulative_extreme,
    "cummin": cumulative_extreme,
    "cumlogsumexp": cumlogsumexp,
    "argmax": position,
    "argmin": position,
    "sort": sort,
    "scatter-add": scatter_add,
    "scatter-sub": scatter_sub,
}
