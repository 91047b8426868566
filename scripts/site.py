"""Hooks that make a site of docs/: pages of the root, the API reference, and pages that the navigation does not name.

`mkdocs build --strict` (`make docs`) calls `on_config`, `on_files` and `on_page_markdown` by their names. Each page of
the root stands once, where a code host looks for it; links between pages are turned to where they lie on the site.
"""

from __future__ import annotations

import ast
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
}
"""File of the root -> page of the site."""

API = "api.md"

GROUPS = (
    ("State a rule", ("Rule", "array")),
    ("Take a rule from a framework", ("from_*",)),
    ("Judge", ("check", "assert_rule", "Report")),
    ("State a theorem", ("theorem", "Derivative", "Adjointness", "Equality", "Positivity")),
)
"""Chapters of the reference; public names that no chapter has stand under "More"."""

TITLES: dict[str, str] = {}
"""Page of the navigation -> its title there."""

_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>(?:\.\./|docs/)?[\w./-]+)(?P<place>#[\w-]*)?\)")


def on_config(config: MutableMapping[str, Any]) -> None:
    """Name the pages of docs/ that the navigation leaves out, so that none is missed by its readers."""
    TITLES.update(_titles(config["nav"]))
    rest = sorted(p.name for p in (ROOT / "docs").glob("*.md") if p.name not in TITLES)
    if rest:
        config["nav"].append({"More": rest})


def on_files(files: Any, config: MutableMapping[str, Any]) -> None:
    """Add the pages that are made."""
    from mkdocs.structure.files import File  # type: ignore[import-not-found,unused-ignore]

    made = {page: _root_page(name) for name, page in PAGES.items()} | {API: reference()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn the links of a page to where their targets lie on the site."""
    return relink(markdown)


def relink(markdown: str) -> str:
    """The text with links to files of the root, and from there into docs/, as links between pages of the site.

    A link that is called by the name of its file is called by the title of its page.
    """

    def turned(m: re.Match[str]) -> str:
        target = m["target"].removeprefix("../")
        target = PAGES.get(target, target.removeprefix("docs/"))
        text = TITLES.get(target, m["text"]) if m["text"] == m["target"].removeprefix("../") else m["text"]
        return f"[{text}]({target}{m['place'] or ''})"

    return _LINK.sub(turned, markdown)


def _root_page(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    return text if name.endswith(".md") else f"# License\n\n```text\n{text}```\n"


def _titles(nav: Any) -> dict[str, str]:
    """Page -> title of every entry of a navigation, at any depth."""
    found: dict[str, str] = {}
    for title, item in (pair for entry in nav for pair in entry.items()):
        found |= {item: title} if isinstance(item, str) else _titles(item)
    return found


def homes() -> dict[str, str]:
    """Public name -> module that defines it, as `backprove/__init__.py` has them; read and not imported."""
    tree = ast.parse((ROOT / "backprove" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_HOMES":
            return dict(ast.literal_eval(node.value))
    raise LookupError("backprove/__init__.py has no table _HOMES of its public names")


def reference() -> str:
    """The page of the API: every public name in its chapter, to be filled from the docstrings."""
    left = homes()
    out = ["# API", "", "Everything here is a name of `import backprove as bp`."]
    for title, names in (*GROUPS, ("More", ("*",))):
        chapter = [
            n for name in names for n in sorted(left) if n == name or (name[-1] == "*" and n.startswith(name[:-1]))
        ]
        if chapter:
            out += ["", f"## {title}"]
        for n in chapter:
            out += ["", f"::: {left.pop(n)}.{n}"]
    return "\n".join(out) + "\n"
