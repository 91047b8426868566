"""The guard lets nothing but an `Exception` with a readable text out of a user's code.

`sys.exit()`, a `BaseException` and an exception whose `__str__` raises become exceptions of the same name, with the
text that can be had; what a person at the keyboard interrupts stays interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from backprove.harness.core import forks
from backprove.harness.core.arrays import Code

_pressed = threading.Event()
"""Somebody has pressed Ctrl-C since `interrupts` was entered."""


class RaisedByCode(Exception):
    """What a user's code raised; its class has the name of what was raised."""


class EndedByCode(RaisedByCode):
    """The same, of what `except Exception` does not catch (`SystemExit`): it ends the program that calls the code."""


_guards: OrderedDict[int, tuple[Code, Code]] = OrderedDict()
_GUARDS_KEPT = 64


def guarded(call: Code) -> Code:
    """The same function, which raises nothing but exceptions that can be shown.

    It is the same one as before where it was asked for lately: what is compiled of it is found again.
    """
    known = _guards.get(id(call))
    if known is None or known[0] is not call:
        known = _guards[id(call)] = call, _guard(call)
        if len(_guards) > _GUARDS_KEPT:
            _guards.popitem(last=False)
    return known[1]


def _guard(call: Code) -> Code:
    def called(*arguments: Any) -> Any:
        before = forks.position()
        try:
            found = call(*arguments)
        except forks.CameBackTwice:
            raise
        except Exception as why:
            forks.returned(before)
            if _has_text(why):
                raise
            raise in_its_place(why) from None
        except BaseException as why:
            forks.returned(before)
            if isinstance(why, KeyboardInterrupt) and _pressed.is_set():
                raise
            raise in_its_place(why) from None
        forks.returned(before)
        return found

    called.__dict__.update(getattr(call, "__dict__", {}))
    called.__wrapped__ = call  # type: ignore[attr-defined]
    return called


def make_askable(rule: Any) -> None:
    """Put functions in the place of callables of a rule that raise where they are asked for an attribute."""
    for part in dataclasses.fields(rule):
        call = getattr(rule, part.name)
        if callable(call) and not _can_be_asked(call):
            object.__setattr__(rule, part.name, _calling(call))


def _can_be_asked(call: Code) -> bool:
    try:
        getattr(call, "_backprove_asks_for_this", None)
    except Exception:
        return False
    return True


def _calling(call: Code) -> Code:
    def called(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    return called


def attribute(thing: object, name: str) -> Any:
    """An attribute of an object that code holds; None where there is none, or where asking for it raises."""
    with contextlib.suppress(Exception):
        return getattr(thing, name, None)
    return None


def in_its_place(why: BaseException) -> Exception:
    """An exception with the name of `why` and what can be had of its text."""
    text = str(why) if _has_text(why) else "its text cannot be shown"
    base = RaisedByCode if isinstance(why, Exception) else EndedByCode
    found: Exception = type(type(why).__name__, (base,), {})(text)
    return found


def was_interrupted(why: BaseException) -> bool:
    """Whether a person wants to stop: what code of a rule raises has been through the guard, and is none of these."""
    return isinstance(why, KeyboardInterrupt)


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Tells Ctrl-C from a `KeyboardInterrupt` that code raises; in other threads than the main one, none is Ctrl-C."""
    _pressed.clear()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    handler: Callable[..., Any] = before

    def note(number: int, frame: Any) -> None:
        _pressed.set()
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _has_text(why: BaseException) -> bool:
    try:
        str(why).encode()
    except BaseException:
        return False
    return True
