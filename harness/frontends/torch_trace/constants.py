"""Constants of a graph are tensors that the code holds, and what it computes of these alone; torch computes them here.

`x[torch.ones(3, 3).triu() > 0]` selects by a mask that reaches back to no input, so that its values can be known.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.torch_trace.graph import NotTraced

Node = Any
"""A node of a graph of `torch.fx`."""


class Constants:
    """The constants of a graph `made`, by the nodes that give them."""

    def __init__(self, made: Any) -> None:
        self.made = made
        self._found: dict[Node, Any] = {}
        """What nodes give; None where it depends on inputs."""

    def array(self, node: Node) -> Array:
        """A tensor of the code's own as an array."""
        found = self._of(node)
        if not hasattr(found, "detach"):
            raise NotTraced(f"it calls {node.target}, code that torch keeps apart")
        return _array(found)

    def known(self, node: Node) -> Mapping[Node, Array]:
        """What a node is given that depends on no input."""
        found = {given: self._of(given) for given in node.all_input_nodes}
        return {given: _array(value) for given, value in found.items() if hasattr(value, "detach")}

    def _of(self, node: Node) -> Any:
        if node not in self._found:
            self._found[node] = self._computed(node)
        return self._found[node]

    def _computed(self, node: Node) -> Any:
        import torch

        if node.op == "get_attr":
            return reduce(getattr, node.target.split("."), self.made)
        given = {n: self._of(n) for n in node.all_input_nodes}
        if node.op != "call_function" or any(v is None for v in given.values()):
            return None
        if node.target is operator.getitem:
            return given[node.args[0]][node.args[1]]
        arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), given.__getitem__)
        return node.target(*arguments, **options)


def _array(tensor: Any) -> Array:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        import ml_dtypes

        return np.asarray(tensor.float().numpy()).astype(ml_dtypes.bfloat16)
    return np.asarray(tensor.numpy())
