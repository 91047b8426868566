"""A graph of torch's operations is read as a function of JAX arrays here, node by node through the operator table."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from backprove.harness.frontends.torch_trace.constants import Constants
from backprove.harness.frontends.torch_trace.graph import NotTraced, name_of
from backprove.harness.frontends.torch_trace.table import DTYPES, OF_CONSTANTS, OF_NODES, rows

NONE_SETTLED: Mapping[Any, Any] = {}


def as_jax(made: Any) -> Callable[..., list[Any]]:
    """A function of JAX arrays that does what the graph says.

    Raises (when called):
        NotTraced: where a row gives another shape than torch recorded, or cannot do what is asked of it.
    """
    constants = Constants(made)

    def run(*arguments: Any) -> list[Any]:
        import jax.numpy as jnp

        values: dict[Any, Any] = {}
        given = iter(arguments)

        def read(item: Any, settled: Mapping[Any, Any] = NONE_SETTLED) -> Any:
            if isinstance(item, (list, tuple)):
                return [read(i, settled) for i in item]
            if isinstance(item, dict):
                return {k: read(v, settled) for k, v in item.items()}
            if not hasattr(item, "graph"):
                return item
            return settled[item] if item in settled else values[item]

        for node in made.graph.nodes:
            if node.op == "placeholder":
                values[node] = jnp.asarray(next(given))
            elif node.op == "get_attr":
                values[node] = jnp.asarray(constants.array(node))
            elif node.op == "output":
                return [jnp.asarray(v) for v in read(node.args[0])]
            elif node.target is operator.getitem:
                values[node] = read(node.args[0])[node.args[1]]
            else:
                settled = constants.known(node) if name_of_row(node) in OF_CONSTANTS else {}
                values[node] = _call(node, read(node.args, settled), read(node.kwargs, settled))
        raise AssertionError("a graph ends with its outputs")

    return run


def name_of_row(node: Any) -> str:
    """The row that a node needs; "" where it calls a function of Python's own."""
    return name_of(node.target) if hasattr(node.target, "_schema") else ""


def _call(node: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    name = name_of_row(node)
    if not name:
        return node.target(*arguments, **options)
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
