"""The registry lists all front ends, in the order in which they are tried.

A new one is a module with a `FrontEnd` object, and a line here.
"""

from __future__ import annotations

from collections.abc import Sequence

from backprove.harness.frontends.black_box import BLACK_BOX
from backprove.harness.frontends.front_end import FrontEnd
from backprove.harness.frontends.jax_code import JAX
from backprove.harness.frontends.numpy_trace.front_end import NUMPY
from backprove.harness.frontends.objects.front_end import OBJECTS
from backprove.harness.frontends.reference import REFERENCE
from backprove.harness.frontends.torch_trace.front_end import TORCH

FRONT_ENDS: tuple[FrontEnd, ...] = (
    TORCH,
    JAX,
    NUMPY,
    REFERENCE,
    OBJECTS,
    BLACK_BOX,
)


def named(name: str) -> FrontEnd:
    """The front end of a name.

    Raises:
        KeyError: for a name that none has.
    """
    return {end.name: end for end in FRONT_ENDS}[name]


def from_on(end: FrontEnd) -> Sequence[FrontEnd]:
    """A front end and those that are tried after it."""
    return FRONT_ENDS[FRONT_ENDS.index(end) :]


def after(end: FrontEnd) -> FrontEnd:
    """The front end that is tried where this one was found untrue; the last one never is."""
    return FRONT_ENDS[FRONT_ENDS.index(end) + 1]
