"""These rows hold the logarithm of the gamma function and its derivatives, and Hurwitz' zeta function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import NO_BOUND, NOT_IN_NUMPY, Elementary, SciPy
from backprove.harness.numbers.elementary.several import Several

if TYPE_CHECKING:
    from flint import arb

LARGEST_ORDER = 1000
"""Of polygamma on balls; no code goes so far, and the balls of much larger ones cost seconds."""


FAR = -1000
"""Below it polygamma is reflected, and no float of zeta computed."""


def nothing(like: arb) -> arb:
    """The ball of a function without a value."""
    return type(like)("nan")


def float_digamma(x: Array) -> Array:
    """NaN at the poles, as in JAX."""
    return np.asarray(np.where((x <= 0) & (x == np.floor(x)), x.dtype.type(np.nan), SciPy("psi")(x)))


def float_zeta(s: Array, q: Array) -> Array:
    """SciPy's, which takes as many turns as there are whole numbers between q and 9: none is taken from far below."""
    far = q < FAR
    return np.where(far, np.nan, SciPy("zeta")(s, np.where(far, 1, q)))


def float_polygamma(m: Array, x: Array) -> Array:
    """(-1)**(m + 1) * m! * zeta(m + 1, x), which SciPy sums up from x to 9: far below 0 it is reflected."""
    m, x = np.broadcast_arrays(m, x)
    far = (x < FAR) & (m > 0)
    at = np.where(far, 1 - x, x)
    higher = np.asarray(np.where(m % 2, 1, -1) * SciPy("gamma")(m + 1) * SciPy("zeta")(m + 1, at))
    for order in np.unique(m[far]):
        here = far & (m == order)
        higher[here] = (-1) ** order * higher[here] - np.pi * _cotangent(int(order), x[here])
    return np.where(m == 0, float_digamma(x), higher).astype(x.dtype, copy=False)


def _cotangent(order: int, x: Array) -> Array:
    """The derivative of this order of cot(pi x), a polynomial in it; infinite at the poles."""
    r = x - np.round(x)
    c = np.divide(1, np.tan(np.pi * r), out=np.zeros_like(r), where=r != 0)
    p = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order):
        p = -np.pi * p.deriv() * np.polynomial.Polynomial([1.0, 0.0, 1.0])
    return np.where(r == 0, (-1.0) ** order * np.inf, p(c))


def log_gamma(x: arb) -> arb:
    """log|gamma(x)| on both sides of 0."""
    return x.lgamma() if x > 0 else -abs(x.rgamma()).log()


def polygamma_of(m: int, x: arb) -> arb:
    """The derivative of order m of digamma, on both sides of 0."""
    if m == 0:
        return x.digamma()
    if x > 0:
        value = type(x)(m + 1).zeta(x) * type(x)(m).fac()
        return value if m % 2 else -value
    if m == 1:  # reflected: python-flint's does not end far below 0
        return (type(x).pi() / x.sin_pi()) ** 2 - type(x)(2).zeta(1 - x)
    if not x > 10 * FAR:
        return nothing(x)
    from flint import acb

    return acb(x).polygamma(m).real


def _order(m: arb) -> int | None:
    """An order that is a whole number, and no other one."""
    n = m.unique_fmpz() if m.is_exact() and m.is_integer() else None
    return None if n is None or not 0 <= int(n) <= LARGEST_ORDER else int(n)


def polygamma(m: arb, x: arb) -> arb:
    order = _order(m)
    return nothing(x) if order is None else polygamma_of(order, x)


def zeta(s: arb, q: arb) -> arb:
    """sum over n >= 0 of 1/(q + n)^s; for q < 0 there is a real value for whole s alone."""
    if q > 0:
        return s.zeta(q) if s > 1 else nothing(s)
    order = _order(s - 1)
    if not order:
        return nothing(s)
    value = polygamma_of(order, q) / type(s)(order).fac()
    return value if order % 2 else -value


def _zeta_in_s(s: arb, q: arb) -> arb:
    if not (q > 0 and s > 1):
        return nothing(s)
    from flint import acb, acb_series

    slope: arb = acb_series.zeta(acb_series([acb(s), 1], 2), acb(q))[1].real
    return slope


NO_GROWTH = {"growth": NO_BOUND, "numpy_name": NOT_IN_NUMPY}

ROWS = (
    Elementary(
        name="gamma",
        numpy=SciPy("gamma"),
        ball="gamma",
        slope=lambda x, y: y * x.digamma(),
        holes=NO_GROWTH,
    ),
    Elementary(
        name="lgamma",
        numpy=SciPy("gammaln"),
        ball=log_gamma,
        slope=lambda x, y: x.digamma(),
        holes=NO_GROWTH,
    ),
    Elementary(
        name="digamma",
        numpy=float_digamma,
        ball="digamma",
        slope=lambda x, y: polygamma_of(1, x),
        holes=NO_GROWTH,
    ),
)

SEVERAL = (
    Several(
        name="polygamma",
        numpy=float_polygamma,
        ball=polygamma,
        slopes=(None, lambda m, x: polygamma(m + 1, x)),
    ),
    Several(
        name="zeta",
        numpy=float_zeta,
        ball=zeta,
        slopes=(_zeta_in_s, lambda s, q: -s * zeta(s + 1, q)),
    ),
)
