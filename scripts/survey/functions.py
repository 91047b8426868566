"""Public functions of JAX are listed here, and each becomes a rule of an example that it takes.

rule("jax.numpy.linalg.inv")

An example is the first of a few usual arguments that gives floats, or one of `examples.GIVEN`. Names of one object
are one function; what takes more than three arguments, functions or no floats, or returns none, is left out.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.opinfo.worker import NoSample
from scripts.survey.examples import GIVEN, Example, usual

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule

MODULES = (
    *("jax.numpy", "jax.numpy.linalg", "jax.numpy.fft", "jax.lax", "jax.lax.linalg", "jax.nn"),
    *("jax.scipy.special", "jax.scipy.linalg", "jax.scipy.signal", "jax.scipy.integrate", "jax.scipy.interpolate"),
    *("jax.scipy.ndimage", "jax.scipy.fft", "jax.scipy.cluster.vq", "jax.scipy.stats"),
)
"""Modules whose functions are asked about; those of the distributions in `jax.scipy.stats` come after them."""

NOT_FUNCTIONS = frozenset(
    {
        *("array_repr", "array_str", "empty", "empty_like", "save", "savez", "bitcast_convert_type"),
        *("pcast", "pvary", "psum", "pmean", "pmax", "pmin", "pshuffle"),
    }
)
"""Names of what prints, stores, leaves memory as it is or reads bits, or acts on several devices."""


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """The public functions by their first name."""
    found: dict[str, Callable[..., Any]] = {}
    seen: set[int] = set()
    for module in _modules():
        for name in sorted(vars(module)):
            value = getattr(module, name, None)
            if name.startswith("_") or name in NOT_FUNCTIONS or not callable(value) or inspect.isclass(value):
                continue
            if id(value) not in seen:
                seen.add(id(value))
                found[f"{module.__name__}.{name}"] = value
    return found


def _modules() -> Iterator[types.ModuleType]:
    for name in MODULES:
        yield importlib.import_module(name)
    stats = importlib.import_module("jax.scipy.stats")
    for _, value in sorted(vars(stats).items()):
        if inspect.ismodule(value):
            yield value


def arity(function: Callable[..., Any]) -> int | None:
    """How many arguments have to be given; None where that is not known."""
    import jax.numpy as jnp

    if isinstance(function, jnp.ufunc):
        return int(function.nin)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)


def example_of(name: str) -> Example:
    """A call of a function.

    Raises:
        NoSample: where no example gives floats, or JAX has no derivative there.
    """
    function = functions()[name]
    if name in GIVEN:
        return GIVEN[name](function)
    count = arity(function)
    if count is not None and count > 3:
        raise NoSample(f"{count} arguments")
    why = "takes none of the arguments tried"
    for arguments in usual(count, matrices="linalg" in name):
        try:
            found = dtypes(function, arguments)
        except Exception:  # a function may raise anything of what it does not take
            continue
        if any(d.startswith(("float", "complex")) for d in found):
            return Example(function, arguments)
        why = "no floats come out"
    raise NoSample(why)


def dtypes(function: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """The dtypes of the arrays that a call returns."""
    import jax

    call, moving = _of_floats(function, arguments)
    with jax.enable_x64(True):
        return [str(x.dtype) for x in jax.eval_shape(call, *moving)]


def _of_floats(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Callable[..., list[Any]], list[Any]]:
    """A call as a function of its arrays of floats, which returns arrays, and those arrays."""
    import jax

    leaves, tree = jax.tree.flatten(tuple(arguments))
    moving = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]

    def call(*arrays: Any) -> list[Any]:
        now = list(leaves)
        for i, a in zip(moving, arrays, strict=True):
            now[i] = a
        return [x for x in jax.tree.leaves(function(*jax.tree.unflatten(tree, now))) if hasattr(x, "dtype")]

    return call, [leaves[i] for i in moving]


def rule(name: str) -> Rule:
    """The rule of a function: JAX's own derivative of the example.

    Raises:
        NoSample: as `example_of` does, and where JAX itself has no derivative.
    """
    import backprove as bp

    example = example_of(name)
    _require_derivative(example)
    return bp.from_call(example.call, example.arguments, name=name, inputs=example.inputs or None)


def _require_derivative(example: Example) -> None:
    import jax

    call, moving = _of_floats(example.call, example.arguments)

    def pulled(*arrays: Any) -> Any:
        out, back = jax.vjp(lambda *a: [x for x in call(*a) if x.dtype.kind in "fc"], *arrays)
        return back(out)

    with jax.enable_x64(True):
        try:
            jax.eval_shape(pulled, *moving)
        except Exception as why:  # whatever JAX raises where it has no derivative
            words = f"{type(why).__name__}: {why}".splitlines()[0][:160]
            raise NoSample(f"JAX has no derivative: {words}") from why
