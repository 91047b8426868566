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
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import BackproveError
from backprove.harness.core.formats import is_float
from backprove.harness.frontends.numpy_trace.patches import Options, suspended

if TYPE_CHECKING:
    import jax


R = TypeVar("R")


class NotTraceable(BackproveError):
    """The NumPy code does something that a traced array cannot follow; the message names it."""


@dataclass
class Assumption:
    """What `bool()` of a traced value answers while this is `ASSUMED`, and the values that were asked.

    A trace made so tells what the code does where every value asked has that truth value.
    """

    answer: bool
    asked: list[jax.Array] = field(default_factory=list)

    def __call__(self, value: Traced) -> bool:
        if value.size != 1 or len(self.asked) >= MOST_ASKED:
            raise NotTraceable("bool() of an array of several entries, or of too many values")
        self.asked.append(value.value)
        return self.answer


MOST_ASKED = 64
ASSUMED: ContextVar[Assumption | None] = ContextVar("ASSUMED", default=None)


def on_jax(function: Callable[..., R], *args: object, **kwargs: object) -> R:
    """Call a JAX function with NumPy's own allocators in place (JAX uses them too)."""
    with suspended():
        return function(*args, **kwargs)


class Calls(NamedTuple):
    """How calls of NumPy with traced arrays are answered: ufuncs, functions, and methods of arrays by name."""

    ufunc: Callable[[np.ufunc, str, tuple[ArrayLike, ...], Options], object]
    function: Callable[[Code, tuple[object, ...], Options], object]
    methods: Mapping[str, Code]


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """One array (or NumPy scalar) whose value is a JAX tracer.

    A slice of a traced array is a view: it holds its base and index, reads through it and writes through it. Other
    views (reshape, transpose) can be read as long as their base is not updated in place, and not written.
    """

    calls: ClassVar[Calls]
    """Set by the module `calls`."""

    def __init__(
        self, value: jax.Array, scalar: bool = False, base: Traced | None = None, index: tuple[object] | None = None
    ) -> None:
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
    def value(self) -> jax.Array:
        """The current value as a JAX array."""
        if self._base is not None and self._seen != self.root._version:
            if self._index is None:
                raise NotTraceable("an array was updated in place while a reshaped or transposed view of it is in use")
            base, place = self._base.value, self._index[0]
            self._raw = on_jax(lambda: base[place])
            self._seen = self.root._version
        return self._raw

    def write(self, value: jax.Array) -> None:
        """Replace the value in place, in the base too."""
        if self._scalar:
            raise NotTraceable("a NumPy scalar cannot be updated in place")
        if self._base is None:
            self._raw = value
            self._version += 1
        elif self._index is not None:
            base, place = self._base.value, self._index[0]
            self._base.write(on_jax(lambda: base.at[place].set(value)))
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
    def T(self) -> object:
        return np.transpose(self)

    @property
    def real(self) -> Traced:
        return self._part("real") if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Traced:
        return self._part("imag")

    def _part(self, name: str) -> Traced:
        """A part of complex numbers, to be read."""
        import jax.numpy as jnp

        value = self.value
        return Traced(on_jax(getattr(jnp, name), value), scalar=self._scalar)

    def stand_in(self) -> Array | np.generic:
        """An ordinary array (or NumPy scalar) of this shape and dtype.

        Integers are zeros, which are valid indices; matrices are ones plus the identity, which are positive definite.
        """
        with suspended():
            inexact = is_float(self.dtype) or self.dtype.kind == "c"
            out = (np.ones if inexact or self.dtype == bool else np.zeros)(self.shape, self.dtype)
            if self.ndim >= 2 and inexact:
                out = out + np.eye(*self.shape[-2:], dtype=self.dtype)
        return out[()] if self._scalar else out

    def _concrete(self, what: str) -> NoReturn:
        raise NotTraceable(f"{what} of a traced value: the code branches on, or converts, a number it computed")

    def __bool__(self) -> bool:
        assumed = ASSUMED.get()
        return self._concrete("bool()") if assumed is None else assumed(self)

    def __float__(self) -> float:
        return self._concrete("float()")

    def __int__(self) -> int:
        return self._concrete("int()")

    def __index__(self) -> int:
        return self._concrete("use as a Python index")

    def __complex__(self) -> complex:
        return self._concrete("complex()")

    def __array__(self, *args: object, **kwargs: object) -> Array:
        self._concrete("conversion to an ordinary array")

    def item(self, *args: object) -> NoReturn:
        self._concrete("item()")

    def tolist(self) -> NoReturn:
        self._concrete("tolist()")

    def __contains__(self, value: object) -> bool:
        return self._concrete("`in`")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Traced]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: object) -> Traced:
        like, base = _on_stand_ins(operator.getitem, self, index)
        raw, whole = _raw_index(index), self.value
        value = on_jax(lambda: whole[raw])
        # a single entry and what an index array picks are copies, a slice is a view
        is_view = isinstance(like, np.ndarray) and np.may_share_memory(like, base)
        return Traced(value, not isinstance(like, np.ndarray), self if is_view else None, (raw,) if is_view else None)

    def __setitem__(self, index: object, new: object) -> None:
        import jax.numpy as jnp

        source, old = raw_value(new), self.value
        if _is_traced_mask(index):
            if np.ndim(source) != 0:
                raise NotTraceable("assignment of several values through a traced boolean mask")
            chosen = index.value
            mask = on_jax(lambda: chosen.reshape(chosen.shape + (1,) * (old.ndim - chosen.ndim)))
            self.write(on_jax(lambda: jnp.where(mask, jnp.asarray(source).astype(old.dtype), old)))
            return
        raw = _raw_index(index)
        _on_stand_ins(operator.setitem, self, index, new)
        self.write(on_jax(lambda: old.at[raw].set(_fit(jnp.asarray(source), old[raw].ndim).astype(old.dtype))))

    def update_at(self, method: str, index: object, operand: object) -> None:
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

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: ArrayLike, **kwargs: object) -> object:
        return self.calls.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Code, types: object, args: tuple[object, ...], kwargs: Options) -> object:
        return self.calls.function(func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in self.calls.methods:
            return self.calls.methods[name].__get__(self)
        raise AttributeError(f"traced arrays have no attribute '{name}'")


def _in_place(name: str) -> Callable[[Traced, object], object]:
    function = getattr(operator, name)
    ufunc = {
        "truediv": "true_divide",
        "floordiv": "floor_divide",
        "mod": "remainder",
        "pow": "power",
        "mul": "multiply",
    }
    ufunc |= {"sub": "subtract", "and_": "bitwise_and", "or_": "bitwise_or", "xor": "bitwise_xor"}

    def update(self: Traced, other: object) -> object:
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


def _raw_index(index: object) -> object:
    """An index for JAX, which takes no lists."""
    if isinstance(index, tuple):
        return tuple(_raw_index(i) for i in index)
    return np.asarray(index) if isinstance(index, list) and index else raw_value(index)


def _fit(value: jax.Array, ndim: int) -> jax.Array:
    """Leading axes of size 1 beyond `ndim` dropped, as NumPy's assignment does."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = value[0]
    return value


def _is_traced_mask(index: object) -> TypeGuard[Traced]:
    return isinstance(index, Traced) and index.dtype == bool


StandIns = list[tuple[Traced, "Array | np.generic"]]
"""Traced arrays, each with the ordinary array that stands for it."""


def stand_ins(value: Any, found: StandIns) -> Any:
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


def _on_stand_ins(function: Code, array: Traced, *args: object) -> tuple[Any, Any]:
    """Indexing as NumPy does it, on stand-ins: its result (or its error), and the stand-in of `array`."""
    found: StandIns = []
    base = stand_ins(array, found)
    with suspended(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(base, *(stand_ins(a, found) for a in args)), base
