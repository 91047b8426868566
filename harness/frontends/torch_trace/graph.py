"""A graph of torch's core operations is made of torch code here: by running it once on tensors without data.

Writes in place, also through views, become values; the backward of a `torch.autograd.Function` is followed like any
code. Tensors without data cannot bake a value in: code whose course depends on values stops the tracer instead.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from backprove.harness.frontends.torch_trace.table import rows

Node = Any
"""A node of a graph of `torch.fx`."""

OnTensors = Callable[..., Sequence[Any]]
"""A function of tensors that returns tensors."""


ON_VALUES = "what it does depends on the values of a tensor (a branch, a loop, .item())"


KEPT_WHOLE = frozenset({"binary_cross_entropy_backward", "multilabel_margin_loss_forward"})
"""Operations whose decomposition is not what torch computes: one has another constant, one counts labels after a -1."""


class NotTraced(Exception):
    """Torch code cannot be followed; the text says why, in words that fit after "because"."""


def graph(code: OnTensors, tensors: Sequence[Any]) -> Any:
    """The functional graph (`torch.fx.GraphModule`) of `code` at tensors of these shapes and dtypes.

    Raises:
        NotTraced: where the code cannot be followed.
    """
    table = decompositions()
    made = _made(code, tensors, table)
    if decompositions().keys() - table.keys():  # the code has brought operations of its own
        made = _made(code, tensors, decompositions())
    finish(made)
    return made


def _made(code: OnTensors, tensors: Sequence[Any], table: dict[Any, Any]) -> Any:
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        made = make_fx(code, decomposition_table=table, tracing_mode="fake", _allow_non_fake_inputs=True)(*tensors)
        if any(n.target._schema.is_mutable for n in operations(made)):
            made = _functional(made, tensors)
    except Exception as why:
        raise NotTraced(_reason(why)) from why
    return made


def finish(made: Any) -> None:
    """Leave out what reaches no result of a graph without writes.

    Raises:
        NotTraced: where an operation is left that has no row.
    """
    for node in operations(made):
        _to_the_base(node)
    made.graph.eliminate_dead_code()
    _refuse(made)


def operations(made: Any) -> Iterator[Node]:
    """The nodes of a graph that call an operation of torch."""
    for node in list(made.graph.nodes):
        if node.op == "call_function" and hasattr(node.target, "_schema"):
            yield node


def name_of(target: Any) -> str:
    """The name of an operation, without its overload; operations of other libraries keep the library's."""
    library, name = target._schema.name.split("::")
    return str(name) if library == "aten" else f"{library}.{name}"


def decompositions() -> dict[Any, Any]:
    """Core operations stand for all others, and for operations of other libraries their own code in Python."""
    from torch._library.custom_ops import OPDEFS

    own = {op._opoverload: op._backend_fns.get("cpu", op._init_fn) for op in OPDEFS.values()}
    return core() | own


@cache
def core() -> dict[Any, Any]:
    """Core operations stand for all others; those of which the table has a row stand for themselves."""
    from torch._decomp import core_aten_decompositions, decomposition_table
    from torch._ops import OpOverload

    known, of_core = rows(), dict(core_aten_decompositions())
    found = {op: code for op, code in of_core.items() if name_of(op) not in KEPT_WHOLE}
    for op, code in decomposition_table.items():
        here = isinstance(op, OpOverload) and op._schema.name.startswith("aten::")
        if here and code.__module__ == "torch._decomp.decompositions" and name_of(op) not in known:
            found.setdefault(op, code)
    return found


def _functional(made: Any, tensors: Sequence[Any]) -> Any:
    """The graph without writes; what it writes into its arguments and constants last is left out of its results."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    constants = _constants_to_arguments(made)
    pure = torch.func.functionalize(made, remove="mutations_and_views")
    given = [t.detach().clone() for t in tensors]
    found = make_fx(pure, decomposition_table=decompositions(), tracing_mode="real")(*given, *constants)
    _arguments_to_constants(found, constants)
    for node in operations(found):
        if name_of(node.target) == "copy_" and node.args[0].op in ("placeholder", "get_attr") and not node.users:
            found.graph.erase_node(node)
    return found


def _constants_to_arguments(made: Any) -> list[Any]:
    """Give a graph its constants as further arguments, since torch takes writes out of those alone."""
    last = next(n for n in made.graph.nodes if n.op != "placeholder")
    constants: list[Any] = []
    arguments: dict[str, Node] = {}
    for node in [n for n in made.graph.nodes if n.op == "get_attr"]:
        tensor: Any = getattr(made, node.target, None)
        if not hasattr(tensor, "detach"):
            continue
        if node.target not in arguments:
            with made.graph.inserting_before(last):
                arguments[node.target] = made.graph.placeholder(f"constant_{len(constants)}")
            constants.append(tensor.detach().clone())
        node.replace_all_uses_with(arguments[node.target])
        made.graph.erase_node(node)
    made.recompile()
    return constants


def _arguments_to_constants(made: Any, constants: Sequence[Any]) -> None:
    """Turn the last arguments of a graph into constants."""
    arguments = [n for n in made.graph.nodes if n.op == "placeholder"]
    for k, (node, value) in enumerate(zip(arguments[len(arguments) - len(constants) :], constants, strict=True)):
        made.register_buffer(f"_held_{k}", value)
        with made.graph.inserting_before(node):
            held = made.graph.get_attr(f"_held_{k}")
        node.replace_all_uses_with(held)
        made.graph.erase_node(node)


def _to_the_base(node: Node) -> None:
    """`as_strided` speaks of the storage of its base, not of the view that it is given."""
    strided = {"as_strided", "view", "alias", "detach"}
    if name_of(node.target) != "as_strided":
        return
    while (given := node.args[0]).op == "call_function" and hasattr(given.target, "_schema"):
        if name_of(given.target) not in strided:
            return
        node.replace_input_with(given, given.args[0])


def _refuse(made: Any) -> None:
    import torch

    lacking = set()
    if any(name_of(node.target) == "_local_scalar_dense" for node in operations(made)):
        raise NotTraced(ON_VALUES)
    for node in operations(made):
        name = name_of(node.target)
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise NotTraced(f"it draws random numbers ({name})")
        if name not in rows():
            lacking.add(name)
    others = {
        n for n in made.graph.nodes
        if n.op == "call_function" and n.target is not operator.getitem and not hasattr(n.target, "_schema")
    }  # fmt: skip
    lacking |= {getattr(n.target, "__name__", str(n.target)) for n in others if not _plain(n.target)}
    if lacking:
        raise NotTraced(f"it uses {', '.join(sorted(lacking))}, which the tracer does not know")


def _plain(target: Any) -> bool:
    """Whether a function of Python's own works on numbers that torch knows while tracing."""
    return getattr(target, "__module__", "") in ("_operator", "math", "builtins")


def _reason(why: Exception) -> str:
    """Why the tracer stopped, in words."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    text = str(why).strip().splitlines()[0] if str(why).strip() else ""
    if isinstance(why, (GuardOnDataDependentSymNode, DataDependentOutputException)):
        return ON_VALUES
    if isinstance(why, DynamicOutputShapeException):
        return "the shape of a result depends on the values of a tensor"
    return f"tracing stopped with {type(why).__name__}: {text[:200]}"
