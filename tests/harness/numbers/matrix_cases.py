"""Functions that use the primitives of linear algebra, each with the inputs on which it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax import lax

SQUARE, TALL = ((3, 3), "float64"), ((3, 2), "float64")


def definite(x: Any) -> Any:
    """A symmetric positive definite matrix."""
    return x @ x.mT + jnp.eye(x.shape[-1])


def large_diagonal(x: Any) -> Any:
    return x + 9 * jnp.eye(x.shape[-1])


def as_permutation(i: Any) -> Any:
    """Integers as the exchanges of four rows."""
    return lax.linalg.lu_pivots_to_permutation((abs(i) % 4).astype("int32"), 4)


MATRICES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "lu": (lambda x: lax.linalg.lu(x)[0], (SQUARE,)),
    "lu of a batch": (lambda x: lax.linalg.lu(x)[0] * lax.linalg.lu(x)[2][..., None], (((2, 3, 4), "float64"),)),
    "slogdet": (jnp.linalg.slogdet, (SQUARE,)),
    "det": (jnp.linalg.det, (((4, 4), "float64"),)),
    "cholesky": (lambda x: jnp.linalg.cholesky(definite(x)), (SQUARE,)),
    "triangular_solve": (lambda x, y: jsl.solve_triangular(large_diagonal(x), y, lower=True), (SQUARE, TALL)),
    "triangular_solve from the right": (
        lambda x, y: lax.linalg.triangular_solve(large_diagonal(x), y.T, transpose_a=True, unit_diagonal=True),
        (SQUARE, TALL),
    ),
    "custom_linear_solve": (lambda x, y: jnp.linalg.solve(large_diagonal(x), y), (SQUARE, TALL)),
    "inv": (lambda x: jnp.linalg.inv(large_diagonal(x)), (((2, 3, 3), "float64"),)),
    "qr": (jnp.linalg.qr, (TALL,)),
    "qr of a square matrix": (lambda x: jnp.linalg.qr(x)[1], (SQUARE,)),
    "eigh": (lambda x: jnp.linalg.eigh(x + x.mT), (SQUARE,)),
    "eigh of a batch": (lambda x: jnp.linalg.eigh(x @ x.mT), (((2, 3, 3), "float64"),)),
    "eigvalsh": (jnp.linalg.eigvalsh, (SQUARE,)),
    "svd": (lambda x: jnp.linalg.svd(x, full_matrices=False), (TALL,)),
    "svd of a wide matrix": (lambda x: jnp.linalg.svd(x, full_matrices=False), (((2, 3), "float64"),)),
    "singular values": (lambda x: jnp.linalg.svd(x, compute_uv=False), (SQUARE,)),
    "pinv": (jnp.linalg.pinv, (TALL,)),
    "nuclear norm": (lambda x: jnp.linalg.norm(x, "nuc"), (SQUARE,)),
    "spectral norm": (lambda x: jnp.linalg.norm(x, 2), (TALL,)),
    "lstsq": (lambda x, y: jnp.linalg.lstsq(x, y)[0], (TALL, (((3,), "float64")))),
    "matrix_power": (lambda x: jnp.linalg.matrix_power(x, 3), (SQUARE,)),
    "tile": (lambda x: lax.tile(x, (2, 3)), (TALL,)),
}
"""Name -> function, and shapes and dtypes of its inputs."""
