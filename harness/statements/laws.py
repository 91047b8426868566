"""Laws hold for every derivative and need no oracle; each is a claim such as `<J v, w> = <v, J* w>`.

Each law is one function that takes a rule (or a map) and returns a name and a claim. A law is an equality between two
functions of the inputs and of further tangents and cotangents, which are drawn like those of a derivative claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Code, Tree

if TYPE_CHECKING:
    import jax

    from backprove.harness.statements.rule import Rule


@dataclass(frozen=True)
class Law:
    """`left = right` at every point and for all directions.

    Attributes:
        forward: gives the shapes of the cotangents.
        left, right: functions of the inputs, then `tangents` sets of tangents, then `cotangents` sets of cotangents.
        inputs, moving: numbers of inputs and of differentiable inputs.
        tangents, cotangents: numbers of sets.
        smooth: functions of the inputs; the law is only claimed where all of them are smooth.
    """

    forward: Code
    left: Code
    right: Code
    inputs: int
    moving: int
    tangents: int = 0
    cotangents: int = 0
    smooth: tuple[Code, ...] = ()


def vjp_linearity(rule: Rule) -> tuple[str, Law]:
    """`vjp(2g + h) = 2 vjp(g) + vjp(h)`."""
    assert rule.vjp is not None
    n, m = len(rule.inputs), len(rule.differentiable)
    left, right = _linearity(rule.vjp, n)
    return "vjp linearity", Law(rule.forward, left, right, n, m, cotangents=2)


def jvp_linearity(rule: Rule) -> tuple[str, Law]:
    """`jvp(2u + v) = 2 jvp(u) + jvp(v)`."""
    assert rule.jvp is not None
    n, m = len(rule.inputs), len(rule.differentiable)
    left, right = _linearity(rule.jvp, n)
    return "jvp linearity", Law(rule.forward, left, right, n, m, tangents=2)


def second_order(rule: Rule, vjp_in_jax: Code | None = None) -> tuple[str, Law]:
    """`<H u, v> = <u, H v>`, H the derivative of the vjp of a scalar map, by JAX.

    Left by forward mode over the rule, right by reverse mode over it: a rule that is the gradient of no function at all
    is refused. Claimed at smooth points only.

    Args:
        vjp_in_jax: a JAX function of the same map as `rule.vjp`; None for a rule that JAX can trace.
    """
    assert rule.vjp is not None
    vjp = rule.vjp if vjp_in_jax is None else vjp_in_jax
    n, m = len(rule.inputs), len(rule.differentiable)
    moving = [k for k, name in enumerate(rule.inputs) if name in rule.differentiable]

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

    return "second order", Law(rule.forward, left, right, n, m, tangents=2, smooth=(rule.forward, gradient))


def laws_of(rule: Rule, in_jax: Mapping[str, Code], shapes: Sequence[tuple[int, ...]]) -> list[tuple[str, Law]]:
    """The laws that are worth running beside the claims of `rule`.

    Args:
        in_jax: by "forward", "jvp" and "vjp": the functions that can be traced, as JAX functions.
        shapes: of forward's outputs.
    """
    out = []
    if rule.vjp is not None and "vjp" not in in_jax:
        out.append(vjp_linearity(rule))
    if rule.jvp is not None and "jvp" not in in_jax:
        out.append(jvp_linearity(rule))
    if rule.vjp is not None and {"vjp", "forward"} <= in_jax.keys() and list(shapes) == [()]:
        out.append(second_order(rule, in_jax["vjp"]))
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
