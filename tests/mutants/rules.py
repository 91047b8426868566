"""All right rules of the suite: 16 scalar functions and 15 of arrays, each in its stable, textbook and JAX forms."""

from __future__ import annotations

from tests.mutants.array_rules import ARRAYS
from tests.mutants.problem import Problem
from tests.mutants.scalar_rules import SCALAR

PROBLEMS: dict[str, Problem] = {p.name: p for p in (*SCALAR, *ARRAYS)}
RIGHT: list[tuple[str, str]] = [(p.name, form) for p in PROBLEMS.values() for form in p.forms]
"""Every right rule: name of the problem and form."""
