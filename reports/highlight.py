"""Python source with a little colour, escaped."""

from __future__ import annotations

import keyword
import re

from markupsafe import Markup, escape

_TOKEN = re.compile(
    r"(?P<c>\#[^\n]*)"
    r"|(?P<s>[rbfuRBFU]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
    r"|(?P<n>(?<![\w.])(?:0[xX][0-9a-fA-F_.]+(?:[pP][+-]?\d+)?|\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?))"
    r"|(?P<k>\b(?:" + "|".join(keyword.kwlist) + r")\b)",
    re.DOTALL,
)


def highlight(source: str) -> Markup:
    """Comments, strings, numbers and keywords wrapped in `<i class=...>`; all text is escaped."""
    out: list[str] = []
    end = 0
    for m in _TOKEN.finditer(source):
        out += [str(escape(source[end : m.start()])), f'<i class="{m.lastgroup}">', str(escape(m[0])), "</i>"]
        end = m.end()
    out.append(str(escape(source[end:])))
    return Markup("".join(out))


def numbered(source: str, first: int = 1, *, colour: bool = True) -> Markup:
    """Source with line numbers from `first` on; the numbers are drawn by CSS and not copied with the text."""
    lines = (highlight(source) if colour else escape(source)).rstrip("\n").split("\n")
    return Markup('<code class="lines" style="counter-reset:l {}">{}</code>').format(
        first - 1, Markup("\n").join(Markup("<b></b>") + Markup(line) for line in lines)
    )
