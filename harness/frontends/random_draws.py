"""Code that gives another result at every call is named as such, and random numbers as the cause where it draws them.

`g * np.random.rand(3)` moves the state of a global generator; `np.random.default_rng()` is seen by its name.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, Code, quiet
from backprove.harness.frontends.reached_code import reached_code

DRAWING = frozenset(
    (
        *("rand", "randn", "random", "randint", "random_sample", "rand_like", "randn_like", "default_rng", "Generator"),
        *("RandomState", "normal", "standard_normal", "uniform", "choice", "permutation", "shuffle", "multinomial"),
        *("bernoulli", "dropout", "poisson", "binomial", "normal_", "uniform_", "bernoulli_", "urandom", "secrets"),
    )
)
"""Names by which code draws random numbers."""


def two_answers(label: str, call: Code, arguments: Sequence[Array]) -> str:
    """What is wrong with code that gave two answers for one input, in words.

    Args:
        label: how messages name the code.
        arguments: of a call, which is made once more; it gets copies.
    """
    text = f"{label} gave two answers for one input"
    if not _draws(call, arguments):
        return text
    return f"{text}: it gives another result at every call, since it draws random numbers"


def _draws(call: Code, arguments: Sequence[Array]) -> bool:
    before = _states()
    with contextlib.suppress(Exception), quiet():
        call(*(np.array(a) for a in arguments))
    if before != _states():
        return True
    return any(not DRAWING.isdisjoint((*code.co_names, *code.co_freevars)) for code in reached_code(call))


def _states() -> list[Any]:
    """The states of the generators that a process has."""
    kind, keys, *rest = np.random.get_state()
    states: list[Any] = [random.getstate(), kind, np.asarray(keys).tobytes(), rest]
    if "torch" in sys.modules:
        states.append(bytes(sys.modules["torch"].random.get_rng_state().numpy()))
    return states
