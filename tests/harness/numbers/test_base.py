"""The one dispatcher: which part of a system evaluates which equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.numbers import control, integers, movement
from backprove.harness.numbers.base import System
from backprove.harness.numbers.bounds.bounds import RULES, Running
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.elementary.table import ROWS
from backprove.harness.numbers.floats import floats
from backprove.harness.programs.program import Equation, Var

F, I, B = "float64", "int64", "bool"


class Telling(System):
    """Answers with the part that was asked."""

    name = "telling"
    functions = ROWS

    def constant(self, value: Any, var: Var) -> Any:
        return value

    def map(self, function: Callable[..., Any], *values: Any) -> Any:
        return "moved"

    def select(self, which: Any, cases: Sequence[Any]) -> Any:
        return "selected"

    def elementary(self, row: Elementary, equation: Equation, x: Any) -> Any:
        return row.name

    def logic(self, equation: Equation, inputs: Sequence[Any]) -> Any | None:
        return "logic" if equation.primitive == "and" else None

    def whole(self, equation: Equation, inputs: Sequence[Any]) -> list[Any]:
        return ["whole"]

    def p_reduce_sum(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        return "own"

    def p_scatter_add(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        return ["own", "in a list"]


def equation(name: str, given: Sequence[str], result: str, **params: Any) -> Equation:
    inputs = tuple(Var(k, (), dtype) for k, dtype in enumerate(given))
    return Equation(name, params, inputs, (Var(9, (), result),))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (equation("select_n", [B, F, F], F), ["selected"]),
        (equation("neg", [F], F), ["neg"]),
        (equation("neg", [I], I), ["whole"]),
        (equation("round", [F], F, rounding_method=0), ["round"]),
        (equation("round", [F], F, rounding_method=1), ["round_even"]),
        (equation("and", [B, B], B), ["logic"]),
        (equation("and", [I, I], I), ["whole"]),
        (equation("xor", [B, B], B), ["whole"]),
        (equation("reduce_sum", [F], F), ["own"]),
        (equation("reduce_sum", [I], I), ["whole"]),
        (equation("scatter-add", [F, I, F], F), ["own", "in a list"]),
        (equation("transpose", [F], F, permutation=()), ["moved"]),
    ],
    ids=lambda x: x.primitive if isinstance(x, Equation) else "",
)
def test_every_equation_goes_to_one_part(asked: Equation, answer: list[str]) -> None:
    assert Telling().apply(asked, [np.zeros(1)] * len(asked.inputs)) == answer


@pytest.mark.parametrize("asked", [equation("tan2", [F], F), equation("exp", [I], I), equation("lt", [F, F], B)])
def test_what_no_part_knows_is_unsupported(asked: Equation) -> None:
    with pytest.raises(UnsupportedPrimitive, match=asked.primitive):
        Telling().apply(asked, [np.zeros(1)] * len(asked.inputs))


def test_no_primitive_has_two_places() -> None:
    first = {"select_n"} | control.PRIMITIVES
    assert not first & movement.PRIMITIVES
    assert not (first | movement.PRIMITIVES) & (integers.PRIMITIVES | ROWS.keys() | RULES.keys())
    assert not Running.functions.keys() & RULES.keys()
    tables = (floats.ARITHMETIC, floats.EXACT, floats.COMPARISONS)
    assert not floats.Floats.functions.keys() & {name for table in tables for name in table}
    methods = {name.removeprefix("p_") for name in dir(floats.Floats) if name.startswith("p_")}
    assert not methods & (floats.Floats.functions.keys() | {name for table in tables for name in table})
