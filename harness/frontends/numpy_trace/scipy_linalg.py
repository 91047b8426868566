"""Functions of `scipy.linalg` by name are traced as LAPACK computes them for SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backprove.harness.frontends.numpy_trace import linear_algebra

if TYPE_CHECKING:
    import jax

Checks = bool
"""`overwrite_*` and `check_finite` change no value."""


def inv(a: jax.Array, overwrite_a: Checks = False, check_finite: Checks = True) -> jax.Array:
    import jax.numpy as jnp

    found: jax.Array = jnp.linalg.inv(a)
    return found


def det(a: jax.Array, overwrite_a: Checks = False, check_finite: Checks = True) -> jax.Array:
    """The product of the pivots, where NumPy takes the exponential of logarithms."""
    import jax.numpy as jnp
    from jax import lax

    packed, pivots, _ = lax.linalg.lu(a)
    exchanges = jnp.sum(pivots != jnp.arange(pivots.shape[-1], dtype=pivots.dtype), axis=-1)
    parity = (1 - 2 * (exchanges % 2)).astype(a.dtype)
    return parity * jnp.prod(jnp.diagonal(packed, axis1=-2, axis2=-1), axis=-1)


def solve(
    a: jax.Array,
    b: jax.Array,
    lower: bool = False,
    overwrite_a: Checks = False,
    overwrite_b: Checks = False,
    check_finite: Checks = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> jax.Array:
    """Of a matrix that is not said to be symmetric: the others are read in one triangle."""
    import jax.numpy as jnp

    if assume_a not in (None, "gen", "general"):
        raise TypeError(f"assume_a={assume_a!r}")
    found: jax.Array = jnp.linalg.solve(a.mT if transposed else a, b)
    return found


def cholesky(a: jax.Array, lower: bool = False, overwrite_a: Checks = False, check_finite: Checks = True) -> jax.Array:
    return linear_algebra.cholesky(a, upper=not lower)


def solve_triangular(
    a: jax.Array,
    b: jax.Array,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: Checks = False,
    check_finite: Checks = True,
) -> jax.Array:
    from jax.scipy import linalg

    found: jax.Array = linalg.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit_diagonal)
    return found


def expm(a: jax.Array) -> jax.Array:
    from jax.scipy import linalg

    found: jax.Array = linalg.expm(a)
    return found


def eigvalsh(a: jax.Array, lower: bool = True, check_finite: Checks = True) -> jax.Array:
    return linear_algebra.eigvalsh(a, "L" if lower else "U")


def eigh(a: jax.Array, lower: bool = True, eigvals_only: bool = False, check_finite: Checks = True) -> Any:
    found = linear_algebra.eigh(a, "L" if lower else "U")
    return found.eigenvalues if eigvals_only else tuple(found)


def svd(a: jax.Array, full_matrices: bool = True, compute_uv: bool = True, check_finite: Checks = True) -> Any:
    import jax.numpy as jnp

    found = jnp.linalg.svd(a, full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(found) if compute_uv else found


def svdvals(a: jax.Array, check_finite: Checks = True) -> Any:
    return svd(a, compute_uv=False)


def pinv(a: jax.Array, *, rtol: float | None = None, check_finite: Checks = True) -> jax.Array:
    import jax.numpy as jnp

    cut = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol
    found: jax.Array = jnp.linalg.pinv(a, rtol=cut)
    return found


def norm(a: jax.Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> jax.Array:
    import jax.numpy as jnp

    found: jax.Array = jnp.linalg.norm(a, ord=ord, axis=axis, keepdims=keepdims)
    return found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (inv, det, solve, cholesky, solve_triangular, expm, eigvalsh, eigh, svd, svdvals, pinv, norm)
}
"""Functions of `scipy.linalg` by name; an argument that they lack is not followed."""
