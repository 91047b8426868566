"""Every code block of README.md and docs/ is run, and prints what the page says it prints."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.pages import LANGUAGES, ROOT, Block, Page, blocks, commands, packages

PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]


ABROAD = ("e3nn", "numpy_ml", "ott", "peft", "snntorch", "torch_geometric")
"""Packages that no test installs; what docs/bugs-found.md says of them is run where they are."""

NEEDED = {"docs/autograd-mygrad.md": ("autograd", "mygrad")}
"""Pages all of whose blocks need packages that an installation may lack."""


@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in NEEDED.get(name, ()):
        pytest.importorskip(package)
    found = blocks((ROOT / name).read_text(encoding="utf-8"))
    if find_spec("torch") is None:
        found = [b for b in found if "torch" not in b.text or b.language != "python"]
    lacking = {p for p in (*ABROAD, "autograd", "mygrad") if find_spec(p) is None}
    found = [b for b in found if not packages(b) & lacking]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    page = Page(name, tmp_path)
    for block in found:
        page.run(block)


@pytest.mark.parametrize("package", ABROAD)
def test_what_is_said_of(package: str, tmp_path: Path) -> None:
    """Skipped, and so counted, where the package is not installed; else the test of its page has run it."""
    page = (ROOT / "docs" / "bugs-found.md").read_text(encoding="utf-8")
    assert any(package in packages(b) for b in blocks(page))
    pytest.importorskip(package)


def test_the_workflow_is_one(root: Path) -> None:
    import yaml

    workflow = yaml.safe_load((root / "docs" / "github-action.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert any("backprove check" in step for step in steps)
    # YAML reads the key `on` as true
    assert set(workflow[True]) == {"push", "pull_request"}


# -- the runner itself -----------------------------------------------------------------------------------------------

PAGE = """
Text.

```python title="mine.py"
value = 1
```

    indented

```console
$ backprove --version
backprove ...
$ echo $?
0
```
"""


def test_blocks_are_found_with_their_places() -> None:
    found = blocks(PAGE)
    assert [(b.language, b.title, b.line) for b in found] == [
        ("python", "mine.py", 5),
        ("", "", 8),
        ("console", "", 11),
    ]
    assert found[0].text == "value = 1\n"
    assert commands(found[2].text) == [("backprove --version", "backprove ...\n"), ("echo $?", "0\n")]


def test_python_blocks_share_names_and_are_files(tmp_path: Path) -> None:
    page = Page("p.md", tmp_path)
    page.run(Block("python", "mine.py", "value = 1\n", 1))
    page.run(Block("python", "", "assert value == 1\n", 2))
    assert (tmp_path / "mine.py").read_text() == "value = 1\n"
    page.run(Block("python", "test_mine.py", "raise ValueError\n", 3))  # pytest's to run
    with pytest.raises(AssertionError):
        page.run(Block("python", "", "assert value == 2\n", 4))


def test_commands_are_run_and_their_output_compared(tmp_path: Path) -> None:
    page = Page("p.md", tmp_path)
    page.run(Block("console", "", "$ backprove --version\nbackprove ...\n$ echo $?\n0\n", 1))
    page.run(Block("console", "", "$ backprove check none.py\nbackprove: none.py does not exist...\n$ echo $?\n2\n", 1))
    with pytest.raises(AssertionError, match="something else"):
        page.run(Block("console", "", "$ backprove --version\nsomething else\n", 1))
    with pytest.raises(AssertionError, match="does not exist"):
        page.run(Block("console", "", "$ backprove check none.py\n", 1))


@pytest.mark.parametrize(
    ("language", "text", "error"),
    [
        ("", "anything", "say what the block is"),
        ("rust", "anything", "say what the block is"),
        ("console", "output first\n$ backprove --version", "begins with a command"),
        ("console", "$ rm -r x", "only backprove and pytest are run"),
        ("sh", "make nothing", "no such make target"),
        ("toml", "= 1", "Invalid"),
        ("yaml", "a: [", "parsing"),
    ],
)
def test_a_block_that_is_wrong_is_refused(tmp_path: Path, language: str, text: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        Page("p.md", tmp_path).run(Block(language, "", text, 1))
    assert "" not in LANGUAGES
