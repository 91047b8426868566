"""`help(bp)` and `dir(bp)` show the public names and nothing else, and the example in each docstring runs."""

from __future__ import annotations

import pydoc
import re
import textwrap

import pytest

import backprove as bp

NAMES = [n for n in bp.__all__ if not n.startswith("_")]
ELSEWHERE = ("autograd", "mygrad", "torch")
"""Packages that an example may need and an installation may lack."""


def test_dir_and_help_show_the_public_names_alone() -> None:
    assert dir(bp) == sorted(bp.__all__)
    text = re.sub(".\x08", "", pydoc.TextDoc().docmodule(bp))
    for name in NAMES:
        assert re.search(rf"^    (?:class )?{name}\b", text, re.MULTILINE), name
    for other in ("_HOMES", "TYPE_CHECKING", "import_module", "ArraySpec ="):
        assert other not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_the_docstring_runs(name: str) -> None:
    examples = re.findall(
        r"```python\n(.*?)```", textwrap.dedent("    " + (getattr(bp, name).__doc__ or "")), re.DOTALL
    )
    assert examples, f"{name} has no example"
    for example in examples:
        for package in ELSEWHERE:
            if re.search(rf"^\s*(?:import|from) {package}\b", example, re.MULTILINE):
                pytest.importorskip(package)
        exec(compile(textwrap.dedent(example), f"<example of {name}>", "exec"), {"__name__": "example"})
