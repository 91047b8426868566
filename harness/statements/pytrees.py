"""Rules whose inputs and outputs are pytrees (dicts, tuples and what JAX knows beside them) are made flat here.

The engine knows rules of arrays only. Here such a rule becomes one with an input per leaf, called `params.W`, and what
the user's functions return is held to its structure before it is taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Code, Tree
from backprove.harness.core.errors import ContractError, UsageError
from backprove.strategies.array import ArraySpec

if TYPE_CHECKING:
    from jax.tree_util import PyTreeDef


@dataclass(frozen=True)
class Structure:
    """The structure of one input or output.

    Attributes:
        tree: JAX's description of it.
        moving: for each leaf whether it has tangents and cotangents.
    """

    tree: PyTreeDef
    moving: tuple[bool, ...]

    def build(self, leaves: Sequence[object]) -> Tree:
        """The structure with these leaves."""
        return self.tree.unflatten(leaves)

    def directions(self, leaves: Sequence[object]) -> Tree:
        """The structure with these at the leaves that move, and None at the others."""
        rest = iter(leaves)
        return self.tree.unflatten([next(rest) if m else None for m in self.moving])

    def taken_apart(self, value: Tree) -> list[object] | None:
        """The leaves that move of a value of this structure; None where it has another one."""
        try:
            found = self.tree.flatten_up_to(value)
        except (ValueError, TypeError, KeyError):
            return None
        kept = [v for v, m in zip(found, self.moving, strict=True) if m]
        return kept if all(is_leaf(v) for v in kept) else None


def is_leaf(value: Tree) -> bool:
    import jax

    leaves = jax.tree_util.tree_leaves(value)
    return len(leaves) == 1 and leaves[0] is value


def is_structured(inputs: Mapping[str, Tree]) -> bool:
    """Whether an input is more than one array."""
    return not all(isinstance(spec, ArraySpec) for spec in inputs.values())


def flat_inputs(inputs: Mapping[str, Tree]) -> dict[str, Tree]:
    """Dotted name -> leaf, in JAX's order; what is no `ArraySpec` is left for the caller to refuse."""
    if not is_structured(inputs):
        return dict(inputs)
    import jax

    found: dict[str, Tree] = {}
    for name, value in inputs.items():
        leaves, _ = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda v: v is None)
        for path, leaf in leaves:
            dotted = ".".join([name, *(_key(k) for k in path)])
            if dotted in found:
                raise UsageError(
                    f"two inputs are called {dotted!r}, in which the parts of a name are joined; rename one"
                )
            found[dotted] = leaf
        if not leaves:
            raise UsageError(f"input {name!r} is {value!r}, which holds no bp.array(...)")
    return found


def _key(entry: object) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


@dataclass
class Boundary:
    """Between flat calls and the user's functions.

    Attributes:
        specs: the rule's inputs as the user states them: name -> pytree of `ArraySpec`.
        forward: the user's forward map.
        inputs: structure of each input.
        moving: positions of the inputs with a leaf that moves.
        outputs: structure of each output, and whether there is one alone; known after the first call of forward.
    """

    specs: Mapping[str, Tree]
    forward: Code
    inputs: list[Structure] = field(init=False)
    moving: list[int] = field(init=False)
    outputs: tuple[list[Structure], bool] | None = None

    def __post_init__(self) -> None:
        import jax

        self.inputs = []
        for spec in self.specs.values():
            leaves, tree = jax.tree_util.tree_flatten(spec)
            self.inputs.append(Structure(tree, tuple(s.differentiable for s in leaves)))
        self.moving = [k for k, s in enumerate(self.inputs) if any(s.moving)]

    @property
    def leaves(self) -> int:
        return sum(len(s.moving) for s in self.inputs)

    def pack(self, leaves: Sequence[object]) -> list[Tree]:
        """The arguments of the user's functions."""
        parts = _split(leaves, [len(s.moving) for s in self.inputs])
        return [s.build(part) for s, part in zip(self.inputs, parts, strict=True)]

    def packed(self, function: Code) -> Code:
        def call(*leaves: object) -> object:
            return function(*self.pack(leaves))

        return call

    def flat_forward(self, function: Code) -> Code:
        """Forward or its reference: leaves to leaves."""
        import jax

        def call(*leaves: object) -> object:
            out = function(*self.pack(leaves))
            if function is self.forward and self.outputs is None:
                self.outputs = outputs_of(out)
            outputs, _ = self.outputs or outputs_of(out)
            moving = [m for s in outputs for m in s.moving]
            found = [v for v, m in zip(jax.tree_util.tree_leaves(out), moving, strict=True) if m]
            return found[0] if len(found) == 1 else tuple(found)

        return call

    def _known(self, primals: list[Tree]) -> tuple[list[Structure], bool]:
        if self.outputs is None:
            self.outputs = outputs_of(self.forward(*primals))
        return self.outputs

    def vjp(self, function: Code, label: str) -> Code:
        """The pullback: leaves and cotangents of the outputs' leaves to cotangents of the inputs' leaves.

        Raises (when called):
            ContractError: where the user's function returns another structure.
        """

        def call(*arguments: object) -> object:
            primals = self.pack(arguments[: self.leaves])
            outputs, _ = self._known(primals)
            moved = [s for s in outputs if any(s.moving)]
            parts = _split(arguments[self.leaves :], [sum(s.moving) for s in moved])
            found = function(*primals, *(s.directions(p) for s, p in zip(moved, parts, strict=True)))
            out = self._cotangents(found)
            if out is None:
                wanted = [primals[k] for k in self.moving]
                raise ContractError(
                    f"{label} returned {_shown(found)} where {_shown(wanted[0] if len(wanted) == 1 else tuple(wanted))}"
                    f" was expected, the structure of {' and '.join(self._names())}"
                )
            return out[0] if len(out) == 1 else tuple(out)

        return call

    def _names(self) -> list[str]:
        names = list(self.specs)
        return [names[k] for k in self.moving]

    def _cotangents(self, found: Tree) -> list[object] | None:
        """The cotangents of the leaves that move; None where `found` has none of the structures allowed."""
        tries: list[Sequence[Tree]] = [[found]] if len(self.moving) == 1 else []
        if isinstance(found, (tuple, list)):
            if len(found) == len(self.moving):
                tries.append(found)
            rest = [v for k, v in enumerate(found) if k not in self.moving]
            if len(found) == len(self.inputs) and all(v is None for v in rest):
                tries.append([found[k] for k in self.moving])
        for values in tries:
            parts = [self.inputs[k].taken_apart(v) for k, v in zip(self.moving, values, strict=True)]
            if all(p is not None for p in parts):
                return [leaf for p in parts for leaf in p or ()]
        return None

    def jvp(self, function: Code, label: str) -> Code:
        """The pushforward: leaves and tangents of the leaves that move to tangents of the outputs' leaves.

        Raises (when called):
            ContractError: where the user's function returns another structure.
        """

        def call(*arguments: object) -> object:
            primals = self.pack(arguments[: self.leaves])
            moved = [self.inputs[k] for k in self.moving]
            parts = _split(arguments[self.leaves :], [sum(s.moving) for s in moved])
            found = function(*primals, *(s.directions(p) for s, p in zip(moved, parts, strict=True)))
            outputs, alone = self._known(primals)
            values = [found] if alone else found if isinstance(found, (tuple, list)) else []
            moving = [s for s in outputs if any(s.moving)]
            if len(values) == len(outputs) != len(moving):
                values = [v for v, s in zip(values, outputs, strict=True) if any(s.moving)]
            taken = [s.taken_apart(v) for s, v in zip(moving, values, strict=False)]
            if len(values) != len(moving) or any(t is None for t in taken):
                wanted = self.forward(*primals)
                raise ContractError(
                    f"{label} returned {_shown(found)} where {_shown(wanted)} was expected, the structure of forward's "
                    "output"
                )
            out = [leaf for t in taken for leaf in t or ()]
            return out[0] if len(out) == 1 else tuple(out)

        return call


def outputs_of(out: Tree) -> tuple[list[Structure], bool]:
    """The structure of each output: those of a tuple or list are several, anything else is one."""
    import jax

    alone = not isinstance(out, (tuple, list)) or hasattr(out, "_fields")
    found = []
    for part in [out] if alone else out:
        leaves, tree = jax.tree_util.tree_flatten(part)
        found.append(Structure(tree, tuple(_dtype_kind(leaf) not in "iub" for leaf in leaves)))
    return found, alone


def _dtype_kind(leaf: object) -> str:
    dtype = getattr(leaf, "dtype", None)
    return str(np.dtype(dtype if dtype is not None else np.asarray(leaf).dtype).kind)


def _split(values: Sequence[object], sizes: Sequence[int]) -> list[Sequence[object]]:
    """Consecutive parts of these sizes."""
    return [values[a:b] for a, b in pairwise(accumulate(sizes, initial=0))]


def _shown(value: object) -> str:
    """A structure with the shapes of its arrays."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_shown(v) for v in value)
        name = type(value).__name__ if hasattr(value, "_fields") else ""
        return f"[{inner}]" if isinstance(value, list) else f"{name}({inner}{',' * (len(value) == 1)})"
    if value is None:
        return "None"
    shape = getattr(value, "shape", () if isinstance(value, (int, float)) else None)
    if shape is None:
        return f"an object of type {type(value).__name__}"
    return f"array{list(shape)}"
