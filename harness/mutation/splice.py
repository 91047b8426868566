"""Splicing finds a program inside another one and puts a third in its place.

A rule that several theorems use is traced into each of them; jaxprs keep the order of the code, so it stands there as
a run of consecutive equations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from backprove.harness.programs.equality import constant_text, params_text
from backprove.harness.programs.program import Equation, Program, Var


@dataclass(frozen=True)
class Match:
    """`part` stands in a host at equations `start` ...; `slots` maps its slots to the host's values."""

    start: int
    slots: dict[int, Var]


def find(host: Program, part: Program) -> list[Match]:
    """The places, without overlap, where the equations of `part` stand in `host` and only their outputs are read."""
    n = len(part.equations)
    made = {v.slot for e in part.equations for v in e.outputs}
    if not n or not all(v.slot in made for v in part.outputs):
        return []
    found, start = [], 0
    while start + n <= len(host.equations):
        slots = _unify(host, part, start)
        if slots is not None and not _leaks(host, part, start, slots):
            found.append(Match(start, slots))
            start += n
        else:
            start += 1
    return found


def rest(host: Program, part: Program, matches: Sequence[Match]) -> list[Equation]:
    """The equations of `host` outside the matches."""
    inside = {m.start + k for m in matches for k in range(len(part.equations))}
    return [e for i, e in enumerate(host.equations) if i not in inside]


def substitute(host: Program, part: Program, matches: Sequence[Match], other: Program) -> Program | None:
    """`host` with `other` in the place of `part`; None where `other` reads an input that the host does not supply.

    Args:
        other: takes the inputs of `part` and returns its outputs, in the same order.
    """
    fresh = 1 + max(
        [v.slot for v in (*host.inputs, *host.outputs)]
        + list(host.constants)
        + [v.slot for e in host.equations for v in e.outputs]
    )
    constants = dict(host.constants)
    instead: dict[int, Var] = {}
    equations: list[Equation] = []
    n = len(part.equations)
    starts = {m.start: m for m in matches}
    i = 0
    while i < len(host.equations):
        if i not in starts:
            e = host.equations[i]
            equations.append(dataclasses.replace(e, inputs=_at(e.inputs, instead)))
            i += 1
            continue
        match = starts[i]
        here: dict[int, Var] = {}
        for mine, theirs in zip(part.inputs, other.inputs, strict=True):
            if mine.slot in match.slots:
                here[theirs.slot] = instead.get(match.slots[mine.slot].slot, match.slots[mine.slot])
        for slot, value in other.constants.items():
            here[slot] = Var(fresh, value.shape, str(value.dtype))
            constants[fresh] = value
            fresh += 1
        for e in other.equations:
            if any(v.slot not in here for v in e.inputs):
                return None
            outputs = []
            for v in e.outputs:
                here[v.slot] = dataclasses.replace(v, slot=fresh)
                outputs.append(here[v.slot])
                fresh += 1
            equations.append(dataclasses.replace(e, inputs=_at(e.inputs, here), outputs=tuple(outputs)))
        for mine, theirs in zip(part.outputs, other.outputs, strict=True):
            if theirs.slot not in here:
                return None
            instead[match.slots[mine.slot].slot] = here[theirs.slot]
        i += n
    changed = Program(host.inputs, _at(host.outputs, instead), constants, tuple(equations))
    return changed.without_dead_code()


def _at(variables: Sequence[Var], instead: dict[int, Var]) -> tuple[Var, ...]:
    return tuple(instead.get(v.slot, v) for v in variables)


def _unify(host: Program, part: Program, start: int) -> dict[int, Var] | None:
    inputs = {v.slot for v in part.inputs}
    slots: dict[int, Var] = {}
    for mine, theirs in zip(part.equations, host.equations[start:], strict=False):
        if mine.primitive != theirs.primitive or params_text(mine.params) != params_text(theirs.params):
            return None
        if len(mine.inputs) != len(theirs.inputs) or len(mine.outputs) != len(theirs.outputs):
            return None
        for a, b in zip(mine.inputs, theirs.inputs, strict=True):
            if (a.shape, a.dtype) != (b.shape, b.dtype):
                return None
            if a.slot in part.constants:
                value = host.constants.get(b.slot)
                if value is None or constant_text(value) != constant_text(part.constants[a.slot]):
                    return None
            elif a.slot in slots:
                if slots[a.slot].slot != b.slot:
                    return None
            elif a.slot in inputs:
                slots[a.slot] = b
            else:
                return None
        for a, b in zip(mine.outputs, theirs.outputs, strict=True):
            if (a.shape, a.dtype) != (b.shape, b.dtype):
                return None
            slots[a.slot] = b
    # Inputs that the part does not read: the host's, where both take the same arguments.
    if [(v.shape, v.dtype) for v in part.inputs] == [(v.shape, v.dtype) for v in host.inputs]:
        slots = {a.slot: b for a, b in zip(part.inputs, host.inputs, strict=True)} | slots
    return slots


def _leaks(host: Program, part: Program, start: int, slots: dict[int, Var]) -> bool:
    """Whether the host reads a value from inside the part."""
    outputs = {v.slot for v in part.outputs}
    inner = {slots[v.slot].slot for e in part.equations for v in e.outputs if v.slot not in outputs}
    outside = (*host.equations[:start], *host.equations[start + len(part.equations) :])
    return any(v.slot in inner for e in outside for v in e.inputs) or any(v.slot in inner for v in host.outputs)
