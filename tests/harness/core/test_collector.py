"""The garbage collector runs less often, and afterwards as before."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from backprove.harness.core.collector import THRESHOLDS, few_collections, no_collections


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_seldom_within_and_as_before_afterwards() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(KeyError), few_collections():
        assert gc.get_threshold() == THRESHOLDS
        raise KeyError
    assert gc.get_threshold() == (700, 10, 10)


def test_what_is_set_higher_or_off_stays() -> None:
    for given in ((10**6, 50, 50), (0, 10, 10)):
        gc.set_threshold(*given)
        with few_collections():
            assert gc.get_threshold() == given


@pytest.mark.parametrize("on", [True, False])
def test_none_within_and_on_or_off_as_before(on: bool) -> None:
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(KeyError), no_collections():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()
