"""Code blocks of a page, and what it means to run each kind.

- `python`: run in one namespace per page, in the order of the page. With `title="name.py"` it is also written to a file
  of that name first; a file named `test_*.py` is written only, for pytest to run.
- `console`: lines after `$ ` are commands, run in the page's folder; the lines below are what each prints on stdout,
  where `...` stands for any text. Nothing below a command: whatever it prints is right. An exit status that is not
  zero is shown by `$ echo $?`.
- `toml`, `yaml`: must parse.
- `sh`: commands of the checkout: their make targets must exist, and are run elsewhere.
- `text`: output of the `sh` block above it, or a formula; nothing else may be untagged.
"""

from __future__ import annotations

import ast
import doctest
import linecache
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("python", "console", "toml", "yaml", "sh", "text")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, `title`, text and first line in the page."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The code blocks of a Markdown text, in order; indented ones count as untagged."""
    found = []
    for token in MarkdownIt("commonmark").parse(page):
        if token.type in ("fence", "code_block"):
            language, _, rest = token.info.strip().partition(" ")
            title = re.search(r'title="([^"]*)"', rest)
            first = (token.map or [0])[0] + (2 if token.type == "fence" else 1)
            found.append(Block(language, title.group(1) if title else "", token.content, first))
    return found


def packages(block: Block) -> set[str]:
    """The packages that a block of Python imports, by the first part of their names; those of a console are unknown."""
    if block.language != "python":
        return set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def commands(text: str) -> list[tuple[str, str | None]]:
    """The commands of a console block with the output that is shown below each; None where none is shown."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise AssertionError(f"a console block begins with a command, not with {line!r}")
    return [(command, "\n".join(shown) + "\n" if shown else None) for command, shown in found]


@dataclass
class Page:
    """Runs the blocks of one page.

    Attributes:
        name: of the page, for messages.
        folder: where files are written and commands run.
        namespace: what the python blocks share.
        status: exit status of the last command.
    """

    name: str
    folder: Path
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    status: int = 0

    def run(self, block: Block) -> None:
        """Run one block.

        Raises:
            AssertionError: when a command prints something else, or a block is of no known kind.
            Exception: whatever a python block raises.
        """
        assert block.language in LANGUAGES, f"{self.name}:{block.line}: say what the block is: {', '.join(LANGUAGES)}"
        getattr(self, f"_{block.language}")(block)

    def _python(self, block: Block) -> None:
        # The file exists, so that a traceback, and `inspect` for the source of a rule, find the text.
        file = self.folder / (block.title or f"{Path(self.name).stem}_line_{block.line}.py")
        file.write_text(block.text, encoding="utf-8")
        if not file.name.startswith("test_"):
            linecache.checkcache(str(file))
            exec(compile(block.text, str(file), "exec", dont_inherit=True), self.namespace)

    def _console(self, block: Block) -> None:
        for command, shown in commands(block.text):
            if command == "echo $?":
                got = f"{self.status}\n"
            else:
                done = self._execute(command)
                self.status = done.returncode
                got = done.stdout or done.stderr
            if shown is None:
                assert self.status == 0, f"{self.name}:{block.line}: $ {command}\n{got}"
            elif not doctest.OutputChecker().check_output(shown, got, FLAGS):
                raise AssertionError(f"{self.name}:{block.line}: $ {command}\nexpected:\n{shown}\ngot:\n{got}")

    def _execute(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run `backprove ...` or `pytest ...`, perhaps after `PYTHONPATH=.`, with this interpreter and checkout."""
        words = shlex.split(command)
        path = [str(self.folder)] if words[0] == "PYTHONPATH=." else []
        words = words[len(path) :]
        assert words[0] in ("backprove", "pytest"), f"{self.name}: $ {command}: only backprove and pytest are run"
        if words[0] == "pytest":
            words += ["-p", "no:cacheprovider", "-p", "no:backprove", "-p", "backprove.harness.pytest_plugin"]
        hidden = ("GITHUB_", "PYTEST_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden) and k not in ("CI", "COLUMNS")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *path, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        if block.title:
            (self.folder / block.title).write_text(block.text, encoding="utf-8")

    def _yaml(self, block: Block) -> None:
        import yaml

        assert yaml.safe_load(block.text)

    def _sh(self, block: Block) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        for line in filter(None, block.text.splitlines()):
            words = shlex.split(line, comments=True)
            known = (words[0] == "make" and words[1] in targets) or words[:2] == ["pip", "install"]
            assert known, f"{self.name}:{block.line}: {line}: no such make target"

    def _text(self, block: Block) -> None:
        assert block.text.strip()
