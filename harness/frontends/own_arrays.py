"""Code that belongs to JAX is called with arrays of JAX: NumPy's have no `x.at`, and `x += 1` would change them.

call = with_own_arrays(lambda x: x.at[0].set(0.0) if float(x[0]) > 0 else 1 * x)
call(np.ones(3))    # raises for an array of NumPy, and is called again with one of JAX, as it is from then on
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array, Code


def with_own_arrays(call: Code) -> Code:
    """The same function; arrays of NumPy are handed over as JAX's once it asks one for what only JAX's have.

    It is asked by an attribute that the array lacks; what else the code raises says nothing of whose it is.
    """
    is_jax_code = False

    def called(*arguments: Any) -> Any:
        nonlocal is_jax_code
        if not all(type(a) is np.ndarray and a.dtype != object for a in arguments):
            return call(*arguments)
        if is_jax_code:
            return call(*_of_jax(arguments))
        try:
            return call(*arguments)
        except AttributeError as why:
            if type(why.obj) is not np.ndarray:
                raise
            try:
                found = call(*_of_jax(arguments))
            except Exception:
                raise why from None
        is_jax_code = True
        return found

    called.__dict__.update(getattr(call, "__dict__", {}))
    called.__wrapped__ = call  # type: ignore[attr-defined]
    return called


def _of_jax(arguments: Sequence[Array]) -> list[Any]:
    import jax.numpy as jnp

    return [jnp.asarray(a) for a in arguments]
