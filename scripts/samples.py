"""The sample of `make verify` in README.md is produced here: `python -m scripts.samples` writes it, `--check` compares.

Blocks of `console` need no such thing: the tests run them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
SAMPLE = re.compile(r"(and prints\n\n```text\n)(.*?)(```)", re.DOTALL)
FIRST = 3
"""Lines of the table that are shown before the last one."""


def sample(printed: str) -> str:
    """What README shows of what `backprove verify` prints: the head of the table, its last line, and what follows."""
    table, _, rest = printed.partition("\n\n")
    lines = table.splitlines()
    return "\n".join([*lines[:FIRST], "...", lines[-1], "", rest.strip(), ""])


def comparable(text: str) -> str:
    """The sample without the seconds, which are another number every time."""
    return re.sub(r"[\d.]+ s,", "... s,", text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "backprove", "verify", "--profile", "dev"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        return done.returncode
    page = README.read_text("utf-8")
    found = SAMPLE.search(page)
    if found is None:
        print(f"{README} has no block of text after 'and prints'")
        return 2
    produced = sample(done.stdout)
    if comparable(found[2]) == comparable(produced):
        print("README shows what verify prints")
        return 0
    if args.check:
        print(f"README shows\n{found[2]}\nand verify prints\n{produced}\nrun python -m scripts.samples")
        return 1
    README.write_text(page[: found.start(2)] + produced + page[found.end(2) :], "utf-8")
    print(f"{README} is written")
    return 0


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(README.parent)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
