"""Random numbers come from the identity of the work alone, never from time, process or worker."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

Words = NDArray[np.uint64]


class _Key(ISeedSequence):
    """The key itself in place of a seed sequence: `Philox(key=...)` asks the system for entropy that nobody reads."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.frombuffer(self.digest, dtype="<u8").astype(np.uint64)


def generator(*key_parts: object) -> np.random.Generator:
    """Philox generator keyed by the blake2b hash of the `repr` of the parts (use plain Python values)."""
    digest = hashlib.blake2b(repr(key_parts).encode(), digest_size=16).digest()
    key: Any = _Key(digest)
    return np.random.Generator(np.random.Philox(key))


def words(g: np.random.Generator, *shape: int) -> Words:
    """Random 64-bit words: one draw for several decisions, each of which reads bits of its own."""
    count = 1
    for n in shape:
        count *= n
    raw: Words = np.asarray(g.bit_generator.random_raw(count), dtype=np.uint64)
    return raw.reshape(shape)


def octets(raw: Words, k: int) -> NDArray[np.uint8]:
    """Byte `k` of every word, the least significant is byte 0."""
    octet: NDArray[np.uint8] = raw.astype("<u8", copy=False).view(np.uint8).reshape((*raw.shape, 8))[..., k]
    return octet


def shuffled(g: np.random.Generator, count: int) -> NDArray[np.int64]:
    """The numbers below `count` in random order.

    Few or very many are shuffled anew; others are read off one of some orders made once, from a random place on, since
    an order costs as much as what it is for.
    """
    if count <= FEW or count > MANY:
        return np.asarray(g.permutation(count), dtype=np.int64)
    orders = _orders(count.bit_length())
    size = orders.shape[1] // 2
    which, start = int(g.integers(0, len(orders))), int(g.integers(0, size))
    order = orders[which, start : start + size]
    return order[order < count]


FEW, MANY, ORDERS = 64, 4096, 32


@lru_cache(maxsize=16)
def _orders(bits: int) -> NDArray[np.int64]:
    """Some orders of 2**bits numbers, each twice in a row."""
    g = generator("orders", bits)
    found = np.array([np.tile(g.permutation(2**bits), 2) for _ in range(ORDERS)], dtype=np.int64)
    found.flags.writeable = False
    return found


def below(raw: Words, size: int, shift: int) -> NDArray[np.int64]:
    """Integers in [0, size), uniform up to size / 2**24, from the 24 bits of every word above `shift`."""
    part = (raw >> np.uint64(shift)) & np.uint64(0xFFFFFF)
    return ((part * np.uint64(size)) >> np.uint64(24)).astype(np.int64)


def signed(raw: Words) -> NDArray[np.float64]:
    """Uniform numbers in [-1, 1] from whole words; the low bytes are below their last digit, or next to it."""
    return np.asarray(raw.view(np.int64) * 2.0**-63, dtype=np.float64)


def quotas(shares: tuple[int, ...], count: int, at: float) -> list[int]:
    """Ends of blocks of `count` points with these shares in 256ths, in expectation exactly for `at` uniform in [0, 1).

    The first end is 0, the last one at most `count`; points beyond it belong to no share.
    """
    return [int(c * count / 256 + at) if c else 0 for c in _sums(shares)]


@lru_cache(maxsize=64)
def _sums(shares: tuple[int, ...]) -> tuple[int, ...]:
    return (0, *np.cumsum(shares).tolist())


__all__ = ["below", "generator", "octets", "quotas", "signed", "words"]
