"""A traced function as plain data: the straight-line program that every number system interprets.

JAX traces a function to a jaxpr; here call-like equations are inlined, dead code is dropped and literals become
constants, so that a `Program` can be interpreted, mutated, pickled and compared without JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backprove.harness.core.formats import numpy_dtype

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


@dataclass(frozen=True)
class Var:
    """One value of a program: its slot, its shape per point and its dtype name."""

    slot: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Equation:
    """`outputs = primitive(*inputs, **params)`.

    `params` are those of the JAX primitive; inner jaxprs (scan, cond, while) are replaced by `Program`s under the
    same name (`cond`'s branches by a tuple of programs).
    """

    primitive: str
    params: Mapping[str, Any]
    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]


@dataclass(frozen=True)
class Program:
    """A straight-line program.

    Attributes:
        inputs: one `Var` per argument, in order.
        outputs: the results; may repeat and may be inputs or constants.
        constants: value of each constant by slot (arrays of the constant's own dtype).
        equations: in execution order.
    """

    inputs: tuple[Var, ...]
    outputs: tuple[Var, ...]
    constants: Mapping[int, np.ndarray[Any, Any]]
    equations: tuple[Equation, ...]

    @property
    def primitives(self) -> frozenset[str]:
        """Names of all primitives used, inner programs included."""
        names = {e.primitive for e in self.equations}
        for e in self.equations:
            for p in inner_programs(e):
                names |= p.primitives
        return frozenset(names)

    def literals(self) -> list[float]:
        """All finite floating-point constants with at most 16 entries, inner programs included."""
        found: list[float] = []
        for value in self.constants.values():
            if value.size <= 16 and value.dtype.kind not in "iub":
                found += [float(v) for v in np.ravel(value) if np.isfinite(float(v))]
        for e in self.equations:
            for p in inner_programs(e):
                found += p.literals()
        return found

    def without_dead_code(self) -> Program:
        """The same program with the equations that no output needs removed."""
        live = {v.slot for v in self.outputs}
        kept = []
        for e in reversed(self.equations):
            if any(v.slot in live for v in e.outputs):
                kept.append(e)
                live |= {v.slot for v in e.inputs}
        constants = {s: c for s, c in self.constants.items() if s in live}
        return dataclasses.replace(self, equations=tuple(reversed(kept)), constants=constants)


def inner_programs(equation: Equation) -> list[Program]:
    """The programs held in an equation's parameters (bodies of scan, cond and while)."""
    found = []
    for value in equation.params.values():
        if isinstance(value, Program):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, Program)]
    return found


@dataclass
class _Builder:
    next_slot: int = 0
    constants: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)

    def var(self, aval: Any) -> Var:
        if str(aval.dtype).startswith("complex"):
            raise TypeError("the code computes with complex numbers, which no number system here has")
        self.next_slot += 1
        return Var(self.next_slot - 1, tuple(int(n) for n in aval.shape), str(aval.dtype))

    def constant(self, value: Any, aval: Any) -> Var:
        var = self.var(aval)
        self.constants[var.slot] = np.asarray(value).astype(np.dtype(aval.dtype))
        return var

    def inline(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Var]) -> list[Var]:
        from jax.extend import core

        env: dict[Any, Var] = dict(zip(jaxpr.invars, args, strict=True))
        for v, c in zip(jaxpr.constvars, consts, strict=True):
            env[v] = c if isinstance(c, Var) else self.constant(c, v.aval)

        def read(v: Any) -> Var:
            return self.constant(v.val, v.aval) if isinstance(v, core.Literal) else env[v]

        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            ins = [read(v) for v in eqn.invars]
            if name in CALLS:
                sub = next(eqn.params[k] for k in (CALLS[name], "jaxpr", "call_jaxpr", "fun_jaxpr") if k in eqn.params)
                closed = hasattr(sub, "consts")
                outs = self.inline(sub.jaxpr if closed else sub, sub.consts if closed else (), ins)
            else:
                outs = [self.var(v.aval) for v in eqn.outvars]
                # where values lie on devices says nothing of them
                params = {k: None if k.endswith(("sharding", "mesh")) else _plain(v) for k, v in eqn.params.items()}
                self.equations.append(Equation(name, params, tuple(ins), tuple(outs)))
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(v) for v in jaxpr.outvars]


def _plain(value: Any) -> Any:
    """Parameters as plain data: jaxprs become Programs, dtypes their names."""
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return from_jaxpr(value)
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return tuple(_plain(v) for v in value)
    return value


def from_jaxpr(closed: Any) -> Program:
    """The `Program` of a closed jaxpr."""
    b = _Builder()
    inputs = [b.var(v.aval) for v in closed.jaxpr.invars]
    outputs = b.inline(closed.jaxpr, closed.consts, inputs)
    program = Program(tuple(inputs), tuple(outputs), b.constants, tuple(b.equations))
    return program.without_dead_code()


def trace(function: Callable[..., Any], *inputs: tuple[tuple[int, ...], str]) -> Program:
    """Trace `function` at the given input shapes and dtypes.

    Args:
        function: JAX-traceable; may return an array or a pytree of arrays (flattened in order).
        inputs: one `(shape, dtype name)` per positional argument.

    Raises:
        Exception: whatever tracing raises when the function cannot be traced; TypeError for complex numbers inside.
    """
    import jax

    with jax.enable_x64(True):
        avals = [jax.ShapeDtypeStruct(shape, numpy_dtype(dtype)) for shape, dtype in inputs]
        return from_jaxpr(jax.make_jaxpr(function)(*avals))
