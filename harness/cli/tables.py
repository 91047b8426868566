"""Plain tables are laid out here for terminals and logs."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a header in aligned columns, two blanks apart.

    Args:
        right: indices of the columns that are aligned to the right.
    """
    everything = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(header))]
    lines = []
    for row in everything:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def count(n: int, singular: str, plural: str | None = None) -> str:
    """`1 rule`, `2 rules`."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
