"""TeX to MathML, checked before it goes into a page.

mathml(r"y = x^2")               one <math> element
formula(r"y = x, \\quad x > 0")    several, between which a line may break: browsers break no line inside of one
"""

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

_RELATIONS = frozenset("=≠≤≥<>∈⟹⟺⇒→↦≈")
_OPENING, _CLOSING = frozenset("([{⟨"), frozenset(")]}⟩")
_QUAD = re.compile(r"[12](\.\d+)?em")

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


@lru_cache(maxsize=8192)
def formula(tex: str, *, display: bool = False) -> Markup:
    """A formula that may be broken after its wide spaces and, where that is not enough, before its relations.

    Args: see `mathml`. Nothing inside of brackets is broken, so that each part reads by itself.
    """
    whole = mathml(tex, display=display)
    if not whole.startswith("<math"):
        return whole
    opened = '<math displaystyle="true">' if display else "<math>"
    groups = [
        "<wbr>".join(f"{opened}{''.join(ET.tostring(e, encoding='unicode') for e in part)}</math>" for part in group)
        for group in _groups(list(ET.fromstring(whole)))
    ]
    return Markup("".join(f'<span class="mg">{g}</span><wbr>' for g in groups))


def _groups(elements: list[ET.Element]) -> list[list[list[ET.Element]]]:
    """The elements in groups, which end with a wide space, of parts, which begin with a relation."""
    while any(_is_style(e) for e in elements) or (len(elements) == 1 and elements[0].tag == "mrow"):
        elements = [c for e in elements for c in (e if _is_style(e) or len(elements) == 1 else [e])]
    groups: list[list[list[ET.Element]]] = [[[]]]
    depth, bars = 0, False
    for e in elements:
        text = _operator(e)
        if text in ("|", "‖"):
            bars = not bars
        else:
            depth += (text in _OPENING) - (text in _CLOSING)
        outside = depth == 0 and not bars
        if outside and e.tag == "mo" and text in _RELATIONS and groups[-1][-1]:
            e.set("form", "infix")  # the first of a row would be taken for a prefix, with other spaces
            groups[-1].append([])
        groups[-1][-1].append(e)
        if outside and e.tag == "mspace" and _QUAD.fullmatch(e.get("width", "")):
            groups.append([[]])
    return [g for g in ([part for part in group if part] for group in groups) if g]


def _is_style(e: ET.Element) -> bool:
    """Whether an element says how all that follows is set (`\\textstyle`), and encloses it for no other reason."""
    return e.tag in ("mstyle", "mrow") and "displaystyle" in e.attrib


def _operator(e: ET.Element) -> str:
    """The operator that an element is, or that its scripts hang on; "" for anything else."""
    while e.tag in ("msub", "msup", "msubsup") and len(e):
        e = e[0]
    return (e.text or "").strip() if e.tag == "mo" else ""


@lru_cache(maxsize=1)
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False)
