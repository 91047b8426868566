"""This front end traces JAX code to a `Program`: its jaxpr with the calls inlined and dead code dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from backprove.harness.core.arrays import Array, Code
from backprove.harness.core.formats import numpy_dtype
from backprove.harness.frontends.lowering import complex_loops, complex_numbers
from backprove.harness.frontends.lowering.complex_numbers import is_complex
from backprove.harness.frontends.lowering.pairs import Pair
from backprove.harness.frontends.lowering.registry import CALLED, LOWERED
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
        if is_complex(dtype):
            raise TypeError("the code takes complex numbers; a program takes their parts")
        if dtype.startswith("key<") and not settled:
            raise TypeError("the code draws random numbers from keys that are inputs, which no number system here has")
        self.next_slot += 1
        return Var(self.next_slot - 1, tuple(int(n) for n in aval.shape), dtype)

    def constant(self, value: ArrayLike, aval: Any) -> Var | Pair:
        if is_complex(aval.dtype):
            parts = np.asarray(value)
            return Pair(*(self._real_constant(x, _part(aval)) for x in (parts.real, parts.imag)))
        return self._real_constant(value, aval)

    def _real_constant(self, value: ArrayLike, aval: Any) -> Var:
        var = self.var(aval, settled=True)
        self.settled.enter(var, value)
        if not var.dtype.startswith("key<"):
            self.constants[var.slot] = np.asarray(value).astype(np.dtype(aval.dtype))
        return var

    def inline(self, jaxpr: Jaxpr, consts: Sequence[ArrayLike | Var], args: Sequence[Var | Pair]) -> list[Var | Pair]:
        from jax.extend import core

        env: dict[Atom, Var | Pair] = dict(zip(jaxpr.invars, args, strict=True))
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            env[v] = c if isinstance(c, Var) else self.constant(c, v.aval)

        def read(v: Atom) -> Var | Pair:
            return self.constant(v.val, v.aval) if isinstance(v, core.Literal) else env[v]

        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            ins = [read(v) for v in eqn.invars]
            outs: Sequence[Var | Pair]
            reals = cast("list[Var]", ins)  # unless the equation touches complex numbers
            if name == "jit" and _of_library(eqn) in CALLED:
                outs = self.lowered(eqn, reals, CALLED[eqn.params["name"]])
            elif name in CALLS:
                sub = next(eqn.params[k] for k in (CALLS[name], "jaxpr", "call_jaxpr", "fun_jaxpr") if k in eqn.params)
                closed = hasattr(sub, "consts")
                outs = self.inline(sub.jaxpr if closed else sub, sub.consts if closed else (), ins)
            elif complex_numbers.touches_complex(eqn):
                outs = self.loop_on_pairs(eqn, ins) if name in complex_loops.CONTROL else self.on_pairs(eqn, ins)
            elif self.settled.is_data(eqn, reals):
                values = self.settled.values(eqn, reals)
                outs = [self.constant(x, v.aval) for x, v in zip(values, eqn.outvars, strict=True)]
                self.settled.drawn |= {v.slot for v in cast("list[Var]", outs)}
            elif name in LOWERED:
                outs = self.lowered(eqn, reals, partial(LOWERED[name], **eqn.params))
            else:
                made = [self.var(v.aval) for v in eqn.outvars]
                outs = made
                # where values lie on devices says nothing of them
                params = {k: None if k.endswith(("sharding", "mesh")) else _plain(v) for k, v in eqn.params.items()}
                self.equations.append(Equation(name, params, tuple(reals), tuple(made)))
                self.settled.note(eqn, reals, made)
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def on_pairs(self, eqn: JaxprEqn, ins: Sequence[Var | Pair]) -> list[Var | Pair]:
        """An equation on complex numbers as equations on their parts."""
        import jax
        from jax.tree_util import tree_flatten

        given: list[Any] = [v.aval for v in eqn.invars]
        avals = [Pair(_part(a), _part(a)) if is_complex(a.dtype) else a for a in given]
        with jax.enable_x64(True):
            closed, shape = jax.make_jaxpr(lambda *x: complex_numbers.rewritten(eqn, x), return_shape=True)(*avals)
        outs = iter(self.inline(closed.jaxpr, closed.consts, tree_flatten(list(ins))[0]))
        return [Pair(next(outs), next(outs)) if isinstance(s, Pair) else next(outs) for s in shape]

    def of_aval(self, aval: Any) -> Var | Pair:
        """A new variable; a pair for complex numbers."""
        return Pair(self.var(_part(aval)), self.var(_part(aval))) if is_complex(aval.dtype) else self.var(aval)

    def loop_on_pairs(self, eqn: JaxprEqn, ins: Sequence[Var | Pair]) -> list[Var | Pair]:
        """A loop or a branch whose bodies take and return the parts of complex numbers."""
        outs = [self.of_aval(v.aval) for v in eqn.outvars]
        params = complex_loops.parameters(eqn, partial(from_jaxpr, parts=True))
        params = {k: None if k.endswith(("sharding", "mesh")) else v for k, v in params.items()}
        self.equations.append(Equation(eqn.primitive.name, params, _flat(ins), _flat(outs)))
        self.settled.note(eqn, _flat(ins), _flat(outs))
        return outs

    def lowered(self, eqn: JaxprEqn, ins: Sequence[Var], code: Code) -> list[Var | Pair]:
        """What an equation means, as JAX code of its operands, inlined in its place."""
        import jax

        with jax.enable_x64(True):
            closed = jax.make_jaxpr(code)(*(v.aval for v in eqn.invars))
        return self.inline(closed.jaxpr, closed.consts, ins)


def _of_library(eqn: JaxprEqn) -> str:
    """The name of the function of JAX's library that an equation calls; "" for a function of any other code."""
    import jax

    file = eqn.params["jaxpr"].jaxpr.debug_info.func_filename or ""
    return str(eqn.params["name"]) if file.startswith(os.path.dirname(jax.__file__) + os.sep) else ""


def _part(aval: Any) -> Any:
    """The shape and dtype of a part of complex numbers."""
    import jax

    return jax.ShapeDtypeStruct(aval.shape, complex_numbers.part_dtype(aval.dtype))


def _plain(value: Any) -> object:
    """Parameters as plain data: jaxprs become Programs, dtypes their names."""
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return from_jaxpr(value)
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, (tuple, list)) and (not hasattr(value, "_fields") or any(hasattr(v, "jaxpr") for v in value)):
        return tuple(_plain(v) for v in value)
    return value


def _flat(values: Sequence[Var | Pair]) -> tuple[Var, ...]:
    """Variables, those of pairs one after the other."""
    return tuple(part for v in values for part in (v if isinstance(v, Pair) else (v,)))


def from_jaxpr(closed: ClosedJaxpr, *, parts: bool = False) -> Program:
    """The `Program` of a closed jaxpr; `parts` of complex inputs and outputs stand in their place, or are refused."""
    b = _Builder()
    inputs = [b.of_aval(v.aval) if parts else b.var(v.aval) for v in closed.jaxpr.invars]
    outputs = b.inline(closed.jaxpr, closed.consts, inputs)
    if not parts and any(isinstance(v, Pair) for v in outputs):
        raise TypeError("the code returns complex numbers; a program returns their parts")
    program = Program(_flat(inputs), _flat(outputs), b.constants, tuple(b.equations))
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
