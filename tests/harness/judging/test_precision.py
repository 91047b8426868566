"""The precision of balls is the engine's affair: a run leaves that of its caller alone and does not depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flint import ctx
from jax.scipy.special import i0e

import backprove as bp
from backprove.harness.campaign import subjects
from backprove.harness.core.records import to_plain
from backprove.harness.core.verdicts import Verdict

X = {"x": bp.array("n")}
RIGHT = bp.Rule(
    "cube",
    forward=lambda x: x**3,
    jvp=lambda x, dx: 3 * x * x * dx,
    vjp=lambda x, g: 3 * x * x * g,
    reference=lambda x: x * x * x,
    inputs=X,
)
WRONG = bp.Rule("square", forward=lambda x: x * x, vjp=lambda x, g: 2 * x * g * g, inputs=X)
KINK = bp.Rule("abs", forward=jnp.abs, vjp=lambda x, g: g * jnp.sign(x), inputs=X)
WRONG_KINK = bp.Rule("relu", forward=lambda x: jnp.maximum(x, 0), vjp=lambda x, g: g * (x > 0) + (x == 0) * 2, inputs=X)
NO_TABLE = bp.Rule("i0e", forward=i0e, vjp=lambda x, g: -g * i0e(x), inputs={"x": bp.array("", nonzero=True)})
ZEROS = bp.Rule("sign of zero", forward=lambda x: x * x, vjp=lambda x, g: g * 2 * np.copysign(x, x), inputs=X)


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before = ctx.prec
    yield
    ctx.prec = before


def judged(rule: bp.Rule) -> dict[str, Any]:
    found: dict[str, Any] = to_plain(subjects.run(rule, points=60, dtypes=["float64"]))
    for p in found["properties"]:
        del p["seconds"]
    return found


@pytest.mark.parametrize("rule", [RIGHT, WRONG, KINK, WRONG_KINK, NO_TABLE, ZEROS], ids=lambda r: r.name)
def test_a_run_leaves_the_precision_alone_and_does_not_depend_on_it(rule: bp.Rule) -> None:
    found = []
    for bits in (53, 77, 3000):
        ctx.prec = bits
        found.append(judged(rule))
        assert ctx.prec == bits
    assert found[0] == found[1] == found[2]


def test_the_rules_above_are_right_and_wrong() -> None:
    """So that refusals, with their tables and tests to paste, are among what leaves the precision alone."""
    verdicts = {r.name: bp.check(r, points=60, dtypes=["float64"]).verdict for r in (RIGHT, WRONG, KINK, WRONG_KINK)}
    assert verdicts == {
        "cube": Verdict.HOLDS,
        "square": Verdict.FALSIFIED,
        "abs": Verdict.HOLDS,
        "relu": Verdict.FALSIFIED,
    }
