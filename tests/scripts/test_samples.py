"""The sample in README is cut out of what verify prints, and compared without its seconds."""

from __future__ import annotations

from scripts.samples import README, SAMPLE, comparable, sample

PRINTED = """module  theorems
------  --------
a              1
b              2
all            3

coverage
12.5 s, seed 0; exit status 0: all holds
"""


def test_the_head_the_last_line_and_what_follows_are_shown() -> None:
    cut = sample(PRINTED)
    assert cut.splitlines() == [
        "module  theorems", "------  --------", "a              1", "...", "all            3", "",
        "coverage", "12.5 s, seed 0; exit status 0: all holds",
    ]  # fmt: skip
    assert comparable(cut) == comparable(cut.replace("12.5", "9.75")) != comparable(cut.replace("3", "4"))


def test_readme_has_the_sample_in_that_form() -> None:
    found = SAMPLE.search(README.read_text("utf-8"))
    assert found is not None and sample(found[2].replace("...\n", "x\n", 1)) == found[2]
