"""The registry names the primitives that are lowered: `LOWERED["conv_general_dilated"]` is JAX code of its meaning.

The code takes the operands and, by name, the parameters of the primitive, and is traced in its place. Functions of
JAX's library that read bits of floats are in `CALLED` by their name; their code takes the operands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backprove.harness.frontends.lowering import bits, reductions, windows

LOWERED: Mapping[str, Callable[..., Any]] = {
    "conv_general_dilated": windows.convolution,
    "reduce_window": windows.window_fold,
    "reduce_window_sum": windows.window_sum,
    "reduce_window_max": windows.window_extreme(lowest=False),
    "reduce_window_min": windows.window_extreme(lowest=True),
    "select_and_scatter_add": windows.scatter_to_selected,
    "select_and_gather_add": windows.gather_selected,
    "reduce": reductions.fold,
    "approx_top_k": reductions.top_k,
    "tridiagonal_solve": reductions.tridiagonal_solve,
}

CALLED: Mapping[str, Callable[..., Any]] = {"signbit": bits.signbit, "ldexp": bits.ldexp}
