"""A linked program is laid out for a fixed number of points: a list of NumPy calls on buffers that are used again.

The numbers are those of `Floats`, bit for bit; what is saved is dispatch, allocation and cache misses. Every value
keeps its place from the first chunk of points to the last; a buffer whose value nothing later needs serves the next
value of the same size. Primitives that have no calls of their own here are evaluated by `Floats` and copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array
from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import movement
from backprove.harness.numbers.floats.calls import CALLS, NATIVE, Call, one_pass, rounds
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.narrow import STORAGE, round_to_bfloat16
from backprove.harness.programs.evaluate import last_uses
from backprove.harness.programs.program import Equation, Program, Var, inner_programs
from backprove.harness.programs.sharing import share


class Linked:
    """A program at a fixed number of points.

    Args:
        inputs: arrays to use as `inputs` (None: new ones), filled with some ordinary numbers.

    Attributes:
        points: how many.
        inputs: one array per input, shape + (points,), in the storage dtype of its format; to be filled before `run`.
        outputs: one array per output, shape + (points,); the next `run` overwrites them.
        bytes: of all buffers.
        calls: functions and their arguments, in order.

    Raises:
        UnsupportedPrimitive: for control flow, and for primitives that `Floats` lacks.
    """

    def __init__(self, program: Program, points: int, inputs: Sequence[Array] | None = None) -> None:
        self.points = points
        self.bytes = 0
        self.calls: list[Call] = []
        self._free: dict[int, list[Array]] = {}
        self._owner: dict[int, int] = {}  # slot -> buffer
        self._users: dict[int, int] = {}  # buffer -> live slots
        self._buffers: dict[int, Array] = {}
        self._floats = Floats()
        self._env: dict[int, Array] = {}
        with np.errstate(all="ignore"):
            self._link(program, inputs)
        self.inputs = [self._env[v.slot] for v in program.inputs]
        self.outputs = [np.broadcast_to(self._env[v.slot], (*v.shape, points)) for v in program.outputs]
        del self._env, self._free, self._owner, self._users, self._buffers

    def run(self) -> None:
        """Evaluate at the points in `inputs`; floating-point warnings are the caller's to silence."""
        for function, arguments in self.calls:
            function(*arguments)

    # -- linking ---------------------------------------------------------------------------------------------------

    def _link(self, program: Program, given_inputs: Sequence[Array] | None) -> None:
        fixed: set[int] = set()
        for slot, value in program.constants.items():
            self._env[slot] = self._floats.constant(value, Var(slot, value.shape, value.dtype.name))
            fixed.add(slot)
        for k, v in enumerate(program.inputs):
            if given_inputs is None:
                stored = self._floats.lift(np.ones((*v.shape, self.points)), v.dtype)
                self._env[v.slot] = np.ascontiguousarray(stored)
            else:
                self._env[v.slot] = given_inputs[k]
            self.bytes += self._env[v.slot].nbytes
        for equation, dying in zip(program.equations, last_uses(program), strict=True):
            if inner_programs(equation) and equation.primitive != "custom_linear_solve":
                raise UnsupportedPrimitive(equation.primitive, "flat programs")
            given = [self._env[v.slot] for v in equation.inputs]
            if all(v.slot in fixed for v in equation.inputs):
                results = self._floats.apply(equation, given)
                self._env.update(zip((v.slot for v in equation.outputs), results, strict=True))
                fixed |= {v.slot for v in equation.outputs}
            elif equation.primitive in movement.PRIMITIVES or equation.primitive == "stop_gradient":
                self._move(equation, given)
            elif not self._native(equation, given, dying):
                self._by_floats(equation, given)
            for slot in dying:
                self._release(slot)

    def _native(self, equation: Equation, given: list[Array], dying: Sequence[int]) -> bool:
        """Calls for one equation; False where there are none."""
        make = CALLS.get(equation.primitive)
        if make is None or not _plain(equation, given):
            return False
        var = equation.outputs[0]
        dtype = np.dtype(np.bool_) if var.dtype == "bool" else STORAGE[var.dtype]
        shape = (*var.shape, self.points)
        out = self._dying_buffer(equation, given, dying, shape, dtype) if one_pass(equation) else None
        if out is None:
            out = self._new(var.slot, shape, dtype)
        scratch: list[Array] = []

        def extra(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
            scratch.append(self._take(shape, np.dtype(dtype)))
            return scratch[-1]

        calls: list[Call] | None = make(equation, given, out, extra)
        if calls is not None and rounds(equation):
            calls = [*calls, (round_to_bfloat16, (out, extra(shape, np.uint32), extra(shape, np.bool_)))]
        for s in scratch:
            self._give(s)
        if calls is None:
            self._release(var.slot)
            return False
        self.calls += calls
        self._env[var.slot] = out
        return True

    def _dying_buffer(
        self,
        equation: Equation,
        given: list[Array],
        dying: Sequence[int],
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
    ) -> Array | None:
        """The buffer of an operand that nothing else needs: the result takes its place."""
        for v, a in zip(equation.inputs, given, strict=True):
            buffer = self._owner.get(v.slot)
            if buffer is None or v.slot not in dying or self._users[buffer] != 1:
                continue
            if a.shape == shape and a.dtype == dtype and a.flags.c_contiguous and a.flags.writeable:
                self._owner[equation.outputs[0].slot] = buffer
                self._users[buffer] += 1
                return a
        return None

    def _move(self, equation: Equation, given: list[Array]) -> None:
        """Entries moved or copied: views where NumPy can, else a copy that is made at every run."""
        results = self._floats.apply(equation, given)
        if any(not _is_view(r, given) for r in results):
            self._by_floats(equation, given)
            return
        for v, r in zip(equation.outputs, results, strict=True):
            self._env[v.slot] = r
            shared = (s.slot for s, a in zip(equation.inputs, given, strict=True) if np.may_share_memory(r, a))
            source = next(shared, None)  # none of an empty view
            if source is not None and source in self._owner:
                self._owner[v.slot] = self._owner[source]
                self._users[self._owner[source]] += 1

    def _by_floats(self, equation: Equation, given: list[Array]) -> None:
        results = self._floats.apply(equation, given)
        outs = []
        for v, r in zip(equation.outputs, results, strict=True):
            outs.append(self._new(v.slot, (*v.shape, self.points), np.asarray(r).dtype))
            self._env[v.slot] = outs[-1]
        self.calls.append((_evaluate, (self._floats, equation, given, outs)))

    # -- buffers ---------------------------------------------------------------------------------------------------

    def _take(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        size = math.prod(shape) * dtype.itemsize
        free = self._free.get(size)
        if free:
            raw = free.pop()
        else:
            raw = np.ones(size, np.uint8)
            self.bytes += size
        return raw.view(dtype).reshape(shape) if size else np.empty(shape, dtype)

    def _give(self, buffer: Array) -> None:
        raw = buffer.reshape(-1).view(np.uint8)
        self._free.setdefault(raw.size, []).append(raw)

    def _new(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        buffer = self._take(shape, dtype)
        self._owner[slot] = id(buffer)
        self._buffers[id(buffer)] = buffer
        self._users[id(buffer)] = 1
        return buffer

    def _release(self, slot: int) -> None:
        buffer = self._owner.pop(slot, None)
        if buffer is None:
            return
        self._users[buffer] -= 1
        if not self._users[buffer]:
            self._give(self._buffers.pop(buffer))


class SharedLinked:
    """Programs of common arguments as one `Linked`, every common value computed once; it is used as `Direct` is.

    Raises:
        UnsupportedPrimitive, ValueError: as `Linked` and `share`.
    """

    def __init__(
        self, programs: Sequence[Program], arguments: Sequence[Sequence[int]], points: int, inputs: Sequence[Array]
    ) -> None:
        self.points = points
        used = sorted({k for places in arguments for k in places})
        merged, self._where = share(programs, [[used.index(k) for k in places] for places in arguments])
        self.flat = Linked(merged, points, [inputs[k] for k in used])
        self.outputs = [self.flat.outputs[w] for w in self._where]

    def run(self) -> None:
        self.flat.run()


def _evaluate(floats: Floats, equation: Equation, given: list[Array], outs: list[Array]) -> None:
    for out, result in zip(outs, floats.apply(equation, given), strict=True):
        np.copyto(out, result, casting="unsafe")


def _is_view(result: Array, given: Sequence[Array]) -> bool:
    return any(np.may_share_memory(result, a) for a in given) or not result.size


def _plain(equation: Equation, given: Sequence[Array]) -> bool:
    """Whether all numbers are kept as NumPy computes them (float16 is not), or truth values."""
    if any(v.dtype not in (*NATIVE, "bool") for v in (*equation.inputs, *equation.outputs)):
        return False
    return all(
        a.dtype == (np.bool_ if v.dtype == "bool" else STORAGE[v.dtype])
        for a, v in zip(given, equation.inputs, strict=True)
    )
