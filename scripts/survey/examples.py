"""Examples of calls: the usual arguments that are tried, and those of functions that take none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from backprove.strategies.array import ArraySpec


@dataclass(frozen=True)
class Example:
    """A call whose arrays of floats are the inputs of a rule.

    Attributes:
        call: the function, or a call of it with further arguments given.
        arguments: arrays and what is fixed.
        inputs: descriptions of inputs by name, where the whole of the reals would not do.
    """

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    inputs: Mapping[str, ArraySpec] = field(default_factory=dict)


_RANDOM = np.random.default_rng(0)
U, M, S = _RANDOM.uniform(0.1, 0.9, 3), _RANDOM.uniform(0.1, 0.9, (3, 3)), _RANDOM.uniform(0.1, 0.9, ())
V, BIG, SPD = U[::-1] + 0.3, U + 1.5, M @ M.T + np.eye(3)
CUBE = _RANDOM.uniform(0.1, 0.9, (2, 3, 3))
INDEX = np.array([2, 0])

_ONE: list[tuple[Any, ...]] = [(U,), (SPD,), (S,), (BIG,), (CUBE,), ([U, V],), ([SPD, M],), ((U, V),)]
_TWO: list[tuple[Any, ...]] = [
    *((U, V), (SPD, M), (U, BIG), (BIG, U), (S, S + 0.3), (SPD, U), ([U, V], np.array([0, 1, 0])), (U, 1), (SPD, 1)),
    *((U, (3,)), (SPD, (1, 0)), (U, (1,)), (U, [U]), (U, INDEX)),
]
_THREE: list[tuple[Any, ...]] = [
    *((U, V, BIG), (S, S + 0.3, S + 1), (SPD, U, V), (SPD, M, M), (U, 1, 2), (U, V, 1), (SPD, 1, 0)),
    *((np.array([True, False, True]), U, V), (SPD, (1,), (0,)), (U, INDEX, V[:2]), (U, INDEX, 1), (U, (1,), (2,))),
]


def usual(arity: int | None, *, matrices: bool) -> Iterator[tuple[Any, ...]]:
    """Arguments to try, for a function of so many that have to be given.

    Args:
        matrices: whether the function is one of linear algebra, which is tried with square matrices first.
    """
    tried = {1: _ONE, 2: _TWO, 3: _THREE}.get(arity or 0, [*_ONE, *_TWO])
    if matrices:
        yield from {1: [(SPD,)], 2: [(SPD, U), (SPD, M)]}.get(arity or 0, [(SPD,), (SPD, M)])
    yield from tried


def _kind(dims: str, kind: str) -> ArraySpec:
    from backprove.strategies.array import array

    return array(dims, kind=kind)


def given(*arguments: Any, call: Callable[..., Any] | None = None, **inputs: Any) -> Callable[..., Example]:
    """An example by what it is given.

    Args:
        arguments: arrays and what is fixed.
        call: the function and the arrays; by default the function is called with the arguments.
        inputs: descriptions of inputs, by name.
    """

    def example(function: Callable[..., Any]) -> Example:
        if call is None:
            return Example(function, arguments, inputs)

        def called(*arrays: Any) -> Any:
            return call(function, *arrays)

        return Example(called, arguments, inputs)

    return example


def _solved(f: Any, a: Any, b: Any) -> Any:
    """x of a x = b, by JAX's own solver."""
    import jax.numpy as jnp

    return f(
        lambda x: a @ x, b, lambda _, right: jnp.linalg.solve(a, right), lambda _, right: jnp.linalg.solve(a.T, right)
    )


def _root(f: Any, a: Any) -> Any:
    """x of x + x^3 = a, by Newton's method."""
    from jax import lax

    def newton(g: Any, start: Any) -> Any:
        return lax.fori_loop(0, 40, lambda _, x: x - g(x) / (1 + 3 * x * x), start)

    return f(lambda x: x + x**3 - a, a / (1 + a * a), newton, lambda g, y: y / g(1.0))


def _gathered(f: Any, x: Any, *more: Any) -> Any:
    """Two entries at fixed places, or what is put there."""
    from jax import lax

    if not more:
        numbers = lax.GatherDimensionNumbers((), (0,), (0,))
        return f(x, INDEX[:, None], numbers, (1,))
    return f(x, INDEX[:, None], more[0], lax.ScatterDimensionNumbers((), (0,), (0,)))


def _reshaped(*shape: int) -> Any:
    return np.random.default_rng(1).uniform(0.1, 0.9, shape)


_IMAGE, _KERNEL = _reshaped(1, 2, 4, 4), _reshaped(2, 2, 2, 2)
_WHOLE = np.array([1, 2, 3])

GIVEN: Mapping[str, Callable[[Callable[..., Any]], Example]] = {
    "jax.numpy.apply_along_axis": given(M, call=lambda f, x: f(lambda row: (row * row).sum(), 0, x)),
    "jax.numpy.apply_over_axes": given(M, call=lambda f, x: f(lambda a, axis: a.sum(axis), x, (0,))),
    "jax.numpy.astype": given(U, np.float32),
    "jax.numpy.pad": given(U, (1, 2)),
    "jax.numpy.select": given(U, V, call=lambda f, x, y: f([x > y, x < -y], [x, -x], abs(y))),
    "jax.numpy.histogram": given(U, call=lambda f, x: f(U, 3, weights=x)[0]),
    "jax.lax.convert_element_type": given(U, np.float32),
    "jax.lax.integer_pow": given(U, 3),
    "jax.lax.reshape": given(M, (9,)),
    "jax.numpy.choose": given(U, V, call=lambda f, x, y: f(np.array([0, 1, 0]), [x, y], mode="clip")),
    "jax.numpy.compress": given(U, call=lambda f, x: f(np.array([True, False, True]), x, size=2)),
    "jax.numpy.dsplit": given(_reshaped(2, 2, 2), 2),
    "jax.numpy.einsum": given(M, SPD, call=lambda f, x, y: f("ij,jk->ki", x, y)),
    "jax.numpy.extract": given(U, call=lambda f, x: f(np.array([True, False, True]), x, size=2)),
    "jax.numpy.fill_diagonal": given(M, V, call=lambda f, x, y: f(x, y, inplace=False)),
    "jax.numpy.full": given(S, call=lambda f, x: f((2,), x)),
    "jax.numpy.put": given(U, V[:2], call=lambda f, x, y: f(x, INDEX, y, inplace=False)),
    "jax.numpy.place": given(U, V, call=lambda f, x, y: f(x, np.array([True, False, True]), y, inplace=False)),
    "jax.numpy.put_along_axis": given(U, V[:2], call=lambda f, x, y: f(x, INDEX, y, 0, inplace=False)),
    "jax.numpy.where": given(U, V, call=lambda f, x, y: f(x > y, x, y)),
    "jax.numpy.vectorize": given(M, call=lambda f, x: f(lambda row: row * row.sum(), signature="(n)->(n)")(x)),
    "jax.lax.associative_scan": given(U, call=lambda f, x: f(lambda a, b: a * b, x)),
    "jax.lax.broadcast_in_dim": given(U, (2, 3), (1,)),
    "jax.lax.concatenate": given([U, V], 0),
    "jax.lax.cond": given(S, call=lambda f, x: f(x > 0, lambda a: a * a, lambda a: -a, x)),
    "jax.lax.conv": given(_IMAGE, _KERNEL, (1, 1), "SAME"),
    "jax.lax.conv_general_dilated": given(
        _IMAGE, _KERNEL, call=lambda f, x, k: f(x, k, (2, 1), ((1, 0), (0, 1)), (1, 2), (2, 1))
    ),
    "jax.lax.conv_general_dilated_local": given(
        _reshaped(1, 1, 4), _reshaped(1, 2, 3), call=lambda f, x, k: f(x, k, (1,), "VALID", (2,))
    ),
    "jax.lax.conv_general_dilated_patches": given(_IMAGE, (2, 2), (1, 1), "VALID"),
    "jax.lax.conv_transpose": given(_reshaped(1, 3, 2), _reshaped(2, 2, 1), (2,), "SAME"),
    "jax.lax.conv_with_general_padding": given(
        _IMAGE, _KERNEL, call=lambda f, x, k: f(x, k, (1, 1), ((0, 1), (1, 0)), None, None)
    ),
    "jax.lax.custom_linear_solve": given(SPD, U, call=_solved),
    "jax.lax.custom_root": given(S, call=_root),
    "jax.lax.dot_general": given(M, SPD, (((1,), (0,)), ((), ()))),
    "jax.lax.dynamic_update_slice": given(U, V[:2], call=lambda f, x, y: f(x, y, (1,))),
    "jax.lax.dynamic_update_slice_in_dim": given(U, V[:2], 1, 0),
    "jax.lax.dynamic_update_index_in_dim": given(U, S, 1, 0),
    "jax.lax.fft": given(U, call=lambda f, x: f(x, "RFFT", (3,))),
    "jax.lax.fori_loop": given(U, call=lambda f, x: f(0, 3, lambda i, a: a * a + i, x)),
    "jax.lax.gather": given(U, call=_gathered),
    "jax.lax.imag": given(U, V, call=lambda f, x, y: f(x * (x + 1j * y))),
    "jax.lax.real": given(U, V, call=lambda f, x, y: f(x * (x + 1j * y))),
    "jax.lax.index_take": given(U, call=lambda f, x: f(x, (INDEX,), (0,))),
    "jax.lax.map": given(U, call=lambda f, x: f(lambda a: a * a, x)),
    "jax.lax.pad": given(U, S, call=lambda f, x, y: f(x, y, ((1, 0, 1),))),
    "jax.lax.platform_dependent": given(U, call=lambda f, x: f(x, default=lambda a: a * a)),
    "jax.lax.ragged_dot": given(_reshaped(3, 2), _reshaped(2, 2, 2), np.array([1, 2])),
    "jax.lax.reduce": given(M, call=lambda f, x: f(x, np.float64(0), lambda a, b: a + b, (0,))),
    "jax.lax.reduce_window": given(
        M, call=lambda f, x: f(x, -np.inf, __import__("jax").lax.max, (2, 2), (1, 1), "VALID")
    ),
    "jax.lax.scan": given(U, call=lambda f, x: f(lambda c, a: (c * a + a, c), x[0], x)),
    "jax.lax.scatter": given(U, V[:2], call=_gathered),
    "jax.lax.scatter_add": given(U, V[:2], call=_gathered),
    "jax.lax.scatter_max": given(U, V[:2], call=_gathered),
    "jax.lax.scatter_min": given(U, V[:2], call=_gathered),
    "jax.lax.scatter_mul": given(U, V[:2], call=lambda f, x, y: _gathered(lambda *a: f(*a, unique_indices=True), x, y)),
    "jax.lax.scatter_sub": given(U, V[:2], call=_gathered),
    "jax.lax.select_n": given(U, V, call=lambda f, x, y: f(x > y, x, y)),
    "jax.lax.squeeze": given(U[None], (0,)),
    "jax.lax.switch": given(U, call=lambda f, x: f(1, [lambda a: a, lambda a: a * a], x)),
    "jax.lax.while_loop": given(U, call=lambda f, x: f(lambda a: a[0] < 3, lambda a: (a[0] + 1, a[1] * a[1]), (0, x))),
    "jax.lax.linalg.ormqr": given(_reshaped(3, 2), _reshaped(2), M),
    "jax.lax.linalg.tridiagonal_solve": given(U, BIG, V, _reshaped(3, 1)),
    "jax.lax.linalg.cholesky": given(SPD, call=lambda f, x: f(x), arrays=_kind("3 3", "spd")),
    "jax.nn.glu": given(_reshaped(2, 4)),
    "jax.nn.dot_product_attention": given(_reshaped(1, 2, 1, 2), _reshaped(1, 2, 1, 2), _reshaped(1, 2, 1, 2)),
    "jax.scipy.special.bessel_jn": given(U, call=lambda f, x: f(x, v=2)),
    "jax.scipy.special.hyp2f1": given(U, V, BIG, U[::-1].copy()),
    "jax.scipy.special.polygamma": given(_WHOLE, U),
    "jax.scipy.special.sph_harm_y": given(_WHOLE, np.array([0, 1, -2]), U, V),
    "jax.scipy.special.zeta": given(BIG, U),
    "jax.scipy.linalg.cho_solve": given(SPD, U, call=lambda f, c, b: f((c, True), b)),
    "jax.scipy.linalg.cholesky": given(SPD, call=lambda f, x: f(x), arrays=_kind("3 3", "spd")),
    "jax.scipy.linalg.cho_factor": given(SPD, call=lambda f, x: f(x)[0], arrays=_kind("3 3", "spd")),
    "jax.scipy.linalg.eigh_tridiagonal": given(BIG, U[:2], call=lambda f, d, e: f(d, e, eigvals_only=True)),
    "jax.scipy.linalg.funm": given(SPD, call=lambda f, x: f(x, lambda z: z * z, disp=False)),
    "jax.scipy.linalg.lu_solve": given(SPD, U, call=lambda f, c, b: f((c, np.array([1, 1, 2], np.int32)), b)),
    "jax.scipy.ndimage.map_coordinates": given(M, BIG[:2], V[:2], call=lambda f, x, i, j: f(x, [i, j], 1)),
    "jax.scipy.stats.betabinom.logpmf": given(_WHOLE, np.array([4, 4, 4]), U, V),
    "jax.scipy.stats.betabinom.pmf": given(_WHOLE, np.array([4, 4, 4]), U, V),
    "jax.scipy.stats.multivariate_normal.logpdf": given(
        U, V, SPD, call=lambda f, x, m, c: f(x, m, c), arrays_2=_kind("3 3", "spd")
    ),
    "jax.scipy.stats.multivariate_normal.pdf": given(
        U, V, SPD, call=lambda f, x, m, c: f(x, m, c), arrays_2=_kind("3 3", "spd")
    ),
    "jax.scipy.stats.multinomial.logpmf": given(_WHOLE, np.array(6), U / U.sum()),
    "jax.scipy.stats.multinomial.pmf": given(_WHOLE, np.array(6), U / U.sum()),
}
"""Examples of functions that take none of the usual arguments, or of whose domain too little would be met."""
