"""All documented theorems: loading this module's list fills the registry."""

from __future__ import annotations

import importlib

from backprove.harness.statements.theorem import REGISTRY, Theorem

MODULES = ("log_softmax", "mlp_mse", "mlp_gradients", "elementwise", "elementwise_smooth", "linear_node", "losses")


def load() -> dict[str, Theorem]:
    """Import every module that states theorems; returns them by full name, in the order in which they are stated."""
    for module in MODULES:
        importlib.import_module(f"backprove.rules.{module}")
    return dict(REGISTRY.theorems)
