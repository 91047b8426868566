"""Random numbers from the identity of the work alone: never from time, process or worker."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*key_parts: object) -> np.random.Generator:
    """Philox generator keyed by the blake2b hash of the `repr` of the parts (use plain Python values)."""
    digest = hashlib.blake2b(repr(key_parts).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
