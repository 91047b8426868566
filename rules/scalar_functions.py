"""The scalar functions of the documented nodes, applied entry by entry, totalised as the reals of the library are.

Conventions: `log` means `log|x|` with `log 0 = 0`, `1/0 = 0`, and the square root of a negative is 0. A branch that
is not taken is evaluated at a harmless point (the double `where`), so that its derivative cannot be NaN or infinite.
"""

from __future__ import annotations

import math

from backprove.rules.lazy import jnp
from backprove.rules.linalg import Tensor

GELU_C = math.sqrt(2 / math.pi)
GELU_K = 44715 / 1000000


def inv(x: Tensor) -> Tensor:
    """`1/x` with `1/0 = 0`."""
    return jnp.where(x == 0, 0, 1 / jnp.where(x == 0, 1, x))


def log(x: Tensor) -> Tensor:
    """`log|x|` with `log 0 = 0`."""
    return jnp.where(x == 0, 0, jnp.log(jnp.abs(jnp.where(x == 0, 1, x))))


def sqrt(x: Tensor) -> Tensor:
    """The square root of `x`, 0 where `x <= 0`."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)


def positive_part(x: Tensor) -> Tensor:
    """`x` where `x > 0`, else 0; slope 0 at 0."""
    return jnp.where(x > 0, x, 0)


def nonpositive_part(x: Tensor) -> Tensor:
    """`x` where `x <= 0`, else 0; slope 1 at 0."""
    return jnp.where(x > 0, 0, x)


def logistic(x: Tensor) -> Tensor:
    """`e^x/(e^x + 1)` as it stands: the sigmoid over the reals, NaN in floats once `e^x` overflows."""
    return jnp.exp(x) / (jnp.exp(x) + 1)


def sigmoid(x: Tensor) -> Tensor:
    """`1/(1 + e^-x)` where `x > 0`, else `e^x/(1 + e^x)`."""
    up = 1 / (1 + jnp.exp(-positive_part(x)))
    e = jnp.exp(nonpositive_part(x))
    return jnp.where(x > 0, up, e / (1 + e))


def softplus(x: Tensor) -> Tensor:
    """`x + log(1 + e^-x)` where `x > 0`, else `log(1 + e^x)`."""
    p, n = positive_part(x), nonpositive_part(x)
    return jnp.where(x > 0, p + jnp.log(1 + jnp.exp(-p)), jnp.log(1 + jnp.exp(n)))


def gelu(x: Tensor) -> Tensor:
    """`x (1 + tanh(c (x + k x^3)))/2`, the tanh form."""
    return x * (1 + jnp.tanh(GELU_C * (x + GELU_K * x**3))) / 2


def gelu_slope(x: Tensor) -> Tensor:
    """`(1 + t + x (1 - t^2) c (1 + 3 k x^2))/2` with `t = tanh(c (x + k x^3))`."""
    t = jnp.tanh(GELU_C * (x + GELU_K * x**3))
    # 3 (k x^2), not (3k) x^2: in a short format 3k rounds to another constant than the forward map's k.
    return (1 + t + x * (1 - t**2) * (GELU_C * (1 + 3 * (GELU_K * x**2)))) / 2


def elu(x: Tensor, alpha: Tensor) -> Tensor:
    """`x` where `x > 0`, else `alpha (e^x - 1)`."""
    return jnp.where(x > 0, x, alpha * (jnp.exp(nonpositive_part(x)) - 1))


def elu_slope(x: Tensor, alpha: Tensor) -> Tensor:
    """1 where `x > 0`, else `alpha e^x`; `alpha` at 0."""
    return jnp.where(x > 0, 1, alpha * jnp.exp(nonpositive_part(x)))
