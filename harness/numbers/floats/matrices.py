"""Floats factor and solve matrices at many points at once, by the textbook algorithms that LAPACK's are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import lapack, matrices
from backprove.harness.numbers.matrices import PLAIN, Plain, inward, outward
from backprove.harness.programs.program import Equation


class _Skipping(Plain):
    """LAPACK leaves a column as it is whose entries from the diagonal on are all 0."""

    def combine(self, name: str, a: Array, b: Array) -> Array:
        quotient = super().combine(name, a, b)
        return np.where(b == 0, a, quotient) if name == "div" else quotient


def _lu(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    factors, pivots, order = matrices.lu(_Skipping(), inward(inputs[0]))
    places = (np.moveaxis(p, 0, -2).astype(v.dtype) for p, v in zip((pivots, order), e.outputs[1:], strict=True))
    return [outward(factors), *places]


def _cholesky(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    """Nothing is a number where the matrix is not positive definite, as in XLA."""
    factor = matrices.cholesky(PLAIN, inward(inputs[0]))
    lost = np.isnan(factor).any(axis=(0, 1))
    return [outward(np.where(lost, np.asarray(np.nan, factor.dtype), factor))]


def _triangular_solve(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    a, b = map(inward, inputs)
    return [outward(matrices.triangular_solve(PLAIN, e.params, a, b))]


def _eigh(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    whole(e)
    return lapack.eigh(lapack.symmetric(inputs[0], bool(e.params["lower"])))


def _svd(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    whole(e)
    found = lapack.svd(inputs[0], bool(e.params["full_matrices"]))
    return found if e.params["compute_uv"] else found[:1]


def _qr(e: Equation, inputs: Sequence[Array]) -> list[Array]:
    if e.params["pivoting"]:
        raise UnsupportedPrimitive("qr with pivoting", "floats")
    return lapack.qr(inputs[0], bool(e.params["full_matrices"]))


def whole(e: Equation) -> None:
    """Refuse a part of the eigenvalues or singular values, and another order."""
    if e.params.get("subset_by_index") is not None or not e.params.get("sort_eigenvalues", True):
        raise UnsupportedPrimitive(f"{e.primitive} of a part of the values", "floats")


MATRICES: dict[str, Callable[[Equation, Sequence[Array]], list[Array]]] = {
    "lu": _lu,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "eigh": _eigh,
    "svd": _svd,
    "qr": _qr,
}
"""Primitives of linear algebra; the results are not rounded to a format shorter than their storage."""
