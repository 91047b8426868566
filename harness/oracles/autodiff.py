"""JAX's own derivative of a forward map becomes a program that every number system can run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program, Signature


def derivative_program(
    forward: Callable[..., Any], mode: str, wrt: Sequence[int], signature: Signature, inputs: int
) -> Program | None:
    """Trace JAX's JVP or VJP of `forward`.

    Args:
        forward: JAX-traceable.
        mode: "jvp" or "vjp".
        wrt: positions of the differentiated inputs.
        signature: of the inputs followed by the tangents or cotangents.
        inputs: how many of `signature` are inputs.

    Returns:
        A program of inputs and directions whose outputs are the tangents of the floating-point outputs ("jvp") or the
        cotangents of the differentiated inputs ("vjp"); None where JAX cannot differentiate the map so.
    """
    import jax
    import jax.numpy as jnp

    def split(arguments: tuple[Any, ...]) -> tuple[Callable[..., Any], list[Any], list[Any]]:
        x, directions = list(arguments[:inputs]), list(arguments[inputs:])

        def partial(*moving: Any) -> Any:
            full = list(x)
            for i, m in zip(wrt, moving, strict=True):
                full[i] = m
            leaves = jax.tree.leaves(forward(*full))
            return [leaf for leaf in leaves if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]

        return partial, [x[i] for i in wrt], directions

    def jvp(*arguments: Any) -> Any:
        partial, moving, directions = split(arguments)
        return jax.jvp(partial, tuple(moving), tuple(directions))[1]

    def vjp(*arguments: Any) -> Any:
        partial, moving, directions = split(arguments)
        return jax.vjp(partial, *moving)[1](list(directions))

    with contextlib.suppress(Exception):
        return trace(jvp if mode == "jvp" else vjp, *signature)
    return None
