"""A `Program` is evaluated with JAX's primitives, so that JAX can transform, differentiate and compile it.

It is the way back from a traced program to a JAX function: `trace(as_jax_function(p), ...)` computes what `p` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.programs.further_primitives import further_primitives
from backprove.harness.programs.program import Equation, Program, inner_programs

if TYPE_CHECKING:
    import jax
    from jax.extend.core import ClosedJaxpr
    from jax.typing import ArrayLike


def as_jax_function(program: Program, *, all_digits: bool = False) -> Callable[..., list[jax.Array]]:
    """A function of one JAX array per input of `program` that returns the list of its outputs.

    The bodies of `scan`, `cond` and `while` become jaxprs again. No custom derivative rule is left in a program, so
    that the derivative of this function is that of the primal code.

    Args:
        all_digits: matrix products keep the digits of their format, also on devices that drop some for speed.

    Raises:
        UnsupportedPrimitive: where JAX offers no primitive of a name in `program`, inner programs included.
    """
    known = _primitives()
    for name in sorted(program.primitives):
        if name not in known:
            raise UnsupportedPrimitive(name, "programs as JAX functions")

    def function(*inputs: ArrayLike) -> list[jax.Array]:
        import jax.numpy as jnp

        env = {slot: jnp.asarray(c) for slot, c in program.constants.items()}
        env |= {v.slot: jnp.asarray(x) for v, x in zip(program.inputs, inputs, strict=True)}
        for e in program.equations:
            found = known[e.primitive](*(env[v.slot] for v in e.inputs), **_params(e, all_digits))
            env.update(zip((v.slot for v in e.outputs), found if isinstance(found, list) else [found], strict=True))
        return [env[v.slot] for v in program.outputs]

    return function


@cache
def _primitives() -> Mapping[str, Code]:
    """How JAX applies each of its primitives, by name."""
    from jax.extend.core import primitives
    from jax.interpreters import ad

    differentiable = {p.name: p.bind for p in ad.primitive_jvps}
    everything = differentiable | {p.name: p.bind for p in vars(primitives).values() if hasattr(p, "bind")}
    further = {name: p.bind for name, p in further_primitives().items()}
    return everything | further | {"custom_linear_solve": _linear_solve}


def _linear_solve(*operands: jax.Array, jaxprs: Sequence[ClosedJaxpr | None], const_lengths: Sequence[int]) -> object:
    """`custom_linear_solve` from its parts: the operands are the constants of each part, then the right-hand sides."""
    import jax
    from jax.extend.core import jaxpr_as_fun

    ends = list(itertools.accumulate(const_lengths))
    matvec, _, solve, transposed = (
        None if part is None else partial(jaxpr_as_fun(part), *operands[end - size : end])
        for part, size, end in zip(jaxprs, const_lengths, ends, strict=True)
    )
    assert matvec is not None and solve is not None
    return jax.lax.custom_linear_solve(
        lambda x: matvec(*x),
        list(operands[ends[-1] :]),
        lambda _, b: solve(*b),
        None if transposed is None else lambda _, b: transposed(*b),
    )


def _params(e: Equation, all_digits: bool) -> dict[str, object]:
    """Parameters as JAX has them: jaxprs for Programs, dtypes for their names."""
    from jax.lax import Precision

    bodies = bool(inner_programs(e))
    params = {k: _param(k, v, all_digits) if bodies or isinstance(v, str) else v for k, v in e.params.items()}
    if all_digits and "precision" in params and params["precision"] is None:
        params["precision"] = (Precision.HIGHEST, Precision.HIGHEST)
    return params


def _param(name: str, value: object, all_digits: bool) -> object:
    if isinstance(value, Program):
        return _closed_jaxpr(value, all_digits)
    if isinstance(value, tuple) and any(isinstance(v, Program) for v in value):
        return tuple(None if v is None else _closed_jaxpr(v, all_digits) for v in value)
    return numpy_dtype(value) if isinstance(value, str) and name.endswith("type") else value


def _closed_jaxpr(program: Program, all_digits: bool) -> object:
    import jax

    avals = [jax.ShapeDtypeStruct(v.shape, numpy_dtype(v.dtype)) for v in program.inputs]
    return jax.make_jaxpr(as_jax_function(program, all_digits=all_digits))(*avals)
