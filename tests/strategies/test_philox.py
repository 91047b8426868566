"""Random words and what is read off them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from backprove.strategies.philox import MANY, below, generator, octets, quotas, shuffled, signed, words


def test_the_generator_is_philox_with_the_hash_as_its_key() -> None:
    digest = hashlib.blake2b(repr(("a", 1, (2,))).encode(), digest_size=16).digest()
    plain = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    assert generator("a", 1, (2,)).integers(0, 2**62, 9).tolist() == plain.integers(0, 2**62, 9).tolist()


def test_numbers_read_off_words_are_uniform_and_independent() -> None:
    raw = words(generator("words"), 40, 1000)
    s, first, second = signed(raw), octets(raw, 0), octets(raw, 1)
    assert raw.shape == s.shape == first.shape == (40, 1000)
    for x in (s, first / 127.5 - 1, second / 127.5 - 1, below(raw, 1000, 16) / 499.5 - 1):
        assert abs(x.mean()) < 0.02 and abs(x.var() - 1 / 3) < 0.02
    assert abs(s).max() <= 1
    few = below(raw, 3, 16)
    assert (np.bincount(few.reshape(-1)) > 12_500).all()
    correlated = np.corrcoef([s.reshape(-1), first.reshape(-1), second.reshape(-1), few.reshape(-1)])
    assert (np.abs(correlated - np.eye(4)) < 0.03).all()


@pytest.mark.parametrize("count", [1, 3, 25, 2000])
def test_blocks_have_their_shares_in_expectation(count: int) -> None:
    shares = (10, 46, 200)
    ends = np.array([quotas(shares, count, at) for at in (np.arange(1000) + 0.5) / 1000])
    assert (ends[:, 0] == 0).all() and (ends[:, -1] == count).all()
    assert np.allclose(np.diff(ends).mean(axis=0), np.array(shares) * count / 256, atol=2e-3)


@pytest.mark.parametrize("count", [1, 25, 65, 400, 2000, 2048, 2049, MANY, MANY + 1])
def test_orders_are_permutations_that_differ(count: int) -> None:
    g = generator("orders of", count)
    found = [shuffled(g, count).tolist() for _ in range(20)]
    assert all(sorted(order) == list(range(count)) for order in found)
    if count > 3:
        assert len({tuple(order) for order in found}) == 20
        assert abs(np.corrcoef(found[0], found[1])[0, 1]) < (0.6 if count < 100 else 0.15)
    again = generator("orders of", count)
    assert [shuffled(again, count).tolist() for _ in range(20)] == found
