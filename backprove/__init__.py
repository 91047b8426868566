"""Derivative rules as executable properties: state a rule, get a verdict and the smallest input that refutes it.

The public names load on first use, so that `import backprove` stays fast and needs neither JAX nor Hypothesis nor
pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from backprove.harness.core.version import __version__

if TYPE_CHECKING:
    from backprove.harness.api import assert_rule, check
    from backprove.harness.report import Report
    from backprove.harness.statements.claims import Adjointness, Derivative, Equality, Positivity
    from backprove.harness.statements.from_call import from_call
    from backprove.harness.statements.from_engines import from_autograd, from_mygrad
    from backprove.harness.statements.from_jax import from_jax
    from backprove.harness.statements.from_module import from_module
    from backprove.harness.statements.from_pairs import from_fwd_bwd
    from backprove.harness.statements.from_torch import from_torch
    from backprove.harness.statements.own_theorem import theorem
    from backprove.harness.statements.rule import Rule
    from backprove.strategies.array import array

__all__ = [
    "Adjointness",
    "Derivative",
    "Equality",
    "Positivity",
    "Report",
    "Rule",
    "__version__",
    "array",
    "assert_rule",
    "check",
    "from_autograd",
    "from_call",
    "from_fwd_bwd",
    "from_jax",
    "from_module",
    "from_mygrad",
    "from_torch",
    "theorem",
]

_HOMES = {
    "Adjointness": "backprove.harness.statements.claims",
    "Derivative": "backprove.harness.statements.claims",
    "Equality": "backprove.harness.statements.claims",
    "Positivity": "backprove.harness.statements.claims",
    "Report": "backprove.harness.report",
    "Rule": "backprove.harness.statements.rule",
    "array": "backprove.strategies.array",
    "assert_rule": "backprove.harness.api",
    "check": "backprove.harness.api",
    "from_autograd": "backprove.harness.statements.from_engines",
    "from_call": "backprove.harness.statements.from_call",
    "from_fwd_bwd": "backprove.harness.statements.from_pairs",
    "from_jax": "backprove.harness.statements.from_jax",
    "from_module": "backprove.harness.statements.from_module",
    "from_mygrad": "backprove.harness.statements.from_engines",
    "from_torch": "backprove.harness.statements.from_torch",
    "theorem": "backprove.harness.statements.own_theorem",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backprove' has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
