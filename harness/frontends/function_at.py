"""A `FunctionAt` is one function at one signature, with every way to evaluate it there.

sine = FunctionAt(Function(jnp.sin, "forward"), (((3,), "float32"),), "float32")
sine.floats([x]).values     # one array of shape (3, 1000) for x of shape (3, 1000): 1000 points
sine.bounds([x])            # the same with a bound on the error of each entry
sine.exact.balls([x])       # the same over the reals, where x holds balls
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from backprove.harness.core.arrays import Array, at_points
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.calls import Called, call_points, plain_values
from backprove.harness.frontends.compiled import CompiledFunction
from backprove.harness.frontends.front_end import ExactFunction, FrontEnd
from backprove.harness.frontends.function import Function
from backprove.harness.frontends.same_in_all_formats import same_but_for_literals
from backprove.harness.numbers.bounds.run import coarsest_unit, float_bounds
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.program import Program, Signature

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class FunctionAt:
    """One function of a claim at one signature.

    Attributes:
        function: with its front ends and traces.
        signature: shape and dtype of every argument.
        dtype: format under test, to which results of calls are rounded.
        expected: shapes of the results without a points axis; None: those that the function has.
        batched: the code accepts one extra leading axis of points.
        floats_only: results of integers and truth values are left out.
        is_composed: it is put together from functions that are called for claims of their own.
        narrows_as: functions of the same values; the code may round to shorter formats inside where one of them does.
    """

    function: Function
    signature: Signature
    dtype: str
    expected: Shapes | None = None
    batched: bool = False
    floats_only: bool = False
    is_composed: bool = False
    narrows_as: Sequence[FunctionAt] = field(default=(), repr=False, compare=False)
    _compiled: CompiledFunction | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """How messages name the function."""
        return self.function.label

    @property
    def front_end(self) -> FrontEnd:
        """What evaluates the code here."""
        return self.function.front_end(self.signature)

    @property
    def program(self) -> Program | None:
        """The traced program; None where no front end can follow the code."""
        return self.function.program(self.signature)

    @property
    def is_its_program(self) -> bool:
        """Whether the floats of the program are those of the code, as they are for JAX code, which has no others."""
        return self.front_end.is_its_program

    @cached_property
    def shapes(self) -> Shapes:
        """Shapes of the results; of untraced code those of a call inside its domain.

        Raises:
            Exception: what the code raises there.
        """
        if self.expected is not None:
            return self.expected
        program = self.program
        if program is not None:
            return tuple(v.shape for v in program.outputs if not self.floats_only or v.dtype in FORMATS)
        found = self.function.called_inside(self.signature)
        return tuple(a.shape for a in found if not self.floats_only or a.dtype.kind not in "iub")

    # -- floats ----------------------------------------------------------------------------------------------------

    def floats(self, points: Sequence[Array], skip: Array | None = None) -> Called:
        """What the code computes, the fastest way there is.

        That is its program in NumPy; by XLA where NumPy lacks a primitive; else, and where XLA cannot compile it
        either (a kernel at size 0), calls, which tell what each point raises.

        Args:
            points: one array per argument, shape + points (or 1); floats as float64.
            skip: points that need not be called.
        """
        stands_for_it = self.is_its_program or (self.is_composed and self.program is not None)
        found = self._in_bulk(points) if stands_for_it else None
        if found is None and self.front_end.called and self.program is not None:
            return self._called_at_some(points, skip)
        return self.calls(points, skip) if found is None else found

    def _called_at_some(self, points: Sequence[Array], skip: Array | None) -> Called:
        """Values of calls at the first points of a batch and at some of the others, of the program between them."""
        n, most = max((a.shape[-1] for a in points), default=1), self.front_end.called
        found = self._in_bulk(points) if n > most else None
        if found is None or self.batched:
            return self.calls(points, skip)
        chosen = np.unique([*range(most // 2), *np.linspace(most // 2, n - 1, most // 2).astype(int)])
        here = self.calls([at_points(a, chosen) for a in points], None if skip is None else skip[chosen])
        for whole, part in zip(found.values, here.values, strict=True):
            whole[..., chosen] = part
        troubles = {int(chosen[i]): t for i, t in here.troubles.items()}
        return Called(found.values, troubles, found.notes + here.notes, here.made)

    def values(self, points: Sequence[Array]) -> list[Array]:
        """As `floats`, without a look at the contract of the code; NaN where a call gives nothing."""
        found = self._in_bulk(points) if self.is_its_program else None
        if found is not None:
            return found.values
        if self.batched:
            return self.calls(points).values
        return plain_values(self.function, self.signature, points, self.shapes, self.floats_only)

    def calls(self, points: Sequence[Array], skip: Array | None = None) -> Called:
        """What calls of the code give, point by point or in batches; see `call_points`."""
        return call_points(
            self.function,
            self.signature,
            points,
            self.shapes,
            self.dtype,
            skip=skip,
            batched=self.batched,
            floats_only=self.floats_only,
        )

    def xla(self, points: Sequence[Array]) -> list[Array]:
        """What the code computes compiled by XLA, for JAX code.

        Raises:
            Exception: whatever tracing and compiling raise.
        """
        if self._compiled is None:
            self._compiled = CompiledFunction.of(self.function.call, self.signature)
        return self._compiled(points)

    def _in_bulk(self, points: Sequence[Array]) -> Called | None:
        program = self.program
        assert program is not None
        notes = []
        try:
            found = run_floats(program, points)
        except UnsupportedPrimitive as why:
            notes.append(f"{self.label}: compiled results only, {why}")
            try:
                found = self.xla(points)
            except Exception:
                return None
        kept = [
            np.asarray(f, dtype=np.float64)
            for f, v in zip(found, program.outputs, strict=True)
            if not self.floats_only or v.dtype in FORMATS
        ]
        return Called(kept, notes=notes)

    def at_one(self, arguments: Sequence[Array]) -> list[Array]:
        """Results at one point, of whatever shapes and without a points axis; JAX code as its program, without a call.

        Raises:
            Exception: what the code raises there.
        """
        program = self.program
        if program is not None and self.is_its_program:
            return [o[..., 0] for o in run_floats(program, [a[..., None] for a in arguments])]
        return self.function.at(*(a.copy() for a in arguments))

    # -- bounds and the reals --------------------------------------------------------------------------------------

    def bounds(self, points: Sequence[Array]) -> list[Bounded]:
        """Running error bounds of the float results; there must be a program.

        Raises:
            UnsupportedPrimitive: where the bounds lack a primitive of the program.
        """
        program = self.program
        assert program is not None
        short = self.function.every_step_short(self.signature, self.dtype)
        return float_bounds(program, points, self.dtype, every_step_short=short, narrows_to=self.narrows_to)

    @property
    def narrows_to(self) -> float:
        """Unit roundoff of the coarsest format to which the code may round inside; see `Running`."""
        return max((coarsest_unit(f.program) for f in self.narrows_as if f.program is not None), default=0.0)

    @property
    def gap_unit(self) -> float:
        """Unit roundoff in whose ulps gaps to the function over the reals are measured.

        It is that of float64, whatever the format under test; of the format where the code is another approximation
        there.
        """
        form, wide = FORMATS[self.dtype], FORMATS["float64"]
        here = None if form is wide else self.program
        base = None if here is None else self.function.program(in_float64(self.signature))
        if here is None or base is None or same_but_for_literals(base, here, self.dtype):
            return wide.u
        return form.u

    @property
    def exact(self) -> ExactFunction | None:
        """The function on balls and dual balls; None for a black box."""
        return self.function.exact(self.signature)

    def in_float64(self) -> FunctionAt:
        """The same function with every float in float64."""
        return replace(self, signature=in_float64(self.signature), dtype="float64", _compiled=None)


def in_float64(signature: Signature) -> Signature:
    """The signature with every float in float64."""
    return tuple((shape, "float64" if dtype in FORMATS else dtype) for shape, dtype in signature)
