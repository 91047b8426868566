"""LAPACK decomposes matrices in floats at many points at once, through NumPy; what is not finite has no factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array


def _of_matrices(call: Callable[[Array], Sequence[Array]], a: Array) -> list[Array]:
    """`call` of matrices `(*batch, m, n, points)`; the results have their points last too."""
    stacked = np.moveaxis(a, -1, 0)
    good = np.isfinite(stacked).all(axis=(-2, -1), keepdims=True)
    given = np.where(good, stacked, np.eye(*a.shape[-3:-1], dtype=a.dtype))
    try:
        found = call(given)
    except np.linalg.LinAlgError:  # LAPACK gives up on one of them, as it may where entries are close to overflow
        if len(given) > 1:
            parts = [_of_matrices(call, a[..., k : k + 1]) for k in range(len(given))]
            return [np.concatenate(x, axis=-1) for x in zip(*parts, strict=True)]
        found, good = call(np.zeros_like(given)), np.zeros_like(good)
    out = []
    for x in found:
        missing = ~good.reshape(good.shape[:-2] + (1,) * (x.ndim - good.ndim + 2))
        out.append(np.moveaxis(np.where(missing, np.asarray(np.nan, x.dtype), x), 0, -1))
    return out


def symmetric(a: Array, lower: bool) -> Array:
    """The matrix of which one triangle is read."""
    n = a.shape[-2]
    keep = np.tri(n, dtype=bool) if lower else np.tri(n, dtype=bool).T
    return np.where(keep[..., None], a, np.swapaxes(a, -3, -2))


def eigh(a: Array) -> list[Array]:
    """Eigenvectors in columns and eigenvalues, in ascending order, of symmetric matrices."""
    return _of_matrices(lambda x: tuple(reversed(np.linalg.eigh(x))), a)


def svd(a: Array, full: bool) -> list[Array]:
    """Singular values, in descending order, left vectors in columns and right ones in rows."""

    def call(x: Array) -> list[Array]:
        u, s, vt = np.linalg.svd(x, full_matrices=full)
        return [s, u, vt]

    return _of_matrices(call, a)


def qr(a: Array, full: bool) -> list[Array]:
    return _of_matrices(lambda x: np.linalg.qr(x, mode="complete" if full else "reduced"), a)
