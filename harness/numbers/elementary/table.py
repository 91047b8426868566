"""The table gathers all elementary functions by name: `ROWS["exp"].slope`."""

from __future__ import annotations

from backprove.harness.numbers.elementary import (
    bessel,
    error_functions,
    exponential,
    gamma,
    hyperbolic,
    incomplete,
    powers,
    steps,
    trigonometric,
)
from backprove.harness.numbers.elementary.row import OPTIONAL, Elementary
from backprove.harness.numbers.elementary.several import Several
from backprove.harness.programs.program import Equation

_FAMILIES = (exponential, trigonometric, hyperbolic, powers, steps, error_functions, gamma, bessel)

ROWS: dict[str, Elementary] = {row.name: row for family in _FAMILIES for row in family.ROWS}
"""A row per function; a family's module holds its rows and what they need."""


SEVERAL: dict[str, Several] = {row.name: row for family in (gamma, incomplete) for row in family.SEVERAL}
"""The functions of several variables."""


def having(*columns: str) -> dict[str, Elementary]:
    """The rows without a hole in any of the columns."""
    return {name: row for name, row in ROWS.items() if not row.holes.keys() & set(columns)}


BY_NUMPY_NAME: dict[str, Elementary] = {str(row.numpy_name): row for row in having("numpy_name").values()}
"""Functions that NumPy's object arrays call as a method of their entries, by the name of the method."""


def function_of(equation: Equation) -> str:
    """The name among the rows of what an equation computes: its primitive, but for the two ways to round."""
    name = equation.primitive
    return "round_even" if name == "round" and int(equation.params["rounding_method"]) == 1 else name


def matrix() -> str:
    """The table as text: functions down, columns across, `-` for a hole, and a line with the reason of each.

    `python -m backprove.harness.numbers.elementary.table` prints it.
    """
    lines = [f"{'':12}" + "".join(f"{c:12}" for c in OPTIONAL)]
    for row in ROWS.values():
        lines.append(f"{row.name:12}" + "".join(f"{'-' if c in row.holes else 'x':12}" for c in OPTIONAL))
    reasons: dict[str, list[str]] = {}
    for row in ROWS.values():
        for column, reason in row.holes.items():
            reasons.setdefault(f"{column}: {reason}", []).append(row.name)
    return "\n".join([*lines, "", *(f"{reason} ({', '.join(names)})" for reason, names in reasons.items())])


if __name__ == "__main__":
    print(matrix())
