from __future__ import annotations

import pytest

from scripts.opinfo.worker import CALLED, EXACTLY, NO_SAMPLE, NoSample, Row
from scripts.survey.functions import dtypes, example_of, functions, rule
from scripts.survey.page import BEGIN, END, section, written


def row(name: str, outcome: str, why: str = "") -> Row:
    return {"operator": name, "outcome": outcome, "why": why, "seconds": 1.0}


def test_the_table_counts_what_was_asked_and_says_what_is_lacking() -> None:
    text = section(
        [
            row("jax.numpy.sin", EXACTLY),
            row("jax.scipy.stats.t.pdf", EXACTLY) | {"verdict": "falsified"},
            row("jax.numpy.bits", CALLED, "no rule | for bits"),
            row("jax.lax.reduce", NO_SAMPLE, "5 arguments"),
            row("jax.lax.ormqr", NO_SAMPLE, "JAX has no derivative: NotImplementedError"),
        ],
        points=24,
    )
    assert "judges **2 of 3** public functions" in text
    assert "| `jax.numpy` | 2 | 1 |" in text and "| `jax.scipy.stats` | 1 | 1 |" in text
    assert "1 (more than three arguments); 1 (JAX has no derivative)" in text
    assert "| `jax.numpy.bits` | no rule \\| for bits |" in text
    assert "- falsified: `jax.scipy.stats.t.pdf`" in text
    page = written(f"a\n{BEGIN}\nold\n{END}\nb", text)
    assert page.startswith(f"a\n{BEGIN}\nThe exact") and page.endswith(f"\n{END}\nb") and "old" not in page


def test_examples_are_calls_that_give_floats() -> None:
    names = functions()
    assert "jax.numpy.sin" in names and "jax.lax.sin" in names and len(names) > 800
    solve = example_of("jax.numpy.linalg.solve")
    assert dtypes(solve.call, solve.arguments) == ["float64"]
    assert list(rule("jax.lax.custom_root").inputs) == ["arrays"]
    with pytest.raises(NoSample, match="no floats come out"):
        example_of("jax.numpy.argmax")
    with pytest.raises(NoSample, match="JAX has no derivative"):
        rule("jax.scipy.linalg.sqrtm")
