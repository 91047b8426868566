"""Code of torch that was traced once is recorded at other shapes here, by running it on tensors with data.

That is some twenty times faster than a trace on tensors without data (`graph.py`), and alone it would not do: a value
that the code reads out of a tensor would become part of the record. So a record counts only where its operations are,
one after the other, those of a trace without data of the same code; and like all traces it is held against real calls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from backprove.harness.frontends.torch_trace import graph

Tensor = Any
Operations = tuple[str, ...]
"""Names of operations in the order in which they run, without those that reach no result."""

MOVEMENTS = frozenset(
    {"alias", "clone", "detach", "expand", "lift", "lift_fresh", "lift_fresh_copy", "permute", "squeeze", "t",
     "transpose", "unsqueeze", "view"}
)  # fmt: skip
"""They only lay out what they are given, as its shape and layout want it, and tell nothing of a code's course."""

_traced: WeakKeyDictionary[Callable[..., Any], set[Operations]] = WeakKeyDictionary()
"""What traces without data of each code have shown."""


def graph_of(code: graph.OnTensors, tensors: Sequence[Tensor]) -> Any:
    """The functional graph of `code` at tensors of these shapes and dtypes, recorded or traced.

    Raises:
        NotTraced: where the code cannot be followed.
    """
    known = _traced.setdefault(code, set())
    if known:
        try:
            found = _record(code, tensors)
        except Exception:  # the trace without data tells why, where there is a reason
            found = None
        if found is not None and _course(found) in known:
            return found
    made = graph.graph(code, tensors)
    known.add(_course(made))
    return made


def _course(made: Any) -> Operations:
    """What a graph computes, in order; of every operation its name and how many constants it is given."""
    named = ((graph.name_of(n.target), n) for n in graph.operations(made))
    return tuple(
        f"{name} {sum(a.op == 'get_attr' for a in node.all_input_nodes)}"
        for name, node in named
        if name not in MOVEMENTS
    )


def _record(code: graph.OnTensors, tensors: Sequence[Tensor]) -> Any:
    """The graph of a run on tensors with data; None where it writes into a tensor or looks at its values."""
    import torch

    record = _Record(torch)
    given = [t.detach().clone() for t in tensors]
    for k, t in enumerate(given):
        record.enter(t, record.graph.placeholder(f"given_{k}"))
    with record.running():
        found = code(*given)
    if record.untrue:
        return None
    record.graph.output([record.node_of(t) for t in found])
    graph.finish(record)
    return record


class _Record:
    """The graph of the operations that run, by the tensors that they are given and give; constants are attributes."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.graph = torch, torch.fx.Graph()
        self.decompositions = graph.decompositions()
        self.nodes: dict[int, Any] = {}
        self.kept: list[Tensor] = []
        """Tensors live as long as the record, so that no two have the same identity."""
        self.untrue = False
        """Some operation writes into a tensor, or what it does depends on values."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record what runs inside."""
        from torch.utils._python_dispatch import TorchDispatchMode

        def dispatched(_: Any, target: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            with mode:
                found = self.decompositions.get(target, target.decompose)(*args, **kwargs)
            return self.run(target, args, kwargs) if found is NotImplemented else found

        mode: Any = type("Recording", (TorchDispatchMode,), {"__torch_dispatch__": dispatched})()
        with mode:
            yield

    def run(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation and enter its node."""
        tag = self.torch.Tag
        on_values = {tag.data_dependent_output, tag.dynamic_output_shape} & set(target.tags)
        self.untrue |= target._schema.is_mutable or bool(on_values)
        node = self.graph.call_function(target, self.read(args), self.read(kwargs))
        found = target(*args, **kwargs)
        node.meta["val"] = found
        if isinstance(found, (tuple, list)):
            for k, part in enumerate(found):
                if isinstance(part, self.torch.Tensor):
                    self.enter(part, self.graph.call_function(operator.getitem, (node, k)))
        elif isinstance(found, self.torch.Tensor):
            self.enter(found, node)
        return found

    def enter(self, tensor: Tensor, node: Any) -> None:
        """Know a tensor as the result of a node."""
        self.kept.append(tensor)
        self.nodes[id(tensor)] = node

    def node_of(self, tensor: Tensor) -> Any:
        """The node that gave a tensor; a constant where none did."""
        found = self.nodes.get(id(tensor))
        if found is None:
            name = f"constant_{len(self.kept)}"
            setattr(self, name, tensor.detach().clone())
            found = self.graph.get_attr(name)
            self.enter(tensor, found)
        return found

    def read(self, value: Any) -> Any:
        """Arguments with nodes in the place of tensors."""
        if isinstance(value, self.torch.Tensor):
            return self.node_of(value)
        if isinstance(value, dict):
            return {k: self.read(v) for k, v in value.items()}
        return type(value)(map(self.read, value)) if type(value) in (list, tuple) else value
