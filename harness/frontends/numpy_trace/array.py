"""`Traced` is a duck array that records NumPy code as JAX operations.

It follows NumPy in what decides a result: dtypes (taken from NumPy itself, run on a stand-in of the same shapes and
dtypes), which results are scalars (immutable), which are views, and updates in place, also through slices.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import BackproveError
from backprove.harness.core.formats import is_float
from backprove.harness.frontends.numpy_trace.patches import suspended


class NotTraceable(BackproveError):
    """The NumPy code does something that a traced array cannot follow; the message names it."""


@dataclass
class Assumption:
    """What `bool()` of a traced value answers while this is `ASSUMED`, and the values that were asked.

    A trace made so tells what the code does where every value asked has that truth value.
    """

    answer: bool
    asked: list[Any] = field(default_factory=list)

    def __call__(self, value: Traced) -> bool:
        if value.size != 1 or len(self.asked) >= MOST_ASKED:
            raise NotTraceable("bool() of an array of several entries, or of too many values")
        self.asked.append(value.value)
        return self.answer


MOST_ASKED = 64
ASSUMED: ContextVar[Assumption | None] = ContextVar("ASSUMED", default=None)


def on_jax(function: Code, *args: Any, **kwargs: Any) -> Any:
    """Call a JAX function with NumPy's own allocators in place (JAX uses them too)."""
    with suspended():
        return function(*args, **kwargs)


class Calls(NamedTuple):
    """How calls of NumPy with traced arrays are answered: ufuncs, functions, and methods of arrays by name."""

    ufunc: Callable[[Any, str, Any, dict[str, Any]], Any]
    function: Callable[[Any, Any, dict[str, Any]], Any]
    methods: Mapping[str, Code]


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """One array (or NumPy scalar) whose value is a JAX tracer.

    A slice of a traced array is a view: it holds its base and index, reads through it and writes through it. Other
    views (reshape, transpose) can be read as long as their base is not updated in place, and not written.
    """

    calls: ClassVar[Calls]
    """Set by the module `calls`."""

    def __init__(self, value: Any, scalar: bool = False, base: Traced | None = None, index: Any = None) -> None:
        self._raw = value
        self._scalar = scalar
        self._base = base
        self._index = index  # None with a base: a view that is no slice
        self._version = 0
        self._seen = 0 if base is None else base.root._version

    __hash__ = None  # type: ignore[assignment]

    @property
    def root(self) -> Traced:
        """The array that owns the memory."""
        return self if self._base is None else self._base.root

    @property
    def value(self) -> Any:
        """The current value as a JAX array."""
        if self._base is not None and self._seen != self.root._version:
            if self._index is None:
                raise NotTraceable("an array was updated in place while a reshaped or transposed view of it is in use")
            base = self._base.value
            self._raw = on_jax(operator.getitem, base, self._index[0])
            self._seen = self.root._version
        return self._raw

    def write(self, value: Any) -> None:
        """Replace the value in place, in the base too."""
        if self._scalar:
            raise NotTraceable("a NumPy scalar cannot be updated in place")
        if self._base is None:
            self._raw = value
            self._version += 1
        elif self._index is not None:
            base = self._base.value
            self._base.write(on_jax(lambda: base.at[self._index[0]].set(value)))
            self._raw, self._seen = value, self.root._version
        else:
            raise NotTraceable("in-place update of a view made by reshape, transpose or the like")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self._raw.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self._raw.dtype)
        return dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def T(self) -> Any:
        return np.transpose(self)

    @property
    def real(self) -> Traced:
        return self

    def stand_in(self) -> Any:
        """An ordinary array (or NumPy scalar) of this shape and dtype.

        Integers are zeros, which are valid indices; matrices are ones plus the identity, which are positive definite.
        """
        with suspended():
            out = (np.ones if is_float(self.dtype) or self.dtype == bool else np.zeros)(self.shape, self.dtype)
            if self.ndim >= 2 and is_float(self.dtype):
                out = out + np.eye(*self.shape[-2:], dtype=self.dtype)
        return out[()] if self._scalar else out

    def _concrete(self, what: str) -> Any:
        raise NotTraceable(f"{what} of a traced value: the code branches on, or converts, a number it computed")

    def __bool__(self) -> bool:
        assumed = ASSUMED.get()
        return bool(self._concrete("bool()")) if assumed is None else assumed(self)

    def __float__(self) -> float:
        return float(self._concrete("float()"))

    def __int__(self) -> int:
        return int(self._concrete("int()"))

    def __index__(self) -> int:
        return int(self._concrete("use as a Python index"))

    def __complex__(self) -> complex:
        return complex(self._concrete("complex()"))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self._concrete("conversion to an ordinary array")
        return array

    def item(self, *args: Any) -> Any:
        return self._concrete("item()")

    def tolist(self) -> Any:
        return self._concrete("tolist()")

    def __contains__(self, value: Any) -> bool:
        return bool(self._concrete("`in`"))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Traced:
        like, base = _on_stand_ins(operator.getitem, self, index)
        raw = _raw_index(index)
        value = on_jax(operator.getitem, self.value, raw)
        # a single entry and what an index array picks are copies, a slice is a view
        is_view = isinstance(like, np.ndarray) and np.may_share_memory(like, base)
        return Traced(value, not isinstance(like, np.ndarray), self if is_view else None, (raw,) if is_view else None)

    def __setitem__(self, index: Any, new: Any) -> None:
        import jax.numpy as jnp

        raw, source = _raw_index(index), raw_value(new)
        old, is_mask = self.value, _is_traced_mask(index)
        if is_mask and np.ndim(source) != 0:
            raise NotTraceable("assignment of several values through a traced boolean mask")
        if not is_mask:
            _on_stand_ins(operator.setitem, self, index, new)
        if is_mask:
            mask = on_jax(lambda: raw.reshape(raw.shape + (1,) * (old.ndim - raw.ndim)))
            self.write(on_jax(lambda: jnp.where(mask, jnp.asarray(source).astype(old.dtype), old)))
        else:
            self.write(on_jax(lambda: old.at[raw].set(_fit(jnp.asarray(source), old[raw].ndim).astype(old.dtype))))

    def update_at(self, method: str, index: Any, operand: Any) -> None:
        """`ufunc.at`: unbuffered update, repeated indices accumulate."""
        import jax.numpy as jnp

        old, raw = self.value, _raw_index(index)
        source = on_jax(lambda: jnp.asarray(raw_value(operand)).astype(old.dtype))
        if method == "subtract":
            source, method = on_jax(operator.neg, source), "add"
        if method not in ("add", "multiply", "minimum", "maximum") or _is_traced_mask(index):
            raise NotTraceable(f"np.{method}.at with these operands")
        name = {"minimum": "min", "maximum": "max"}.get(method, method)
        self.write(on_jax(lambda: getattr(old.at[raw], name)(source)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.calls.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.calls.function(func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in self.calls.methods:
            return self.calls.methods[name].__get__(self)
        raise AttributeError(f"traced arrays have no attribute '{name}'")


def _in_place(name: str) -> Callable[[Traced, Any], Any]:
    function = getattr(operator, name)
    ufunc = {
        "truediv": "true_divide",
        "floordiv": "floor_divide",
        "mod": "remainder",
        "pow": "power",
        "mul": "multiply",
    }
    ufunc |= {"sub": "subtract", "and_": "bitwise_and", "or_": "bitwise_or", "xor": "bitwise_xor"}

    def update(self: Traced, other: Any) -> Any:
        if self._scalar:  # `s += 1` on a NumPy scalar makes a new one; other names of the old one keep its value
            return function(self, other)
        return getattr(np, ufunc.get(name, name))(self, other, out=(self,))

    return update


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "matmul"):
    setattr(Traced, f"__i{_name.rstrip('_')}__", _in_place(_name))


def raw_value(value: Any) -> Any:
    """`value` with every traced array in it replaced by its JAX value; a list with one becomes an array."""
    if isinstance(value, Traced):
        return value.value
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(raw_value(v) for v in value)
    return value


def _raw_index(index: Any) -> Any:
    """An index for JAX, which takes no lists."""
    if isinstance(index, tuple):
        return tuple(_raw_index(i) for i in index)
    return np.asarray(index) if isinstance(index, list) and index else raw_value(index)


def _fit(value: Any, ndim: int) -> Any:
    """Leading axes of size 1 beyond `ndim` dropped, as NumPy's assignment does."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = value[0]
    return value


def _is_traced_mask(index: Any) -> bool:
    return isinstance(index, Traced) and index.dtype == bool


def stand_ins(value: Any, found: list[tuple[Traced, Any]]) -> Any:
    """`value` with every traced array replaced by its stand-in; `found` collects the pairs (one per array)."""
    if isinstance(value, Traced):
        for traced, array in found:
            if traced is value:
                return array
        found.append((value, value.stand_in()))
        return found[-1][1]
    if type(value) in (list, tuple):
        return type(value)(stand_ins(v, found) for v in value)
    if type(value) is dict:
        return {k: stand_ins(v, found) for k, v in value.items()}
    return value


def _on_stand_ins(function: Code, array: Traced, *args: Any) -> tuple[Any, Any]:
    """Indexing as NumPy does it, on stand-ins: its result (or its error), and the stand-in of `array`."""
    found: list[tuple[Traced, Any]] = []
    base = stand_ins(array, found)
    with suspended(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(base, *(stand_ins(a, found) for a in args)), base
