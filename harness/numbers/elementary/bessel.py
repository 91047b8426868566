"""These rows hold modified Bessel functions, scaled by exp(-|x|)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprove.harness.numbers.elementary.powers import at_zero
from backprove.harness.numbers.elementary.row import NO_BOUND, NOT_IN_NUMPY, Elementary, SciPy

if TYPE_CHECKING:
    from flint import arb


def _scaled(order: int, x: arb) -> arb:
    """exp(-|x|) I_order(x); wide balls by the ends of their range of |x|.

    python-flint's own scaling is by exp(-x), which is the same for |x|; the function is even or odd in x.
    """
    if at_zero(x) and not x.is_exact():
        size = abs(x).upper()
        near = _of_positive(order, size).union(type(x)(1 - order % 2))
        return near if order % 2 == 0 else type(x)(0, 1) * abs(x)
    value = _of_positive(order, abs(x))
    return -value if order % 2 and x < 0 else value


def _of_positive(order: int, size: arb) -> arb:
    """For even orders the scaled function falls with |x|, so that the ends of a wide ball enclose it."""
    if order == 0 and not size.is_exact() and size.rad() > 1:
        return _of_positive(order, size.lower()).union(_of_positive(order, size.upper()))
    return size.bessel_i(type(size)(order), scaled=True)


def i0e(x: arb) -> arb:
    return _scaled(0, x)


def i1e(x: arb) -> arb:
    return _scaled(1, x)


def _sign(x: arb) -> arb:
    """The hull [-1, 1] at zero and where the sign is not known."""
    return type(x)(0, 1) if at_zero(x) else x.sgn()


def _slope_of_i1e(x: arb) -> arb:
    """(I0 + I2)/2 scaled, less sign(x) times the function itself."""
    size = abs(x)
    second = size.bessel_i(type(x)(2), scaled=True)
    return (i0e(x) + second) / 2 - _sign(x) * i1e(x)


HOLES = {"growth": NO_BOUND, "numpy_name": NOT_IN_NUMPY}

ROWS = (
    Elementary(
        name="bessel_i0e",
        numpy=SciPy("i0e"),
        ball=i0e,
        slope=lambda x, y: i1e(x) - _sign(x) * y,
        kink=at_zero,
        holes=HOLES,
    ),
    Elementary(name="bessel_i1e", numpy=SciPy("i1e"), ball=i1e, slope=lambda x, y: _slope_of_i1e(x), holes=HOLES),
)
