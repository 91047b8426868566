"""Large arrays are told in a line, small ones whole."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.large_arrays import SHOWN, in_words, short, statements


def test_small_arrays_are_written_whole() -> None:
    a = np.arange(float(SHOWN))
    assert in_words(a.tolist()) == "" and in_words(2.0) == ""
    assert short([1.0, [2, True]]) == "[1.0, [2, true]]"
    assert statements("x", a[:2], "float32") == ["x = np.array([0.0, 1.0], dtype='float32')"]


def test_of_large_ones_the_exceptions_are_named() -> None:
    a = np.zeros((30, 20))
    assert in_words(a.tolist()) == "600 entries of 0.0"
    a[2, 3], a[0, 0] = 1.5, -0.0
    assert in_words(a.tolist()) == "600 entries of 0.0 but [0, 0] = -0.0, [2, 3] = 1.5"
    assert in_words(a.tolist(), float.hex).startswith("600 entries of 0x0.0p+0 but [0, 0] = -0x0.0p+0")
    assert short(np.arange(300).tolist()) == "300 entries, all of them in the record of the run"


def test_statements_make_the_same_array_again() -> None:
    a = np.ones((30, 20), dtype=np.float32)
    a[2, 3] = 0.1
    made = statements("x", a, "float32")
    assert made is not None and len(made) == 2
    names = {"np": np}
    exec("\n".join(made), names)
    np.testing.assert_array_equal(names["x"], a)  # type: ignore[arg-type]
    assert statements("x", np.arange(300.0), "float64") is None
