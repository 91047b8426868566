"""All documented theorems: importing the modules of this folder fills the registry."""

from __future__ import annotations

import importlib
import pkgutil

from backprove.harness.statements.theorem import REGISTRY, Theorem

FIRST = ("log_softmax", "mlp_mse", "mlp_gradients", "elementwise", "elementwise_smooth", "linear_node", "losses")
"""Modules in the order of the reference pages; any other one of this folder follows by itself."""


def load() -> dict[str, Theorem]:
    """Import every module that may state theorems; returns them by full name, in the order in which they are stated."""
    package = __name__.rpartition(".")[0]
    found = sorted(m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__))
    for module in dict.fromkeys((*FIRST, *found)):
        importlib.import_module(f"{package}.{module}")
    return dict(REGISTRY.theorems)
