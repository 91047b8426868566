"""`Further` names the arguments of a rule that every way of stating one passes on, and checks what they are."""

from __future__ import annotations

import functools
import importlib
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, cast

from backprove.harness.core.arguments import ALIKE, as_given
from backprove.harness.core.arrays import Code
from backprove.harness.core.errors import UsageError
from backprove.harness.core.names import did_you_mean
from backprove.harness.statements.signatures import Bound, Fixed, check_order


class Further(TypedDict, total=False):
    """Arguments of `Rule` that `from_jax`, `from_torch` and `from_fwd_bwd` take as well; see there."""

    reference: Code | str | None
    approximates: float | None
    surrogate: Code | None
    where: Code | None
    convention: Code | None
    batched: bool
    complex_convention: str | None
    examples: Sequence[Mapping[str, Any]]
    latex: str
    words: str


FUNCTIONS = ("reference", "surrogate", "where", "convention")
"""Those that are functions of the inputs."""


def bound_further(
    who: str,
    further: Further,
    fixed: Fixed,
    forward: Code,
    inputs: Sequence[str],
    adapted: Callable[[str, Code], Code] = lambda _, function: function,
) -> Further:
    """The arguments with their functions imported and given the fixed arguments that they take.

    Args:
        who: the start of messages.
        forward: as its author wrote it.
        inputs: the names in `inputs`.
        adapted: makes of the name of an argument and its function what the rule calls.

    Raises:
        UsageError: for a name that no argument has, for a reference that cannot be imported, and for a function that
            takes the inputs in another order.
    """
    unknown = sorted(set(further) - set(Further.__annotations__))
    if unknown:
        raise UsageError(
            f"{who}: there is no argument {unknown[0]!r}"
            + (
                did_you_mean(unknown[0], ("name", "fixed", "inputs", *Further.__annotations__), ALIKE)
                or f"; further ones are {', '.join(Further.__annotations__)}"
            )
        )
    plain: dict[str, Any] = dict(further)
    if isinstance(plain.get("reference"), str):
        plain["reference"] = imported(who, plain["reference"])
    func = forward.func if isinstance(forward, Bound) else forward
    for name in FUNCTIONS:
        if callable(plain.get(name)):
            given = Bound.of(plain[name], fixed, func)
            check_order(who, name, given, inputs)
            # the rule, whose own `fixed` is empty, would take a bare `Bound` apart again
            plain[name] = adapted(name, functools.partial(given) if isinstance(given, Bound) else given)
    return cast(Further, plain)


def check_units(who: str, approximates: object) -> None:
    """Refuse a number of units that is none.

    Raises:
        UsageError: naming what was given.
    """
    if approximates is None:
        return
    if isinstance(approximates, bool) or not isinstance(approximates, numbers.Real):
        raise UsageError(f"{who}: approximates must be a number of units such as 4, got {approximates!r}")
    if not (math.isfinite(approximates) and float(approximates) > 0):
        raise UsageError(
            f"{who}: approximates must be a positive, finite number of units such as 4, got {approximates!r}"
        )


def check_approximates(who: str, approximates: object, reference: object, surrogate: object) -> None:
    """Refuse a number of units that is none, or that nothing is held against.

    Raises:
        UsageError: naming what was given and what to do.
    """
    if approximates is None:
        return
    check_units(who, approximates)
    if reference is None:
        raise UsageError(
            f"{who}: approximates={approximates!r} needs a reference, the map that forward approximates: "
            'give reference=, a function or a name such as "jax.scipy.special.erf"'
        )
    if surrogate is not None:
        raise UsageError(
            f"{who}: approximates holds the rule against the derivative of the reference, surrogate against its own; "
            "give one of the two"
        )


def check_text(who: str, label: str, text: object) -> None:
    """Refuse a statement in words or LaTeX that is no string."""
    if not isinstance(text, str):
        raise UsageError(f"{who}: {label} must be a string, got {as_given(text)}")


def imported(who: str, dotted: str) -> Code:
    """The object called `dotted`: the longest importable prefix is the module, the rest are attributes.

    Raises:
        UsageError: where there is no such module or attribute.
    """
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as e:
            if e.name and (module_name == e.name or module_name.startswith(e.name + ".")):
                continue
            raise
        for part in parts[cut:]:
            if not hasattr(found, part):
                near = did_you_mean(part, dir(found))
                raise UsageError(f"{who}: reference {dotted!r}: {module_name} has no attribute {part!r}{near}")
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]
    raise UsageError(
        f'{who}: reference {dotted!r} cannot be imported; give a function or a name such as "jax.nn.log_softmax"'
    )
