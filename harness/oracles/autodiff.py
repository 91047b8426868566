"""JAX's own derivative of a forward map becomes a program that every number system can run.

The derivative is that of the forward map's `Program`, whatever front end traced it. No custom rule is left in a
program, so that the derivative of a function decorated with a wrong one is still that of its primal code. Rules that
JAX's library brings along are kept: its primal code has kinks (`jax.nn.relu` at 0, `jnp.logaddexp` at ties) or works on
bits (`jnp.ldexp`) where the map has none and is smooth.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from backprove.harness.core.arrays import Code
from backprove.harness.core.formats import FORMATS, Mode
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.to_jax import as_jax_function


def derivative_program(
    forward: Program, mode: Mode, wrt: Sequence[int], library_rules: Code | None = None
) -> Program | None:
    """JAX's JVP or VJP of a program.

    Args:
        mode: "jvp" or "vjp".
        wrt: positions of the differentiated inputs.
        library_rules: a JAX function of the same map with derivative rules that are to be used; its results may be a
            pytree, flattened in the order of the program's outputs.

    Returns:
        A program of the inputs of `forward`, then of one tangent per differentiated input ("jvp") or one cotangent per
        floating-point output ("vjp"). Its outputs are the tangents of the floating-point outputs, or the cotangents of
        the differentiated inputs. None where JAX cannot differentiate the program so: reverse mode through a `while`.
    """
    import jax

    floats = [k for k, v in enumerate(forward.outputs) if v.dtype in FORMATS]
    n = len(forward.inputs)
    moving = [forward.inputs[i] for i in wrt]
    directions = moving if mode == "jvp" else [forward.outputs[k] for k in floats]
    signature: Signature = tuple((v.shape, v.dtype) for v in (*forward.inputs, *directions))

    function: Code  # of the inputs

    def restricted(x: Sequence[jax.Array]) -> Callable[..., list[jax.Array]]:
        """The floating-point outputs as a function of the differentiated inputs."""

        def partial(*moved: jax.Array) -> list[jax.Array]:
            full = list(x)
            for i, m in zip(wrt, moved, strict=True):
                full[i] = m
            outputs = jax.tree.leaves(function(*full))
            return [outputs[k] for k in floats]

        return partial

    def jvp(*arguments: jax.Array) -> list[jax.Array]:
        x, tangents = arguments[:n], arguments[n:]
        moved: list[jax.Array]
        _, moved = jax.jvp(restricted(x), tuple(x[i] for i in wrt), tuple(tangents))
        return moved

    def vjp(*arguments: jax.Array) -> tuple[jax.Array, ...]:
        x, cotangents = arguments[:n], arguments[n:]
        _, pull = jax.vjp(restricted(x), *(x[i] for i in wrt))
        found: tuple[jax.Array, ...] = pull(list(cotangents))
        return found

    with contextlib.suppress(Exception):
        function = as_jax_function(forward) if library_rules is None else library_rules
        return trace(jvp if mode == "jvp" else vjp, *signature)
    return None
