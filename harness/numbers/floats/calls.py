"""Single primitives become NumPy calls for `Linked`: each writes into a buffer and gives the bits of `Floats`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import Dtype
from backprove.harness.numbers.elementary.row import Chain, SciPy
from backprove.harness.numbers.elementary.table import function_of
from backprove.harness.numbers.floats import floats
from backprove.harness.numbers.integers import contract
from backprove.harness.programs.program import ContractedAxes, Equation

Call = tuple[Code, tuple[object, ...]]
"""A function and its arguments."""
Extra = Callable[[tuple[int, ...], DTypeLike], Array]
"""Gives a further buffer for the time of these calls."""
Maker = Callable[[Equation, Sequence[Array], Array, Extra], "list[Call] | None"]
"""The calls that compute an equation of `NATIVE` formats and truth values; None where they cannot."""
NATIVE: tuple[Dtype, ...] = ("float64", "float32", "bfloat16")
"""Formats whose numbers NumPy computes; bfloat16 in float32, with a rounding after each equation."""


def one_pass(equation: Equation) -> bool:
    """Whether the calls read every entry of the operands before they write its place."""
    return CALLS.get(equation.primitive) in (_ufunc, _logical)


def rounds(equation: Equation) -> bool:
    """Whether the result of the calls is still to be rounded to bfloat16."""
    if equation.outputs[0].dtype != "bfloat16":
        return False
    row = floats.Floats.functions.get(equation.primitive)
    exact = equation.primitive in floats.EXACT or (row is not None and row.exact)
    return not exact and equation.primitive not in ("select_n", "reduce_max", "reduce_min")


def _ufunc(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    row = floats.Floats.functions.get(function_of(e))
    function = row.numpy if row is not None else _OF_SEVERAL[e.primitive]
    if isinstance(function, SciPy):
        function = function.ufunc
    if e.params.get("out_dtype") is not None or len({a.dtype for a in given}) != 1:
        return None
    if isinstance(function, Chain):
        return list(function.calls(given[0], out))
    return [(function, (*given, out))] if isinstance(function, np.ufunc) else None


def _logical(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    return [(floats.LOGIC[e.primitive], (*given, out))] if e.outputs[0].dtype == "bool" else None


def _extreme(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call]:
    tie = extra(out.shape, np.bool_)
    return [(_largest if e.primitive == "max" else _smallest, (*given, out, tie))]


def _largest(a: Array, b: Array, out: Array, tie: Array) -> None:
    """Maximum with +0 above -0."""
    np.maximum(a, b, out=out)
    np.equal(a, b, out=tie)
    if tie.any():
        np.copyto(out, a + b, where=tie & (out == 0))


def _smallest(a: Array, b: Array, out: Array, tie: Array) -> None:
    """Minimum with -0 below +0."""
    np.minimum(a, b, out=out)
    np.equal(a, b, out=tie)
    if tie.any():
        np.copyto(out, -(-a - b), where=tie & (out == 0))


def _sign(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call]:
    zero = extra(out.shape, np.bool_)
    return [(np.sign, (given[0], out)), (np.equal, (given[0], 0, zero)), (_copy_where, (out, given[0], zero))]


def _copy_where(out: Array, x: Array, where: Array) -> None:
    np.copyto(out, x, where=where)


def _integer_pow(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    """Repeated squaring; unless the power is a power of two, the squares stand in a buffer of their own."""
    y = abs(int(e.params["y"]))
    if y < 2 or (e.outputs[0].dtype == "bfloat16" and e.params["y"] != 2):
        return None
    calls: list[Call] = []
    square = out if y.bit_count() == 1 else extra(out.shape, out.dtype)
    base, result = given[0], None
    while y:
        if y & 1 and result is not None:
            calls.append((np.multiply, (result, base, out)))
            result = out
        elif y & 1:
            result = base
            if base is square and y > 1:  # the next square takes its place
                calls.append((_copy, (out, base)))
                result = out
        y >>= 1
        if y:
            calls.append((np.multiply, (base, base, square)))
            base = square
    if e.params["y"] < 0:
        calls.append((np.reciprocal, (out, out)))
    return calls


def _select(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    if given[0].dtype != np.bool_ or len(given) != 3:
        return None
    return [(_choose, (*given, out))]


def _choose(which: Array, other: Array, value: Array, out: Array) -> None:
    # `where` and a copy take half the time of a masked copy
    np.copyto(out, np.where(which, value, other))


def _convert(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    if e.outputs[0].dtype == "bool":
        return [(np.not_equal, (given[0], 0, out))]
    return [(_copy, (out, given[0]))]


def _copy(out: Array, x: Array) -> None:
    np.copyto(out, x, casting="unsafe")


def _reduce(ufunc: np.ufunc, initial: float | None = None) -> Maker:
    def make(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
        if given[0].dtype == np.bool_:
            return None
        axes = tuple(int(a) for a in e.params["axes"])
        if initial is None:
            return [(ufunc.reduce, (given[0], axes, None, out))]
        return [(ufunc.reduce, (given[0], axes, None, out, False, initial))]

    return make


def _dot(e: Equation, given: Sequence[Array], out: Array, extra: Extra) -> list[Call] | None:
    if any(a.dtype != out.dtype for a in given):
        return None
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = e.params["dimension_numbers"]
    lhs, rhs = given
    if 1 in (lhs.shape[-1], rhs.shape[-1]) or not out.size or not lhs.size:
        # a factor that is the same at all points makes this one matrix product
        return [(_contract, (lhs, rhs, e.params["dimension_numbers"], out))]
    lhs_free = [d for d in range(lhs.ndim - 1) if d not in lhs_sum and d not in lhs_batch]
    rhs_free = [d for d in range(rhs.ndim - 1) if d not in rhs_sum and d not in rhs_batch]
    calls: list[Call] = []
    a = _matrix(lhs, (lhs_batch, lhs_free, lhs_sum), calls, extra)
    b = _matrix(rhs, (rhs_batch, rhs_sum, rhs_free), calls, extra)
    to = out.reshape((a.shape[0], a.shape[1], b.shape[2], out.shape[-1]))
    return [*calls, (_einsum, (a, b, to))]


def _matrix(x: Array, groups: Sequence[Sequence[int]], calls: list[Call], extra: Extra) -> Array:
    """The axes of each group in order, flattened into one axis per group; points stay last."""
    moved = x.transpose((*(d for g in groups for d in g), x.ndim - 1))
    sizes = [math.prod([x.shape[d] for d in g]) for g in groups]
    flat: Array = moved.reshape((*sizes, x.shape[-1]))
    if np.may_share_memory(flat, x):
        return flat
    copy = extra(flat.shape, flat.dtype)
    calls.append((np.copyto, (copy.reshape(moved.shape), moved)))
    return copy


def _einsum(a: Array, b: Array, out: Array) -> None:
    np.einsum("bikp,bkjp->bijp", a, b, out=out)


def _contract(lhs: Array, rhs: Array, dimension_numbers: ContractedAxes, out: Array) -> None:
    np.copyto(out, contract(lhs, rhs, dimension_numbers))


_OF_SEVERAL: dict[str, Callable[..., Array]] = {**floats.ARITHMETIC, **floats.EXACT, **floats.COMPARISONS}

CALLS: dict[str, Maker] = {
    **dict.fromkeys((*floats.Floats.functions, *_OF_SEVERAL), _ufunc),
    **dict.fromkeys(floats.LOGIC, _logical),
    "max": _extreme,
    "min": _extreme,
    "sign": _sign,
    "integer_pow": _integer_pow,
    "select_n": _select,
    "convert_element_type": _convert,
    "reduce_sum": _reduce(np.add),
    "reduce_prod": _reduce(np.multiply),
    "reduce_max": _reduce(np.maximum, -np.inf),
    "reduce_min": _reduce(np.minimum, np.inf),
    "dot_general": _dot,
}
