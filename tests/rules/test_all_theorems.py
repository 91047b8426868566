"""Every stated theorem: in the catalogue, right at random points, traceable in every dtype, fit to be printed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import math_core
import pytest

from backprove.harness.programs.program import Program
from backprove.harness.statements.theorem import Theorem
from backprove.rules.all import load
from tests.rules.claim_check import TOLERANCE, programs, worst

THEOREMS = load()
CATALOGUE = Path(__file__).parents[2] / "rules" / "catalogue" / "documented.toml"
ENTRIES = {entry["name"]: entry for entry in tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))["entry"]}

each_theorem = pytest.mark.parametrize(
    "theorem", THEOREMS.values(), ids=lambda t: t.name.removeprefix("Proofs.Autograd.")
)


def test_the_executable_declarations_are_stated_and_no_others_of_the_documented_list() -> None:
    executable = {name for name, entry in ENTRIES.items() if entry["executable"]}
    assert executable
    assert {name for name in THEOREMS if name in ENTRIES} == executable


def test_the_other_declarations_are_covered_once_each() -> None:
    covered = sorted(name for t in THEOREMS.values() if t.name in ENTRIES for name in t.covers)
    assert covered == sorted(name for name, entry in ENTRIES.items() if not entry["executable"])


def test_what_a_theorem_rests_on_is_stated_and_never_circular() -> None:
    def depth(name: str, below: tuple[str, ...]) -> int:
        assert name not in below, f"{name} rests on itself through {below}"
        return 1 + max((depth(n, (*below, name)) for n in THEOREMS[name].rests_on), default=0)

    assert max(depth(name, ()) for name in THEOREMS) > 2


def test_the_jvp_lemma_rests_on_the_two_definitions() -> None:
    rests_on = THEOREMS["Proofs.Autograd.logSoftmaxJvp_eq_deriv"].rests_on
    assert set(rests_on) == {"Proofs.Autograd.logSoftmaxDerivCLM", "Proofs.Autograd.logSoftmaxJvp"}


@each_theorem
def test_every_claim_is_right_at_random_points(theorem: Theorem) -> None:
    for claim in theorem.claims:
        assert worst(theorem, claim) < TOLERANCE


@each_theorem
def test_every_function_traces_in_its_own_dtype(theorem: Theorem) -> None:
    for size in (0, 1, 3):
        for dtype in ("float64", "float32", "bfloat16"):
            # JAX accumulates sums of bfloat16 in float32.
            allowed = {dtype} | ({"float32"} if dtype == "bfloat16" else set())
            for program in programs(theorem, dtype, size):
                assert float_dtypes(program) <= allowed
                assert {v.dtype for v in program.outputs} == {dtype}


def float_dtypes(program: Program) -> set[str]:
    """The floating-point formats in which the program's equations compute."""
    found = {v.dtype for e in program.equations for v in (*e.inputs, *e.outputs)}
    return {d for d in found if "float" in d}


@each_theorem
def test_statement_and_sentence_can_be_printed(theorem: Theorem) -> None:
    mathml = math_core.LatexToMathML().convert_with_local_state(theorem.latex, displaystyle=True)
    assert mathml.startswith("<math")
    assert theorem.words.endswith(".") and theorem.words[0].isupper() and "\n" not in theorem.words


@each_theorem
def test_the_source_is_the_line_of_the_entry(theorem: Theorem) -> None:
    file, line = theorem.source
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    short = theorem.name.removeprefix("Proofs.Autograd.")
    assert lines[line - 1].startswith("theorem(") and f'"{short}"' in lines[line - 1] + lines[line]
