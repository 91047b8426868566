"""Signatures of a rule's functions are held against its inputs, and arguments that are no inputs are bound.

`Bound.of(softmax, {"dim": -1}, ...)` is `softmax` with its argument `dim` given, wherever it stands among the others.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

from backprove.harness.core.arguments import as_given
from backprove.harness.core.errors import UsageError

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)

Fixed = Mapping[str | int, Any]
"""Name or position of a parameter of forward -> its value."""


def check_arity(who: str, label: str, function: Any, low: int, high: int | None, takes: str) -> None:
    """Refuse a function that cannot be called with `low` (to `high`; None: or more) positional arguments.

    Args:
        who: the start of messages.
        label: how the message calls the function.
        takes: what the function is called with, in words.
    """
    if not callable(function):
        raise UsageError(f"{who}: {label} must be a function, got {as_given(function)}")
    signature = signature_of(function)
    if signature is None:  # functions from C need not tell their parameters
        return
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in POSITIONAL]
    required = sum(1 for p in positional if p.default is p.empty)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    most = math.inf if variadic else len(positional)
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if keywords:
        raise UsageError(
            f"{who}: {label}{signature} needs the keyword argument {', '.join(keywords)}; "
            f"{label} is called with {takes} only: give it a default or bind it with fixed={{{keywords[0]!r}: ...}}"
        )
    if most < low or (high is not None and required > high):
        count = f"{low}" if high is not None else f"at least {low}"
        raise UsageError(
            f"{who}: {label}{signature} has the wrong number of parameters: "
            f"{label} is called with {takes}, {count} in all"
        )


def check_names(who: str, function: Callable[..., Any], inputs: Sequence[str]) -> None:
    """Refuse inputs whose names are not those of the parameters of forward, in their order.

    Parameters that cannot be known are not compared: those of builtins and wrappers, `*args`, positional-only ones, and
    those of a `functools.partial` with keywords.

    Args:
        who: the start of the message.
        function: forward as its author wrote it.
        inputs: the names in `inputs`.

    Raises:
        UsageError: with what forward takes and what was given.
    """
    parameters = _known_parameters(function)
    taken = None if parameters is None else [p.name for p in parameters[: len(inputs)]]
    if taken is None or len(taken) < len(inputs) or taken == list(inputs):
        return
    how = "in another order" if sorted(taken) == sorted(inputs) else "under other names"
    raise UsageError(
        f"{who}: forward takes {', '.join(taken)}; inputs gives them {how}: {', '.join(inputs)}. "
        "Name the inputs as the parameters of forward, in their order"
    )


def check_order(who: str, label: str, function: Any, inputs: Sequence[str]) -> None:
    """Refuse a function beside forward that takes an input under the name of another one.

    `vjp=lambda w, x, g: ...` for the inputs x and w would be called with x as its w. Other names are nobody's business;
    parameters that cannot be known are not compared, see `check_names`.

    Args:
        who: the start of the message.
        label: how the message calls the function.
        function: None where the rule has none.
        inputs: the names in `inputs`.

    Raises:
        UsageError: with what the function takes and what it is called with.
    """
    parameters = _known_parameters(function)
    names = [] if parameters is None else [p.name for p in parameters]
    for place, expected in enumerate(inputs):
        given = names[place] if place < len(names) else expected
        if given != expected and given in inputs:
            raise UsageError(
                f"{who}: {label} takes {', '.join(names)} but is called with {', '.join(inputs)} first: what it calls "
                f"{given} would be {expected}. Give its first parameters the order of inputs"
            )


def signature_of(function: Any) -> inspect.Signature | None:
    """The signature of a function; None where it does not tell."""
    try:
        return inspect.signature(function)
    except Exception:  # code of a user may answer to any question with any exception
        return None


def _known_parameters(function: Any) -> list[Parameter] | None:
    """Parameters that can be given by position and by name, from the first one; None where they cannot be known."""
    plain = function.func if isinstance(function, Bound) else function
    while isinstance(plain, functools.partial) and not plain.keywords:
        plain = plain.func
    if not (inspect.isfunction(plain) or inspect.ismethod(plain)) or hasattr(plain, "__wrapped__"):
        return None
    signature = signature_of(function)
    if signature is None:
        return None
    parameters = [p for p in signature.parameters.values() if p.kind in POSITIONAL]
    return None if any(p.kind is p.POSITIONAL_ONLY for p in parameters) else parameters


class Bound:
    """A function some arguments of which are fixed.

    Attributes:
        func: the function.
        positions: position -> value, of those that are given by position.
        keywords: name -> value, of the others.
    """

    def __init__(self, func: Callable[..., Any], positions: Mapping[int, Any], keywords: Mapping[str, Any]) -> None:
        self.func = self.__wrapped__ = func
        self.positions, self.keywords = dict(sorted(positions.items())), dict(keywords)
        signature = signature_of(func)
        self._defaults: list[Any] = []
        if signature is not None:
            parameters = list(signature.parameters.values())
            self._defaults = [p.default for p in parameters if p.kind in POSITIONAL]
            self.__signature__ = signature.replace(
                parameters=[p for i, p in enumerate(parameters) if i not in positions and p.name not in keywords]
            )

    def __call__(self, *arguments: Any) -> Any:
        return self.func(*self.filled(arguments), **self.keywords)

    def filled(self, arguments: Sequence[Any]) -> list[Any]:
        """All positional arguments; parameters before a fixed one that are not given have their defaults."""
        given = list(arguments)
        for i, value in self.positions.items():
            given += self._defaults[len(given) : i]
            given.insert(i, value)
        return given

    @staticmethod
    def of(function: Any, fixed: Fixed, forward: Any = None) -> Any:
        """`function` with the fixed arguments that it takes; the function itself where it takes none of them.

        Args:
            function: a function of the rule; a bound one is bound anew.
            fixed: names are given to each function that has such a parameter. Positions are those of forward and stand
                for the names there; where forward tells none, for the same positions in every function.
            forward: None where `function` is forward.
        """
        func = function.func if isinstance(function, Bound) else function
        if not fixed or not callable(func):
            return func
        positions: dict[int, Any] = {}
        keywords: dict[str, Any] = {}
        places, named, open_ended = _parameters(func)
        of_forward = [] if forward is None else list(_parameters(forward)[0])
        for key, value in fixed.items():
            name = key
            if isinstance(key, int) and key < len(of_forward):
                name = of_forward[key]
            if isinstance(name, int):
                positions[name] = value
            elif name in places:
                positions[places[name]] = value
            elif name in named or (open_ended and (forward is None or signature_of(func) is not None)):
                keywords[name] = value
        return Bound(func, positions, keywords) if positions or keywords else func


def check_keywords(who: str, fixed: object) -> None:
    """Refuse fixed arguments that are no mapping.

    Raises:
        UsageError: with what was given.
    """
    if fixed is not None and not isinstance(fixed, Mapping):
        raise UsageError(
            f'{who}: fixed must map names or positions to values, such as {{"axis": -1}}, got {as_given(fixed)}'
        )


def check_fixed(who: str, function: Any, fixed: Any, inputs: Sequence[str] = ()) -> None:
    """Refuse fixed arguments that forward does not take.

    Args:
        who: the start of messages.
        function: forward as its author wrote it.
        inputs: names in `inputs`.

    Raises:
        UsageError: with what forward takes.
    """
    check_keywords(who, fixed)
    func = function.func if isinstance(function, Bound) else function
    places, named, open_ended = _parameters(func)
    signature = signature_of(func)
    takes = "" if signature is None else f"; forward takes {signature}"
    seen: set[Any] = set()
    for key in fixed:
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise UsageError(f"{who}: the keys of fixed are names or positions of parameters, got {key!r}")
        if key in inputs:
            raise UsageError(f"{who}: {key!r} is in inputs and in fixed")
        known = key in places or key in named or open_ended
        if isinstance(key, int):
            variadic = signature is None or any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
            known = key >= 0 and (key < len(places) or variadic)
        if not known:
            raise UsageError(f"{who}: forward has no parameter {key!r}, which fixed gives{takes}")
        place = places.get(key, key) if isinstance(key, str) else key
        if place in seen:
            raise UsageError(f"{who}: fixed gives the parameter at position {place} by name and by position")
        seen.add(place)


def _parameters(function: Any) -> tuple[dict[str, int], list[str], bool]:
    """Name -> position, names that are given as keywords only, and whether any name may be."""
    signature = signature_of(function)
    if signature is None:
        return {}, [], True
    parameters = signature.parameters.values()
    places = {p.name: i for i, p in enumerate(parameters) if p.kind in POSITIONAL}
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    return places, named, any(p.kind is p.VAR_KEYWORD for p in parameters)
