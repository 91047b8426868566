"""These rows hold the logarithm of the gamma function, its derivative, and Bessel functions."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.numbers.elementary.row import NO_BOUND, NOT_IN_NUMPY, POSITIVE, Elementary, SciPy

BALLS_ALONE = {
    "numpy": "the code that JAX has for it is not rewritten in NumPy",
    "slope": "values only: rules of such code are judged by the mean-value form",
    "growth": NO_BOUND,
    "numpy_name": NOT_IN_NUMPY,
}


def float_digamma(x: Array) -> Array:
    """NaN at the poles, as in JAX."""
    return np.asarray(np.where((x <= 0) & (x == np.floor(x)), x.dtype.type(np.nan), SciPy("psi")(x)))


ROWS = (
    Elementary(
        name="lgamma",
        numpy=SciPy("gammaln"),
        ball="lgamma",
        slope=lambda x, y: x.digamma(),
        domain=POSITIVE,  # the enclosures know no other branch
        holes={"growth": NO_BOUND, "numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(
        name="digamma",
        numpy=float_digamma,
        ball="digamma",
        slope=lambda x, y: type(x)(2).zeta(x),
        holes={"growth": NO_BOUND, "numpy_name": NOT_IN_NUMPY},
    ),
    Elementary(name="bessel_i0e", ball=lambda x: (-abs(x)).exp() * x.bessel_i(0), holes=BALLS_ALONE),
    Elementary(name="bessel_i1e", ball=lambda x: (-abs(x)).exp() * x.bessel_i(1), holes=BALLS_ALONE),
)
