"""Ids name failing points, so that they can be evaluated again.

An id of a small point holds the point itself (base64url of zlib-compressed JSON); that of a large one is a hash,
looked up in the store of finished rules and theorems.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Iterable

from backprove.harness.core.errors import UsageError
from backprove.harness.core.records import FrozenRecord, Malformed, from_json, to_json, to_plain
from backprove.harness.core.results import Counterexample, HexNumbers, Kind, Numbers, SubjectResult

LONGEST = 320
"""Longest self-contained id in characters; what is longer cannot be copied from a terminal in comfort."""

LARGEST = 1 << 20
"""Most bytes that an id may unpack to; a guard against ids that were made to exhaust memory."""

_HASH = re.compile(r"x[0-9a-f]{16}")


class Payload(FrozenRecord, frozen=True):
    """What it takes to evaluate a point again.

    Attributes:
        file: where a rule stands, "" for a theorem.
        inputs: nested lists of hexadecimal floats; directions are of numbers.
    """

    kind: Kind
    name: str
    file: str
    property: str
    dtype: str
    inputs: dict[str, HexNumbers]
    tangents: dict[str, Numbers]
    cotangents: dict[str, Numbers]


def payload_of(subject: SubjectResult, point: Counterexample) -> Payload:
    """What it takes to evaluate `point`, whose `id` is not used, again."""
    which = (subject.kind, subject.name, subject.file)
    return Payload(*which, point.property, point.dtype, point.inputs_hex, point.tangents, point.cotangents)


def encode_id(payload: Payload) -> str:
    """The id of a payload: self-contained up to `LONGEST` characters, else `x` and 16 digits of its SHA-256."""
    text = to_json(to_plain(payload), sort_keys=True).encode()
    packed = base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")
    return packed if len(packed) <= LONGEST else "x" + hashlib.sha256(text).hexdigest()[:16]


def decode_id(identifier: str, finished: Iterable[SubjectResult] = (), kept_in: str = "") -> Payload:
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
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("cut short, or something follows")
        return from_json(text, Payload)
    except (binascii.Error, zlib.error, ValueError):
        raise UsageError(
            f"replay: {identifier!r} is not an id, or part of it is missing; "
            "copy the whole word after 'backprove replay' from a counterexample"
        ) from None
    except Malformed as e:
        raise UsageError(f"replay: {identifier!r} names no point ({e})") from None


def find(finished: Iterable[SubjectResult], identifier: str) -> Payload | None:
    """The payload of the first counterexample with that id."""
    for subject in finished:
        for p in subject.properties:
            if p.counterexample is not None and p.counterexample.id == identifier:
                return payload_of(subject, p.counterexample)
    return None
