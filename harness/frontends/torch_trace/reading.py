"""A graph of torch's operations is read as a function of JAX arrays here, node by node through the operator table."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.graph import NotTraced, name_of
from backprove.harness.frontends.torch_trace.table import DTYPES, OF_NODES, rows


def as_jax(made: Any) -> Callable[..., list[Any]]:
    """A function of JAX arrays that does what the graph says.

    Raises (when called):
        NotTraced: where a row gives another shape than torch recorded, or cannot do what is asked of it.
    """
    constants = {n.target: _constant(made, n.target) for n in made.graph.nodes if n.op == "get_attr"}

    def run(*arguments: Any) -> list[Any]:
        import jax.numpy as jnp

        values: dict[Any, Any] = {}
        given = iter(arguments)

        def read(item: Any) -> Any:
            if isinstance(item, (list, tuple)):
                return [read(i) for i in item]
            return values[item] if hasattr(item, "graph") else item

        for node in made.graph.nodes:
            if node.op == "placeholder":
                values[node] = jnp.asarray(next(given))
            elif node.op == "get_attr":
                held = constants[node.target]
                # masks stay as they are: shapes may depend on them
                values[node] = held if held.dtype == bool else jnp.asarray(held)
            elif node.op == "output":
                return [jnp.asarray(v) for v in read(node.args[0])]
            elif node.target is operator.getitem:
                values[node] = read(node.args[0])[node.args[1]]
            else:
                options = {k: read(v) for k, v in node.kwargs.items()}
                values[node] = _call(node, read(node.args), options)
        raise AssertionError("a graph ends with its outputs")

    return run


def _constant(made: Any, name: str) -> Array:
    """A tensor of the code's own as an array."""
    found = reduce(getattr, name.split("."), made)
    if not hasattr(found, "detach"):
        raise NotTraced(f"it calls {name}, code that torch keeps apart")
    tensor = found.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        import ml_dtypes

        return np.asarray(tensor.float().numpy()).astype(ml_dtypes.bfloat16)
    return np.asarray(tensor.numpy())


def _call(node: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    if not hasattr(node.target, "_schema"):
        return node.target(*arguments, **options)
    name = name_of(node.target)
    try:
        ahead = [node] if name in OF_NODES else []
        found = rows()[name](*ahead, *arguments, **options)
    except NotImplementedError as why:
        raise NotTraced(f"it uses {name}: {why}") from why
    recorded = node.meta.get("val", node.meta.get("tensor_meta"))
    if isinstance(recorded, (list, tuple)) and isinstance(found, (list, tuple)):
        return [_as_recorded(name, f, r) for f, r in zip(found, recorded, strict=False)]
    return _as_recorded(name, found, recorded)


def _as_recorded(name: str, found: Any, recorded: Any) -> Any:
    """The result in the dtype that torch gives it.

    Raises:
        NotTraced: where its shape is not torch's.
    """
    shape, dtype = getattr(recorded, "shape", None), str(getattr(recorded, "dtype", "")).removeprefix("torch.")
    if shape is None or not hasattr(found, "astype"):
        return found
    known = all(isinstance(n, int) for n in shape)  # else it depends on the values of a mask
    if known and tuple(found.shape) != tuple(shape):
        raise NotTraced(f"{name} gives the shape {list(shape)} and its row {list(found.shape)}")
    return found.astype(DTYPES[dtype]) if dtype in DTYPES else found
