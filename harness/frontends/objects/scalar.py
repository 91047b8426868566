"""Exact scalars share their operators and NumPy's method names; subclasses give the arithmetic.

On an object array NumPy turns `a + b` into the operator and `np.exp(a)` into the method `exp` of every entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeVar

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.errors import BackproveError
from backprove.harness.core.formats import FORMATS, FloatFormat
from backprove.harness.frontends.objects.branches import EQUAL, RELATIONS
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.table import BY_NUMPY_NAME

PlainNumber = int | float | np.generic
"""A number that the code holds beside exact scalars: one it states, or an entry of an ordinary array."""

UfuncMethod = Literal["__call__", "reduce", "reduceat", "accumulate", "outer", "at"]
"""How NumPy calls a ufunc."""

S = TypeVar("S", bound="ExactScalar")


class NotRunnable(BackproveError):
    """The NumPy code does something that exact scalars cannot follow; the message names it."""


@dataclass(frozen=True)
class Settings:
    """What one run fixes.

    Attributes:
        scalar: class of the numbers.
        widen: relative radius of float literals that are not short dyadics (balls only).
        format: the dtype under test (running error bounds only).
    """

    scalar: type[ExactScalar] | None = None
    widen: float = 0.0
    format: FloatFormat = FORMATS["float64"]


SETTINGS: ContextVar[Settings] = ContextVar("exact_scalar_settings", default=Settings())  # noqa: B039 - frozen

ELEMENTARY = {name: row for name, row in BY_NUMPY_NAME.items() if row.kink is None}
"""Differentiable functions of one variable, by the name of NumPy's method."""

STEPS = {name: row for name, row in BY_NUMPY_NAME.items() if row.kink is not None}
"""Functions that round to an integer, likewise."""


class ExactScalar:
    """A number of one of the exact systems; subclasses give the arithmetic.

    `float()`, `int()` and the like raise NotRunnable: they would lose the tangent, or the error bound, silently.
    """

    __slots__ = ()
    shape: tuple[int, ...] = ()
    array_type: ClassVar[type[Array]]
    """Class of the arrays of such numbers; the module of that class sets it."""
    ndim = 0
    size = 1
    dtype = np.dtype(object)
    reduce_add: Code | None = None
    """`reduce_add(array, **options)`: the sum where the order of the terms matters."""
    contract: Code | None = None
    """`contract(function, args, kwargs)`: dot, einsum and other multilinear functions, likewise."""

    @classmethod
    def constant(cls: type[S], value: PlainNumber) -> S:
        """A literal of the code, or an entry of one of its ordinary arrays."""
        raise NotImplementedError

    def elementary(self: S, row: Elementary) -> S:
        """A differentiable function of one variable."""
        raise NotImplementedError

    def step(self: S, row: Elementary) -> S:
        """A function that rounds to an integer."""
        raise NotImplementedError

    def compare(self: S, relation: str, other: S) -> bool:
        """lt, le, gt, ge, eq or ne; an undecided one is put to the branches in progress."""
        raise NotImplementedError

    def lift(self: S, other: object) -> S | None:
        """`other` as a scalar of this class; None if it is no number."""
        if type(other) is type(self):
            return other
        if isinstance(other, (int, float, np.generic)) and not isinstance(other, np.complexfloating):
            return type(self).constant(other.item() if isinstance(other, (np.integer, np.bool_)) else other)
        return None

    def __neg__(self: S) -> S:
        raise NotImplementedError

    def __abs__(self: S) -> S:
        raise NotImplementedError

    if TYPE_CHECKING:  # set at the end of this module

        def __mul__(self: S, other: S | PlainNumber) -> S: ...
        def __sub__(self: S, other: S | PlainNumber) -> S: ...
        def __truediv__(self: S, other: S | PlainNumber) -> S: ...
        def __lt__(self, other: ExactScalar | PlainNumber) -> bool: ...
        def __gt__(self, other: ExactScalar | PlainNumber) -> bool: ...

    def reciprocal(self: S) -> S:
        return self.constant(1) / self

    def conjugate(self: S) -> S:
        return self

    def positive(self: S) -> S:
        return self

    __pos__ = positive

    def fabs(self) -> ExactScalar:
        return abs(self)

    absolute = fabs

    def negative(self: S) -> S:
        return -self

    def radians(self: S) -> S:
        return self * (np.pi / 180)

    deg2rad = radians

    def degrees(self: S) -> S:
        return self * (180 / np.pi)

    rad2deg = degrees

    def copysign(self, other: ExactScalar) -> ExactScalar:
        a = self.fabs()
        return -a if other < 0 else a

    def heaviside(self: S, at_zero: S) -> S:
        return self.constant(0) if self < 0 else self.constant(1) if self > 0 else at_zero

    def signbit(self) -> bool:
        return self < 0

    def __bool__(self) -> bool:
        return self.compare("ne", self.constant(0))

    def _refuse(self, *_: object) -> NoReturn:
        raise NotRunnable("the code converts a computed number to an ordinary one: float(), int(), .item() or math.*")

    __float__ = __int__ = __index__ = __complex__ = __floor__ = __ceil__ = __trunc__ = __round__ = _refuse

    def item(self: S, *_: object) -> S:
        return self

    def array(self) -> Array:
        """This number as an array of rank 0."""
        out = np.ndarray.__new__(self.array_type, (), dtype=object)
        np.ndarray.__setitem__(out, (), self)
        return out

    def __array_ufunc__(self, ufunc: np.ufunc, method: UfuncMethod, *inputs: object, **kwargs: object) -> object:
        return self.array().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __array_function__(
        self, func: Code, types: Iterable[type], args: tuple[object, ...], kwargs: dict[str, Any]
    ) -> object:
        return self.array().__array_function__(func, types, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ARRAY_METHODS:
            return getattr(self.array(), name)
        raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")

    __hash__ = object.__hash__


ARRAY_METHODS = frozenset(
    (
        *(
            "T",
            "all",
            "any",
            "astype",
            "clip",
            "copy",
            "cumsum",
            "dot",
            "fill",
            "flatten",
            "max",
            "mean",
            "min",
            "prod",
        ),
        *(
            "ravel",
            "real",
            "repeat",
            "reshape",
            "round",
            "squeeze",
            "std",
            "sum",
            "swapaxes",
            "take",
            "transpose",
            "var",
        ),
    )
)
"""What NumPy's scalars share with its arrays."""


def _operator(name: str, reflected: bool) -> Callable[[ExactScalar, object], object]:
    def apply(self: ExactScalar, other: object) -> object:
        if isinstance(other, np.ndarray):
            return NotImplemented
        lifted = self.lift(other)
        if lifted is None:
            return NotImplemented
        a, b = (lifted, self) if reflected else (self, lifted)
        return getattr(a, f"_{name}")(b)

    return apply


def _comparison(name: str) -> Callable[[ExactScalar, object], object]:
    def apply(self: ExactScalar, other: object) -> object:
        if self is other:  # one number, however uncertain, equals itself
            return EQUAL in RELATIONS[name]
        lifted = None if isinstance(other, np.ndarray) else self.lift(other)
        return NotImplemented if lifted is None else self.compare(name, lifted)

    return apply


def _function(row: Elementary) -> Callable[[ExactScalar], ExactScalar]:
    return lambda self: self.elementary(row)


def _step(row: Elementary) -> Callable[[ExactScalar], ExactScalar]:
    return lambda self: self.step(row)


for _name in ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv"):
    setattr(ExactScalar, f"__{_name}__", _operator(_name, reflected=False))
    setattr(ExactScalar, f"__r{_name}__", _operator(_name, reflected=True))
for _name in RELATIONS:
    setattr(ExactScalar, f"__{_name}__", _comparison(_name))
for _name, _row in ELEMENTARY.items():
    setattr(ExactScalar, _name, _function(_row))
for _name, _row in STEPS.items():
    setattr(ExactScalar, _name, _step(_row))
