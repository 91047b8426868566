"""A `Several` row holds what every number system needs to know about one function of several variables.

    Several("igamma", numpy=SciPy("gammainc"), ball=..., slopes=(in_order, in_place))

is read by floats (`numpy`), balls (`ball`) and dual balls (`slopes`). An argument without a slope may not move: the
exact layer says so and leaves the point to others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backprove.harness.core.arrays import Array

if TYPE_CHECKING:
    from flint import arb

Ball = Callable[..., "arb"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Several:
    """One function f of several variables.

    Attributes:
        name: of the JAX primitive.
        numpy: f in the dtype of its arguments.
        ball: f on python-flint's balls, enclosing the image of all numbers in them.
        slopes: for each argument the partial derivative on balls, from all arguments; None where there is none.
    """

    name: str
    numpy: Callable[..., Array]
    ball: Ball
    slopes: tuple[Ball | None, ...]
