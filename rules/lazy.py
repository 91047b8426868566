"""`jax` and `jax.numpy` for the theorems, imported when a rule is first called.

A run whose traces are kept from an earlier one calls none, and JAX is most of what it would import.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:

    @dataclass(frozen=True)
    class _Function:
        """A function named before its module is imported, as in `Node(jnp.exp, jnp.exp)`."""

        module: str
        name: str

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            return getattr(import_module(self.module), self.name)(*arguments, **named)

    _function = cache(_Function)

    class _Module:
        """A module, imported by whoever traces or calls a rule: what is named before is a function."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            if self._name in sys.modules:
                return getattr(sys.modules[self._name], attribute)
            return _function(self._name, attribute)

    jax, jnp = _Module("jax"), _Module("jax.numpy")

__all__ = ["jax", "jnp"]
