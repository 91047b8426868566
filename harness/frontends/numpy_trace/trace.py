"""This front end traces ordinary NumPy code to a `Program` by running it once on duck arrays.

What the code may do: ufuncs, NumPy functions and methods with a counterpart in `jax.numpy`, slicing, indexing,
allocation followed by assignment, updates in place. What stops it is named in a `NotTraceable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from backprove.harness.core.arrays import Array, Code, Tree
from backprove.harness.core.formats import is_float
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.frontends.numpy_trace.array import NotTraceable, Traced, on_jax, raw_value
from backprove.harness.frontends.numpy_trace.calls import call_scipy  # the module gives traced arrays their functions
from backprove.harness.frontends.numpy_trace.patches import Options, patched, substituted
from backprove.harness.programs.program import Program

if TYPE_CHECKING:
    from jax.typing import ArrayLike


class _TracingHost:
    """Float arrays that the code allocates become traced arrays, so that traced values can be assigned into them."""

    def holds(self, value: object) -> bool:
        return isinstance(value, Traced)

    def adopt(self, array: Array, initialised: bool) -> Array | Traced:
        import jax.numpy as jnp

        if array.dtype == object:
            return array
        # a read of what was never written must not look like a number
        return Traced(
            on_jax(lambda: jnp.asarray(array) if initialised else jnp.full(array.shape, jnp.nan, array.dtype))
        )

    def convert(self, value: Tree, dtype: DTypeLike | None, copy: bool) -> Array | Traced:
        if isinstance(value, Traced):
            same = dtype is None or np.dtype(dtype) == value.dtype
            if same and not copy and not value._scalar:
                return value
            array = value.astype(value.dtype if dtype is None else dtype)
            return Traced(array.value)
        array = np.stack([self.convert(v, None, True) if _nested(v) else v for v in value])
        return array if dtype is None else array.astype(dtype)

    def finfo(self, dtype: DTypeLike) -> object:
        return np.finfo(dtype)

    def call(self, function: Code, args: tuple[object, ...], kwargs: Options) -> object:
        return call_scipy(function, args, kwargs)


def _nested(value: object) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, (Traced, list, tuple)) for v in value)


def as_jax(function: Code) -> Code:
    """A function of JAX arrays that runs NumPy code on traced arrays; JAX can trace, transform and differentiate it.

    Raises (when called):
        NotTraceable: if the code does something that cannot be followed; the message says what.
    """

    def traced(*arguments: ArrayLike) -> Tree:
        import jax.numpy as jnp

        operands = [Traced(jnp.asarray(a)) for a in arguments]
        try:
            with patched(_TracingHost(), function), np.errstate(all="ignore"):
                result = substituted(function)(*operands)
            return _outputs(result)
        except NotTraceable:
            raise
        except Exception as why:
            raise NotTraceable(f"{type(why).__name__}: {why}") from why

    return traced


def _outputs(result: Tree) -> Tree:
    import jax.numpy as jnp

    if result is None:
        return None
    if isinstance(result, (tuple, list)):
        return tuple(_outputs(r) for r in result)
    if isinstance(result, dict):
        return {k: _outputs(v) for k, v in result.items()}
    array = raw_value(result)
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
    if not (is_float(array.dtype) or array.dtype.kind in "iub"):
        raise NotTraceable(f"the code returns an array of dtype {array.dtype}")
    return jnp.asarray(array)


def trace_numpy(function: Code, *inputs: tuple[tuple[int, ...], str]) -> Program:
    """Trace NumPy code at the given input shapes and dtypes.

    Args:
        function: NumPy code; returns an array or a tuple or list of arrays (None stands for no array).
        inputs: one `(shape, dtype name)` per positional argument.

    Raises:
        NotTraceable: if the code does something that cannot be followed; the message says what.
    """
    try:
        return trace(as_jax(function), *inputs)
    except NotTraceable:
        raise
    except Exception as why:
        raise NotTraceable(f"{type(why).__name__}: {why}") from why
