"""These rules bound how far LAPACK's results may be from the real ones, entry by entry, whatever it factored with.

A computed factorisation is that of a matrix that differs by at most `n u |L||U|` (Higham, Accuracy and Stability, 9.3,
10.1, 8.5); what that does to the results is first-order perturbation theory, divided by 1 - rho for the higher orders.
Nothing is claimed where rho, the size of the perturbation against the matrix, reaches `MATRIX_REACH`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Array
from backprove.harness.core.thresholds.rounding import MATRIX_CHARGE, MATRIX_REACH
from backprove.harness.numbers import control, matrices
from backprove.harness.numbers.bounds import truth
from backprove.harness.numbers.bounds.arithmetic import Rule
from backprove.harness.numbers.bounds.charges import Charging, Format
from backprove.harness.numbers.bounds.truth import Bounded, Value
from backprove.harness.numbers.elementary.row import float64
from backprove.harness.numbers.matrices import PLAIN, inward, outward, transposed, triangle
from backprove.harness.programs.evaluate import NumberSystem, evaluate
from backprove.harness.programs.program import Equation

Errors = NDArray[np.float64]


class Factors(Bounded):
    """The factors of a matrix that remember it, so that a solution is bounded by the matrix and not by the factors.

    Attributes:
        matrix: what was factored.
        weight: |L||U| in the order of the matrix's own rows, inward.
        floor: what numbers that underflow cost each entry of the matrix, inward.
    """

    __slots__ = ("floor", "matrix", "weight")

    def __init__(self, factors: Bounded, matrix: Bounded, weight: Errors, floor: Errors) -> None:
        super().__init__(factors.v, factors.e)
        self.matrix, self.weight, self.floor = matrix, weight, floor


def _times(a: Array, b: Array) -> Errors:
    """The product of inward matrices in float64."""
    product: Errors = np.einsum("ik...,kj...->ij...", float64(a), float64(b))
    return product


def _unit(n: int, like: Array) -> Array:
    return np.broadcast_to(
        np.eye(n, dtype=like.dtype).reshape((n, n) + (1,) * (like.ndim - 2)), (n, n, *like.shape[2:])
    )


def _largest(a: Errors) -> Errors:
    """The larger of the row norm and the column norm."""
    return np.asarray(np.maximum(a.sum(axis=0).max(axis=0, initial=0), a.sum(axis=1).max(axis=0, initial=0)))


def _higher_orders(e: Errors, rho: Errors) -> Errors:
    """First-order errors with all higher orders; infinite where these are not small.

    The sum of G e, G^2 e, ... is at most rho / (1 - rho) times the largest entry of e, in every entry: an exact zero of
    a result, which has no error of first order, has one of second order.

    Args:
        e: first-order errors of the entries.
        rho: the norm of G, whose axes are the last ones of e; those of entries are of size 1 or left out.
    """
    small = rho < MATRIX_REACH
    rest = np.where(small, 1 - rho, 1.0)
    missing = e.ndim - rho.ndim
    axes = tuple(range(missing)) + tuple(k + missing for k, n in enumerate(rho.shape[:-1]) if n == 1)
    return np.where(small, (e + rho * e.max(axis=axes, keepdims=True, initial=0)) / rest, np.inf)


def _charge(fmt: Format, n: int) -> float:
    """What n roundings cost of the weights, those of the wide evaluation itself included."""
    return MATRIX_CHARGE * n * fmt.u * (1 + fmt.wide)


def _underflow(system: Charging, fmt: Format, upper: Array) -> Errors:
    """An entry of one factor that underflows is multiplied by entries of the other one."""
    e = system.eta(fmt) * (len(upper) + float64(np.abs(upper)).sum(axis=0))
    return np.broadcast_to(e, upper.shape)


def _both(x: Bounded) -> tuple[Array, Errors]:
    """Value and error, rows and columns first."""
    return inward(x.v), inward(np.broadcast_to(x.e, x.v.shape))


def lu(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> list[Value]:
    """No bound where rounding may choose another pivot, and none of a matrix that is not square."""
    fmt = system.format(equation.outputs[0].dtype)
    a, error = _both(inputs[0])
    packed, pivots, order = matrices.lu(PLAIN, a)
    shapes = [np.moveaxis(p, 0, -2) for p in (pivots, order)]
    places = [p.astype(np.dtype(v.dtype)) for p, v in zip(shapes, equation.outputs[1:], strict=True)]
    m, n = a.shape[:2]
    if m != n:
        nothing = np.ones(packed.shape[-1], bool)
        unknown = Bounded(outward(packed), np.full(outward(packed).shape, np.inf))
        return [unknown, *(truth.Doubtful(p, nothing) for p in places)]
    lower = triangle(packed, lower=True, diagonal=-1) + _unit(n, packed)
    upper = triangle(packed, lower=False)
    weight = _times(np.abs(lower), np.abs(upper))
    left = matrices.substitute(PLAIN, lower, _unit(n, packed), lower=True, unit=True)
    right = matrices.substitute(PLAIN, upper, _unit(n, packed), lower=False, unit=False)
    moved = np.take_along_axis(error, np.broadcast_to(order[:, None], (n, 1, *order.shape[1:])), axis=0)
    floor = _underflow(system, fmt, upper)
    off = moved + _charge(fmt, n) * weight + floor
    relative = _times(_times(np.abs(left), off), np.abs(right))
    of_lower = _times(np.abs(lower), triangle(relative, lower=True, diagonal=-1))
    of_upper = _times(triangle(relative, lower=False), np.abs(upper))
    below = triangle(_higher_orders(of_lower, _largest(relative)), lower=True, diagonal=-1)
    e = below + triangle(_higher_orders(of_upper, _largest(relative)), lower=False)
    # entries of the lower factor are the candidates of a pivot, divided by it
    rival = np.abs(triangle(lower, lower=True, diagonal=-1)) + below >= 1
    first_is_exact = ~(error[:, :1] > 0).any(axis=(0, 1))
    rival[:, :1] &= ~first_is_exact
    doubt = np.asarray(rival.any(axis=(0, 1)) | ~np.isfinite(float64(packed)).all(axis=(0, 1)))
    e = np.where(doubt | np.isnan(e), np.inf, e)
    inverse_order = np.argsort(order, axis=0)
    weight = np.take_along_axis(weight, inverse_order[:, None], axis=0)
    factors = Factors(Bounded(outward(packed), outward(e)), inputs[0], weight, floor)
    return [factors, *(truth.integers(p, doubt[..., None, :]) for p in places)]


def cholesky(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    fmt = system.format(equation.outputs[0].dtype)
    a, error = _both(inputs[0])
    factor = matrices.cholesky(PLAIN, a)
    n = len(factor)
    weight = _times(np.abs(factor), np.abs(transposed(factor)))
    read = triangle(error, lower=True) + transposed(triangle(error, lower=True, diagonal=-1))
    floor = _underflow(system, fmt, transposed(factor))
    off = read + _charge(fmt, n + 1) * weight + np.maximum(floor, transposed(floor))
    inverse: Array = np.abs(matrices.substitute(PLAIN, factor, _unit(n, factor), lower=True, unit=False))
    relative = _times(_times(inverse, off), transposed(inverse))
    half = triangle(relative, lower=True) - _unit(n, relative) * relative / 2
    e = triangle(_higher_orders(_times(np.abs(factor), half), _largest(relative)), lower=True)
    return Factors(Bounded(outward(factor), outward(np.where(np.isnan(e), np.inf, e))), inputs[0], weight, floor)


def triangular_solve(system: Charging, equation: Equation, inputs: Sequence[Bounded]) -> Bounded:
    fmt, params = system.format(equation.outputs[0].dtype), equation.params
    unit = bool(params["unit_diagonal"])
    (t, t_error), (b, b_error) = map(_both, inputs)
    t, b, lower = matrices.oriented(PLAIN, params, t, b)
    t_error, b_error, _ = matrices.oriented(PLAIN, params, t_error, b_error)
    x = matrices.substitute(PLAIN, t, b, lower=lower, unit=unit)
    n = len(t)
    keep = partial(triangle, lower=lower, diagonal=(-1 if lower else 1) if unit else 0)
    size = keep(np.abs(float64(t))) + (_unit(n, t) if unit else 0)
    inverse: Array = np.abs(matrices.substitute(PLAIN, t, _unit(n, t), lower=lower, unit=unit))
    off = keep(t_error) + _charge(fmt, n) * size
    lost = system.eta(fmt) * (n + size.sum(axis=1, keepdims=True))
    first = _times(inverse, _times(off, np.abs(x)) + b_error + lost)
    e = _higher_orders(first, _largest(_times(inverse, off)))
    back = partial(matrices.turned_back, params)
    return system.rounded(fmt, outward(back(x)), outward(back(np.where(np.isnan(e), np.inf, e))), k=0.0)


def solved(
    system: Charging, values: NumberSystem[Value], equation: Equation, inputs: Sequence[Value]
) -> list[Value] | None:
    """`custom_linear_solve` with the factors of the matrix of its `matvec`; None where it is another one.

    The parts are linear in the matrix: with |inverse| and with the perturbation in its place they give the products
    that the bound is made of, in the shape of the solution, of the transposed system too.
    """
    parts = control.linear_solve(equation, inputs)
    factors = [c for c in parts.solve_constants if isinstance(c, Factors)]
    held = parts.matvec_constants
    if not factors or len(held) != 1 or len(parts.right) != 1:
        return None
    (b,), (matrix,), known = parts.right, held, factors[0]
    if not isinstance(matrix, Bounded) or not isinstance(b, Bounded) or not _same(matrix, known.matrix):
        return None
    fmt = system.format(equation.outputs[0].dtype)

    def product(a: Array, x: Array) -> Array:
        (y,) = evaluate(parts.matvec, values, _exact(outward(a)), _exact(x))
        assert isinstance(y, Bounded)
        return y.v

    a, error = _both(matrix)
    n = len(a)
    inverse = _inverse(a)
    size, weight = np.abs(inverse), known.weight
    lost = system.eta(fmt) * (n + product(weight, np.ones(b.v.shape)))
    x = product(inverse, b.v)
    off = error + _charge(fmt, n) * weight + known.floor
    first = float64(product(size, product(off, np.abs(x)) + b.e + lost))
    own = float64(product(size, product(weight, product(size, np.abs(b.v))))) * _charge(fmt, n) * fmt.wide
    rho = _largest(_times(size, off))
    e = _higher_orders(first + own, rho.reshape(rho.shape[:-1] + (1,) * (x.ndim - rho.ndim) + rho.shape[-1:]))
    return [system.rounded(fmt, x, np.where(np.isnan(e), np.inf, e), k=0.0)]


def _same(a: Bounded, b: Bounded) -> bool:
    return a is b or (a.v.shape == b.v.shape and np.array_equal(a.v, b.v, equal_nan=True))


def _exact(v: Array) -> Bounded:
    return Bounded(v, np.zeros(v.shape))


def _inverse(a: Array) -> Array:
    packed, _, order = matrices.lu(PLAIN, a)
    unit = np.take_along_axis(_unit(len(a), packed), order[:, None], axis=0)
    between = matrices.substitute(PLAIN, packed, unit, lower=True, unit=True)
    return matrices.substitute(PLAIN, packed, between, lower=False, unit=False)


FACTORING: dict[str, Rule] = {
    "lu": lu,
    "cholesky": cholesky,
    "triangular_solve": triangular_solve,
}
