"""Numbers, names and nested lists as readers want them: short, exact where it matters, never a surprise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from backprove.harness.core.large_arrays import in_words

DASH = "\N{EN DASH}"


def relative(file: str) -> str:
    """A path as seen from the working directory, where it lies below it: links resolved, with slashes."""
    try:
        return _relative(file, Path.cwd())
    except (OSError, ValueError):
        return file


@lru_cache(maxsize=64)
def _relative(file: str, folder: Path) -> str:
    """A page names few files, each of them many times."""
    return Path(file).resolve().relative_to(folder).as_posix()


def count(n: int) -> str:
    """An integer with thousands separators."""
    return f"{n:,}"


def short_count(n: int) -> str:
    """A large count in words: 2400000 -> "2.4 million"."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if n >= size:
            return f"{n / size:.3g} {word}"
    return count(n)


def plural(n: int, noun: str, many: str | None = None) -> str:
    """`n` with its noun: "1 theorem", "93 theorems"."""
    return f"{count(n)} {noun if n == 1 else many or noun + 's'}"


def percent(share: float) -> str:
    """A share as percent; what is neither none nor all never rounds to 0 % or 100 %."""
    value = 100 * share
    if 0 < value < 0.1:
        return "<0.1 %"
    if 99.9 < value < 100:
        return ">99.9 %"
    return f"{value:.1f}".removesuffix(".0") + " %"


def ulps(value: float | None) -> str:
    """An error in ulps with three significant digits; an en dash where none was measured."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    if value < 0.01:
        return "<0.01"
    if value < 1000:
        return f"{value:.3g}"
    if value < 100_000:
        return count(round(value))
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def seconds(value: float) -> str:
    """A duration: "0.8 s", "2 min 5 s"."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def decimal(value: Any) -> str:
    """A number or nested list in decimal, reading back as the same number; None is "not finite"."""
    if value is None:
        return "not finite"
    if isinstance(value, (list, tuple)):
        return in_words(value, decimal) or "[" + ", ".join(decimal(v) for v in value) + "]"
    return str(value)


def hexadecimal(value: Any) -> str:
    """A number or nested list as hexadecimal floats; integers, booleans and text stay as they are."""
    if value is None:
        return "not finite"
    if isinstance(value, (list, tuple)):
        return in_words(value, hexadecimal) or "[" + ", ".join(hexadecimal(v) for v in value) + "]"
    return value.hex() if isinstance(value, float) else str(value)


def vector(value: Any, digits: int = 4) -> str:
    """A nested list as rounded tuples: [[0.91, 0.7553]] -> "(0.9100, 0.7553)"; whole numbers in `digits=0`."""
    if isinstance(value, (list, tuple)):
        if len(value) == 1 and isinstance(value[0], (list, tuple)):
            return vector(value[0], digits)
        return "(" + ", ".join(vector(v, digits) for v in value) + ")"
    if value is None:
        return "not finite"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.{digits}f}"


def plain_vector(value: Any) -> str:
    """Inputs as tuples in the shortest form: [[1.0, 2.0]] -> "(1, 2)"."""
    if isinstance(value, (list, tuple)):
        if len(value) == 1 and isinstance(value[0], (list, tuple)):
            return plain_vector(value[0])
        return "(" + ", ".join(plain_vector(v) for v in value) + ")"
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return "-0" if math.copysign(1, value) < 0 and value == 0 else str(int(value))
    return decimal(value)


def entry_name(argument: str, entry: Sequence[int]) -> str:
    """An entry of an array: ("dz", [0, 2]) -> "dz[0, 2]"."""
    return f"{argument}[{', '.join(str(i) for i in entry)}]" if entry else argument


def expected_words(value: Any, write: Any = decimal) -> str:
    """What was expected: a number, or "between a and b" where any value of an interval is right."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and not any(isinstance(v, (list, tuple)) for v in value):
        return f"between {write(value[0])} and {write(value[1])}"
    return str(write(value))


def listing(items: Sequence[str], limit: int = 6) -> str:
    """Names in a sentence, the rest counted: "a, b and 3 more"."""
    shown = list(items[:limit])
    if len(items) > limit:
        return f"{', '.join(shown)} and {len(items) - limit} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def breakable(name: str) -> Markup:
    """A name, escaped, that may break after its dots and underscores and nowhere else."""
    return Markup(re.sub(r"([._/])(?=[^._/])", r"\1<wbr>", str(escape(name))))


def common_prefix(names: Iterable[str]) -> str:
    """The longest dotted prefix that all names share, with its dot; empty when there is none or only one name."""
    split = [n.split(".") for n in names]
    if len(split) < 2:
        return ""
    parts = []
    for level in zip(*(s[:-1] for s in split), strict=False):
        if len(set(level)) > 1:
            break
        parts.append(level[0])
    return "".join(p + "." for p in parts)


def anchors(names: Sequence[str]) -> dict[str, str]:
    """One fragment identifier per name: readable, safe in HTML and URLs, unique."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        base = "t-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "rule")
        anchor, n = base, 2
        while anchor in taken:
            anchor, n = f"{base}-{n}", n + 1
        taken.add(anchor)
        out[name] = anchor
    return out
