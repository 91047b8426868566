"""A `Function` is one callable of a claim, evaluated by the first front end that can follow it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from backprove.harness.core.arrays import Array, Code, flatten, quiet
from backprove.harness.core.cache import Cache
from backprove.harness.core.formats import FORMATS
from backprove.harness.core.guard import guarded
from backprove.harness.frontends.front_end import ExactFunction, FrontEnd
from backprove.harness.frontends.jax_code import JAX
from backprove.harness.frontends.jax_trace import uses_library_rules
from backprove.harness.frontends.kept_state import may_keep
from backprove.harness.frontends.own_arrays import with_own_arrays
from backprove.harness.frontends.registry import FRONT_ENDS, after, from_on, named
from backprove.harness.frontends.same_in_all_formats import FormatGenericTrace, is_telling
from backprove.harness.programs.program import Program, Signature
from backprove.harness.programs.to_jax import as_jax_function

if TYPE_CHECKING:
    import jax

TRIED = 2
"""Signatures at which a front end that has never followed the code is tried: at further ones it fails alike."""


def shapes_of(signature: Signature) -> str:
    """Shapes of the arguments, for messages."""
    return ", ".join(str(list(shape)) for shape, _ in signature)


def one_point(signature: Signature) -> list[list[Array]]:
    """Arguments of ones, for a call that tells what the code returns where nothing is known of its domain."""
    return [[np.ones(shape, dtype=FORMATS[d].numpy if d in FORMATS else d) for shape, d in signature]]


@dataclass
class Function:
    """A callable with its front ends; programs are cached by signature.

    Attributes:
        call: the user's function.
        label: how messages name it ("forward", "vjp", ...).
        only: restrict to this front end and the ones after it (a trace that was found untrue).
        stand_in: JAX-traceable function of the same map, for code that cannot be traced.
        cache, key: where traces are kept from run to run, and the name of this function there.
        called_first: whether code that may keep something is called for real before it is traced, so that it keeps
            real arrays; it is a user's then, and what it raises is made fit to be shown.
        inside: arguments of calls that tell what the code returns, inside the stated domain; ones without it.
        generic: whether a trace of one dtype may be had from that of another (`same_in_all_formats.py`).
    """

    call: Code
    label: str
    only: FrontEnd = FRONT_ENDS[0]
    stand_in: Code | None = None
    cache: Cache | None = None
    key: str = ""
    generic: bool = False
    called_first: bool = False
    inside: Callable[[Signature], Iterable[list[Array]]] = one_point
    _cache: dict[Signature, tuple[FrontEnd, Program | None]] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)
    """By front end: at how many signatures it could not follow the code."""
    _traces: dict[str, FormatGenericTrace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    """How, and at which formats or signatures, its traces were held against real calls."""

    def __post_init__(self) -> None:
        if self.called_first:
            call = self.call
            self.call = call.guarded() if hasattr(call, "guarded") else guarded(with_own_arrays(call))

    def program(self, signature: Signature) -> Program | None:
        """The traced program, or None where no front end can follow the code."""
        return self._resolve(signature)[1]

    def front_end(self, signature: Signature) -> FrontEnd:
        """The first front end that takes the code."""
        return self._resolve(signature)[0]

    def every_step_short(self, signature: Signature, dtype: str) -> bool:
        """Whether the code rounds every step to `dtype`, whatever its trace says."""
        return dtype in self.front_end(signature).rounds_every_step

    def _resolve(self, signature: Signature) -> tuple[FrontEnd, Program | None]:
        if signature not in self._cache:
            kept = self.cache if self.only is FRONT_ENDS[0] else None
            found = kept.get((self.key, signature)) if kept is not None else None
            if found is None:
                end, program = self._trace(signature)
                if kept is not None:
                    kept.put((self.key, signature), (end.name, program))
            else:
                end, program = named(found[0]), found[1]
            self._cache[signature] = end, program
        return self._cache[signature]

    def restrict(self, only: FrontEnd) -> None:
        """Use this front end and the ones after it from now on."""
        self.only = only
        self._cache.clear()

    def give_up_exact(self, signature: Signature) -> None:
        """Leave the exact layer where the code has no program for it; trying again at every point is slow."""
        end, program = self._resolve(signature)
        if program is None and end.exact(self, program) is not None:
            self.restrict(after(end))

    @cached_property
    def may_keep(self) -> bool:
        """Whether the code may keep something, which should be real arrays."""
        return may_keep(self.call)

    def _trace(self, signature: Signature) -> tuple[FrontEnd, Program | None]:
        if self.called_first and self.may_keep:
            with contextlib.suppress(Exception):  # what raises everywhere is told where results are needed
                self.called_inside(signature)
        telling = is_telling(signature)
        for end in from_on(self.only):
            if self._failed.get(end.name, 0) >= TRIED:
                continue
            try:
                with quiet():
                    found = self._trace_by(end, signature)
                if found is not None:
                    self._failed[end.name] = -sys.maxsize  # it can follow the code
                return end, found
            except Exception as why:
                self._failed[end.name] = self._failed.get(end.name, 0) + telling
                told = end.stopped(self, why)
                note = f"{self.label}: no {end.what}, because {told}"
                if told and note not in self.notes:
                    self.notes.append(note)
        raise TypeError(f"{self.label}: no front end takes the code, nor its calls")

    def _trace_by(self, end: FrontEnd, signature: Signature) -> Program | None:
        trace = partial(end.trace, self)
        if not (end.same_in_all_formats and (self.generic or not end.compared_once)):
            return trace(signature)
        return self._traces.setdefault(end.name, FormatGenericTrace(trace))(signature)

    def library_rules(self, signature: Signature) -> Code | None:
        """A JAX function of the same map where all custom derivatives that it meets are those of JAX's library."""
        call = self.front_end(signature).as_jax(self)
        with contextlib.suppress(Exception), quiet():
            if call is not None and uses_library_rules(call, *signature):
                return call
        return None

    def in_jax(self, *arguments: jax.Array) -> list[jax.Array]:
        """The traced code at arrays or tracers of JAX, in the form whose derivative is to be trusted; a flat list.

        Raises:
            TypeError: where no front end can follow the code at their shapes and dtypes.
        """
        import jax

        signature = tuple((tuple(a.shape), str(a.dtype)) for a in arguments)
        program = self.program(signature)
        if program is None:
            raise TypeError(f"{self.label}: the code has no program at these arguments")
        call = self.library_rules(signature) or as_jax_function(program)
        return list(jax.tree.leaves(call(*arguments)))

    def exact(self, signature: Signature) -> ExactFunction | None:
        """The function for the exact layer, or None for a black box."""
        end, program = self._resolve(signature)
        return end.exact(self, program)

    def at(self, *arguments: Array) -> list[Array]:
        """Call the code as it is at one point (arrays of the real dtype, no points axis); flat list of arrays.

        Raises:
            Exception: whatever the code raises.
        """
        import jax

        with jax.enable_x64(True), quiet():
            return flatten(self.call(*arguments))

    def called_inside(self, signature: Signature) -> list[Array]:
        """What the code returns at the first point of the domain at which it does not raise; a flat list of arrays.

        Raises:
            Exception: what the code raises at the last point, where it raises at all that are tried.
        """
        found: Exception = TypeError(f"{self.label}: there is no point to call it at")
        for arguments in self.inside(signature):
            try:
                return self.at(*arguments)
            except Exception as why:
                found = why
        raise found


class ProgramFunction(Function):
    """A program in the place of a user's function, at the one signature for which it was made."""

    def __init__(self, program: Program, label: str) -> None:
        super().__init__(_no_call, label)
        self.fixed = program

    def _trace(self, signature: Signature) -> tuple[FrontEnd, Program | None]:
        known = tuple((v.shape, v.dtype) for v in self.fixed.inputs)
        if signature != known:
            raise ValueError(f"{self.label}: this program takes {known}, not {signature}")
        return JAX, self.fixed


def _no_call(*arguments: object) -> object:
    raise TypeError("a program has no Python code to call")
