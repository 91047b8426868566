"""Control flow runs the same way in every number system: `scan`, `cond` and `while` (and the `empty2` of their
transposes).

The bodies are `Program`s and run in the system at hand. A branch that differs from point to point is taken on both
sides and selected; so is one that the system cannot decide, where its `select` knows what to make of that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.numbers.integers import UndecidedInteger, undecided
from backprove.harness.programs.evaluate import NumberSystem, V, evaluate
from backprove.harness.programs.program import Equation, Program

PRIMITIVES = frozenset({"scan", "cond", "while", "empty2"})

MAX_TURNS = 10_000
"""A `while` that runs longer than this is given up."""


def apply(equation: Equation, inputs: Sequence[V], system: NumberSystem[V]) -> list[V]:
    """Evaluate one control-flow equation; returns one value of the system per output.

    Raises:
        UnsupportedPrimitive: for a `while` whose condition is undecided or that does not end in `MAX_TURNS`, and
            whatever a body raises.
    """
    return _RULES[equation.primitive](equation, inputs, system)


def _scan(equation: Equation, inputs: Sequence[V], system: NumberSystem[V]) -> list[V]:
    p = equation.params
    body, length = p["jaxpr"], int(p["length"])
    consts = inputs[: p["num_consts"]]
    first_x = p["num_consts"] + p["num_carry"]
    carry, xs = list(inputs[p["num_consts"] : first_x]), inputs[first_x:]
    turns: list[list[V]] = []
    for i in reversed(range(length)) if p["reverse"] else range(length):
        slices = [system.map(lambda a, i=i: a[i], x) for x in xs]
        results = evaluate(body, system, *consts, *carry, *slices)
        carry = results[: p["num_carry"]]
        turns.append(results[p["num_carry"] :])
    if p["reverse"]:
        turns.reverse()
    if not turns:
        variables = equation.outputs[p["num_carry"] :]
        return carry + [system.constant(np.zeros(v.shape, _storage(v.dtype)), v) for v in variables]
    return carry + [system.map(_stack, *ys) for ys in zip(*turns, strict=True)]


def _empty(equation: Equation, inputs: Sequence[V], system: NumberSystem[V]) -> list[V]:
    """`empty2`: what JAX starts a transposed loop from; zeros in XLA."""
    return [system.constant(np.zeros(v.shape, _storage(v.dtype)), v) for v in equation.outputs]


def _storage(dtype: str) -> np.dtype[np.generic]:
    return FORMATS[dtype].numpy if dtype in FORMATS else np.dtype(dtype)


def _stack(*entries: Array) -> Array:
    """Entries one above the other on a new first axis; their points axes may mix 1 and P."""
    return np.stack(np.broadcast_arrays(*entries))


def _cond(equation: Equation, inputs: Sequence[V], system: NumberSystem[V]) -> list[V]:
    branches, operands = equation.params["branches"], inputs[1:]
    which: V | Array = inputs[0]
    if isinstance(which, UndecidedInteger):
        which = which.codes
    elif equation.inputs[0].dtype != "bool" or not undecided(np.asarray(which)):
        index = np.clip(np.asarray(which).astype(np.int64), 0, len(branches) - 1)
        taken, place = np.unique(index, return_inverse=True)
        which = place.reshape(index.shape)
        branches = [branches[i] for i in taken] or [branches[0]]
    cases = [evaluate(b, system, *operands) for b in branches]
    if len(cases) == 1:
        return cases[0]
    return [system.select(which, outputs) for outputs in zip(*cases, strict=True)]


def _while(equation: Equation, inputs: Sequence[V], system: NumberSystem[V]) -> list[V]:
    p = equation.params
    n_cond, n_body = int(p["cond_nconsts"]), int(p["body_nconsts"])
    cond_consts, body_consts = inputs[:n_cond], inputs[n_cond : n_cond + n_body]
    state = list(inputs[n_cond + n_body :])
    for _ in range(MAX_TURNS):
        going = np.asarray(evaluate(p["cond_jaxpr"], system, *cond_consts, *state)[0])
        if undecided(going):
            raise UnsupportedPrimitive("while with an undecided condition", system.name)
        if not going.any():
            return state
        turned = evaluate(p["body_jaxpr"], system, *body_consts, *state)
        # Points whose condition failed keep their state, so it fails for them from now on.
        state = turned if going.all() else [system.select(going, pair) for pair in zip(state, turned, strict=True)]
    raise UnsupportedPrimitive(f"while of more than {MAX_TURNS} turns", system.name)


@dataclass(frozen=True)
class LinearSolve(Generic[V]):
    """The parts of a `custom_linear_solve`: x solves `matvec(x) = right`, and `solve` finds it.

    Each program takes its constants first.
    """

    matvec: Program
    matvec_constants: Sequence[V]
    solve: Program
    solve_constants: Sequence[V]
    right: Sequence[V]


def linear_solve(equation: Equation, inputs: Sequence[V]) -> LinearSolve[V]:
    """The parts of an equation of this primitive with its operands."""
    ends = list(itertools.accumulate(equation.params["const_lengths"]))
    starts = [0, *ends[:-1]]
    given = [inputs[i:j] for i, j in zip(starts, ends, strict=True)]
    matvec, _, solve, _ = equation.params["jaxprs"]
    return LinearSolve(matvec, given[0], solve, given[2], inputs[ends[-1] :])


class _Rule(Protocol):
    def __call__(self, equation: Equation, inputs: Sequence[V], system: NumberSystem[V], /) -> list[V]: ...


_RULES: dict[str, _Rule] = {
    "scan": _scan,
    "cond": _cond,
    "while": _while,
    "empty2": _empty,
}
