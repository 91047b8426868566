"""Laws hold for every derivative and need no oracle; each is a claim such as `<J v, w> = <v, J* w>`.

Each law is one function of a derivative claim and the inputs of its subject. A law is an equality between two
functions of the inputs and of further tangents and cotangents, which are drawn like those of a derivative claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Code, Tree
from backprove.harness.statements.claims import Derivative
from backprove.strategies.array import ArraySpec

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class Law:
    """`left = right` at every point and for all directions.

    Attributes:
        forward: gives the shapes of the cotangents.
        left, right: functions of the inputs, then `tangents` sets of tangents, then `cotangents` sets of cotangents.
        tangents, cotangents: numbers of sets.
        smooth: functions of the inputs; the law is only claimed where all of them are smooth.
    """

    forward: Code
    left: Code
    right: Code
    tangents: int = 0
    cotangents: int = 0
    smooth: tuple[Code, ...] = ()


def linearity(claim: Derivative, inputs: Mapping[str, ArraySpec]) -> Law:
    """`vjp(2g + h) = 2 vjp(g) + vjp(h)`, and so for a jvp."""
    left, right = _linearity(claim.rule, len(inputs))
    tangents, cotangents = (2, 0) if claim.mode == "jvp" else (0, 2)
    return Law(claim.differentiated, left, right, tangents, cotangents)


def second_order(claim: Derivative, inputs: Mapping[str, ArraySpec], vjp_in_jax: Code | None = None) -> Law:
    """`<H u, v> = <u, H v>`, H the derivative of the vjp of a scalar map, by JAX.

    Left by forward mode over the rule, right by reverse mode over it: a rule that is the gradient of no function at all
    is refused. Claimed at smooth points only.

    Args:
        claim: of a vjp.
        vjp_in_jax: a JAX function of the same map as the vjp; None for one that JAX can trace.
    """
    vjp = claim.rule if vjp_in_jax is None else vjp_in_jax
    moving = [k for k, spec in enumerate(inputs.values()) if spec.differentiable]
    n, m = len(inputs), len(moving)

    def gradient_at(inputs: Sequence[jax.Array]) -> Code:
        def partial(*moved: jax.Array) -> tuple[jax.Array, ...]:
            full = list(inputs)
            for k, x in zip(moving, moved, strict=True):
                full[k] = x
            return tuple(arrays_of(vjp(*full, np.ones((), dtype=moved[0].dtype))))

        return partial

    def left(*a: jax.Array) -> jax.Array | float:
        import jax

        points = tuple(a[k] for k in moving)
        return pairing(jax.jvp(gradient_at(a[:n]), points, tuple(a[n : n + m]))[1], a[n + m :])

    def right(*a: jax.Array) -> jax.Array | float:
        import jax

        points = tuple(a[k] for k in moving)
        _, back = jax.vjp(gradient_at(a[:n]), *points)
        return pairing(back(tuple(a[n : n + m])), a[n + m :])

    def gradient(*x: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(arrays_of(vjp(*x, np.ones((), dtype=x[moving[0]].dtype))))

    return Law(claim.differentiated, left, right, tangents=2, smooth=(claim.differentiated, gradient))


def laws_of(
    name: str,
    claim: Derivative,
    inputs: Mapping[str, ArraySpec],
    in_jax: Mapping[str, Code],
    shapes: Sequence[tuple[int, ...]],
) -> list[tuple[str, Law]]:
    """The laws that are worth running beside a derivative claim, with their names.

    Args:
        name: how reports call the claim.
        inputs: of its subject.
        in_jax: by "forward" and the mode of the claim: the functions that can be traced, as JAX functions.
        shapes: of forward's outputs.
    """
    differentiable = tuple(name for name, spec in inputs.items() if spec.differentiable)
    if claim.unit_cotangent or claim.wrt not in (None, differentiable):
        return []  # a law is judged along directions of all differentiable inputs, and along cotangents
    out = []
    if claim.mode not in in_jax:
        out.append((f"{name} linearity", linearity(claim, inputs)))
    if claim.approximates is not None:
        return out  # the derivative of an approximation is bound to nothing
    if claim.mode == "vjp" and {"vjp", "forward"} <= in_jax.keys() and list(shapes) == [()]:
        law = second_order(claim, inputs, in_jax["vjp"])
        out.append(("second order" if name == claim.mode else f"{name} second order", law))
    return out


def arrays_of(result: Tree) -> list[jax.Array]:
    """The arrays of a result, None left out."""
    return [r for r in result if r is not None] if isinstance(result, (tuple, list)) else [result]


def pairing(a: Sequence[jax.Array], b: Sequence[jax.Array]) -> jax.Array | float:
    """The sum of products over all entries of all arrays."""
    total: jax.Array | float = 0.0
    for p, q in zip(a, b, strict=True):
        total = total + (p * q).sum()
    return total


def _linearity(function: Code, n: int) -> tuple[Code, Code]:
    def split(a: Sequence[jax.Array]) -> tuple[Sequence[jax.Array], ...]:
        half = (len(a) - n) // 2
        return a[:n], a[n : n + half], a[n + half :]

    def left(*a: jax.Array) -> tuple[jax.Array, ...]:
        x, g, h = split(a)
        return tuple(arrays_of(function(*x, *(p + p + q for p, q in zip(g, h, strict=True)))))

    def right(*a: jax.Array) -> tuple[jax.Array, ...]:
        x, g, h = split(a)
        return tuple(p + p + q for p, q in zip(arrays_of(function(*x, *g)), arrays_of(function(*x, *h)), strict=True))

    return left, right
