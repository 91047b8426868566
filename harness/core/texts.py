r"""This module makes names and texts that code of a user gives harmless for terminals, logs and files.

one_name("a\nb\x1b[31m")        a\nb\x1b[31m, in one line of printable characters
readable("first\r\nsecond\0")   two lines, and \x00 as an escape
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import Any, TypeVar

from backprove.harness.core.records import Malformed, from_plain, to_json, to_plain

LONGEST_NAME = 200
"""Characters of a name that are shown; of a longer one the beginning, and a digest that keeps it apart."""

T = TypeVar("T")

_ESCAPES = re.compile(r"\\(?:[bfr]|u(?:00(?:[01][0-9a-f]|7f|[89][0-9a-f])|d[89a-f]..|202[89a-e]|206[6-9]|feff))")
"""What strict JSON in ASCII writes for characters that are neither printable nor a line break."""


def printable(name: str) -> str:
    """`name` in one line: what is no letter, sign or blank (a control character, a lone surrogate) as its escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def one_name(name: str) -> str:
    """`name` in one printable line of at most `LONGEST_NAME` characters."""
    if len(name) <= LONGEST_NAME and name.isprintable():
        return name
    shown = printable(name)
    if len(shown) <= LONGEST_NAME:
        return shown
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{shown[: LONGEST_NAME - 40]}... ({len(name):,} characters, {digest})"


def readable(text: str) -> str:
    """`text` with its lines and tabs, and everything else that is not printable as its escape."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def readable_json(record: object) -> str:
    """The strict JSON of a record with `readable` texts."""
    text = to_json(record)
    return to_json(_read(to_plain(record))) if _ESCAPES.search(text) else text


def with_readable_texts(record: T) -> T:
    """A record with `readable` texts; itself where they are so already."""
    if not _ESCAPES.search(to_json(record)):
        return record
    with contextlib.suppress(Malformed):  # numbers that are not finite: it is made readable on its way to a file
        return from_plain(_read(to_plain(record)), type(record))
    return record


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, list):
        return [_read(v) for v in value]
    if isinstance(value, dict):
        return {readable(k): _read(v) for k, v in value.items()}
    return value
