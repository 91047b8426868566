"""Records travel as strict JSON: a type says what a text may hold, and what does not fit is refused in a sentence.

class Share(Record):
    name: str
    percent: float | None = None

to_json(Share("a", math.nan))                           {"name":"a","percent":null}
from_json('{"name":"a","percent":"half"}', Share)       Malformed: Expected `float | null`, got `str` - at `$.percent`
"""

from __future__ import annotations

import json
import math
import threading
from types import GenericAlias
from typing import Any, NoReturn, TypeVar

import msgspec

from backprove.harness.core.errors import BackproveError

T = TypeVar("T")

DEEPEST = 64
"""Levels to which lists nest at most: the axes that an array can have."""


_CONVERTING = threading.Lock()
"""Held while msgspec works: two threads that are the first to convert to one type end the process (SIGSEGV)."""


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """Base class of everything that is written as JSON and read back."""


class FrozenRecord(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The same, for what never changes."""


class Malformed(BackproveError):
    """What was read is no strict JSON, or not the record that it should be; the text says what is wrong where."""


def nested(leaf: Any) -> Any:
    """The type of a `leaf`, a list of them, a list of such lists, and so on for all axes that an array can have."""
    kind = leaf
    for _ in range(DEEPEST):
        kind = leaf | GenericAlias(list, (kind,))
    return kind


def to_json(value: object, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Records, arrays and plain data as strict JSON text; numbers that are not finite become null."""
    try:
        return _dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError:  # some number is not finite; the slow way sorts that out
        return _dumps(to_plain(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


def to_plain(value: object) -> Any:
    """What `to_json` writes, as dicts, lists, texts, numbers, booleans and None."""
    return json.loads(_dumps(value), parse_constant=lambda _: None)


def from_json(text: str | bytes, kind: type[T]) -> T:
    """Read a value of type `kind`, a record or made of records, from strict JSON.

    Raises:
        Malformed: on text that is no strict JSON, and where a field is missing, unknown or of another type.
    """
    try:
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as e:
        raise Malformed(f"it is not strict JSON: {e}") from None
    return from_plain(data, kind)


def from_plain(data: object, kind: type[T]) -> T:
    """As `from_json`, from data that is parsed already."""
    try:
        with _CONVERTING:
            found = msgspec.convert(data, kind)
    except (msgspec.ValidationError, UnicodeError) as e:  # a name that is no Unicode is of the second kind
        raise Malformed(str(e)) from None
    if to_plain(found) != data:  # what is written has all fields; a default is for the code that makes the record
        raise Malformed("a field is missing from it")
    return found


def _dumps(value: object, indent: int | None = None, **options: Any) -> str:
    return json.dumps(
        value, default=_plain, indent=indent, separators=(",", ":") if indent is None else None, **options
    )


def _plain(value: object) -> object:
    return msgspec.to_builtins(value, enc_hook=_listed)


def _listed(value: object) -> object:
    """An array or a number of NumPy."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} is no data of JSON: {value!r}")
    return value.tolist()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of it")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)
