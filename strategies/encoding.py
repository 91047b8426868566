"""A given point is encoded as the choice sequence with which `point_strategy` draws it.

Order of the choices: sizes, pattern 0 (plain), one-hot columns row by row, then group by group one coordinate at a
time. A group holds all arrays of one shape, inputs first. Strategy and encoder share `layout`; a round-trip test guards
both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.strategies.shapes import Shape, Sizes, Specs, encode_sizes

Choice = bool | int | float
ONE_HOT = "one_hot"


@dataclass(frozen=True)
class Layout:
    """Which arrays are drawn together; arrays are numbered inputs first, then directions.

    Attributes:
        one_hot: inputs drawn as one column index per row.
        groups: the others, grouped by shape.
    """

    one_hot: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]


def layout(specs: Specs, shapes: Sequence[Shape]) -> Layout:
    """The layout for inputs and directions of these shapes."""
    one_hot = tuple(k for k, s in enumerate(specs.values()) if s.kind == ONE_HOT)
    groups: dict[Shape, list[int]] = {}
    for k, shape in enumerate(shapes):
        if k not in one_hot:
            groups.setdefault(tuple(shape), []).append(k)
    return Layout(one_hot, tuple(map(tuple, groups.values())))


def encode(
    specs: Specs, sizes: Sizes, arrays: Sequence[NDArray[Any]], directions: Sequence[NDArray[Any]] = ()
) -> tuple[Choice, ...]:
    """Choices (bool, int, float) that replay exactly the point `arrays` with `directions`.

    Args:
        specs: the inputs, in order.
        sizes: sizes of the names.
        arrays: one array per input, without a points axis.
        directions: tangents or cotangents in the order of the strategy.
    """
    out: list[Choice] = [*encode_sizes(specs, sizes), 0]
    everything = [*arrays, *directions]
    plan = layout(specs, [a.shape for a in everything])
    for k in plan.one_hot:
        a = everything[k]
        if a.size:
            columns = np.argmax(a.reshape((-1, a.shape[-1] if a.ndim else 1)), axis=1).tolist()
            out += columns
    for members in plan.groups:
        # `tolist` gives bool, int or float, the three types of choices.
        for coordinate in zip(*(everything[k].reshape(-1).tolist() for k in members), strict=True):
            out += coordinate
    return tuple(out)
