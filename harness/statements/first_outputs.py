"""First outputs are what forward returns at one small point: they tell its structure before anything is traced."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from backprove.harness.core.arguments import as_given
from backprove.harness.core.arrays import Code, Tree, quiet
from backprove.harness.core.errors import UsageError
from backprove.harness.core.forks import CameBackTwice
from backprove.harness.core.guard import guarded
from backprove.harness.statements.pytrees import is_leaf, outputs_of
from backprove.harness.statements.signatures import signature_of
from backprove.strategies.generic import draw, small_sizes

R = TypeVar("R")


def first_outputs(inputs: Mapping[str, Tree], forward: Code) -> list[Tree]:
    """Forward's result at a small point inside the bounds; empty where it cannot be had."""
    import jax

    call = guarded(forward)  # jax.jit of one of NumPy's own functions (np.trace) ends the process
    specs = dict(inputs)
    for sizes in small_sizes(specs)[:2]:
        try:
            point = draw(specs, sizes, 0)
            with quiet(), jax.enable_x64(True):
                try:
                    return [jax.eval_shape(call, *point)]
                except Exception:
                    return [call(*point)]
        except (Exception, CameBackTwice):  # sizes that forward does not take; the judge says so
            continue
    return []


def has_mixed_outputs(found: Sequence[Tree]) -> bool:
    """Whether forward returns anything but floating-point arrays and tuples of them.

    Args:
        found: its first outputs.
    """
    for out in found:
        if out is None:
            return False
        try:
            outputs, alone = outputs_of(out)
        except (TypeError, ValueError):  # no arrays at all; the judge says so
            return False
        moving = [m for s in outputs for m in s.moving]
        leaves = [is_leaf(part) for part in ([out] if alone else out) if part is not None]
        return any(moving) and not (all(moving) and all(leaves))
    return False


def no_array(found: Sequence[Tree], inputs: int, vjp: Code | None) -> str:
    """Why what forward returns is no array and no tuple of arrays, and what to do; "" where it may be.

    A list of numbers is so many outputs, each with a cotangent of its own; where the vjp takes another number of them
    an array is meant.

    Args:
        found: the first outputs of forward.
        inputs: how many inputs it takes.
    """
    for out in found:
        if out is None:
            return "forward returned None; return an array, or a tuple of arrays"
        if isinstance(out, (str, bytes)):
            return f"forward returned {as_given(out)}; return an array, or a tuple of arrays"
        if isinstance(out, list) and all(np.ndim(v) == 0 for v in out) and not _takes(vjp, inputs + len(out)):
            return (
                f"forward returned a list of {len(out)} numbers, which are {len(out)} outputs with a cotangent each; "
                "return one array, as in np.array([...])"
            )
    return ""


def _takes(function: Code | None, count: int) -> bool:
    """Whether a function can be called with so many positional arguments, as far as it tells."""
    signature = None if function is None else signature_of(function)
    if signature is None:
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def without_forward(rule: R, why: str) -> R:
    """The rule with a forward that says why it gives no arrays.

    Raises (when called):
        UsageError: with the reason.
    """

    def forward(*_: object) -> object:
        raise UsageError(why)

    other = copy.copy(rule)
    object.__setattr__(other, "forward", forward)
    return other
