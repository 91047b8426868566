"""Records as strict JSON: what is written reads back the same, and what does not fit is refused in a sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backprove.harness.core.records import DEEPEST, Malformed, Record, from_json, from_plain, nested, to_json, to_plain
from backprove.harness.core.verdicts import Verdict

Nested: Any = nested(float | int | bool | None)
"""Numbers in lists of lists."""


class Inner(Record):
    verdict: Verdict
    pair: tuple[str, int] = ("", 0)


class Outer(Record, tag_field="schema", tag=3):
    name: str
    size: float | None = None
    inner: list[Inner] = []  # noqa: RUF012


RIGHT = '{"schema":3,"name":"a","size":1.5,"inner":[{"verdict":"holds","pair":["b",2]}]}'


def test_a_record_reads_back_as_it_was_written() -> None:
    record = Outer("a", 1.5, [Inner(Verdict.HOLDS, ("b", 2))])
    assert to_json(record) == RIGHT
    assert from_json(RIGHT, Outer) == from_json(RIGHT.encode(), Outer) == from_plain(to_plain(record), Outer) == record


@given(st.text(st.characters()), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_comes_back(name: str, size: float | None) -> None:
    record = Outer(name, size)
    assert from_json(to_json(record), Outer) == record


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_is_not_finite_becomes_null(value: float) -> None:
    assert to_json(Outer("a", value)) == '{"schema":3,"name":"a","size":null,"inner":[]}'
    assert to_plain({"x": [value, 1]}) == {"x": [None, 1]}


def test_arrays_and_numbers_of_numpy_are_lists_and_numbers() -> None:
    value = {"a": np.array([[1.0, np.nan]]), "i": np.int64(3), "b": np.bool_(True), "f": np.float32(0.5), "t": (1, 2)}
    assert to_plain(value) == {"a": [[1.0, None]], "i": 3, "b": True, "f": 0.5, "t": [1, 2]}
    with pytest.raises(TypeError, match="object is no data of JSON"):
        to_json(object())


def test_text_is_compact_or_indented_and_its_keys_may_be_sorted() -> None:
    assert to_json({"b": [1], "a": None}) == '{"b":[1],"a":null}'
    assert to_json({"b": 1, "a": "ü\ud800"}, indent=1, sort_keys=True) == '{\n "a": "\\u00fc\\ud800",\n "b": 1\n}'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (RIGHT, "", "not strict JSON: Expecting value"),
        (RIGHT, "{", "not strict JSON"),
        (RIGHT, RIGHT + "1", "not strict JSON: Extra data"),
        (RIGHT, "[" * 200_000, "not strict JSON: maximum recursion depth"),
        (RIGHT, '{"a":' * 200_000, "not strict JSON: maximum recursion depth"),
        ("1.5", "NaN", "not strict JSON: NaN is no number"),
        ("1.5", "-Infinity", "not strict JSON: -Infinity is no number"),
        ("1.5", "1e999", "not strict JSON: 1e999 is no number"),
        ("1.5", "9" * 5000, "not strict JSON"),
        ("1.5", "9" * 400, "at `$.size`"),
        ("1.5", '"1.5"', "Expected `float | null`, got `str` - at `$.size`"),
        ("1.5", "true", "Expected `float | null`, got `bool` - at `$.size`"),
        ('"a"', "null", "Expected `str`, got `null` - at `$.name`"),
        ('"holds"', '"true"', "Invalid enum value 'true' - at `$.inner[0].verdict`"),
        ('"holds"', '"\\ud800"', "surrogates not allowed"),
        ('["b",2]', '["b"]', "at `$.inner[0].pair`"),
        ('["b",2]', '["b",2.0]', "Expected `int`, got `float`"),
        ('"name":"a",', "", "missing required field `name`"),
        ('"size":1.5,', "", "a field is missing"),
        (',"pair":["b",2]', "", "a field is missing"),
        ('"size"', '"sise"', "unknown field `sise`"),
        ('"schema":3', '"schema":4', "Invalid value 4 - at `$.schema`"),
        ('"schema":3,', "", "a field is missing"),
        (RIGHT, "[]", "Expected `object`, got `array`"),
    ],
)
def test_what_does_not_fit_is_refused(old: str, new: str, said: str) -> None:
    assert old in RIGHT
    with pytest.raises(Malformed) as refused:
        from_json(RIGHT.replace(old, new), Outer)
    assert said in str(refused.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Malformed, match="not strict JSON"):
        from_json(b'{"name":"\xff"}', Outer)


def test_lists_nest_as_deep_as_arrays_do() -> None:
    for value in (None, True, 3, 1.5, [], [[1], [2.5, None]], json.loads("[" * DEEPEST + "]" * DEEPEST)):
        assert from_plain(value, Nested) == value
    for wrong in ("1", ["1"], {}, [[{}]], json.loads("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))):
        with pytest.raises(Malformed, match="Expected"):
            from_plain(wrong, Nested)


TOGETHER = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from msgspec import defstruct
from backprove.harness.core.records import Record, from_plain, nested

sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(4) as threads:
    for _ in range(100):  # types that nobody has read before
        leaf = defstruct("Leaf", [("tree", nested(float | None))], bases=(Record,))
        fields = [(f"f{i}", dict[str, leaf] | list[int] | None, None) for i in range(8)]
        kind, start = defstruct("Kind", fields, bases=(Record,)), threading.Barrier(4)

        def read(_):
            start.wait()
            return from_plain({f"f{i}": None for i in range(8)}, kind | None)

        assert len(set(map(repr, threads.map(read, range(4))))) == 1
"""


def test_threads_that_read_a_type_for_the_first_time_together_do_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
