"""Ids name failing points, so that they can be evaluated again.

An id of a small point holds the point itself (base64url of zlib-compressed JSON); that of a large one is a hash,
looked up in the store of finished rules and theorems.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from backprove.harness.core.errors import UsageError
from backprove.harness.core.results import Counterexample, SubjectResult, to_plain

LONGEST = 320
"""Longest self-contained id in characters; what is longer cannot be copied from a terminal in comfort."""

LARGEST = 1 << 20
"""Most bytes that an id may unpack to; a guard against ids that were made to exhaust memory."""

KEYS = ("name", "property", "dtype", "inputs", "tangents", "cotangents")
"""Keys that the payload of an id must have."""

_HASH = re.compile(r"x[0-9a-f]{16}")


def payload_of(
    subject: SubjectResult | None, point: Counterexample, *, kind: str = "", name: str = "", file: str = ""
) -> dict[str, Any]:
    """What it takes to evaluate `point` again.

    Args:
        subject: the rule or theorem; None where `kind`, `name` and `file` say it.
        point: its `id` is not used.

    Returns:
        {"kind": "rule" or "theorem", "name", "file" (of a rule), "property", "dtype", "inputs", "tangents",
        "cotangents"}; inputs are nested lists of hexadecimal floats, directions of numbers.
    """
    if subject is not None:
        kind, name, file = subject.kind, subject.name, subject.file
    return {
        "kind": kind,
        "name": name,
        "file": file,
        "property": point.property,
        "dtype": point.dtype,
        "inputs": to_plain(point.inputs_hex),
        "tangents": to_plain(point.tangents),
        "cotangents": to_plain(point.cotangents),
    }


def encode_id(payload: Mapping[str, Any]) -> str:
    """The id of a payload: self-contained up to `LONGEST` characters, else `x` and 16 digits of its SHA-256."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    packed = base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")
    return packed if len(packed) <= LONGEST else "x" + hashlib.sha256(text).hexdigest()[:16]


def decode_id(identifier: str, finished: Iterable[SubjectResult] = (), kept_in: str = "") -> dict[str, Any]:
    """The payload of an id.

    Args:
        finished: rules and theorems of the last runs, newest first, where hashes are looked up.
        kept_in: where these are kept, for the message.

    Raises:
        UsageError: when it is no id, is damaged, or is a hash that none of `finished` has.
    """
    identifier = identifier.strip()
    if _HASH.fullmatch(identifier):
        payload = find(finished, identifier)
        if payload is None:
            raise UsageError(
                f"replay: {identifier} is not in the store of the last runs ({kept_in}); "
                "run the check again, or replay in the folder where it ran"
            )
        return payload
    try:
        packed = base64.b64decode(identifier + "=" * (-len(identifier) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, LARGEST)
        if not unpacker.eof:
            raise ValueError("cut short")
        payload = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise UsageError(
            f"replay: {identifier!r} is not an id, or part of it is missing; "
            "copy the whole word after 'backprove replay' from a counterexample"
        ) from None
    missing = [k for k in KEYS if not isinstance(payload, dict) or k not in payload]
    if missing:
        raise UsageError(f"replay: {identifier!r} names no point: {', '.join(missing)} is missing from it")
    return payload  # type: ignore[no-any-return]


def find(finished: Iterable[SubjectResult], identifier: str) -> dict[str, Any] | None:
    """The payload of the first counterexample with that id."""
    for subject in finished:
        for p in subject.properties:
            if p.counterexample is not None and p.counterexample.id == identifier:
                return payload_of(subject, p.counterexample)
    return None
