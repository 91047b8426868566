"""What JAX's library reads from the bits of floats is said here in comparisons and powers of two.

`jnp.signbit(x)` shifts the bits of x; over the reals it asks whether x < 0, and of a zero whether 1/x is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax


def signbit(x: jax.Array) -> jax.Array:
    return (x < 0) | ((x == 0) & (1 / x < 0))


def ldexp(x: jax.Array, n: jax.Array) -> jax.Array:
    """x 2^n."""
    import jax.numpy as jnp

    return x * jnp.exp2(n.astype(x.dtype))
