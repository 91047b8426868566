"""Annotations of `forward` (jaxtyping's) are read as inputs: `Float[Array, "m n"]` is `array("m n")`.

Annotations are known by their attributes (`dim_str`, `dtypes`), so that jaxtyping itself is never imported.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import Any

from backprove.harness.core.arrays import Code, Tree
from backprove.harness.core.errors import UsageError
from backprove.harness.statements.signatures import Bound
from backprove.strategies.array import ArraySpec, array

EXAMPLE = 'def forward(x: Float[Array, "m n"])'
SCALARS: dict[object, str] = {float: "float", int: "int64", bool: "bool"}
BOOLEANS = frozenset(("bool", "bool_"))


def inputs_of(function: Code, who: str) -> dict[str, Tree]:
    """The inputs that the annotations of `function` describe: argument name -> `array(...)`, or a structure of them.

    Understood are jaxtyping's arrays, `int`, `float` and `bool` (scalars), tuples, NamedTuples and TypedDicts of these,
    and `Annotated[..., bp.array(...)]`, whose description is taken as it is. Parameters with a default and without a
    description of an array are left out: they keep their default.

    Args:
        function: forward, or a `functools.partial` or `Bound` of it.
        who: the start of messages.

    Raises:
        UsageError: naming the parameter and the annotation that cannot be understood.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise UsageError(f"{who}: {function!r} does not tell its parameters; give inputs={{...}}") from None
    hints = _hints(function, who)
    found: dict[str, Tree] = {}
    for p in parameters:
        if p.kind in (p.VAR_KEYWORD, p.KEYWORD_ONLY):
            continue
        if p.kind is p.VAR_POSITIONAL:
            raise UsageError(f"{who}: forward takes *{p.name}, whose number no annotation tells; give inputs={{...}}")
        hint = hints.get(p.name)
        if p.default is not p.empty and not _describes_array(hint):
            continue
        if hint is None:
            raise UsageError(
                f"{who}: no inputs were given and parameter {p.name!r} of forward has no annotation; "
                f"give inputs={{{p.name!r}: bp.array(...), ...}} or annotate it, as in {EXAMPLE}"
            )
        found[p.name] = _read(hint, p.name, who)
    if not found:
        raise UsageError(f"{who}: no inputs were given and forward has no annotated parameter, as in {EXAMPLE}")
    return found


def _hints(function: Code, who: str) -> dict[str, object]:
    while isinstance(function, (functools.partial, Bound)):
        function = function.func
    if not inspect.isroutine(function) and not hasattr(function, "__wrapped__"):
        function = type(function).__call__
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception as why:
        raise UsageError(
            f"{who}: the annotations of forward cannot be read: {type(why).__name__}: {why}; give inputs={{...}}"
        ) from None


def _describes_array(hint: object) -> bool:
    members = typing.get_args(hint) if _is_union(hint) else (hint,)
    return any(hasattr(m, "dim_str") for m in members) or _own(hint) is not None


def _own(hint: object) -> ArraySpec | None:
    """The description in `Annotated[..., bp.array(...)]`."""
    return next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, ArraySpec)), None)


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _read(hint: object, name: str, who: str) -> Tree:
    own = _own(hint)
    if own is not None:
        return own
    if hasattr(hint, "__metadata__"):
        hint = typing.get_args(hint)[0]
    if hasattr(hint, "dim_str") and hasattr(hint, "dtypes"):
        dims = " ".join(_dimension(t, k, name, hint, who) for k, t in enumerate(hint.dim_str.split()))
        return array(dims, dtype=_dtype(hint, name, who))
    if hint in SCALARS:
        return array("", dtype=SCALARS[hint])
    if _is_union(hint):
        specs = [_read(m, name, who) for m in typing.get_args(hint) if hasattr(m, "dim_str")]
        if specs and all(s == specs[0] for s in specs):
            return specs[0]
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[-1:] != (Ellipsis,):
        return tuple(_read(h, f"{name}.{k}", who) for k, h in enumerate(typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        fields = typing.get_type_hints(hint, include_extras=True)
        return hint(*(_read(fields.get(f), f"{name}.{f}", who) for f in hint._fields))
    if typing.is_typeddict(hint):
        fields = typing.get_type_hints(hint, include_extras=True)
        return {k: _read(h, f"{name}.{k}", who) for k, h in fields.items()}
    raise UsageError(
        f"{who}: parameter {name!r} is annotated {_shown(hint)}, which does not tell a shape; "
        f"give inputs={{{name.partition('.')[0]!r}: bp.array(...), ...}} or annotate it, as in {EXAMPLE}"
    )


def _dimension(token: str, k: int, name: str, hint: object, who: str) -> str:
    """One dimension of jaxtyping in the words of `bp.array`; `#n` (n, or 1 to broadcast) is taken as n."""
    plain = token.replace("#", "")
    star, plain = ("*" if plain.startswith("*") else ""), plain.lstrip("*")
    if "=" in plain:  # `rows=4`: the name documents the size
        plain = plain.partition("=")[2]
    if plain == "...":
        star, plain = "*", "_"
    if plain == "_":
        plain = f"{name.replace('.', '_')}_{'axes' if star else f'axis{k}'}"
    if plain.isidentifier() or (plain.isdigit() and not star):
        return star + plain
    raise UsageError(
        f"{who}: the dimension {token!r} of parameter {name!r} ({_shown(hint)}) cannot be understood; expected a name, "
        "a size, '*batch' or '...'; name the axis or give inputs={...}"
    )


def _dtype(hint: Any, name: str, who: str) -> str:
    names = [str(d) for d in hint.dtypes] if isinstance(hint.dtypes, (tuple, list, set, frozenset)) else ["float"]
    if any(d.startswith(("float", "bfloat")) for d in names):
        return "float"
    if set(names) <= BOOLEANS:
        return "bool"
    integers = [d for d in names if d.lstrip("u").startswith("int")]
    if integers and len(integers) == len(names):
        return integers[0] if len(integers) == 1 else "int64" if "int64" in integers else "uint64"
    raise UsageError(
        f"{who}: parameter {name!r} is annotated {_shown(hint)}, whose dtype ({', '.join(names)}) is not supported; "
        "expected floats, integers or booleans"
    )


def _shown(hint: object) -> str:
    return getattr(hint, "__name__", None) or str(hint)
