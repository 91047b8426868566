"""Balls give rigorous enclosures over the reals (python-flint `arb`), at the precision `flint.ctx.prec`.

A value is an object array of `arb`, a truth value an int8 array (see `truth.py`). A select on an undecided truth
value returns the hull of both branches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import cast

import numpy as np
from flint import arb, ctx

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS, is_float
from backprove.harness.core.thresholds.exact import TABLE_ROUNDINGS
from backprove.harness.numbers import indexing
from backprove.harness.numbers.balls import functions as bf
from backprove.harness.numbers.balls import spectra
from backprove.harness.numbers.balls.arrays import BallArray, dot_general, lift, pointwise, scatter_add
from backprove.harness.numbers.balls.fourier import transformed
from backprove.harness.numbers.balls.matrices import Matrices
from backprove.harness.numbers.balls.reductions import Real
from backprove.harness.numbers.balls.truth import (
    COMPARISONS,
    TOUCH,
    UNDECIDED,
    Codes,
    Undecided,
    UndecidedChoice,
    compare_all,
    truth,
    truth_and,
    truth_not,
    truth_or,
    truth_xor,
    undecided,
)
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.several import Several
from backprove.harness.numbers.elementary.steps import trunc
from backprove.harness.numbers.elementary.table import ROWS, SEVERAL
from backprove.harness.programs.program import Equation, Program, Var


def short_dyadic(value: float, bits: int = 12) -> bool:
    """At most `bits` significant bits: taken for exactly what the author meant, not for a rounded constant."""
    if value == 0 or not np.isfinite(value):
        return True
    m, _ = np.frexp(value)
    return float(m * 2**bits).is_integer()


def exact_bits(dtype: str) -> int:
    """How many significant bits a literal may have and still be meant exactly: 12, or half of them in short formats."""
    return min(12, FORMATS[dtype].digits // 2)


class BallSystem(Matrices[Real]):
    """What balls and dual balls share.

    Args:
        widen: relative radius given to literals that are not short dyadics (0: literals are exact). A refusal that
            does not survive widening by the dtype's unit roundoff is only a rounded constant.

    Conversions between float formats are the identity over the reals.
    """

    functions = ROWS
    of_several = SEVERAL
    watches_kinks = False
    """Whether comparisons of equal quantities are marked; a rule's own value at a point does not need it."""

    def __init__(self, widen: float = 0.0) -> None:
        self.widen = widen

    @property
    def key(self) -> Hashable:
        """What constants depend on: exact ones not on the precision."""
        return self.name, self.widen, ctx.prec if self.widen else 0

    @classmethod
    def primitives(cls) -> frozenset[str]:
        return super().primitives() | {*bf.BINARY, *COMPARISONS}

    def constant(self, value: Array, var: Var) -> Real | Array:
        value = np.asarray(value)[..., None]
        if is_float(var.dtype):
            return self.lifted(self.real_constant(value.astype(np.float64), exact_bits(var.dtype)))
        return value.astype(np.int8) if value.dtype == bool else value

    def real_constant(self, value: Array, bits: int) -> BallArray:
        """The enclosure of a constant; see `widen`."""
        if value.size == 1 and not self.widen:
            out = np.empty(value.shape, dtype=object)
            out.fill(_exact(value.item()))
            out.setflags(write=False)  # kept with the program
            return out
        out = lift(value)
        if self.widen:
            flat = out.ravel()
            # a table is computed by other code, with roundings of its largest entry, of which a zero may be one alone
            size = np.abs(value[np.isfinite(value)]).max(initial=0.0) if value.size > 1 else 0.0
            for i, v in enumerate(np.ravel(value).tolist()):
                if not short_dyadic(v, bits):
                    noise = TABLE_ROUNDINGS * 2.0**-53 * float(size)
                    radius = noise if abs(v) <= noise else min(noise, TABLE_ROUNDINGS * 2.0**-49 * abs(v))
                    rounded = flat[i] * arb(1, self.widen)
                    flat[i] = rounded.union(flat[i] + arb(0, radius)) if noise else rounded
        out.setflags(write=False)
        return out

    def select(self, which: Real | Array, cases: Sequence[Real | Array]) -> Real | Array:
        which = np.asarray(which)
        if which.dtype in (np.int8, bool):
            return self.choose(truth(which), cases[0], cases[1])
        out = cases[0]
        for k, case in enumerate(cases[1:], start=1):
            out = self.map(partial(_replace, k), which, out, case)
        return out

    @abstractmethod
    def choose(self, which: Codes, no: Real | Array, yes: Real | Array) -> Real | Array:
        """`yes` where a truth value is True, `no` where it is False, what holds both where it is undecided."""

    def chosen(self, which: Codes, no: Array, yes: Array) -> Array:
        """`choose` of enclosures, integers or truth values."""
        w = expand(which, no)
        if no.dtype != object:
            if np.any(w >= UNDECIDED) and self._are_truths(no, yes):
                no, yes = truth(no), truth(yes)
                chosen = truth_or(truth_and(w, yes), truth_and(truth_not(w), no))
                return np.where(no == yes, no, chosen)
            return np.where(self.certain(w) & 3 == 1, yes, no)
        w = w & 3
        out = np.where(w == 1, yes, no)
        open_ = w == UNDECIDED
        if open_.any():
            unknown = np.flatnonzero(np.broadcast_to(open_, out.shape))
            no, yes = np.broadcast_to(no, out.shape).ravel(), np.broadcast_to(yes, out.shape).ravel()
            flat = out.reshape(-1)
            flat[unknown] = [a if a is b else a.union(b) for a, b in zip(no[unknown], yes[unknown], strict=True)]
        return out

    @staticmethod
    def _are_truths(*values: Array) -> bool:
        return all(v.dtype in (np.int8, np.bool_) for v in values)

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def own(self, equation: Equation, inputs: Sequence[Real | Array]) -> Real | Array | list[Real | Array]:
        name = equation.primitive
        if name in bf.BINARY and is_float(equation.outputs[0].dtype):
            return self.combine(name, self.real(inputs[0]), self.real(inputs[1]))
        if name in COMPARISONS and is_float(equation.inputs[0].dtype):
            same = equation.inputs[0].slot == equation.inputs[1].slot
            return self.compare(name, self.primal(inputs[0]), self.primal(inputs[1]), same=same)
        return super().own(equation, inputs)

    def logic(self, equation: Equation, inputs: Sequence[Real | Array]) -> Real | Array | None:
        """Logic of three values; integers made of undecided ones are for `cond` alone."""
        operands = [self.primal(x) for x in inputs]
        match equation.primitive:
            case "and":
                return truth_and(truth(operands[0]), truth(operands[1]))
            case "or":
                return truth_or(truth(operands[0]), truth(operands[1]))
            case "not":
                return truth_not(truth(operands[0]))
            case "xor" | "ne":
                return truth_xor(truth(operands[0]), truth(operands[1]))
            case "eq":
                return truth_not(truth_xor(truth(operands[0]), truth(operands[1])))
            case "reduce_and":
                return self.p_reduce_and(equation, operands)
            case "reduce_or":
                return self.p_reduce_or(equation, operands)
            case "convert_element_type" if equation.outputs[0].dtype != "bool" and undecided(operands[0]):
                return cast("Array", UndecidedChoice(operands[0]))  # it raises where one is needed
        return None

    def whole(self, equation: Equation, inputs: Sequence[Real | Array]) -> list[Real | Array]:
        pairs = zip(inputs, equation.inputs, strict=True)
        return super().whole(equation, [self.certain(self.primal(i)) if v.dtype == "bool" else i for i, v in pairs])

    def certain(self, values: Array) -> Array:
        """Truth values on their way to integers: they must be decided."""
        if undecided(values):
            raise Undecided("an integer depends on a comparison that is not decided")
        return values

    def compare(self, name: str, a: Array, b: Array, *, same: bool = False) -> Codes:
        """Truth value of a comparison of enclosures; `same`: both are one quantity."""
        if same:
            return np.full(a.shape, name in ("eq", "le", "ge", "le_to"), dtype=np.int8)
        told = compare_all(name, a, b)
        return told if self.watches_kinks else np.where(told & TOUCH, told & 1, told)

    def p_clamp(self, e: Equation, ins: Sequence[Real]) -> Real:
        return self.combine("min", self.combine("max", ins[1], ins[0]), ins[2])

    def p_reduce_precision(self, e: Equation, ins: Sequence[Real]) -> Real:
        return ins[0]

    def p_is_finite(self, e: Equation, ins: Sequence[Real]) -> Codes:
        return np.ones(np.shape(self.primal(ins[0])), dtype=np.int8)

    def p_iota(self, e: Equation, ins: Sequence[Real]) -> Real | Array:
        out = indexing.iota(e)
        return self.lifted(lift(out)) if is_float(e.outputs[0].dtype) else out

    def p_convert_element_type(self, e: Equation, ins: Sequence[Real | Array]) -> Real | Array:
        x = np.asarray(self.primal(ins[0]))
        if is_float(e.inputs[0].dtype):
            if is_float(e.outputs[0].dtype):
                return ins[0]
            if e.outputs[0].dtype == "bool":
                return self.compare("ne", x, lift(np.zeros((1,))), same=False)
            whole = pointwise(trunc, x)
            if not all(v.is_exact() for v in whole.ravel()):
                raise Undecided("a conversion to an integer is not decided")
            numbers = [int(v.unique_fmpz()) for v in whole.ravel()]
            if not all(-(2**63) <= n < 2**63 for n in numbers):
                raise Undecided("a number is too large for an integer")
            return np.array(numbers, dtype=np.int64).reshape(whole.shape)
        if x.dtype == np.int8 and e.inputs[0].dtype == "bool":
            return self.lifted(self.from_truth(x))
        return self.lifted(lift(x))

    def from_truth(self, x: Codes) -> BallArray:
        """0, 1 or, where a truth value is undecided, the ball from 0 to 1."""
        out: BallArray = _OF_TRUTH[x & 3]
        return out


class Balls(BallSystem[Array]):
    """Interpreter of a program over balls: every value is an array."""

    name = "balls"

    def map(self, function: Callable[..., Array], *values: Array) -> Array:
        return function(*values)

    def primal(self, x: Array) -> Array:
        return x

    def lifted(self, enclosure: BallArray) -> Array:
        return enclosure

    def real(self, x: Array) -> Array:
        return x if x.dtype == object else lift(x)

    def choose(self, which: Codes, no: Array, yes: Array) -> Array:
        return self.chosen(which, no, yes)

    def combine(self, name: str, a: Array, b: Array) -> Array:
        return self.joined(name, a, b)

    def elementary(self, row: Elementary, equation: Equation, x: Array) -> Array:
        return pointwise(row.enclosure, x)

    def several(self, row: Several, equation: Equation, inputs: Sequence[Array]) -> Array:
        return pointwise(row.ball, *map(self.real, inputs))

    def p_integer_pow(self, e: Equation, ins: Sequence[Array]) -> BallArray:
        return pointwise(bf.power_of(e.params["y"]), ins[0])

    def p_stop_gradient(self, e: Equation, ins: Sequence[Array]) -> Array:
        return ins[0]

    def p_dot_general(self, e: Equation, ins: Sequence[BallArray]) -> BallArray:
        return dot_general(ins[0], ins[1], e.params["dimension_numbers"])

    def p_eigh(self, e: Equation, ins: Sequence[BallArray]) -> list[Array]:
        return list(spectra.eigh(spectra.read(e, ins[0])))

    def p_svd(self, e: Equation, ins: Sequence[BallArray]) -> list[Array]:
        return spectra.wanted(e, spectra.svd(ins[0], full=spectra.is_full(e)))

    def p_dft(self, e: Equation, ins: Sequence[BallArray]) -> list[Array]:
        return list(transformed(ins[0], ins[1], inverse=e.params["inverse"]))

    def p_scatter_add(self, e: Equation, ins: Sequence[Array]) -> BallArray:
        operand, indices, updates = ins
        return scatter_add(operand, updates, indexing.scatter_positions(e, np.asarray(indices)))


_OF_TRUTH: BallArray = np.array([bf.ZERO, bf.ONE, arb(0.5, 0.5)], dtype=object)
"""False, True and undecided as balls."""


@lru_cache(maxsize=4096)
def _exact(value: float) -> arb:
    return arb(value)


def _replace(k: int, which: Array, old: Array, case: Array) -> Array:
    return np.where(expand(which, old) == k, case, old)


def expand(which: Array, like: Array) -> Array:
    """A scalar predicate (points axis only) against cases of any rank."""
    return which.reshape((1,) * (like.ndim - 1) + which.shape[-1:]) if which.ndim == 1 and like.ndim > 1 else which


PRIMITIVES = (
    frozenset({*ROWS, *SEVERAL, *bf.BINARY, "select_n", "integer_pow", "convert_element_type"})
    | frozenset({"clamp", "stop_gradient", "is_finite", "and", "or", "not", "xor"})
    | COMPARISONS
)
"""Primitives whose results depend, entry by entry, on the operands' entries at the same index."""


def works_entrywise(program: Program) -> bool:
    """Whether every entry of the outputs depends on the inputs' entries at the same index alone."""
    if not program.inputs:
        return False
    shape = program.inputs[0].shape
    if any(v.shape != shape for v in (*program.inputs, *program.outputs)):
        return False
    moving = {v.slot for v in program.inputs}
    for e in program.equations:
        operands = [v for v in e.inputs if v.slot in moving]
        if not operands:
            continue
        if e.primitive not in PRIMITIVES or any(v.shape != shape for v in (*operands, *e.outputs)):
            return False
        moving |= {v.slot for v in e.outputs}
    return True
