"""TeX to MathML, checked before it goes into a page."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from xml.etree import ElementTree as ET

from markupsafe import Markup
from math_core import LatexError, LatexToMathML

# MathML Core without links and scripts.
_TAGS = re.compile(
    "m(ath|enclose|error|frac|i|multiscripts|n|o|over|padded|phantom|prescripts|root|row|s|space|sqrt|style"
    "|sub|subsup|sup|table|td|text|tr|under|underover)"
)

# HTML knows entities such as &ApplyFunction; that XML does not.
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|apos);)\w+;")


@lru_cache(maxsize=8192)
def mathml(tex: str, *, display: bool = False) -> Markup:
    """A formula as a `<math>` element; TeX that cannot be read becomes `<code>` with its source.

    Args:
        tex: formula without dollar signs; nothing for an empty one.
        display: display style on a line of its own, not inline.
    """
    if not tex.strip():
        return Markup("")
    try:
        text = _ENTITY.sub(
            lambda m: html.unescape(m[0]), _converter().convert_with_local_state(tex, displaystyle=display)
        )
        root = ET.fromstring(text)
    except (LatexError, ET.ParseError, UnicodeEncodeError):
        return Markup("<code>{}</code>").format(tex)
    if any(not _TAGS.fullmatch(e.tag) or any(a == "href" or a.startswith("on") for a in e.attrib) for e in root.iter()):
        return Markup("<code>{}</code>").format(tex)
    return Markup(text)  # every tag and attribute was looked at above


@lru_cache(maxsize=1)
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False)
