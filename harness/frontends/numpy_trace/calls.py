"""NumPy's functions, ufuncs and methods on traced arrays become the function of the same name in `jax.numpy`.

Every call is also made with NumPy itself on stand-ins (arrays of ones of the same shapes and dtypes): what comes back
tells the dtype, what is a view, what is a scalar, and which calls NumPy refuses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from backprove.harness.core.arrays import Array, Code, Tree
from backprove.harness.core.formats import FORMATS, is_float
from backprove.harness.frontends.numpy_trace import linear_algebra, scipy_functions
from backprove.harness.frontends.numpy_trace.array import (
    Calls,
    NotTraceable,
    StandIns,
    Traced,
    on_jax,
    raw_value,
    stand_ins,
)
from backprove.harness.frontends.numpy_trace.patches import Options, suspended

if TYPE_CHECKING:
    import jax

REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "fmax": "nanmax",
    "fmin": "nanmin",
    "logical_and": "all",
    "logical_or": "any",
}
ACCUMULATIONS = {"add": "cumsum", "multiply": "cumprod"}
DROPPED = ("kind", "casting", "subok", "like", "optimize", "out")
"""Options that change no value (`sort` is stable here, which is one of the orders NumPy may return)."""


def _numpy_itself(function: Code, args: Iterable[object], kwargs: Options, found: StandIns) -> object:
    """NumPy's own result on stand-ins.

    Raises:
        NotTraceable: if NumPy refuses the call, which it then does on the real arrays too.
    """
    arguments, options = stand_ins(tuple(args), found), stand_ins(dict(kwargs), found)
    with suspended(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*arguments, **options)
        except np.linalg.LinAlgError:  # the stand-in is singular, the real matrix need not be
            raise NotTraceable(f"np.linalg.{getattr(function, '__name__', function)} is not followed") from None
        except Exception as why:
            raise NotTraceable(f"NumPy refuses {getattr(function, '__name__', function)}: {why}") from why


def _wrap(raw: Tree, like: Tree, found: StandIns) -> Tree:
    """JAX results as traced arrays with NumPy's dtype and kind of result."""
    if isinstance(like, (tuple, list)):
        if not isinstance(raw, (tuple, list)) or len(raw) != len(like):
            raise NotTraceable("NumPy and JAX return different structures")
        parts = [_wrap(r, v, found) for r, v in zip(raw, like, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    if not hasattr(raw, "dtype"):
        return raw
    for traced, stand_in in found:
        if like is stand_in and not traced._scalar:
            return traced
    if np.shape(raw) != np.shape(like):
        raise NotTraceable(f"NumPy returns shape {np.shape(like)}, JAX {np.shape(raw)}")
    dtype = np.asarray(like).dtype
    if raw.dtype != dtype:
        raw = on_jax(lambda: raw.astype(dtype))
    if not isinstance(like, np.ndarray):
        return Traced(raw, scalar=True)
    bases = [t for t, s in found if isinstance(s, np.ndarray) and np.may_share_memory(like, s)]
    return Traced(raw, base=bases[0] if bases else None)


def _store(out: object, value: Traced) -> Traced:
    if not isinstance(out, Traced):
        raise NotTraceable("a traced result cannot be written into an ordinary array")
    import jax.numpy as jnp

    shape, dtype = out.shape, out.dtype
    out.write(on_jax(lambda: jnp.broadcast_to(value.value, shape).astype(dtype)))
    return out


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[ArrayLike, ...], kwargs: Options) -> object:
    """A NumPy ufunc or one of its methods on traced operands.

    Raises:
        NotTraceable: for ufuncs that neither NumPy nor `scipy_functions` knows, and methods without a JAX counterpart.
    """
    import jax.numpy as jnp

    name = ufunc.__name__
    special = scipy_functions.of_ufunc(ufunc)
    if special is None and getattr(np, name, None) is not ufunc:
        raise NotTraceable(f"{name} is no function of NumPy, nor one of SciPy's that is followed")
    if method == "at":
        if not isinstance(inputs[0], Traced):
            raise NotTraceable(f"np.{name}.at on an ordinary array with traced operands")
        _numpy_itself(ufunc.at, inputs, kwargs, [])
        inputs[0].update_at(name, *inputs[1:])
        return None
    found: StandIns = []
    like = _numpy_itself(getattr(ufunc, method), inputs, kwargs, found)
    out = kwargs.pop("out", None)
    options = {k: v for k, v in kwargs.items() if k not in DROPPED}
    if method == "__call__":
        raw = _elementwise(ufunc, special or getattr(jnp, name, None), inputs, options)
    elif method == "outer":
        a, b = (np.shape(raw_value(x)) for x in inputs)
        left = np.reshape(inputs[0], a + (1,) * len(b))
        raw = _elementwise(ufunc, special or getattr(jnp, name, None), (left, inputs[1]), options)
    elif method == "reduce" and name in REDUCTIONS:
        options = {"axis": 0, **raw_value_of(options)}
        options.pop("dtype", None)
        raw = on_jax(getattr(jnp, REDUCTIONS[name]), _as(inputs[0], like), **options)
    elif method == "accumulate" and name in ACCUMULATIONS:
        raw = on_jax(getattr(jnp, ACCUMULATIONS[name]), _as(inputs[0], like), axis=options.get("axis", 0))
    else:
        raise NotTraceable(f"np.{name}.{method} is not followed")
    if out is not None and len(out) == 1 and out[0] is not None:
        return _store(out[0], Traced(raw))
    return _wrap(raw, like, [])


def _as(operand: object, like: object) -> object:
    """The operand in the dtype in which NumPy reduces it."""
    import jax.numpy as jnp

    dtype = np.asarray(like).dtype
    return on_jax(lambda: jnp.asarray(raw_value(operand)).astype(dtype)) if is_float(dtype) else raw_value(operand)


def raw_value_of(options: Options) -> Options:
    return {k: raw_value(v) for k, v in options.items()}


def _elementwise(
    ufunc: np.ufunc, function: Callable[..., jax.Array] | None, inputs: tuple[ArrayLike, ...], options: Options
) -> jax.Array:
    """Operands converted as NumPy converts them (Python scalars are weak), then the function of `jax.numpy`."""
    import jax.numpy as jnp

    name = ufunc.__name__
    if function is None:
        raise NotTraceable(f"jax.numpy has no {name}")
    if options.get("where", True) is not True or options.get("dtype") is not None:
        raise NotTraceable(f"np.{name} with where= or dtype=")
    weak = (int, float, complex)
    operands = [raw_value(x) for x in inputs]
    operands = [x if type(x) in weak or hasattr(x, "dtype") else np.asarray(x) for x in operands]
    kinds = [type(x) if type(x) in weak else np.dtype(x.dtype) for x in operands]
    resolved = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
    weakest = all(type(x) in weak for x in operands)
    operands = [
        on_jax(lambda x=x, d=d: jnp.asarray(x).astype(d)) if weakest or (type(x) not in weak and x.dtype != d) else x
        for x, d in zip(operands, resolved, strict=False)
    ]
    return on_jax(function, *operands)


def call_function(func: Code, args: tuple[object, ...], kwargs: Options) -> object:
    """A NumPy function with traced arguments.

    Raises:
        NotTraceable: where JAX has no function of that name or cannot follow these arguments.
    """
    import jax.numpy as jnp

    name, module = func.__name__, func.__module__ or ""
    if name in SPECIAL:
        _numpy_itself(func, args, kwargs, [])
        return SPECIAL[name](*args, **kwargs)
    found: StandIns = []
    like = _numpy_itself(func, args, kwargs, found)
    out = kwargs.get("out")
    options = {k: v for k, v in kwargs.items() if k not in DROPPED and not (k == "order" and v in (None, "K", "C"))}
    options = {_RENAMED.get(k, k): v for k, v in options.items()}
    if name in ("sort", "argsort"):
        options["stable"] = True
    place = {"numpy.linalg": jnp.linalg, "numpy.fft": jnp.fft}.get(module, jnp)
    target = linear_algebra.FUNCTIONS.get(name) if module == "numpy.linalg" else None
    target = target or getattr(place, name, None)
    if target is None:
        raise NotTraceable(f"jax.numpy has no {name}")
    arguments, options = raw_value(args), raw_value_of(options)
    try:
        raw = on_jax(target, *arguments, **options)
    except TypeError:  # JAX takes no lists where NumPy takes them as arrays
        arguments = tuple(np.asarray(a) if type(a) is list and not _holds_array(a) else a for a in arguments)
        raw = on_jax(target, *arguments, **options)
    if any(r.dtype != d and is_float(d) for r, d in _dtypes(raw, like)):
        wide = max((d for _, d in _dtypes(raw, like)), key=lambda d: FORMATS[str(d)].digits if is_float(d) else 0)
        raw = on_jax(target, *_promote(arguments, wide), **options)
    if isinstance(out, Traced):
        return _store(out, Traced(raw))
    if out is not None and out is not np._NoValue:
        raise NotTraceable("a traced result cannot be written into an ordinary array")
    return _wrap(raw, like, found)


def call_scipy(function: Code, args: tuple[object, ...], kwargs: Options) -> object:
    """A function of SciPy that is written in Python, with traced arguments."""
    found: StandIns = []
    like = _numpy_itself(function, args, kwargs, found)
    target = scipy_functions.of_function(function)
    try:
        raw = on_jax(target, *raw_value(args), **raw_value_of(kwargs))
    except TypeError as why:
        raise NotTraceable(f"{function.__name__} with these arguments is not followed: {why}") from why
    return _wrap(raw, like, found)


def _holds_array(value: object) -> bool:
    return any(_holds_array(v) for v in value) if isinstance(value, (list, tuple)) else hasattr(value, "dtype")


def _dtypes(raw: Tree, like: Tree) -> list[tuple[jax.Array, np.dtype[Any]]]:
    pairs = zip(raw, like, strict=False) if isinstance(like, (tuple, list)) else [(raw, like)]
    return [(r, np.asarray(v).dtype) for r, v in pairs if hasattr(r, "dtype")]


def _promote(value: Tree, dtype: np.dtype[Any]) -> Tree:
    """Float arrays among the arguments in the dtype in which NumPy computes."""
    if type(value) in (list, tuple):
        return type(value)(_promote(v, dtype) for v in value)
    if hasattr(value, "dtype") and is_float(value.dtype):
        return on_jax(lambda: value.astype(dtype))
    return value


def _copyto(dst: Traced | Array, src: ArrayLike, casting: str = "same_kind", where: ArrayLike | bool = True) -> None:
    dst[...] = src if where is True else np.where(where, src, dst)


def _put_along_axis(arr: object, indices: ArrayLike, values: ArrayLike, axis: int | None) -> None:
    import jax.numpy as jnp

    if not isinstance(arr, Traced):
        raise NotTraceable("np.put_along_axis of traced values into an ordinary array")
    old = arr.value
    i, v = raw_value(indices), raw_value(values)
    arr.write(on_jax(lambda: jnp.put_along_axis(old, jnp.asarray(i), jnp.asarray(v), axis=axis, inplace=False)))


def _fill_diagonal(a: Traced | Array, val: object, wrap: bool = False) -> None:
    n = min(a.shape)
    index = (np.arange(n),) * len(a.shape)
    if wrap and a.shape[0] > n:
        raise NotTraceable("np.fill_diagonal with wrap=True on a tall array")
    a[index] = val


def _empty_like(prototype: Traced | Array, dtype: DTypeLike | None = None, **options: Any) -> object:
    # a read of what was never written must not look like a number
    kind = np.dtype(dtype or prototype.dtype)
    return np.full_like(prototype, np.nan if is_float(kind) else 0, dtype=kind, shape=options.get("shape"))


_RENAMED = {"a_min": "min", "a_max": "max"}

SPECIAL: dict[str, Code] = {
    "empty_like": _empty_like,
    "copyto": _copyto,
    "put_along_axis": _put_along_axis,
    "fill_diagonal": _fill_diagonal,
}
"""NumPy functions that update their first argument, and the one that leaves its result uninitialised."""


def _plain_method(name: str) -> Code:
    def method(self: Traced, *args: object, **kwargs: object) -> object:
        return getattr(np, name)(self, *args, **kwargs)

    return method


def _reshape(self: Traced, *shape: Any, order: str = "C") -> object:
    return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)  # type: ignore[call-overload]


def _transpose(self: Traced, *axes: Any) -> object:
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = tuple(axes[0]) if axes[0] is not None else ()
    return np.transpose(self, axes or None)


def _copy(self: Traced, order: str = "C") -> Traced:
    return Traced(self.value)


def _flatten(self: Traced, order: Literal["C", "F", "A", "K"] = "C") -> Traced:
    flat: Any = np.ravel(self, order)
    return Traced(flat.value)


def _astype(
    self: Traced, dtype: DTypeLike, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Traced:
    kind = np.dtype(dtype)
    if kind == self.dtype and not copy:
        return self
    value = self.value
    return Traced(on_jax(lambda: value.astype(kind)), scalar=self._scalar)


def _fill(self: Traced, value: object) -> None:
    self[...] = value


def _sort(self: Traced, axis: int = -1, kind: object = None) -> None:
    self[...] = np.sort(self, axis=axis)


def _conjugate(self: Traced) -> object:
    return np.conjugate(self) if self.dtype.kind == "c" else self


_OTHER_METHODS: dict[str, Code] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "copy": _copy,
    "flatten": _flatten,
    "astype": _astype,
    "fill": _fill,
    "sort": _sort,
    "conj": _conjugate,
    "conjugate": _conjugate,
}

METHODS: dict[str, Code] = {
    name: _plain_method(name)
    for name in (
        *("sum", "prod", "max", "min", "mean", "var", "std", "argmax", "argmin", "any", "all", "argsort", "cumsum"),
        *("cumprod", "clip", "take", "repeat", "squeeze", "swapaxes", "dot", "ravel", "round", "trace", "diagonal"),
        *("searchsorted", "nonzero", "compress", "choose"),
    )
} | _OTHER_METHODS
"""Methods of ndarray that traced arrays have."""

Traced.calls = Calls(call_ufunc, call_function, METHODS)
