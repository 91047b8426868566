"""Inputs as a user states them are held against what they must be: names of arguments, and `array(...)` for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backprove.harness.core.arguments import as_given
from backprove.harness.core.errors import UsageError
from backprove.strategies.array import ArraySpec

EXAMPLE = '{"z": bp.array("m n")}'


def check_mapping(who: str, inputs: object) -> None:
    """Refuse inputs that are no mapping of names.

    Args:
        who: the start of messages.

    Raises:
        UsageError: with what was given and how inputs are written.
    """
    if not isinstance(inputs, Mapping):
        given = f"; write {{'x': {as_given(inputs)}}}" if isinstance(inputs, ArraySpec) else ""
        raise UsageError(
            f"{who}: inputs must map argument names to bp.array(...), such as {EXAMPLE}, got {as_given(inputs)}{given}"
        )
    for key in inputs:
        if not isinstance(key, str):
            raise UsageError(f"{who}: the names in inputs must be strings, got {as_given(key)}")


def check_arrays(who: str, inputs: object, why: str = "") -> None:
    """Refuse inputs that are not all `array(...)`.

    Args:
        who: the start of messages.
        why: what else is said of one that is no array, such as why it may be no container.

    Raises:
        UsageError: naming the first that is not, and what to write.
    """
    check_mapping(who, inputs)
    assert isinstance(inputs, Mapping)
    for key, spec in inputs.items():
        if not isinstance(spec, ArraySpec):
            raise UsageError(f"{who}: input {key!r} is {as_given(spec)}; {_hint(spec)}{why}")


def _hint(spec: Any) -> str:
    """What to write in place of an input that is no `array(...)`."""
    if isinstance(spec, str):
        return f"write bp.array({spec!r})"
    shape = getattr(spec, "shape", None)
    if shape is None and isinstance(spec, (tuple, list)) and spec and all(isinstance(d, int) for d in spec):
        shape = spec
    if isinstance(spec, int) and not isinstance(spec, bool):
        shape = (spec,)
    if isinstance(shape, (tuple, list)) and all(isinstance(d, int) for d in shape):
        return f"write bp.array({' '.join(map(str, shape))!r}), or a name such as 'n' for any size"
    if isinstance(spec, float):
        return "write bp.array('') for a scalar; points are drawn, and those of your own go into examples"
    return f"expected bp.array(...), such as {EXAMPLE}"
