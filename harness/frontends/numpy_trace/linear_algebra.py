"""Functions of `numpy.linalg` are traced as LAPACK computes them for NumPy, where `jax.numpy` goes another way.

`jax.numpy` writes small determinants out, symmetrises what it factors and cuts singular values elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jax


class _Slogdet(NamedTuple):
    sign: jax.Array
    logabsdet: jax.Array


def slogdet(a: jax.Array) -> _Slogdet:
    """Signs and logarithms of the pivots."""
    import jax.numpy as jnp
    from jax import lax

    packed, pivots, _ = lax.linalg.lu(a)
    diagonal = jnp.diagonal(packed, axis1=-2, axis2=-1)
    exchanges = jnp.sum(pivots != jnp.arange(pivots.shape[-1], dtype=pivots.dtype), axis=-1)
    parity = (1 - 2 * (exchanges % 2)).astype(a.dtype)
    return _Slogdet(parity * jnp.prod(jnp.sign(diagonal), axis=-1), jnp.sum(jnp.log(jnp.abs(diagonal)), axis=-1))


def det(a: jax.Array) -> jax.Array:
    """NumPy takes the exponential of `slogdet`."""
    import jax.numpy as jnp

    sign, logarithm = slogdet(a)
    return sign * jnp.exp(logarithm)


def cholesky(a: jax.Array, *, upper: bool = False) -> jax.Array:
    """The factor of the triangle that is read, the lower one unless `upper`."""
    import jax.numpy as jnp
    from jax import lax

    factor = jnp.tril(lax.linalg.cholesky(a.mT if upper else a, symmetrize_input=False))
    return factor.mT if upper else factor


class _Eigh(NamedTuple):
    eigenvalues: jax.Array
    eigenvectors: jax.Array


def eigh(a: jax.Array, UPLO: str = "L") -> _Eigh:
    """Of the triangle that is read."""
    from jax import lax

    vectors, values = lax.linalg.eigh(a, lower=UPLO.upper() == "L", symmetrize_input=False)
    return _Eigh(values, vectors)


def eigvalsh(a: jax.Array, UPLO: str = "L") -> jax.Array:
    return eigh(a, UPLO).eigenvalues


def pinv(a: jax.Array, rcond: float | None = None, hermitian: bool = False) -> jax.Array:
    """NumPy takes singular values below 1e-15 of the largest for 0."""
    import jax.numpy as jnp

    return jnp.linalg.pinv(a, rtol=1e-15 if rcond is None else rcond, hermitian=hermitian)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "slogdet": slogdet,
    "det": det,
    "cholesky": cholesky,
    "eigh": eigh,
    "eigvalsh": eigvalsh,
    "pinv": pinv,
}
"""Functions of `numpy.linalg` by name."""
