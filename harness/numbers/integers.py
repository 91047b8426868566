"""Integer and boolean arithmetic works the same way in every number system.

Integers are plain integer arrays with a trailing points axis. Truth values are bool arrays or int8 arrays with 0 =
False, 1 = True and 2 or more = undecided; results that are truth values are int8. `and`, `or` and `not` of truth values
are left to the systems, which know what their undecided values mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers.indexing import iota, put_positions, scatter_positions
from backprove.harness.numbers.matrices import permutation
from backprove.harness.programs.program import ContractedAxes, Equation


class UndecidedInteger:
    """An integer made from truth values of which some are undecided; nothing but `cond` can use it.

    `codes` are the truth values. Every other use raises UnsupportedPrimitive, so that no code is taken for a number.
    """

    def __init__(self, codes: Array) -> None:
        self.codes = codes

    def __getattr__(self, name: str) -> NoReturn:
        raise UnsupportedPrimitive("convert_element_type", "integers")

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        raise UnsupportedPrimitive("convert_element_type", "integers")


def undecided(truth: Array) -> bool:
    """Whether a truth value is undecided at some entry."""
    return truth.dtype != np.bool_ and bool((truth >= 2).any())


def apply(equation: Equation, inputs: Sequence[Any]) -> list[Any]:
    """Evaluate an equation of `INTEGER` whose operands and results are integers and truth values only.

    Results wrap around in the dtype of the equation, as in XLA.

    Raises:
        UnsupportedPrimitive: if a truth value among the operands is undecided.
    """
    arrays = []
    for var, value in zip(equation.inputs, inputs, strict=True):
        array = np.asarray(value)
        if var.dtype == "bool" and undecided(array):
            if equation.primitive == "convert_element_type" and equation.outputs[0].dtype != "bool":
                return [UndecidedInteger(array)]
            raise UnsupportedPrimitive(equation.primitive, "integers")
        arrays.append(array.astype(np.int8 if var.dtype == "bool" else np.dtype(var.dtype), copy=False))
    with np.errstate(all="ignore"):
        results = _RULES[equation.primitive](equation, *arrays)
    if not isinstance(results, list):
        results = [results]
    return [
        np.asarray(r).astype(np.int8 if v.dtype == "bool" else np.dtype(v.dtype), copy=False)
        for v, r in zip(equation.outputs, results, strict=True)
    ]


def sort_by_keys(operands: Sequence[Array], axis: int, num_keys: int) -> list[Array]:
    """Sort arrays (with points) together along `axis` by the first `num_keys` of them; stable, NaN last, -0 = 0."""
    if len(operands) == 1:
        return [np.sort(operands[0], axis=axis, kind="stable")]
    keys = np.broadcast_arrays(*operands[:num_keys])
    order = np.argsort(keys[0], axis=axis, kind="stable") if num_keys == 1 else np.lexsort(keys[::-1], axis=axis)
    return [np.take_along_axis(x, order, axis=axis) for x in operands]


def accumulate(ufunc: np.ufunc, x: Array, axis: int, reverse: bool) -> Array:
    """Running sums, products, ... along `axis`, from its end if `reverse`."""
    if not x.shape[axis]:
        return x
    if not reverse:
        return np.asarray(ufunc.accumulate(x, axis=axis))
    return np.flip(ufunc.accumulate(np.flip(x, axis), axis=axis), axis)


def contract(lhs: Array, rhs: Array, dimension_numbers: ContractedAxes) -> Array:
    """`dot_general` on arrays with points: batch axes, free axes of `lhs`, free axes of `rhs`, points."""
    out: Array
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = dimension_numbers
    lhs_free = [d for d in range(lhs.ndim - 1) if d not in lhs_sum and d not in lhs_batch]
    rhs_free = [d for d in range(rhs.ndim - 1) if d not in rhs_sum and d not in rhs_batch]
    shape = [lhs.shape[d] for d in (*lhs_batch, *lhs_free)] + [rhs.shape[d] for d in rhs_free]
    a = _matrix(lhs, lhs_batch, lhs_free, lhs_sum)  # batch, free, sum, points
    b = _matrix(rhs, rhs_batch, rhs_sum, rhs_free)  # batch, sum, free, points
    points = np.broadcast_shapes(a.shape[-1:], b.shape[-1:])[0]
    if a.shape[-1] == 1:
        out = np.matmul(a[..., 0], b.reshape((*b.shape[:2], b.shape[2] * b.shape[3])))
    elif b.shape[-1] == 1:
        out = np.matmul(np.swapaxes(b[..., 0], 1, 2)[:, None], a)
    else:
        out = np.einsum("bikp,bkjp->bijp", a, b)
    return out.reshape((*shape, points))


def _matrix(x: Array, *groups: Sequence[int]) -> Array:
    """The axes of each group in order, flattened into one axis per group; points stay last."""
    order = [d for g in groups for d in g]
    sizes = [math.prod([x.shape[d] for d in g]) for g in groups]
    flat: Array = x.transpose((*order, x.ndim - 1)).reshape((*sizes, x.shape[-1]))
    return flat


def scatter_combining(equation: Equation, operand: Array, indices: Array, updates: Array) -> Array:
    """A combining scatter (`scatter-add` and its kin) in the dtype of the arrays."""
    ufunc = SCATTERS[equation.primitive.replace("_", "-")]
    return put_positions(operand, scatter_positions(equation, indices), updates, ufunc)


SCATTERS: dict[str, np.ufunc] = {
    "scatter-add": np.add,
    "scatter-sub": np.subtract,
    "scatter-mul": np.multiply,
    "scatter-min": np.minimum,
    "scatter-max": np.maximum,
}


def _axes(e: Equation) -> tuple[int, ...]:
    return tuple(int(a) for a in e.params["axes"])


def _divide(e: Equation, a: Array, b: Array) -> Array:
    """Truncating division; by zero it gives -1 as in XLA (all bits set)."""
    safe = np.where(b == 0, 1, b)
    return np.where(b == 0, -1, (a - np.fmod(a, safe)) // safe)


def _remainder(e: Equation, a: Array, b: Array) -> Array:
    """Remainder with the dividend's sign; by zero the dividend itself."""
    return np.where(b == 0, a, np.fmod(a, np.where(b == 0, 1, b)))


def _power(e: Equation, x: Array) -> Array:
    y = int(e.params["y"])
    if y < 0:
        raise UnsupportedPrimitive("integer_pow with a negative exponent", "integers")
    return np.asarray(x**y)


def _bits(dtype: str) -> int:
    return int(np.dtype(dtype).itemsize) * 8


def _shift(function: Callable[[Array, Array], Array], overflow: Callable[[Array], Array]) -> Callable[..., Array]:
    """A shift; by the width of the type or more it gives `overflow`."""

    def rule(e: Equation, a: Array, b: Array) -> Array:
        width = _bits(e.outputs[0].dtype)
        wide = (b < 0) | (b >= width)
        return np.where(wide, overflow(a), function(a, np.where(wide, 0, b)))

    return rule


def _unsigned(a: Array) -> Array:
    return a.view(np.dtype(f"u{a.dtype.itemsize}")) if a.dtype.kind == "i" else a


def _shift_in_zeros(a: Array, b: Array) -> Array:
    """In the dtype of `a`: NumPy would make float64 of signed and unsigned 64-bit integers together."""
    bits = _unsigned(a)
    return np.asarray(bits >> b.astype(bits.dtype)).view(a.dtype)


def _argument(function: Code) -> Callable[..., Array]:
    return lambda e, x: np.asarray(function(x, axis=_axes(e)[0]))


def _extreme(ufunc: np.ufunc, lowest: bool) -> Callable[..., Array]:
    """Maximum or minimum over axes; of nothing at all it is the end of the type's range."""

    def rule(e: Equation, x: Array) -> Array:
        if e.inputs[0].dtype == "bool":
            initial = 0 if lowest else 1
        else:
            info = np.iinfo(e.inputs[0].dtype)
            initial = int(info.min if lowest else info.max)
        return np.asarray(ufunc.reduce(x, axis=_axes(e), initial=initial))

    return rule


def _plain(function: Code) -> Code:
    return lambda e, *inputs: function(*inputs)


def _reduce(ufunc: np.ufunc, truth: np.ufunc | None = None) -> Callable[..., Array]:
    """Reduction in the dtype of the result; by `truth` where that is a truth value."""

    def rule(e: Equation, x: Array) -> Array:
        if truth is not None and e.outputs[0].dtype == "bool":
            return np.asarray(truth.reduce(x, axis=_axes(e)))
        return np.asarray(ufunc.reduce(x, axis=_axes(e), dtype=x.dtype))

    return rule


def _cumulative(ufunc: np.ufunc) -> Callable[..., Array]:
    return lambda e, x: accumulate(ufunc, x, int(e.params["axis"]), bool(e.params["reverse"]))


def _convert(e: Equation, x: Array) -> Array:
    return x != 0 if e.outputs[0].dtype == "bool" else x


def _platform(e: Equation) -> Array:
    """The branch of `platform_dependent` code that a CPU takes."""
    platforms = e.params["platforms"]
    found = [i for i, names in enumerate(platforms) if names is None or "cpu" in names]
    return np.array([found[0]])


def _permutation(e: Equation, pivots: Array) -> Array:
    """The order of rows after the exchanges that `pivots` name, shape (*batch, k, points)."""
    order = permutation(np.moveaxis(pivots, -2, 0), int(e.params["permutation_size"]))
    return np.moveaxis(order, 0, -2)


_RULES: dict[str, Code] = {
    "add": _plain(np.add),
    "add_any": _plain(np.add),
    "sub": _plain(np.subtract),
    "mul": _plain(np.multiply),
    "div": _divide,
    "rem": _remainder,
    "max": _plain(np.maximum),
    "min": _plain(np.minimum),
    "neg": _plain(np.negative),
    "abs": _plain(np.abs),
    "sign": _plain(np.sign),
    "square": _plain(np.square),
    "integer_pow": _power,
    "eq": _plain(np.equal),
    "ne": _plain(np.not_equal),
    "lt": _plain(np.less),
    "le": _plain(np.less_equal),
    "gt": _plain(np.greater),
    "ge": _plain(np.greater_equal),
    "xor": _plain(np.bitwise_xor),
    "and": _plain(np.bitwise_and),
    "or": _plain(np.bitwise_or),
    "not": _plain(np.invert),
    "clamp": _plain(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
    "shift_left": _shift(np.left_shift, np.zeros_like),
    "shift_right_logical": _shift(_shift_in_zeros, np.zeros_like),
    "shift_right_arithmetic": _shift(np.right_shift, lambda a: np.where(a < 0, -1, 0)),
    "population_count": _plain(lambda x: np.bitwise_count(_unsigned(x))),
    "reduce_sum": _reduce(np.add),
    "reduce_prod": _reduce(np.multiply),
    "reduce_max": _extreme(np.maximum, lowest=True),
    "reduce_min": _extreme(np.minimum, lowest=False),
    "reduce_and": _reduce(np.bitwise_and, np.logical_and),
    "reduce_or": _reduce(np.bitwise_or, np.logical_or),
    "reduce_xor": _reduce(np.bitwise_xor, np.logical_xor),
    "argmax": _argument(np.argmax),
    "argmin": _argument(np.argmin),
    "cumsum": _cumulative(np.add),
    "cumprod": _cumulative(np.multiply),
    "cummax": _cumulative(np.maximum),
    "cummin": _cumulative(np.minimum),
    "sort": lambda e, *xs: sort_by_keys(xs, int(e.params["dimension"]), int(e.params["num_keys"])),
    "dot_general": lambda e, a, b: contract(a, b, e.params["dimension_numbers"]),
    "convert_element_type": _convert,
    "stop_gradient": _plain(lambda x: x),
    "iota": iota,
    "platform_index": _platform,
    "lu_pivots_to_permutation": _permutation,
    **{name: scatter_combining for name in SCATTERS},
    **{name.replace("-", "_"): scatter_combining for name in SCATTERS},
}

PRIMITIVES = frozenset(_RULES)
"""Primitives that `integer` knows, for integers and truth values."""
