"""This front end traces JAX code to a `Program`: its jaxpr with the calls inlined and dead code dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.frontends.lowering.registry import LOWERED
from backprove.harness.frontends.lowering.settled import Settled
from backprove.harness.programs.program import Equation, Program, Var

if TYPE_CHECKING:
    from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
    from jax.extend.core import Literal as JaxLiteral
    from jax.extend.core import Var as JaxVar
    from jax.typing import ArrayLike

    Atom = JaxVar | JaxLiteral

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}
"""Call-like primitives and the parameter that holds what they call; all are inlined.

Inlining `custom_jvp_call` and `custom_vjp_call` means that the derivative of a program is always that of its primal
code, never that of a rule under test.
"""


@dataclass
class _Builder:
    next_slot: int = 0
    constants: dict[int, Array] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    settled: Settled = field(default_factory=Settled)

    def var(self, aval: Any, *, settled: bool = False) -> Var:
        dtype = str(aval.dtype)
        if dtype.startswith("complex"):
            raise TypeError("the code computes with complex numbers, which no number system here has")
        if dtype.startswith("key<") and not settled:
            raise TypeError("the code draws random numbers from keys that are inputs, which no number system here has")
        self.next_slot += 1
        return Var(self.next_slot - 1, tuple(int(n) for n in aval.shape), dtype)

    def constant(self, value: ArrayLike, aval: Any) -> Var:
        var = self.var(aval, settled=True)
        self.settled.enter(var, value)
        if not var.dtype.startswith("key<"):
            self.constants[var.slot] = np.asarray(value).astype(np.dtype(aval.dtype))
        return var

    def inline(self, jaxpr: Jaxpr, consts: Sequence[ArrayLike | Var], args: Sequence[Var]) -> list[Var]:
        from jax.extend import core

        env: dict[Atom, Var] = dict(zip(jaxpr.invars, args, strict=True))
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            env[v] = c if isinstance(c, Var) else self.constant(c, v.aval)

        def read(v: Atom) -> Var:
            return self.constant(v.val, v.aval) if isinstance(v, core.Literal) else env[v]

        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            ins = [read(v) for v in eqn.invars]
            if name in CALLS:
                sub = next(eqn.params[k] for k in (CALLS[name], "jaxpr", "call_jaxpr", "fun_jaxpr") if k in eqn.params)
                closed = hasattr(sub, "consts")
                outs = self.inline(sub.jaxpr if closed else sub, sub.consts if closed else (), ins)
            elif self.settled.is_data(eqn, ins):
                values = self.settled.values(eqn, ins)
                outs = [self.constant(x, v.aval) for x, v in zip(values, eqn.outvars, strict=True)]
                self.settled.drawn |= {v.slot for v in outs}
            elif name in LOWERED:
                outs = self.lowered(eqn, ins)
            else:
                outs = [self.var(v.aval) for v in eqn.outvars]
                # where values lie on devices says nothing of them
                params = {k: None if k.endswith(("sharding", "mesh")) else _plain(v) for k, v in eqn.params.items()}
                self.equations.append(Equation(name, params, tuple(ins), tuple(outs)))
                self.settled.note(eqn, ins, outs)
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def lowered(self, eqn: JaxprEqn, ins: Sequence[Var]) -> list[Var]:
        """What an equation's primitive means, inlined in its place."""
        import jax

        code = LOWERED[eqn.primitive.name]
        with jax.enable_x64(True):
            closed = jax.make_jaxpr(lambda *x: code(*x, **eqn.params))(*(v.aval for v in eqn.invars))
        return self.inline(closed.jaxpr, closed.consts, ins)


def _plain(value: Any) -> object:
    """Parameters as plain data: jaxprs become Programs, dtypes their names."""
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return from_jaxpr(value)
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, (tuple, list)) and (not hasattr(value, "_fields") or any(hasattr(v, "jaxpr") for v in value)):
        return tuple(_plain(v) for v in value)
    return value


def from_jaxpr(closed: ClosedJaxpr) -> Program:
    """The `Program` of a closed jaxpr."""
    b = _Builder()
    inputs = [b.var(v.aval) for v in closed.jaxpr.invars]
    outputs = b.inline(closed.jaxpr, closed.consts, inputs)
    program = Program(tuple(inputs), tuple(outputs), b.constants, tuple(b.equations))
    return program.without_dead_code()


def trace(function: Code, *inputs: tuple[tuple[int, ...], str]) -> Program:
    """Trace `function` at the given input shapes and dtypes.

    Args:
        function: JAX-traceable; may return an array or a pytree of arrays (flattened in order).
        inputs: one `(shape, dtype name)` per positional argument.

    Raises:
        Exception: whatever tracing raises when the function cannot be traced; TypeError for complex numbers
            or random keys inside.
    """
    import jax

    with jax.enable_x64(True):
        avals = [jax.ShapeDtypeStruct(shape, numpy_dtype(dtype)) for shape, dtype in inputs]
        return from_jaxpr(jax.make_jaxpr(function)(*avals))


def uses_library_rules(function: Code, *inputs: tuple[tuple[int, ...], str]) -> bool:
    """Whether the function has derivative rules that JAX's library brings along, and no others.

    `jax.nn.relu`, `jnp.logaddexp` or `jnp.ldexp` have rules where the primal code has a kink, cancels or looks at bits.

    Args:
        function: JAX-traceable.
        inputs: one `(shape, dtype name)` per positional argument.
    """
    import jax

    with jax.enable_x64(True):
        avals = [jax.ShapeDtypeStruct(shape, numpy_dtype(dtype)) for shape, dtype in inputs]
        found = set(_custom_rules(jax.make_jaxpr(function)(*avals).jaxpr, os.path.dirname(jax.__file__) + os.sep))
    return found == {True}


def _custom_rules(jaxpr: Jaxpr, library: str) -> Iterator[bool]:
    """For each custom derivative in a jaxpr and in all jaxprs inside whether its code lies in `library`."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("custom_jvp_call", "custom_vjp_call"):
            rule = eqn.params["jvp_jaxpr_fun" if "jvp_jaxpr_fun" in eqn.params else "bwd"]
            files = [f.debug_info.func_filename or "" for f in (eqn.params["call_jaxpr"].jaxpr, rule)]
            yield all(file.startswith(library) for file in files)
        for value in eqn.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner, "eqns"):
                    yield from _custom_rules(inner, library)
