"""A rule whose inputs have a structure is judged along tangents: here it becomes the rule of the map after a chart.

A chart takes any array to the point of the structure that it stands for: the mirrored matrix, the row divided by its
length. Floats of the structure are its fixed points, as far as floats go: a row of floats has length one up to
roundings only, and the exact layer then looks at the row of length one beside it. The derivative of the map after its
chart sees directions in the tangent space alone, and the pullback through the chart drops what lies outside:

    kind            chart                       pullback of a cotangent c
    symmetric, spd  x + (x' - x)/2              c + (c' - c)/2
    lower, upper    the triangle of x           the triangle of c
    unit            u = x/|x|                   (c - u <u, c>)/|x|
    stochastic      p = x/s, s the sum of x     (c - <p, c>)/s
    orthogonal      y(3I - y'y)/2, repeated     its adjoint; at an orthogonal y, (c - y c' y)/2
    sorted          x                           c

The iteration for orthogonal matrices is that of Newton and Schulz (Higham, Functions of Matrices, 2008, section 8.3),
which squares the distance from the orthogonal matrices at each step.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Code
from backprove.harness.core.thresholds.exact import ORTHOGONAL_STEPS
from backprove.strategies.array import ArraySpec


class Chart(ABC):
    """From arrays to points of a structure; arrays are NumPy's, JAX's, torch's or such as front ends trace with."""

    keeps = False
    """Whether floats of the structure are exactly its fixed points."""

    @abstractmethod
    def point(self, x: Any) -> Any:
        """The point that an array stands for."""

    @abstractmethod
    def push(self, x: Any, t: Any) -> Any:
        """Derivative of `point` at x along t: a tangent of the structure."""

    @abstractmethod
    def pull(self, x: Any, c: Any) -> Any:
        """Adjoint of `push`: the part of a cotangent that tangents see."""


class _Linear(Chart):
    """A chart that is an orthogonal projection."""

    keeps = True

    def push(self, x: Any, t: Any) -> Any:
        return self.point(t)

    def pull(self, x: Any, c: Any) -> Any:
        return self.point(c)


class Mirrored(_Linear):
    """Symmetric matrices."""

    def point(self, x: Any) -> Any:
        return x + (_transposed(x) - x) * 0.5  # exactly x where it is symmetric, the smallest numbers included

    def push(self, x: Any, t: Any) -> Any:
        return t * 0.5 + _transposed(t) * 0.5  # exactly symmetric, as rounded numbers too

    def pull(self, x: Any, c: Any) -> Any:
        return self.push(x, c)


@dataclass(frozen=True)
class Triangle(_Linear):
    """Triangular matrices."""

    lower: bool

    def point(self, x: Any) -> Any:
        if hasattr(x, "tril"):  # torch's
            return x.tril() if self.lower else x.triu()
        rows, columns = x.shape[-2:]
        above = ~np.tri(rows, columns, k=-1, dtype=np.bool_)
        kept = np.tri(rows, columns, dtype=np.bool_) if self.lower else above
        return x * kept


class Sphere(Chart):
    """Rows of length one."""

    def point(self, x: Any) -> Any:
        return x / _length(x)

    def push(self, x: Any, t: Any) -> Any:
        r = _length(x)
        u = x / r
        return (t - u * _row_sum(u * t)) / r

    def pull(self, x: Any, c: Any) -> Any:
        return self.push(x, c)


class Simplex(Chart):
    """Rows that sum to one."""

    def point(self, x: Any) -> Any:
        return x / _row_sum(x)

    def push(self, x: Any, t: Any) -> Any:
        s = _row_sum(x)
        return (t - x / s * _row_sum(t)) / s

    def pull(self, x: Any, c: Any) -> Any:
        s = _row_sum(x)
        return (c - _row_sum(x / s * c)) / s


class Orthogonal(Chart):
    """Orthogonal matrices."""

    def point(self, x: Any) -> Any:
        return self._iterates(x)[-1]

    def push(self, x: Any, t: Any) -> Any:
        for y in self._iterates(x)[:-1]:
            back = _transposed(y)
            t = (3 * t - t @ (back @ y) - y @ (_transposed(t) @ y + back @ t)) * 0.5
        return t

    def pull(self, x: Any, c: Any) -> Any:
        for y in reversed(self._iterates(x)[:-1]):
            back = _transposed(y)
            c = (3 * c - c @ (back @ y) - y @ (_transposed(c) @ y + back @ c)) * 0.5
        return c

    def _iterates(self, x: Any) -> list[Any]:
        found = [x]
        for _ in range(ORTHOGONAL_STEPS):
            y = found[-1]
            found.append((3 * y - y @ (_transposed(y) @ y)) * 0.5)
        return found


CHARTS: Mapping[str, Chart] = {
    "symmetric": Mirrored(),
    "spd": Mirrored(),
    "lower": Triangle(lower=True),
    "upper": Triangle(lower=False),
    "unit": Sphere(),
    "stochastic": Simplex(),
    "orthogonal": Orthogonal(),
}
"""By kind; the other kinds leave directions free."""


def _transposed(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _row_sum(x: Any) -> Any:
    return x.sum(axis=-1, keepdims=True)


def _length(x: Any) -> Any:
    return _row_sum(x * x) ** 0.5


@dataclass
class Charted:
    """Between calls of arrays and the user's functions of points.

    Attributes:
        charts: one per input, None where directions are free.
        moving: positions of the differentiable inputs.
    """

    charts: Sequence[Chart | None]
    moving: Sequence[int]

    def points(self, x: Sequence[Any]) -> list[Any]:
        """The points of the inputs; arrays of NumPy that are points already stay the arrays they are."""
        return [a if c is None else _point(c, a) for c, a in zip(self.charts, x, strict=True)]

    def values(self, function: Code) -> Code:
        """A function of the inputs alone."""
        return self._as(function, self._called)

    def jvp(self, function: Code) -> Code:
        n = len(self.charts)

        def along(call: Code, *a: Any) -> Any:
            tangents = [self._at(k, "push", a[k], t) for k, t in zip(self.moving, a[n:], strict=True)]
            return self._called(call, *a[:n], *tangents)

        return self._as(function, along)

    def vjp(self, function: Code) -> Code:
        n = len(self.charts)

        def back(call: Code, *a: Any) -> Any:
            found = self._called(call, *a)
            several = isinstance(found, (tuple, list))
            values = list(found) if several else [found]
            places = range(n) if len(values) == n else self.moving
            if len(places) != len(values):
                return found
            out = [c if c is None else self._at(k, "pull", a[k], c) for k, c in zip(places, values, strict=True)]
            return tuple(out) if several else out[0]

        return self._as(function, back)

    def _called(self, function: Code, *arguments: Any) -> Any:
        """The function at the points of the inputs; what it writes into a point is written into the input as well."""
        n = len(self.charts)
        points = self.points(arguments[:n])
        made = [(a, p, p.copy()) for a, p in zip(arguments[:n], points, strict=True) if a is not p and _is_plain(p)]
        found = function(*points, *arguments[n:])
        for a, p, before in made:
            if not np.array_equal(p, before, equal_nan=True):
                a[...] = p
        return found

    def _at(self, k: int, what: str, x: Any, direction: Any) -> Any:
        """A direction of input k through its chart; of another shape, which is the judge's to say, as it is."""
        chart = self.charts[k]
        if chart is None or tuple(getattr(direction, "shape", ())) != tuple(x.shape):
            return direction
        return getattr(chart, what)(x, direction)

    def _as(self, function: Any, call: Code) -> Code:
        """`call` of a function and arguments, with what else the function knows of itself."""
        n = len(self.charts)

        def charted(*arguments: Any) -> Any:
            return call(function, *arguments)

        found: Any = charted
        held = getattr(function, "contract", None)
        if held is not None:
            found = copy.copy(function)
            found.call, found.contract = charted, lambda *a: held(*self.points(a[:n]), *a[n:])
        on_tensors = getattr(function, "on_tensors", None)
        if on_tensors is not None:
            found.on_tensors = lambda *tensors: _several(call(on_tensors, *tensors))
        return found  # type: ignore[no-any-return]


def _is_plain(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype != object


def _several(found: Any) -> Sequence[Any]:
    return list(found) if isinstance(found, (tuple, list)) else [found]


def _point(chart: Chart, x: Any) -> Any:
    made = chart.point(x)
    if chart.keeps and _is_plain(x) and np.array_equal(made, x):
        return x  # as it is laid out; what the user's code does to it is seen
    return made


def has_charts(inputs: Mapping[str, ArraySpec]) -> bool:
    """Whether directions of some input are not free."""
    return any(spec.kind in CHARTS for spec in inputs.values())


def tangent_of(spec: ArraySpec, x: Any, along: Any) -> Any:
    """The tangent at x that a direction stands for, without a points axis; a direction of a free input is one."""
    chart = CHARTS.get(spec.kind) if spec.kind else None
    return along if chart is None else chart.push(x, along)


def along_tangents(rule: Any) -> Any:
    """The rule itself, or that of its map after charts where inputs have structures."""
    if not has_charts(rule.inputs):
        return rule
    specs = list(rule.inputs.values())
    charted = Charted(
        [CHARTS.get(s.kind) if s.kind else None for s in specs], [k for k, s in enumerate(specs) if s.differentiable]
    )
    wrappers = dict.fromkeys(("forward", "reference", "primal", "surrogate", "where"), charted.values)
    wrappers |= {"jvp": charted.jvp, "vjp": charted.vjp}
    wrappers["convention"] = charted.vjp if rule.vjp is not None else charted.jvp
    other = copy.copy(rule)
    for label, wrap in wrappers.items():
        function = getattr(rule, label)
        if callable(function):
            object.__setattr__(other, label, wrap(function))
    other.__dict__["flat"] = other
    return other
