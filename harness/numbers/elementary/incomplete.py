"""These rows hold the incomplete gamma and beta functions, with their slopes in every argument.

Slopes in the orders are coefficients of power series: the hypergeometric function takes a series for its parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backprove.harness.numbers.elementary.gamma import nothing, polygamma_of
from backprove.harness.numbers.elementary.row import Jax, SciPy
from backprove.harness.numbers.elementary.several import Several

if TYPE_CHECKING:
    from flint import arb

LARGE_ORDER = 100
"""From here on the upper function is asked for both: near its order the lower one costs a second and keeps few bits."""

FAR = 600
"""Beyond this, and twice the order, the slope in the order is so small that a bound is as good as its digits."""

WIDEST_SERIES = 36_000
"""Bits beyond which no series is summed, and nothing said: it takes a second, for arguments of 1e4."""

# ---------------------------------------------------------------- gamma


def lower_gamma(a: arb, x: arb) -> arb:
    """P(a, x), from 0 at x = 0 to 1, by the one of P and 1 - Q that is not near 1."""
    if not (a > 0 and x >= 0):
        return nothing(x)
    if x > a or (a > LARGE_ORDER and 2 * x > a):
        return 1 - x.gamma_upper(a, 1)
    return x.gamma_lower(a, 1)


def upper_gamma(a: arb, x: arb) -> arb:
    """Q(a, x) = 1 - P(a, x)."""
    if not (a > 0 and x >= 0):
        return nothing(x)
    return 1 - x.gamma_lower(a, 1) if 2 * x < a else x.gamma_upper(a, 1)


def gamma_density(a: arb, x: arb) -> arb:
    """x^(a-1) e^-x / Gamma(a), the slope of P in x."""
    if not (a > 0 and x >= 0):
        return nothing(x)
    if x.is_zero():
        return nothing(x) if a < 1 else type(x)(int(a == 1))
    return ((a - 1) * x.log() - x).exp() * a.rgamma()


def of_order(a: arb, x: arb, term: int) -> arb:
    """A coefficient of P(a + t, x) as a series in t: x^a e^-x / Gamma(a + 1) times 1F1(1; a + 1; x)."""
    from flint import acb, acb_series, ctx

    if x > FAR and x > 2 * a:
        return _near_one(a, x, term)
    if not x < WIDEST_SERIES // 3:
        return nothing(x)
    further = 64 + 3 * math.ceil(float(x.mid()))  # bits that a series loses where its argument is large
    with ctx.workprec(ctx.prec + further):
        order, one = acb_series([acb(a), 1], term + 1), acb_series([1], term + 1)
        place = acb_series([acb(x)], term + 1)
        front = (order * place.log() - place).exp() * (order + 1).rgamma()
        found: arb = (front * acb_series.hypgeom([one], [order + 1], place))[term].real
    return found


def _near_one(a: arb, x: arb, term: int) -> arb:
    """A bound of that coefficient for x > 2a, where the density falls faster than e^-(t - x)/2 beyond x.

    dP/da = -int_x^oo (log t - psi(a)) density(t) dt, with 0 <= log t - log x <= (t - x)/x.
    """
    far = abs(x.log() - a.digamma())
    within = 2 * far + 4 / x if term == 1 else 2 * far**2 + 16 / x**2 + polygamma_of(1, a)
    return gamma_density(a, x) * within * type(x)(0, 1)


def lower_gamma_in_order(a: arb, x: arb) -> arb:
    """dP/da."""
    if x.is_zero() and a > 0:
        return type(x)(0)
    if not (a > 0 and x > 0):
        return nothing(x)
    return of_order(a, x, 1)


def _second_in_order(a: arb, x: arb) -> arb:
    if not (a > 0 and x > 0):
        return nothing(x)
    return 2 * of_order(a, x, 2)


def _density_in_order(a: arb, x: arb) -> arb:
    return gamma_density(a, x) * (x.log() - a.digamma())


# ---------------------------------------------------------------- beta


def beta(a: arb, b: arb, x: arb) -> arb:
    """I_x(a, b), from 0 at x = 0 to 1 at x = 1."""
    if not (a > 0 and b > 0 and x >= 0 and x <= 1):
        return nothing(x)
    # the one that is not near 1
    return x.beta_lower(a, b, 1) if x * (a + b) < a else 1 - (1 - x).beta_lower(b, a, 1)


def _beta_density(a: arb, b: arb, x: arb) -> arb:
    """x^(a-1) (1-x)^(b-1) / B(a, b), the slope in x."""
    if not (a > 0 and b > 0 and x > 0 and x < 1):
        return nothing(x)
    return ((a - 1) * x.log() + (b - 1) * (-x).log1p() + (a + b).lgamma() - a.lgamma() - b.lgamma()).exp()


def _beta_series(a: Any, b: Any, x: arb) -> arb:
    """The coefficient of t of I_x(a, b) with series a, b in t: x^a (1-x)^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x)."""
    from flint import acb, acb_series

    one, place = acb_series([1], 2), acb_series([acb(x)], 2)
    front = (a * place.log() + b * (1 - place).log() + (a + b).lgamma() - (a + 1).lgamma() - b.lgamma()).exp()
    slope: arb = (front * acb_series.hypgeom([a + b, one], [a + 1], place))[1].real
    return slope


def _beta_in(moving: int) -> Callable[[arb, arb, arb], arb]:
    """The slope in a (0) or b (1); beyond the middle that of 1 - I_{1-x}(b, a)."""

    def slope(a: arb, b: arb, x: arb) -> arb:
        from flint import acb, acb_series

        if not (a > 0 and b > 0 and x >= 0 and x <= 1):
            return nothing(x)
        if x.is_zero() or (1 - x).is_zero():
            return type(x)(0)
        first, second = (acb_series([acb(v), int(k == moving)], 2) for k, v in enumerate((a, b)))
        return _beta_series(first, second, x) if x * (a + b) < a else -_beta_series(second, first, 1 - x)

    return slope


SEVERAL = (
    Several(
        name="igamma",
        numpy=SciPy("gammainc"),
        ball=lower_gamma,
        slopes=(lower_gamma_in_order, gamma_density),
    ),
    Several(
        name="igammac",
        numpy=SciPy("gammaincc"),
        ball=upper_gamma,
        slopes=(lambda a, x: -lower_gamma_in_order(a, x), lambda a, x: -gamma_density(a, x)),
    ),
    Several(
        name="igamma_grad_a",
        numpy=Jax("igamma_grad_a"),
        ball=lower_gamma_in_order,
        slopes=(_second_in_order, _density_in_order),
    ),
    Several(
        name="regularized_incomplete_beta",
        numpy=SciPy("betainc"),
        ball=beta,
        slopes=(_beta_in(0), _beta_in(1), _beta_density),
    ),
)
