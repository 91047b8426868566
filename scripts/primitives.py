"""The table of primitives and number systems as a page: `python -m scripts.primitives > docs/primitives.md`.

Nothing is evaluated here; `tests/harness/numbers/test_every_primitive.py` evaluates every cell.
"""

from __future__ import annotations

from tests.harness.numbers.primitives import HOLES, INTEGER_ROWS, ROWS, SYSTEMS, TRACED

TITLE = """# Primitives

Which of JAX's primitives each number system evaluates. Written by `python -m scripts.primitives` from the table in
`tests/harness/numbers/primitives.py`, every cell of which a test evaluates: floats are JAX's, balls and dual balls
enclose JAX's value and `jax.jvp`'s tangent, and no float of NumPy's is farther from the real number than its error
bound, none of XLA's than twice that.

The first five systems run programs of these primitives; the last three run NumPy code as it is, on object arrays. A
number says why there is a hole: the layer that needs the primitive is skipped then, and the report names it.
"""


def page() -> str:
    """The page in Markdown, with a line break at its end."""
    reasons = list(dict.fromkeys(HOLES.values()))

    def cell(name: str, system: str) -> str:
        why = HOLES.get((name, system))
        return "✓" if why is None else str(reasons.index(why) + 1)

    lines = [f"| primitive | {' | '.join(SYSTEMS)} |", f"|---|{':-:|' * len(SYSTEMS)}"]
    lines += [f"| {name} | {' | '.join(cell(name, s) for s in SYSTEMS)} |" for name in sorted(ROWS)]
    whole = ", ".join(name.removeprefix("integers: ") for name in sorted(INTEGER_ROWS))
    apart = [f"{n.removeprefix('integers: ')} ({s}: {cell(n, s)})" for n, s in HOLES if n in INTEGER_ROWS]
    return "\n".join(
        [
            TITLE,
            *lines,
            "",
            *(f"{i}. {why}" for i, why in enumerate(reasons, start=1)),
            "",
            f"On integers the first {len(TRACED)} systems are one: all know {whole}; but for {', '.join(apart)}.",
            "",
        ]
    )


if __name__ == "__main__":
    print(page(), end="")
