"""Names and texts of a user's code are readable, and names stay apart."""

from __future__ import annotations

import pytest

from backprove.harness.core.results import PropertyResult
from backprove.harness.core.texts import LONGEST_NAME, one_name, readable, with_readable_texts


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain é", "plain é"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\ud800", "\\ud800"),
        ("a\u2028", "a\\u2028"),
    ],
)
def test_a_name_stands_in_one_line(given: str, shown: str) -> None:
    assert one_name(given) == shown


def test_long_names_are_cut_and_stay_apart() -> None:
    found = {one_name("x" * n) for n in (200, 201, 10_000, 10_001)}
    assert len(found) == 4 and max(map(len, found)) <= LONGEST_NAME + 20


def test_a_text_keeps_its_lines_and_tabs() -> None:
    assert readable("a\tb\r\nc\rd\0\n") == "a\tb\nc\\rd\\x00\n"


def test_a_record_is_itself_where_there_is_nothing_to_do() -> None:
    clean = PropertyResult("vjp", "float64", reason="two\nlines, é")
    assert with_readable_texts(clean) is clean
    found = with_readable_texts(PropertyResult("vjp", "float64", reason="\x1b[31m\ud800"))
    assert found.reason == "\\x1b[31m\\ud800" and found.name == "vjp"
