"""Balls enclose eigenvalues, singular values and their vectors; slopes follow from the theorem of implicit functions.

Vectors have the signs that LAPACK gives them at the midpoints. Where eigenvalues meet nothing is enclosed: their order
is a kink, and their vectors are no functions of the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import acb, arb, arb_mat

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import lapack
from backprove.harness.numbers.balls.arrays import BallArray
from backprove.harness.programs.program import Equation

NOTHING = arb("nan")


def _floats(a: BallArray) -> Array:
    """Midpoints in float64."""
    return np.array([float(x.mid()) for x in a.ravel()], dtype=float).reshape(a.shape)


def _filled(shape: tuple[int, ...]) -> BallArray:
    out = np.empty(shape, object)
    out.fill(NOTHING)
    return out


def _as_array(m: arb_mat) -> BallArray:
    out = np.empty((m.nrows(), m.ncols()), object)
    for i in range(m.nrows()):
        for j in range(m.ncols()):
            out[i, j] = m[i, j]
    return out


def _as_matrix(a: BallArray) -> arb_mat:
    return arb_mat(a.shape[0], a.shape[1], list(a.ravel()))


def eigenvectors(a: BallArray) -> tuple[BallArray, BallArray]:
    """Vectors (n, n) and values (n,) of one symmetric matrix; not a number where they are not told apart."""
    n = len(a)
    if not n or not all(x.is_finite() for x in a.ravel()):
        return _filled((n, n)), _filled((n,))
    try:
        values, right = _as_matrix(a).eig(right=True)
    except ValueError:  # eigenvalues that meet, at this precision
        return _filled((n, n)), _filled((n,))
    order = sorted(range(n), key=lambda k: values[k].real.mid())
    vectors, found = np.empty((n, n), object), np.empty((n,), object)
    for place, k in enumerate(order):
        found[place] = values[k].real
        vectors[:, place] = _real_unit([right[i, k] for i in range(n)])
    return vectors, found


def _real_unit(column: list[acb]) -> list[arb]:
    """A real vector of length 1 from a complex multiple of it."""
    largest = max(column, key=lambda z: abs(complex(z)))
    real = [(z / largest).real for z in column]
    length = sum((x * x for x in real), arb(0)).sqrt()
    return [x / length for x in real]


def _aligned(columns: BallArray, like: Array) -> Array:
    """The sign of each column that agrees with the float vectors."""
    middle = _floats(columns)
    return np.where((middle * like).sum(axis=0) < 0, -1, 1)


def read(e: Equation, a: BallArray) -> BallArray:
    """The symmetric matrix of which `eigh` reads a triangle.

    Raises:
        UnsupportedPrimitive: for a part of the eigenvalues, or another order.
    """
    if e.params.get("subset_by_index") is not None or not e.params.get("sort_eigenvalues", True):
        raise UnsupportedPrimitive("eigh of a part of the eigenvalues", "balls")
    return lapack.symmetric(a, bool(e.params["lower"]))


def is_full(e: Equation) -> bool:
    """Whether `svd` gives all vectors; where it gives none, the thin ones are enough."""
    if e.params.get("subset_by_index") is not None:
        raise UnsupportedPrimitive("svd of a part of the values", "balls")
    return bool(e.params["full_matrices"] and e.params["compute_uv"])


def wanted(e: Equation, found: Sequence[BallArray]) -> list[BallArray]:
    return list(found if e.params["compute_uv"] else found[:1])


def eigh(a: BallArray) -> tuple[BallArray, BallArray]:
    """Vectors and values of symmetric matrices `(*batch, n, n, points)`."""
    shape = a.shape
    vectors, values = np.empty(shape, object), np.empty((*shape[:-3], shape[-2], shape[-1]), object)
    likes, _ = lapack.eigh(_floats(a))
    for index in np.ndindex(*shape[:-3], shape[-1]):
        at = (*index[:-1], ..., index[-1])
        v, w = eigenvectors(a[at])
        vectors[at] = v * _aligned(v, likes[at])
        values[at] = w
    return vectors, values


def eigh_slopes(vectors: BallArray, values: BallArray, da: BallArray) -> tuple[BallArray, BallArray]:
    """dV = V (F o V'dA V) with F = 1/(w_j - w_i), and dw the diagonal of V'dA V; one direction per column of `da`."""
    points = values.shape[-1]
    dv, dw = np.empty(da.shape, object), np.empty((*da.shape[:-3], da.shape[-2], da.shape[-1]), object)
    for index in np.ndindex(*da.shape[:-3], da.shape[-1]):
        to = (*index[:-1], ..., index[-1])
        at = (*index[:-1], ..., index[-1] % points)
        v, w, move = vectors[at], values[at], da[to]
        matrix = _as_matrix(v)
        inner = _as_array(matrix.transpose() * _as_matrix(move) * matrix)
        dw[to] = np.diagonal(inner)
        dv[to] = _as_array(matrix * _as_matrix(_over_gaps(inner, w)))
    return dv, dw


def _over_gaps(inner: BallArray, w: BallArray) -> BallArray:
    out = inner.copy()
    for i in range(len(w)):
        for j in range(len(w)):
            out[i, j] = inner[i, j] / (w[j] - w[i]) if i != j else arb(0)
    return out


def svd(a: BallArray, *, full: bool) -> tuple[BallArray, BallArray, BallArray]:
    """Singular values, left vectors and transposed right vectors of matrices `(*batch, m, n, points)`.

    Further vectors of `full` matrices are not determined, and not a number.
    """
    *batch, m, n, points = a.shape
    k = min(m, n)
    rows, columns = (m, n) if full else (k, k)
    s = np.empty((*batch, k, points), object)
    u, vt = _filled((*batch, m, rows, points)), _filled((*batch, columns, n, points))
    _, lefts, _ = lapack.svd(_floats(a), False)
    for index in np.ndindex(*batch, points):
        at = (*index[:-1], ..., index[-1])
        one = a[at]
        tall = one if m >= n else one.T
        matrix = _as_matrix(tall)
        vectors, squares = eigenvectors(_as_array(matrix.transpose() * matrix))
        right, found = vectors[:, ::-1], [x.nonnegative_part().sqrt() for x in squares[::-1]]
        left = _as_array(matrix * _as_matrix(right)) / np.array(found, object)
        inner, outer = (left, right) if m >= n else (right, left)
        signs = _aligned(inner, lefts[at])
        s[at] = found
        u[at][:, :k] = inner * signs
        vt[at][:k] = (outer * signs).T
    return s, u, vt


def svd_slopes(s: BallArray, u: BallArray, vt: BallArray, da: BallArray) -> tuple[BallArray, BallArray, BallArray]:
    """Slopes of the values and of the thin factors, one direction per column of `da`."""
    points, k = s.shape[-1], s.shape[-2]
    ds = np.empty((*s.shape[:-1], da.shape[-1]), object)
    du, dvt = (_filled((*x.shape[:-1], da.shape[-1])) for x in (u, vt))
    for index in np.ndindex(*da.shape[:-3], da.shape[-1]):
        to = (*index[:-1], ..., index[-1])
        at = (*index[:-1], ..., index[-1] % points)
        sigma, left, right = s[at], _as_matrix(u[at][:, :k]), _as_matrix(vt[at][:k].T.copy())
        move = _as_matrix(da[to])
        inner = _as_array(left.transpose() * move * right)
        ds[to] = np.diagonal(inner)
        of_left, of_right = inner * sigma + (inner * sigma).T, (inner.T * sigma).T + (inner.T * sigma)
        for i in range(k):
            for j in range(k):
                gap = (sigma[j] - sigma[i]) * (sigma[j] + sigma[i]) if i != j else arb(1)
                of_left[i, j] = of_left[i, j] / gap if i != j else arb(0)
                of_right[i, j] = of_right[i, j] / gap if i != j else arb(0)
        du[to][:, :k] = _moved(left, of_left, move * right, sigma)
        dvt[to][:k] = _moved(right, of_right, move.transpose() * left, sigma).T
    return ds, du, dvt


def _moved(basis: arb_mat, within: BallArray, image: arb_mat, sigma: BallArray) -> BallArray:
    """The part inside the span of the vectors, and that outside, where there is room."""
    found = _as_array(basis * _as_matrix(within))
    if basis.nrows() > basis.ncols():
        outside = image - basis * (basis.transpose() * image)
        found = found + _as_array(outside) / sigma
    return found


WithSlope = tuple[BallArray, BallArray | None]
"""An output and its tangent."""


def eigh_with_slopes(e: Equation, a: BallArray, t: BallArray | None) -> list[WithSlope]:
    """The outputs of the primitive and their tangents; none where the matrix does not move."""
    values = eigh(read(e, a))
    slopes = (None, None) if t is None else eigh_slopes(*values, read(e, _columns(a, t)))
    return list(zip(values, slopes, strict=True))


def svd_with_slopes(e: Equation, a: BallArray, t: BallArray | None) -> list[WithSlope]:
    values = svd(a, full=is_full(e))
    slopes = (None, None, None) if t is None else svd_slopes(*values, _columns(a, t))
    return list(zip(values, slopes, strict=True))[: 3 if e.params["compute_uv"] else 1]


def _columns(a: BallArray, t: BallArray) -> BallArray:
    """The tangent, with at least as many columns as the value."""
    return t if t.shape[-1] >= a.shape[-1] else np.broadcast_to(t, a.shape)
