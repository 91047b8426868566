"""Every primitive in every number system gives the right result, or is a hole with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backprove.harness.frontends.objects.bounds import BoundedScalar
from backprove.harness.frontends.objects.scalar import ExactScalar
from backprove.harness.numbers import integers
from backprove.harness.numbers.balls.balls import Balls
from backprove.harness.numbers.balls.duals import DualBalls
from backprove.harness.numbers.base import System
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.elementary import table as elementary
from backprove.harness.numbers.elementary.row import Elementary
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.program import Equation, Program, inner_programs
from scripts.primitives import page
from tests.harness.numbers.cases import INTEGERS
from tests.harness.numbers.cells import CHECKS, MISSING, precision, program
from tests.harness.numbers.primitives import HOLES, INTEGER_ROWS, ROWS, SYSTEMS, TRACED, Row

CLASSES: dict[str, type[System]] = {
    "floats": Floats,
    "balls": Balls,
    "dual balls": DualBalls,
    "error bounds": Running,
}
"""The systems that say themselves which primitives they know."""

CELLS = [(name, system) for name in ROWS for system in SYSTEMS]
CELLS += [(name, system) for name in INTEGER_ROWS for system in TRACED]


@pytest.fixture(autouse=True)
def enough_bits() -> Iterator[None]:
    with precision():
        yield


def row_of(name: str) -> Row:
    return ROWS[name] if name in ROWS else INTEGER_ROWS[name]


def assert_cell(name: str, system: str) -> None:
    """The cell is right, or a hole that `HOLES` names."""
    try:
        CHECKS[system](row_of(name))
    except MISSING as why:
        assert (name, system) in HOLES, f"{name} in {system} is a hole without a reason: {why}"
    else:
        assert (name, system) not in HOLES, f"{name} in {system} works: take it out of HOLES"


@pytest.mark.parametrize(("name", "system"), CELLS)
def test_the_cell_is_right_or_a_hole_with_a_reason(name: str, system: str) -> None:
    assert_cell(name, system)


def equations(traced: Program) -> Iterator[Equation]:
    """All equations of a program, bodies of loops and branches included."""
    for equation in traced.equations:
        yield equation
        for inner in inner_programs(equation):
            yield from equations(inner)


@pytest.mark.parametrize("name", [*ROWS, *INTEGER_ROWS])
def test_the_case_of_a_row_uses_its_primitive(name: str) -> None:
    whole = {"int64", "int32", "bool"}
    found = {
        e.primitive
        for e in equations(program(row_of(name).case))
        if name in ROWS or all(v.dtype in whole for v in (*e.inputs, *e.outputs))
    }
    assert name.removeprefix("integers: ") in found


def test_every_reason_is_given_and_stands_in_the_table() -> None:
    assert all(why.strip() for why in HOLES.values())
    assert set(HOLES) <= set(CELLS)


def spelled(names: Any) -> set[str]:
    """Scatters have a hyphen or an underscore, as the version of JAX spells them."""
    return {name.replace("-", "_") for name in names}


def without_row() -> set[str]:
    """Primitives that a system knows and that have no row."""
    known = set().union(*(spelled(system.primitives()) for system in CLASSES.values()))
    of_integers = spelled(integers.PRIMITIVES) - spelled(INTEGERS)
    return (known - spelled(ROWS)) | {f"integers: {name}" for name in of_integers}


def test_every_primitive_of_a_system_has_a_row() -> None:
    assert without_row() == set()


def test_every_row_is_known_to_some_system() -> None:
    known = set().union(*(spelled(system.primitives()) for system in CLASSES.values()))
    assert spelled(ROWS) <= known
    assert spelled(INTEGERS) <= spelled(integers.PRIMITIVES)


@pytest.mark.parametrize("system", CLASSES)
def test_a_system_knows_what_it_says_it_knows(system: str) -> None:
    told = CLASSES[system].primitives()
    assert {name for name in ROWS if name not in told} == {name for name, s in HOLES if s == system and name in ROWS}


def test_the_page_is_up_to_date(root: Any) -> None:
    assert (root / "docs" / "primitives.md").read_text(encoding="utf-8") == page()


# -- the table itself ------------------------------------------------------------------------------------------------


TANH = elementary.ROWS["tanh"]


def slope_of_tanh(x: Any, y: Any) -> Any:
    assert TANH.slope is not None
    return TANH.slope(x, y)


def put(row: Elementary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every number system use this row."""
    for functions in (Floats.functions, Balls.functions, DualBalls.functions, Running.functions):
        monkeypatch.setitem(functions, row.name, row)
    monkeypatch.setattr(ExactScalar, str(row.numpy_name), lambda self: self.elementary(row))


class TestWhatTheTableRefuses:
    def test_a_primitive_without_a_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Floats, "p_sinc", lambda self, equation, inputs: inputs[0], raising=False)
        monkeypatch.setitem(integers._RULES, "clz", np.abs)
        monkeypatch.setattr(integers, "PRIMITIVES", frozenset(integers._RULES))
        assert without_row() == {"sinc", "integers: clz"}

    def test_a_hole_without_an_entry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(HOLES, ("nextafter", "balls"))
        with pytest.raises(AssertionError, match="nextafter in balls is a hole without a reason"):
            assert_cell("nextafter", "balls")

    def test_an_entry_whose_hole_is_filled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(HOLES, ("tanh", "balls"), "never written")
        with pytest.raises(AssertionError, match="tanh in balls works"):
            assert_cell("tanh", "balls")

    @pytest.mark.parametrize("system", ["dual balls", "object duals"])
    def test_a_wrong_slope(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        put(replace(TANH, slope=lambda x, y: slope_of_tanh(x, y) * (1 + 2.0**-30)), monkeypatch)
        assert_cell("tanh", "balls")
        with pytest.raises(AssertionError, match="tangent: "):
            assert_cell("tanh", system)

    @pytest.mark.parametrize("system", ["balls", "dual balls", "object balls", "object duals"])
    def test_a_wrong_enclosure(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        put(replace(TANH, ball=lambda x: TANH.enclosure(x) + 2.0**-30), monkeypatch)
        with pytest.raises(AssertionError, match="value: "):
            assert_cell("tanh", system)

    @pytest.mark.parametrize("system", ["balls", "dual balls"])
    def test_an_enclosure_that_says_nothing(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        put(replace(TANH, ball=lambda x: TANH.enclosure(x).union(TANH.enclosure(x) + 1)), monkeypatch)
        with pytest.raises(AssertionError, match="value: "):
            assert_cell("tanh", system)

    def test_a_wrong_float(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put(replace(TANH, numpy=lambda x: np.tanh(x) * (1 + 2.0**-30)), monkeypatch)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            assert_cell("tanh", "floats")

    @pytest.mark.parametrize("system", ["error bounds", "object bounds"])
    def test_a_bound_of_nothing(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """That tanh errs by nothing at all."""
        monkeypatch.setattr(Running, "rounded", lambda self, fmt, v, e, **_: Bounded(v, np.zeros(v.shape)))
        monkeypatch.setattr("backprove.harness.frontends.objects.bounds.rounded", lambda v, *_: BoundedScalar(v))
        with pytest.raises(AssertionError, match="is not"):
            assert_cell("tanh", system)

    @pytest.mark.parametrize("system", ["error bounds", "object bounds"])
    def test_a_bound_on_another_function(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        put(replace(elementary.ROWS["atan"], name="tanh", numpy_name="tanh"), monkeypatch)
        with pytest.raises(AssertionError, match="is not"):
            assert_cell("tanh", system)
