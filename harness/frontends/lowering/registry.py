"""The registry names the primitives that are lowered: `LOWERED["conv_general_dilated"]` is JAX code of its meaning.

The code takes the operands and, by name, the parameters of the primitive, and is traced in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backprove.harness.frontends.lowering import windows

LOWERED: Mapping[str, Callable[..., Any]] = {
    "conv_general_dilated": windows.convolution,
    "reduce_window": windows.window_fold,
    "reduce_window_sum": windows.window_sum,
    "reduce_window_max": windows.window_extreme(lowest=False),
    "reduce_window_min": windows.window_extreme(lowest=True),
    "select_and_scatter_add": windows.scatter_to_selected,
    "select_and_gather_add": windows.gather_selected,
}
