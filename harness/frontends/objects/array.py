"""`ExactArray` is an object array of exact scalars on which NumPy code runs as it is.

NumPy's object loops do most of the work; what they lack (isnan, maximum of overlapping balls, logaddexp, norm) or do
too crudely (sums under an error bound) is supplied here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from backprove.harness.core.arrays import Array, Code, Tree
from backprove.harness.core.formats import is_float
from backprove.harness.frontends.numpy_trace.patches import Options, suspended
from backprove.harness.frontends.objects.scalar import (
    ELEMENTARY,
    SETTINGS,
    STEPS,
    ExactScalar,
    NotRunnable,
    UfuncMethod,
)


def scalar_class() -> type[ExactScalar]:
    """The class of the numbers of the run in progress."""
    scalar = SETTINGS.get().scalar
    if scalar is None:
        raise NotRunnable("exact arrays were used outside a run: call run_on_balls, run_on_duals or run_on_bounded")
    return scalar


def as_scalar(value: object) -> ExactScalar:
    if isinstance(value, ExactScalar):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return as_scalar(value[()])
    if value is None:  # an entry that np.empty left unset
        value = np.nan
    if not isinstance(value, (int, float, np.generic)):
        raise NotRunnable(f"an array of numbers was expected to hold a {type(value).__name__}")
    return scalar_class().constant(value.item() if isinstance(value, (np.integer, np.bool_)) else value)


def exact_array(values: ArrayLike) -> ExactArray:
    """An array (of any dtype) or nested list as an ExactArray: every entry becomes a scalar."""
    source = np.asarray(values, dtype=object)
    out = np.empty(source.shape, dtype=object)
    flat = out.reshape(-1)
    for i, value in enumerate(source.reshape(-1)):
        flat[i] = as_scalar(value)
    return out.view(ExactArray)


class ExactArray(np.ndarray[Any, Any]):
    """Object array of exact scalars; functions of NumPy return ExactArrays, ordinary arrays or single scalars."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: UfuncMethod, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if name.endswith("(vectorized)"):  # np.vectorize and np.frompyfunc call Python code entry by entry
            return wrap(getattr(ufunc, method)(*map(plain, inputs), **kwargs))
        # np.clip is a function that calls a ufunc of its name
        if getattr(np, name, None) is not ufunc and name != "clip":
            raise NotRunnable(f"{name} is not a function of NumPy")
        outputs = kwargs.pop("out", None)
        if kwargs.get("dtype") is not None and is_float(kwargs["dtype"]):
            del kwargs["dtype"]  # a cast is the identity over the reals; bounds charge the dtype under test anyway
        operands = [plain(x) for x in inputs]
        if outputs is not None:
            if not all(o is None or isinstance(o, ExactArray) for o in outputs):
                raise NotRunnable("an exact result cannot be written into an ordinary array")
            kwargs["out"] = tuple(None if o is None else plain(o) for o in outputs)
        with suspended():
            result = _dispatch(ufunc, name, method, operands, kwargs)
        if outputs is not None:
            return outputs[0] if len(outputs) == 1 else outputs
        return wrap(result)

    def __array_function__(self, func: Code, types: Iterable[type], args: Any, kwargs: Mapping[str, Any]) -> object:
        name = func.__name__
        scalar = scalar_class()
        if name == "norm":
            return _norm(*args, **kwargs)
        if name == "empty_like":
            return exact_array(np.full(kwargs.get("shape") or np.shape(args[0]), np.nan))
        if name in CONTRACTIONS and scalar.contract is not None and kwargs.get("out") is None:
            with suspended():
                return wrap(scalar.contract(_original(func), tuple(_strip(a) for a in args), kwargs))
        with suspended():
            result = _original(func)(*_rank_zero(args), **_rank_zero(kwargs))
        if result is None:  # updated in place (copyto, put_along_axis, fill_diagonal)
            for a in args:
                if isinstance(a, ExactArray):
                    a[...] = exact_array(plain(a))
        return wrap(result)

    def __setitem__(self, index: Any, value: object) -> None:
        if isinstance(value, (list, tuple)):
            value = exact_array(_items(value))
        elif isinstance(value, np.ndarray):
            entry: object = value[()] if value.ndim == 0 else value
            if isinstance(entry, np.ndarray) and not isinstance(entry, ExactArray):
                entry = exact_array(entry)
            value = entry
        else:
            value = as_scalar(value)
        np.ndarray.__setitem__(self.view(np.ndarray), index, plain(value) if isinstance(value, ExactArray) else value)

    def astype(self, dtype: Any, *_: Any, **options: Any) -> Array:
        """Casts between float formats keep the numbers; to bool they compare with 0."""
        kind = np.dtype(dtype)
        if kind.kind == "O" or is_float(kind):
            return self if options.get("copy") is False else self.copy()
        if kind.kind == "b":
            nonzero: Array = self != 0
            return nonzero
        raise NotRunnable(f"a computed number was converted to {kind}")

    def fill(self, value: object) -> None:
        self[...] = value

    def round(self, decimals: int = 0, out: Any = None) -> Any:  # type: ignore[override]
        power = 10.0**decimals
        return np.divide(np.rint(self * power), power, out=out)

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out=out)

    # memory holds addresses of objects, and no numbers

    def tobytes(self, *_: Any, **__: Any) -> bytes:
        raise NotRunnable("the code reads the memory of an array")

    tofile = dump = dumps = __reduce__ = __reduce_ex__ = tobytes  # type: ignore[assignment]

    @property
    def ctypes(self) -> Any:
        raise NotRunnable("the code hands the memory of an array to compiled code")

    @property
    def data(self) -> Any:
        raise NotRunnable("the code reads the memory of an array")

    # indices are ordinary arrays
    def argmax(self, *args: Any, **options: Any) -> Any:
        return plain(self).argmax(*args, **options)

    def argmin(self, *args: Any, **options: Any) -> Any:
        return plain(self).argmin(*args, **options)

    def argsort(self, *args: Any, **options: Any) -> Any:
        return plain(self).argsort(*args, **{**options, "kind": "stable"})


ExactScalar.array_type = ExactArray


def plain(value: Any) -> Any:
    """The operand without our classes: an ordinary object array over the same memory."""
    if isinstance(value, ExactArray):
        return value.view(np.ndarray)
    if isinstance(value, ExactScalar):
        return value.array().view(np.ndarray)
    return value


def wrap(result: object) -> object:
    """Results of NumPy: arrays of objects or floats become ExactArrays, other arrays ordinary ones."""
    if isinstance(result, (list, tuple)) and not hasattr(result, "_fields"):
        return type(result)(wrap(r) for r in result)
    if not isinstance(result, np.ndarray):
        return result
    if result.dtype == object:
        flat = result.view(np.ndarray).reshape(-1) if result.flags.c_contiguous else result.view(np.ndarray).ravel()
        if all(isinstance(x, ExactScalar) for x in flat):
            return result.view(ExactArray)
        return exact_array(result.view(np.ndarray))
    if is_float(result.dtype):
        return exact_array(result.view(np.ndarray))
    return result.view(np.ndarray)


def _original(func: Code) -> Code:
    """NumPy's function without its dispatch."""
    implementation: Code = getattr(func, "_implementation", func)
    return implementation


def _strip(value: object) -> object:
    return [_strip(v) for v in value] if isinstance(value, list) else plain(value)


def _rank_zero(value: Tree) -> Tree:
    """Single scalars among arguments as arrays of rank 0, which NumPy's functions accept."""
    if isinstance(value, ExactScalar):
        return value.array()
    if type(value) in (list, tuple):
        return type(value)(_rank_zero(v) for v in value)
    if type(value) is dict:
        return {k: _rank_zero(v) for k, v in value.items()}
    return value


def _items(value: Tree) -> Tree:
    """Nested lists without arrays of rank 0, which NumPy would store as objects."""
    if isinstance(value, (list, tuple)):
        return [_items(v) for v in value]
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _dispatch(ufunc: np.ufunc, name: str, method: str, operands: list[Any], kwargs: Options) -> object:
    scalar = scalar_class()
    if method == "reduce" and name == "add" and scalar.reduce_add is not None:
        out = kwargs.pop("out", None)
        result = scalar.reduce_add(operands[0], **kwargs)
        if out is not None:
            out[0][...] = result
        return result
    if name in CONTRACTIONS and method == "__call__" and scalar.contract is not None and "out" not in kwargs:
        return scalar.contract(ufunc, tuple(operands), kwargs)
    if name in PREDICATES:
        return np.asarray(PREDICATES[name](*operands), dtype=bool)[()]
    if name.startswith("logical_"):
        return getattr(ufunc, method)(*(np.asarray(x != 0, dtype=bool) for x in operands), **kwargs)
    if method == "at":
        ENTRYWISE.get(name, ufunc).at(*operands)
        return None
    return getattr(ENTRYWISE.get(name, ufunc), method)(*operands, **kwargs)


def _method(name: str) -> Code:
    def apply(first: object, *others: object) -> object:
        return getattr(as_scalar(first), name)(*map(as_scalar, others))

    return apply


def _clip(x: object, low: object, high: object) -> ExactScalar:
    clipped: ExactScalar = as_scalar(x).maximum(as_scalar(low)).minimum(as_scalar(high))
    return clipped


def _isfinite(x: object) -> bool:
    return not (as_scalar(x).isnan() or as_scalar(x).isinf())


_ONE = (
    *ELEMENTARY,
    *STEPS,
    "log2",
    "log10",
    "square",
    "reciprocal",
    "fabs",
    "absolute",
    "negative",
    "positive",
    "sign",
)
_ONE += ("conjugate", "deg2rad", "radians", "rad2deg", "degrees")
_TWO = ("maximum", "minimum", "hypot", "arctan2", "logaddexp", "fmod", "copysign", "heaviside")

ENTRYWISE: dict[str, np.ufunc] = {
    **{name: np.frompyfunc(_method(name), 1, 1) for name in _ONE},
    **{name: np.frompyfunc(_method(name), 2, 1, identity=None) for name in _TWO},
    "fmax": np.frompyfunc(_method("maximum"), 2, 1, identity=None),
    "fmin": np.frompyfunc(_method("minimum"), 2, 1, identity=None),
    "float_power": np.power,
    "clip": np.frompyfunc(_clip, 3, 1),
}
"""NumPy's ufuncs as functions of single entries."""

PREDICATES: dict[str, np.ufunc] = {
    **{name: np.frompyfunc(_method(name), 1, 1) for name in ("isnan", "isinf", "signbit")},
    "isfinite": np.frompyfunc(_isfinite, 1, 1),
}

CONTRACTIONS = frozenset(
    ("dot", "inner", "vdot", "tensordot", "einsum", "convolve", "correlate", "matmul", "vecdot", "matvec", "vecmat")
)


def _norm(
    x: ArrayLike, ord: object = None, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> object:
    """`np.linalg.norm` of vectors, and the Frobenius norm."""
    x = np.asanyarray(x)
    if ord is None and axis is None:
        total = np.sum(np.square(x))
        root = np.sqrt(total)
        return np.reshape(root, (1,) * x.ndim) if keepdims else root
    single = (axis is None and x.ndim == 1) or isinstance(axis, int)
    if ord in ((None, 2) if single else (None, "fro")):
        return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))
    if single and ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if single and ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    raise NotRunnable(f"np.linalg.norm with ord={ord!r} and axis={axis!r}")


class ExactHost:
    """Float arrays that the code allocates become ExactArrays, so that exact scalars can be assigned into them."""

    def holds(self, value: object) -> bool:
        return isinstance(value, (ExactScalar, ExactArray))

    def adopt(self, array: Array, initialised: bool) -> Array | ExactArray:
        if array.dtype.kind == "c":
            return array
        if initialised:
            return exact_array(array)
        # a read of what was never written must not look like a number
        with suspended():
            return exact_array(np.full(array.shape, np.nan))

    def convert(self, value: Tree, dtype: DTypeLike | None, copy: bool) -> Array:
        if isinstance(value, ExactArray):
            return value.astype(object if dtype is None else dtype, copy=copy)
        with suspended():
            array = exact_array(_items(value))
        return array if dtype is None else array.astype(dtype)

    def finfo(self, dtype: DTypeLike) -> object:
        return np.finfo(SETTINGS.get().format.numpy if np.dtype(dtype) == object else dtype)

    def call(self, function: Code, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return function(*args, **kwargs)
