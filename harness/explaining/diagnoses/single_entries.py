"""These diagnoses name a mistake in one entry, or on or beside a diagonal: a factor, or another entry's coefficient.

All other entries of the result are right: `(g[0] * y, 2 * g[1] * y)` where no 2 belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same

CONSTANT = 1e-7
"""Relative spread of a factor that is taken for constant."""
FEW = 3
"""Entries of a Jacobian that are named one by one."""
DENOMINATOR = 12
"""Largest denominator of a factor that is said as a fraction."""

Place = Callable[[tuple[int, ...]], Array | None]
"""Which entries of an array of a shape are meant, as truth values; None where it has no such entries of its own."""


def factor_in_entries(e: Evidence) -> str | None:
    """Some entries of the result are the right ones times one number, all others are right."""
    k = _only(e)
    if k is None:
        return None
    for words, place in _places(e, k):
        number = _factor(e, k, place)
        if number is not None:
            one = f"{words} is" if not words.startswith("the entries") else f"{words} are"
            return (
                f"{e.where}{one} {_times(number)} what {'it' if one.endswith('is') else 'they'} should be, and all "
                f"other entries are right: multiply by {_said(1 / number)} there."
            )
    return None


def factor_of_outputs(e: Evidence) -> str | None:
    """What some entries of the output contribute has a factor, the rest is right: they are windows over the input."""
    if any(c.claim_at.output_shapes[:1] == (c.shapes[k],) for c in e.cases for k in e.wrong):
        return None
    if e.mode != "vjp" or not e.wrong or len(e.shaped) < len(e.cases):
        return None
    if any(len(c.claim_at.output_shapes) != 1 for c in e.cases):
        return None
    shapes = [c.claim_at.output_shapes[0] for c in e.cases]
    for words, place in _ends(shapes):
        masks = [place(s) for s in shapes]
        numbers = [_ratio_where(c, k, m, rows=True) for c, m in zip(e.cases, masks, strict=True) for k in e.wrong]
        known = [n for n in numbers if n is not None and np.isfinite(n)]
        if len(numbers) > len(known) or not known or np.ptp(known) > CONSTANT * abs(known[0]) or known[0] == 0:
            continue
        window = ""
        if "last" in words and 0 < known[0] != 1 and Fraction(known[0]).limit_denominator(DENOMINATOR) != 0:
            window = (
                " A window that reaches beyond the end (ceil mode) has fewer entries than the others: divide by the "
                "number that it has."
            )
        cotangent = words.replace("the entry", "the cotangent of the output's entry")
        return (
            f"{e.where}what {cotangent} contributes is {_times(known[0])} what it should be, and all the rest is "
            f"right.{window}"
        )
    return None


def another_entry(e: Evidence) -> str | None:
    """One entry of the result has the coefficients of another entry, all others are right."""
    k = _only(e)
    if k is None:
        return None
    shapes = {c.shapes[k] for c in e.cases}
    if len(shapes) > 1 or not all(shapes):
        return None
    (shape,) = shapes
    wrong = [j for j in range(int(np.prod(shape))) if any(not _column_right(c, k, j) for c in e.cases)]
    if len(wrong) != 1:
        return None
    (i,) = wrong
    for j in range(int(np.prod(shape))):
        if j != i and all(_takes(c, k, i, j) for c in e.cases):
            here, there = (_index(np.unravel_index(n, shape)) for n in (i, j))
            name = e.names[k]
            return f"The result for {name}{here} has the coefficient of {name}{there}: an index is wrong there."
    return None


def few_coefficients(e: Evidence) -> str | None:
    """A few entries of the Jacobian are wrong, by a factor or by standing for another one; all others are right."""
    k = _only(e)
    if k is None or len({(c.shapes[k], c.claim_at.output_shapes) for c in e.cases}) > 1:
        return None
    places = sorted({p for c in e.cases for p in _wrong_places(c, k)})
    size = e.cases[0].true[k].size
    if not 1 <= len(places) <= min(FEW, size - 1) or len(e.cases[0].claim_at.output_shapes) != 1:
        return None
    mistakes = [_mistake(e, k, place) for place in places]
    if None in mistakes:
        return None
    names = [_name_of(e, k, place) for place in places]
    if len(places) == 1:
        return f"The derivative of {names[0]} is wrong, and every other one is right: it is {mistakes[0]}."
    each = "; ".join(f"that of {name} is {said}" for name, said in zip(names, mistakes, strict=True))
    return f"{len(places)} derivatives are wrong, and every other one is right: {each}."


def _mistake(e: Evidence, k: int, place: tuple[int, int]) -> str | None:
    """What one entry of the Jacobian is, in words; None where nothing fits at all cases."""
    pairs = [(float(c.got[k][place]), c.true[k]) for c in e.cases if c.got is not None]
    ratios = [got / true[place] if true[place] else np.inf for got, true in pairs]
    if len(ratios) > 1 and np.isfinite(ratios).all() and np.ptp(ratios) <= CONSTANT * abs(ratios[0]) and ratios[0]:
        return f"{_times(ratios[0])} what it should be; multiply it by {_said(1 / ratios[0])}"
    if not any(got for got, _ in pairs):
        return "left out"
    for other in np.ndindex(pairs[0][1].shape):
        if other != place and all(abs(got - true[other]) <= CONSTANT * abs(got) for got, true in pairs):
            return f"that of {_name_of(e, k, other)}"
    return None


def _name_of(e: Evidence, k: int, place: tuple[int, ...]) -> str:
    """An entry of the Jacobian, as in `out[1] by x[0]`."""
    c = e.cases[0]
    out = np.unravel_index(place[0], c.claim_at.output_shapes[0])
    entry = np.unravel_index(place[1], c.shapes[k])
    return f"out{_index(out) if out else ''} by {e.names[k]}{_index(entry) if entry else ''}"


def _wrong_places(c: Case, k: int) -> list[tuple[int, int]]:
    assert c.got is not None
    off = ~(np.abs(c.got[k] - c.true[k]) <= CONSTANT * max(float(np.abs(c.true[k]).max(initial=0.0)), 1e-300))
    return [(int(i), int(j)) for i, j in np.argwhere(off)]


def _only(e: Evidence) -> int | None:
    """The one argument in which a linear rule is wrong."""
    if len(e.wrong) != 1 or len(e.shaped) < len(e.cases) or not e.linear:
        return None
    return e.wrong[0]


def _places(e: Evidence, k: int) -> Iterator[tuple[str, Place]]:
    """Entries of argument k, in words and as a mask: single ones, those on or beside the diagonal."""
    shapes = [c.shapes[k] for c in e.cases]
    name = e.names[k]
    if len(set(shapes)) == 1 and shapes[0]:
        for index in np.ndindex(shapes[0]):
            yield f"the entry {name}{_index(index)}", _single(index)
    yield from ((w.replace("the entry", f"the entry of {name}"), p) for w, p in _ends(shapes))
    rank = {len(s) for s in shapes}
    if rank == {2} and all(s[0] == s[1] for s in shapes):
        yield f"the entries of {name} on the diagonal", lambda s: np.eye(s[0], dtype=bool) if s[0] > 1 else None
        yield (
            f"the entries of {name} beside the diagonal",
            lambda s: ~np.eye(s[0], dtype=bool) if s[0] > 1 else None,
        )


def _ends(shapes: list[tuple[int, ...]]) -> Iterator[tuple[str, Place]]:
    """The first, second and last entries along the last axis."""
    if all(shapes):
        yield "the entry with index 0 along the last axis", _along_last(0)
        yield "the entry with index 1 along the last axis", _along_last(1)
        yield "the last entry along the last axis", _along_last(-1)


def _single(index: tuple[int, ...]) -> Place:
    def place(shape: tuple[int, ...]) -> Array | None:
        mask = np.zeros(shape, dtype=bool)
        mask[index] = True
        return mask

    return place


def _along_last(index: int) -> Place:
    def place(shape: tuple[int, ...]) -> Array | None:
        if shape[-1] < 2:
            return None
        mask = np.zeros(shape, dtype=bool)
        mask[..., index] = True
        return mask

    return place


def _factor(e: Evidence, k: int, place: Place) -> float | None:
    """The one number by which the entries of a place are wrong at all cases."""
    numbers = []
    for c in e.cases:
        number = _ratio_where(c, k, place(c.shapes[k]), rows=False)
        if number is None:
            return None
        numbers.append(number)
    known = [n for n in numbers if np.isfinite(n)]
    if len(known) < 2 or np.ptp(known) > CONSTANT * abs(known[0]) or known[0] == 0:
        return None
    return known[0]


def _ratio_where(c: Case, k: int, mask: Array | None, *, rows: bool) -> float | None:
    """The number by which the masked columns (or rows) are wrong, the others being right.

    NaN where the case has no such entries, or nothing wrong can be seen in them; None where it does not fit.
    """
    assert c.got is not None
    got, true = (c.got[k], c.true[k]) if rows else (c.got[k].T, c.true[k].T)
    if not np.isfinite(got).all():
        return None
    if mask is None:
        return np.nan if same(got, true) else _whole_ratio(got, true)
    flat = mask.reshape(-1)
    if flat.size != len(got) or not same(np.where(flat[:, None], 0.0, got), np.where(flat[:, None], 0.0, true)):
        return None
    return _whole_ratio(got[flat], true[flat])


def _whole_ratio(got: Array, true: Array) -> float | None:
    if not true.any():
        return np.nan if not got.any() else None
    j = np.unravel_index(int(np.abs(true).argmax()), true.shape)
    ratio = float(got[j] / true[j])
    return ratio if same(got, ratio * true) else None


def _column_right(c: Case, k: int, j: int) -> bool:
    assert c.got is not None
    return same(c.got[k][:, j], c.true[k][:, j])


def _takes(c: Case, k: int, i: int, j: int) -> bool:
    """Whether column i is column j, or takes its number from there where each output has an input of its own."""
    assert c.got is not None
    got, true = c.got[k], c.true[k]
    if same(got[:, i], true[:, j]) and true[:, j].any():
        return True
    if true.shape[0] != true.shape[1] or (true != np.diag(np.diag(true))).any():
        return False
    wanted = np.zeros(len(true))
    wanted[i] = true[j, j]
    return same(got[:, i], wanted)


def _index(index: tuple[int, ...] | tuple[np.intp, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]"


def _times(number: float) -> str:
    known = {2.0: "twice", 0.5: "half", -1.0: "minus"}
    return next((w for v, w in known.items() if abs(number - v) <= CONSTANT), f"{_said(number)} times")


def _said(number: float) -> str:
    near = Fraction(number).limit_denominator(DENOMINATOR)
    if abs(float(near) - number) <= CONSTANT * abs(number):
        return str(near)
    return f"{number:.6g}"
