"""`Settled` knows which values of a trace no input reaches; random numbers under a fixed key are computed there once.

`jax.random.normal(key, x.shape)` with a key that is no input is data. Its integers and bits have no meaning over the
reals; the numbers drawn have, and become constants of the program. Other values that nothing reaches stay equations:
over the reals they are not what floats make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backprove.harness.programs.program import Var

if TYPE_CHECKING:
    from jax.extend.core import JaxprEqn

DRAWING = frozenset(
    {
        "bitcast_convert_type",
        "random_bits",
        "random_clone",
        "random_fold_in",
        "random_gamma",
        "random_seed",
        "random_split",
        "random_unwrap",
        "random_wrap",
        "rng_bit_generator",
        "threefry2x32",
    }
)
"""Primitives that make keys or bits, or read bits as numbers."""


@dataclass
class Settled:
    """The values that no input reaches, by slot.

    Attributes:
        drawn: slots of what was computed from keys or bits.
    """

    drawn: set[int] = field(default_factory=set)
    _known: dict[int, Any] = field(default_factory=dict)
    _open: dict[int, tuple[JaxprEqn, tuple[Var, ...], tuple[Var, ...]]] = field(default_factory=dict)

    def enter(self, var: Var, value: Any) -> None:
        """A constant of the trace; keys among them."""
        self._known[var.slot] = value
        if var.dtype.startswith("key<"):
            self.drawn.add(var.slot)

    def note(self, eqn: JaxprEqn, ins: Sequence[Var], outs: Sequence[Var]) -> None:
        """An equation that stays one; it is evaluated should random numbers need it."""
        if all(v.slot in self for v in ins):
            self._open.update({v.slot: (eqn, tuple(ins), tuple(outs)) for v in outs})

    def __contains__(self, slot: int) -> bool:
        return slot in self._known or slot in self._open

    def is_data(self, eqn: JaxprEqn, ins: Sequence[Var]) -> bool:
        """Whether the equation makes random numbers, or something of them, out of constants alone."""
        if eqn.primitive.name not in DRAWING and not any(v.slot in self.drawn for v in ins):
            return False
        return all(v.slot in self for v in ins)

    def values(self, eqn: JaxprEqn, ins: Sequence[Var]) -> list[Any]:
        """What JAX computes for the equation."""
        import jax
        import jax.numpy as jnp

        operands = [self._value(v) for v in ins]
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            operands = [
                x if v.dtype.startswith("key<") else jnp.asarray(x, v.dtype) for x, v in zip(operands, ins, strict=True)
            ]
            found = eqn.primitive.bind(*operands, **eqn.params)
        return list(found) if eqn.primitive.multiple_results else [found]

    def _value(self, var: Var) -> Any:
        if var.slot not in self._known:
            eqn, ins, outs = self._open[var.slot]
            for out, value in zip(outs, self.values(eqn, ins), strict=True):
                self._known[out.slot] = value
        return self._known[var.slot]
