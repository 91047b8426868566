"""`Floats` computes in NumPy, at many points at once, what the code computes in the format of every equation.

float64 and float32 are NumPy's own. bfloat16 and float16 numbers are float32 arrays that are rounded after every
operation; sums, products over an axis and contractions are accumulated in float32 and rounded once. Subnormal numbers
are kept (XLA on CPUs flushes them to zero).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array, at_points
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers import indexing
from backprove.harness.numbers.base import System
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.table import SEVERAL, having
from backprove.harness.numbers.floats.matrices import MATRICES
from backprove.harness.numbers.floats.narrow import STORAGE, next_after, reduce_precision, to_format, to_integer
from backprove.harness.numbers.fourier import fourier
from backprove.harness.numbers.integers import accumulate, contract, scatter_combining, sort_by_keys
from backprove.harness.programs.evaluate import evaluate, schedule
from backprove.harness.programs.program import Equation, Program, Var

CHUNK = 4096
"""Most points evaluated at once; larger chunks leave the cache."""

ENTRIES = 2**18
"""Most entries that one value of a chunk should have."""


class Floats(System[Array]):
    """The number system of NumPy's floats. Values are arrays, truth values bool (or int8 0/1) arrays."""

    name = "floats"
    key = "floats"
    """Constants are the same every time."""
    functions = having("numpy")

    @classmethod
    def primitives(cls) -> frozenset[str]:
        return super().primitives() | {*ARITHMETIC, *EXACT, *COMPARISONS, *MATRICES}

    def constant(self, value: Array, var: Var) -> Array:
        return self._stored(np.asarray(value)[..., None], var.dtype)

    def map(self, function: Callable[..., Array], *values: Array) -> Array:
        return function(*values)

    def select(self, which: Array, cases: Sequence[Array]) -> Array:
        which = np.asarray(which)
        if which.dtype in (np.bool_, np.int8):
            return np.asarray(np.where(which, cases[1], cases[0]))
        out: Array = np.where(which == 0, cases[0], cases[-1])
        for i, case in enumerate(cases[1:-1], start=1):
            out = np.where(which == i, case, out)
        return out

    def lift(self, array: Array, dtype: str) -> Array:
        """float64 numbers (or integers, truth values) as values of this system, rounded to the format `dtype`."""
        return self._stored(np.asarray(array), dtype)

    def lower(self, value: Array, var: Var) -> Array:
        """A value of this system as float64 numbers; integers and truth values in the dtype of `var`."""
        return np.asarray(value).astype(np.float64 if var.dtype in FORMATS else np.dtype(var.dtype), copy=False)

    def run(self, program: Program, arrays: Sequence[Array]) -> list[Array]:
        """Evaluate a program at many points.

        Args:
            arrays: one per input, of its shape + points (size P, or 1 where it does not vary): float64 for floats.

        Returns:
            one array per output, of its shape + (P,): float64 for floats.

        Raises:
            UnsupportedPrimitive: if the program uses a primitive that the floats lack.
        """
        arrays = [np.asarray(a) for a in arrays]
        points = np.broadcast_shapes(*(a.shape[-1:] for a in arrays))[0] if arrays else 1
        size = min(CHUNK, max(64, ENTRIES // schedule(program).largest))
        chunks = []
        with np.errstate(all="ignore"):
            for start in range(0, max(points, 1), size):
                stop = min(start + size, points)
                cut = [at_points(a, slice(start, stop)) for a in arrays]
                values = [self.lift(a, v.dtype) for a, v in zip(cut, program.inputs, strict=True)]
                outputs = zip(program.outputs, evaluate(program, self, *values), strict=True)
                chunks.append([np.broadcast_to(self.lower(x, v), (*v.shape, stop - start)) for v, x in outputs])
        return [np.concatenate(parts, axis=-1) for parts in zip(*chunks, strict=True)]

    def elementary(self, row: Elementary, equation: Equation, x: Array) -> Array:
        """Computed in the storage dtype and rounded."""
        assert row.numpy is not None
        return row.numpy(x) if row.exact else _rounded(row.numpy(x), equation.outputs[0].dtype)

    def logic(self, equation: Equation, inputs: Sequence[Array]) -> Array | None:
        ufunc = LOGIC.get(equation.primitive)
        return None if ufunc is None else np.asarray(ufunc(*inputs))

    def own(self, equation: Equation, inputs: Sequence[Array]) -> Array | list[Array]:
        """Evaluate what is no elementary function: entry by entry by a table, else by a method.

        Raises:
            UnsupportedPrimitive: if there is no rule for the primitive.
        """
        name, dtype = equation.primitive, equation.outputs[0].dtype
        if dtype in FORMATS:
            arithmetic = ARITHMETIC.get(name)
            if arithmetic is not None:
                if equation.params.get("out_dtype") is not None:
                    inputs = [x.astype(STORAGE[dtype], copy=False) for x in inputs]
                return _rounded(arithmetic(*inputs), dtype)
            if name in EXACT:
                return EXACT[name](*inputs)
            if name in MATRICES:
                pairs = zip(MATRICES[name](equation, inputs), equation.outputs, strict=True)
                return [_rounded(x, v.dtype) if v.dtype in FORMATS else x for x, v in pairs]
        elif name in COMPARISONS and equation.inputs[0].dtype in FORMATS:
            return COMPARISONS[name](*inputs)
        return super().own(equation, inputs)

    @staticmethod
    def _stored(array: Array, dtype: str) -> Array:
        if dtype in FORMATS:
            return to_format(array, dtype)
        return array.astype(np.dtype(dtype), copy=False)

    # -- arithmetic with parameters --------------------------------------------------------------------------------

    def p_integer_pow(self, e: Equation, inputs: Sequence[Array]) -> Array:
        """Repeated squaring, as JAX lowers it, rounded at every step."""
        x, dtype = inputs[0], e.outputs[0].dtype
        y = abs(int(e.params["y"]))
        result = np.ones_like(x) if y == 0 else None
        while y:
            if y & 1:
                result = x if result is None else _rounded(result * x, dtype)
            y >>= 1
            if y:
                x = _rounded(x * x, dtype)
        assert result is not None
        return result if e.params["y"] >= 0 else _rounded(np.reciprocal(result), dtype)

    def p_nextafter(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return next_after(inputs[0], inputs[1], e.outputs[0].dtype)

    def p_convert_element_type(self, e: Equation, inputs: Sequence[Array]) -> Array:
        x, source, target = inputs[0], e.inputs[0].dtype, e.outputs[0].dtype
        if target in FORMATS:
            return x if source == target else to_format(x, target)
        return x != 0 if target == "bool" else to_integer(x, target)

    def p_reduce_precision(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return reduce_precision(inputs[0], int(e.params["exponent_bits"]), int(e.params["mantissa_bits"]))

    def p_iota(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return self._stored(indexing.iota(e), e.outputs[0].dtype)

    # -- along axes ------------------------------------------------------------------------------------------------

    def p_reduce_sum(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _rounded(np.add.reduce(inputs[0], axis=_axes(e)), e.outputs[0].dtype)

    def p_reduce_prod(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _rounded(np.multiply.reduce(inputs[0], axis=_axes(e)), e.outputs[0].dtype)

    def p_reduce_max(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return np.asarray(np.maximum.reduce(inputs[0], axis=_axes(e), initial=-np.inf))

    def p_reduce_min(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return np.asarray(np.minimum.reduce(inputs[0], axis=_axes(e), initial=np.inf))

    def p_argmax(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return np.asarray(np.argmax(inputs[0], axis=_axes(e)[0])).astype(e.outputs[0].dtype)

    def p_argmin(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return np.asarray(np.argmin(inputs[0], axis=_axes(e)[0])).astype(e.outputs[0].dtype)

    def p_cumsum(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _accumulated(np.add, e, inputs)

    def p_cumprod(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _accumulated(np.multiply, e, inputs)

    def p_cummax(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _accumulated(np.maximum, e, inputs)

    def p_cummin(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _accumulated(np.minimum, e, inputs)

    def p_cumlogsumexp(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _accumulated(np.logaddexp, e, inputs)

    def p_sort(self, e: Equation, inputs: Sequence[Array]) -> list[Array]:
        return sort_by_keys(inputs, int(e.params["dimension"]), int(e.params["num_keys"]))

    def p_top_k(self, e: Equation, inputs: Sequence[Array]) -> list[Array]:
        """The largest first, NaN above all and +0 above -0; of equal ones that with the smallest index."""
        x, k, axis = inputs[0], int(e.params["k"]), int(e.params["axis"])
        backwards = np.flip(x, axis)
        order = np.flip(np.lexsort((~np.signbit(backwards), backwards), axis=axis), axis)
        first = (*(slice(None) for _ in range(axis)), slice(k))
        order = x.shape[axis] - 1 - order[first]
        return [np.take_along_axis(x, order, axis=axis), order.astype(e.outputs[1].dtype)]

    def p_dot_general(self, e: Equation, inputs: Sequence[Array]) -> Array:
        """Accumulated in the storage of the result's format (`preferred_element_type`)."""
        dtype = e.outputs[0].dtype
        lhs, rhs = (x.astype(STORAGE[dtype], copy=False) for x in inputs)
        return _rounded(contract(lhs, rhs, e.params["dimension_numbers"]), dtype)

    def p_dft(self, e: Equation, inputs: Sequence[Array]) -> list[Array]:
        return [
            _rounded(x, v.dtype)
            for x, v in zip(fourier(inputs[0], inputs[1], e.params["inverse"]), e.outputs, strict=True)
        ]

    def p_scatter_add(self, e: Equation, inputs: Sequence[Array]) -> Array:
        return _rounded(scatter_combining(e, *inputs), e.outputs[0].dtype)

    p_scatter_sub = p_scatter_mul = p_scatter_min = p_scatter_max = p_scatter_add


def _axes(e: Equation) -> tuple[int, ...]:
    return tuple(int(a) for a in e.params["axes"])


def _rounded(x: Array, dtype: str) -> Array:
    """A result in the storage of `dtype`, rounded where the storage is wider than the format."""
    return x if dtype in ("float64", "float32") else to_format(x, dtype)


def _accumulated(ufunc: np.ufunc, e: Equation, inputs: Sequence[Array]) -> Array:
    x = accumulate(ufunc, inputs[0], int(e.params["axis"]), bool(e.params["reverse"]))
    return _rounded(x, e.outputs[0].dtype)


def _maximum(a: Array, b: Array) -> Array:
    """Maximum with +0 above -0; NaN wins."""
    out, tie = np.maximum(a, b), a == b
    return np.where(tie & (out == 0), a + b, out) if tie.any() else out


def _minimum(a: Array, b: Array) -> Array:
    """Minimum with -0 below +0; NaN wins."""
    out, tie = np.minimum(a, b), a == b
    return np.where(tie & (out == 0), -(-a - b), out) if tie.any() else out


def _clamp(low: Array, x: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _power(x: Array, y: Array) -> Array:
    return np.asarray(np.power(x, y.astype(x.dtype, copy=False)))


ARITHMETIC: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rem": np.fmod,
    "pow": _power,
    "atan2": np.arctan2,
    **{name: row.numpy for name, row in SEVERAL.items()},
}
"""Functions of several variables, computed in the storage dtype and rounded."""

EXACT: dict[str, Callable[..., Array]] = {
    "max": _maximum,
    "min": _minimum,
    "clamp": _clamp,
    "stop_gradient": np.asarray,
}
"""Results that are in the format by themselves."""

LOGIC: dict[str, np.ufunc] = {"and": np.logical_and, "or": np.logical_or, "not": np.logical_not}


def _less_in_total_order(a: Array, b: Array) -> Array:
    """-0 below +0, and NaN above all: the order of `jnp.searchsorted`."""
    zeros = (a == 0) & (b == 0) & np.signbit(a) & ~np.signbit(b)
    return np.asarray((a < b) | zeros | (np.isnan(b) & ~np.isnan(a)))


COMPARISONS: dict[str, Callable[..., Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "is_finite": np.isfinite,
    "lt_to": _less_in_total_order,
    "le_to": lambda a, b: ~_less_in_total_order(b, a),
}


def run_floats(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """The program in plain floats of its own dtypes, outputs as float64 with a points axis."""
    return Floats().run(program, arrays)
