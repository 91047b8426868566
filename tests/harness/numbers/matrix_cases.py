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
    "tile": (lambda x: lax.tile(x, (2, 3)), (TALL,)),
}
"""Name -> function, and shapes and dtypes of its inputs."""
