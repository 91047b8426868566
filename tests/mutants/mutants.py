"""All wrong rules of the suite."""

from __future__ import annotations

from tests.mutants.array_mutants import ARRAY_MUTANTS
from tests.mutants.problem import Mutant
from tests.mutants.scalar_mutants import SCALAR_MUTANTS

MUTANTS: dict[str, Mutant] = {m.name: m for m in (*SCALAR_MUTANTS, *ARRAY_MUTANTS)}
