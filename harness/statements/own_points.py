"""`OwnPoint` is a point that a user names in `examples=`: `{"x": [1.0, 2.0], "g": [1.0, 0.0]}`.

Inputs go by their names. A direction goes by the name that reports print ("cotangent", "tangent of x") or by that of
the rule's own parameter (`g` of `vjp=lambda x, g: ...`). What is not given of the directions is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backprove.harness.core.arrays import Code, quiet
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.admission import admitted, numbers, sizes_of
from backprove.harness.statements.signatures import POSITIONAL, signature_of
from backprove.strategies.array import ArraySpec
from backprove.strategies.shapes import Sizes

COTANGENT = "cotangent "
TANGENT = "tangent of "


class Named(dict[str, Any]):
    """A point with a name of its own, such as `points.json, example 2`.

    Args:
        label: how reports call it.
    """

    def __init__(self, point: Mapping[str, Any], label: str) -> None:
        super().__init__(point)
        self.label = label


@dataclass(frozen=True, eq=False)
class OwnPoint:
    """A point of a user's own.

    Attributes:
        label: how reports call it ("example 2").
        who: the start of messages.
        sizes: sizes of the names.
        arrays: one array per input, float64, int64 or bool, without a points axis.
        directions: "tangent of x" or "cotangent 0" -> float64 array, of those that were given.
    """

    label: str
    who: str
    sizes: Sizes
    arrays: tuple[NDArray[Any], ...]
    directions: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the inputs."""
        return tuple(a.shape for a in self.arrays)

    def direction(self, name: str, shape: Sequence[int]) -> NDArray[np.float64] | None:
        """The direction that a claim calls `name`; None where it was not given.

        Raises:
            UsageError: where it has another shape.
        """
        found = next((self.directions[n] for n in _kept_as(name) if n in self.directions), None)
        if found is None:
            return None
        if found.shape != tuple(shape):
            raise UsageError(f"{self.who}: the {name} has shape {list(found.shape)} where {list(shape)} was expected")
        return found

    def unused(self, names: Sequence[str]) -> list[str]:
        """Directions given that no claim takes.

        Args:
            names: those that the claims of the rule take at these sizes.
        """
        taken = {kept for n in names for kept in _kept_as(n)}
        return [n for n in self.directions if n not in taken]


def _kept_as(name: str) -> tuple[str, str]:
    """The names of `OwnPoint.directions` for the direction that a claim calls `name`."""
    return f"{COTANGENT}0" if name == "cotangent" else name, f"{TANGENT}{name}"


@dataclass(frozen=True)
class Names:
    """What the keys of an example may be.

    Attributes:
        specs: the inputs by flat name (`params.W`).
        stated: the inputs as the user states them.
        vjp, jvp: names of the direction parameters of the rule's functions.
    """

    specs: Mapping[str, ArraySpec]
    stated: Mapping[str, Any]
    vjp: tuple[str, ...]
    jvp: tuple[str, ...]

    @property
    def moving(self) -> list[str]:
        """The inputs, as the user states them, that have a tangent."""
        flat = [n for n, s in self.specs.items() if s.differentiable]
        return [n for n in self.stated if any(f == n or f.startswith(f"{n}.") for f in flat)]

    def known(self) -> str:
        """All of them, for messages."""
        told = [*self.stated, *self.vjp, *self.jvp, "cotangent", *(f"{TANGENT}{n}" for n in self.moving)]
        return ", ".join(dict.fromkeys(told))


def own_points(who: str, examples: Any, names: Names, where: Code | None) -> tuple[OwnPoint, ...]:
    """The points of `examples=`, validated.

    Args:
        who: the start of messages.
        where: the condition over several inputs, by flat inputs.

    Raises:
        UsageError: for what is no list of dicts, unknown and missing names, shapes that do not fit, and values outside
            the stated domain.
    """
    if isinstance(examples, (Mapping, str)) or not isinstance(examples, Sequence):
        raise UsageError(f'{who}: examples must be a list of dicts such as [{{"x": 1.5}}], got {examples!r}')
    found = []
    for k, example in enumerate(examples, start=1):
        label = getattr(example, "label", f"example {k}")
        at = f"{who}: {label}"
        if not isinstance(example, Mapping):
            raise UsageError(f'{at} must be a dict of names and numbers such as {{"x": 1.5}}, got {example!r}')
        point = _one(label, at, example, names)
        if where is not None and not _admits(where, point.arrays):
            raise UsageError(f"{at} does not satisfy the condition where=")
        found.append(point)
    return tuple(found)


def _one(label: str, at: str, example: Mapping[str, Any], names: Names) -> OwnPoint:
    inputs: dict[str, NDArray[Any]] = {}
    directions: dict[str, NDArray[np.float64]] = {}
    for key, value in example.items():
        if not isinstance(key, str):
            raise UsageError(f"{at}: names are strings, got {key!r}")
        what = f"{at}: {key}"
        if key in names.stated or key in names.specs or _starts(key, names.specs):
            for name, leaf in _leaves(what, key, value, names.specs):
                inputs[name] = numbers(f"{at}: {name}", leaf)
            continue
        found = dict(_directions(what, key, value, names))
        if not found:
            raise UsageError(f"{at}: {key!r} is the name of nothing that the rule takes; known are {names.known()}")
        directions |= found
    missing = [n for n in names.specs if n not in inputs]
    if missing:
        raise UsageError(f"{at} lacks {' and '.join(missing)}; every input is given, directions may be left out")
    sizes = sizes_of(at, names.specs, inputs)
    arrays = tuple(admitted(at, n, spec, sizes, inputs[n]) for n, spec in names.specs.items())
    return OwnPoint(label, at, sizes, arrays, directions)


def _starts(key: str, specs: Mapping[str, ArraySpec]) -> bool:
    """Whether flat inputs are parts of what is called `key`."""
    return any(name.startswith(f"{key}.") for name in specs)


def _leaves(what: str, name: str, value: Any, specs: Mapping[str, ArraySpec]) -> Iterator[tuple[str, Any]]:
    """The inputs in a structure, by flat name; None stands for nothing."""
    if name in specs:
        yield name, value
        return
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        parts = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(str(k), v) for k, v in enumerate(value)]
    elif value is None:
        return
    else:
        parts = []
    unknown = [k for k, _ in parts if f"{name}.{k}" not in specs and not _starts(f"{name}.{k}", specs)]
    if unknown or not parts:
        there = ", ".join(n for n in specs if n.startswith(f"{name}."))
        raise UsageError(
            f"{what} must have the structure of the input: {there}; got {unknown[0] if unknown else value!r}"
        )
    for k, v in parts:
        yield from _leaves(what, f"{name}.{k}", v, specs)


def _directions(what: str, key: str, value: Any, names: Names) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The directions that a key names, by the names that reports print."""
    of = key.removeprefix(TANGENT)
    if of != key and (of in names.specs or _starts(of, names.specs)):
        yield from _tangents(what, of, value, names)
    for place, parameter in enumerate(names.jvp):
        if key == parameter and place < len(names.moving):
            yield from _tangents(what, names.moving[place], value, names)
    place_of = {name: k for k, name in enumerate(names.vjp)}
    place_of["cotangent"] = 0
    if re.fullmatch(r"cotangent \d+", key):
        place_of[key] = int(key.removeprefix(COTANGENT))
    if key in place_of:
        for k, leaf in enumerate(_in_order(value)):
            yield f"{COTANGENT}{place_of[key] + k}", _finite(what, leaf)


def _tangents(what: str, name: str, value: Any, names: Names) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for flat, leaf in _leaves(what, name, value, names.specs):
        if leaf is None:
            continue
        if not names.specs[flat].differentiable:
            raise UsageError(f"{what}: {flat} has no tangent; it is an input of integers, a mask or an index")
        yield f"{TANGENT}{flat}", _finite(what, leaf)


def _in_order(value: Any) -> list[Any]:
    """The arrays of a structure, in the order of JAX's leaves; one array where it is a number or a list of numbers."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [leaf for k in sorted(value) for leaf in _in_order(value[k])]
    if isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) or hasattr(v, "shape") for v in value):
        return [leaf for v in value for leaf in _in_order(v)]
    return [value]


def _finite(what: str, value: Any) -> NDArray[np.float64]:
    found = numbers(what, value).astype(np.float64)
    if not np.isfinite(found).all():
        raise UsageError(f"{what} holds {found[~np.isfinite(found)].flat[0].item()!r}; a direction has finite numbers")
    return found


def _admits(where: Code, arrays: Sequence[NDArray[Any]]) -> bool:
    """Whether the condition holds; what it raises is the judge's to say."""
    import jax

    try:
        with quiet(), jax.enable_x64(True):
            return bool(np.all(where(*(a.copy() for a in arrays))))
    except Exception:
        return True


def direction_parameters(function: Any, inputs: int) -> tuple[str, ...]:
    """Names of the parameters after the inputs; of an adapter those that the user's function has.

    Args:
        inputs: how many the function takes first.
    """
    if function is None:
        return ()
    told = getattr(function, "direction_parameters", None)
    if told is not None:
        return tuple(told)
    signature = signature_of(function)
    if signature is None:
        return ()
    return tuple(p.name for p in signature.parameters.values() if p.kind in POSITIONAL)[inputs:]
