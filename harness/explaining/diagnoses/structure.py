"""These diagnoses name a Jacobian of the wrong structure: a diagonal, a transpose, a rank-one term too few or
too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same

RANK = 1e-6


def diagonal_only(e: Evidence) -> str | None:
    """`R = diag(J)` where J has entries beside its diagonal."""

    def fits(c: Case, k: int) -> bool:
        j = c.true[k]
        return c.got is not None and j.shape[0] == j.shape[1] and same(c.got[k], np.diag(np.diag(j)))

    if not e.every(fits):
        return None
    repair = _diagonal_repair(e) if len(e.wrong) == 1 and e.mode == "vjp" else None
    text = (
        f"{e.where}the rule keeps only the diagonal of the Jacobian: every output entry depends on other "
        "input entries too"
    )
    return f"{text}; {repair}." if repair else f"{text}."


def _diagonal_repair(e: Evidence) -> str | None:
    """The right formula where J is a diagonal plus one rank-one term of known vectors."""
    found = _rank_one_words(e, lambda c, k: c.true[k], diagonal=True)
    if found is None:
        return None
    term, sign, diagonal = found
    if diagonal is None:
        return f"{'subtract' if sign < 0 else 'add'} the entries off the diagonal, those of {term}"
    kept = "g" if diagonal == "1" else f"g * {diagonal}"
    verb = "subtract" if sign < 0 else "add"
    return f"{verb} {term} {'from' if sign < 0 else 'to'} {kept}, which gives {kept} {'-' if sign < 0 else '+'} {term}"


def permutation(e: Evidence) -> str | None:
    """`R = J^T` where J permutes entries: a gather where a scatter belongs."""

    def fits(c: Case, k: int) -> bool:
        j = c.true[k]
        is_one = np.abs(j - 1) < RANK
        square = j.shape[0] == j.shape[1]
        permutes = square and bool(((np.abs(j) < RANK) | is_one).all()) and bool((is_one.sum(axis=0) == 1).all())
        return c.got is not None and permutes and same(c.got[k], j.T)

    if not e.every(fits):
        return None
    return (
        f"{e.where}the {e.word} is permuted the wrong way round, with the inverse permutation: scatter "
        "instead of gather "
        "(out[perm] = g, not g[perm])."
    )


def transposed(e: Evidence) -> str | None:
    """`R = J^T`, or each result transposed as a matrix."""
    if e.every(
        lambda c, k: c.got is not None and c.true[k].shape[0] == c.true[k].shape[1] and same(c.got[k], c.true[k].T)
    ):
        right = "J^T g" if e.mode == "vjp" else "J t"
        wrong = "J g" if e.mode == "vjp" else "J^T t"
        return f"{e.where}the Jacobian is transposed: the rule computes {wrong} where {right} is right."

    def as_matrix(c: Case, k: int) -> bool:
        shape = c.shapes[k]
        if len(shape) != 2 or shape[0] != shape[1] or c.got is None:
            return False
        cube = c.got[k].reshape(-1, *shape)
        return same(cube.swapaxes(1, 2).reshape(c.true[k].shape), c.true[k])

    square = [c for c in e.cases if c.got is not None and all(len(c.shapes[k]) == 2 for k in e.wrong)]
    able = [c for c in square if all(c.shapes[k][0] == c.shapes[k][1] > 1 for k in e.wrong)]
    if e.mode == "vjp" and able and e.wrong and all(as_matrix(c, k) for c in able for k in e.wrong):
        return f"{e.where}the returned matrix is the transpose of the right one: transpose the result."
    return None


def swapped(e: Evidence) -> str | None:
    """Two arguments' results are exchanged."""
    n = len(e.names)
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    for a, b in pairs:
        if set(e.wrong) - {a, b} or not e.shaped or len(e.shaped) < len(e.cases):
            continue
        if all(c.got is not None and same(c.got[a], c.true[b]) and same(c.got[b], c.true[a]) for c in e.cases):
            return (
                f"The {e.word}s of {e.names[a]} and {e.names[b]} are exchanged: return them in the order of the inputs."
            )
    if len(e.wrong) == 1:
        k = e.wrong[0]
        for other in range(n):
            if other != k and all(c.got is not None and same(c.got[k], c.true[other]) for c in e.cases):
                return (
                    f"The result for {e.names[k]} is that of {e.names[other]}: two arguments are confused in the rule."
                )
    return None


def rank_one(e: Evidence) -> str | None:
    """A rank-one term is missing, or counted twice: seen where one dimension is long and all others are 1."""
    if len(e.wrong) != 1 or len(e.shaped) < len(e.cases):
        return None
    k = e.wrong[0]
    kinds = {
        _rank_one_kind(c, k) for c in e.cases if max(c.true[k].shape) >= 6 and sum(s > 1 for s in c.sizes.values()) == 1
    }
    kinds -= {"right", "uncoupled"}
    if len(kinds) != 1 or kinds & {""}:
        return None
    if not all(_confined(c, k) for c in e.cases):
        return None
    missing = kinds == {"missing"}
    found = _rank_one_words(e, lambda c, k: c.true[k] - c.got[k] if c.got else c.true[k], diagonal=False)
    if missing:
        repair = f": {'subtract' if found[1] < 0 else 'add'} {found[0]}" if found else ""
        return f"{e.where}a rank-one term of the Jacobian (a sum over the entries) is missing{repair}."
    repair = f" ({found[0]})" if found else ""
    return (
        f"{e.where}a rank-one term of the Jacobian (a sum over the entries){repair} is counted twice: "
        "remove one of them."
    )


def _rank_one_kind(c: Case, k: int) -> str:
    assert c.got is not None
    got, true = c.got[k], c.true[k]
    if true.shape[0] != true.shape[1] or not np.isfinite(got).all():
        return ""
    if same(got, true):
        return "right"
    if not _beside(true):
        return "uncoupled"
    extra = got - true
    if _rank(extra) != 1:
        return ""
    # the rank beside the diagonal: two disjoint halves of the indices
    if _beside(got) == _beside(true) - 1:
        return "missing"
    if _beside(true - extra) == _beside(true) - 1:
        return "doubled"
    return ""


def _rank(a: Array) -> int:
    size = np.linalg.svd(a, compute_uv=False)
    return int((size > RANK * max(float(size[0]), 1e-300)).sum()) if size.size and size[0] > 0 else 0


def _beside(a: Array) -> int:
    """Rank of `a` beside its diagonal, on a scale common to both halves."""
    half = len(a) // 2
    size = np.linalg.svd(a[:half, half:], compute_uv=False)
    return int((size > RANK * max(float(np.abs(a).max()), 1e-300)).sum())


def _confined(c: Case, k: int) -> bool:
    """Whether the mistake couples only entries that forward couples."""
    assert c.got is not None
    off = np.abs(c.got[k] - c.true[k]) > RANK * max(float(np.abs(c.true[k]).max()), 1e-300)
    beside = off & (c.true[k] == 0)
    if beside.shape[0] == beside.shape[1]:
        beside &= ~np.eye(len(beside), dtype=bool)
    return bool(np.isfinite(c.got[k]).all()) and not beside.any()


# -- words for the vectors of a rank-one term ---------------------------------------------------------------------

KNOWN: dict[str, Callable[[Array, Array], Array]] = {
    "1": lambda x, y: np.ones_like(x),
    "out": lambda x, y: y,
    "exp(out)": lambda x, y: np.exp(y),
    "{x}": lambda x, y: x,
    "exp({x})": lambda x, y: np.exp(x),
}


def _rank_one_words(
    e: Evidence, matrix: Callable[[Case, int], Array], *, diagonal: bool
) -> tuple[str, int, str | None] | None:
    """The term `b * sum(a * g)` with `matrix = sign * a b^T`, its sign, and what is left on the diagonal.

    With `diagonal` the matrix is compared beside its diagonal only.
    """
    k = e.wrong[0]
    cases = [c for c in e.cases if c.got is not None and c.true[k].shape[0] == c.true[k].shape[1] >= 3]
    name = e.names[k]
    if not cases or len(cases[0].claim_at.output_shapes) != 1:
        return None

    def holds(c: Case, a: str, b: str, sign: int) -> bool:
        x, y = c.argument(k).ravel(), c.outputs[0].ravel()
        m = matrix(c, k)
        term = sign * np.outer(KNOWN[a](x, y), KNOWN[b](x, y))
        coupled = np.abs(c.true[k]) > 0
        off = coupled & ~np.eye(len(m), dtype=bool) if diagonal else coupled
        return bool(np.isfinite(term).all()) and same(np.where(off, m, 0.0), np.where(off, term, 0.0))

    for a, b, sign in _choices():
        if all(holds(c, a, b, sign) for c in cases):
            g = "g" if a == "1" else f"{a.format(x=name)} * g"
            total = "sum(g)" if a == "1" else f"sum({g})"
            if any(s > 1 for c in cases for s in c.shapes[k][:-1]):
                total = total[:-1] + ", along the axis)"
            term = total if b == "1" else f"{b.format(x=name)} * {total}"
            rest = _diagonal_words(cases, k, a, b, sign) if diagonal else None
            return term.replace(", along the axis", ""), sign, rest.format(x=name) if rest else None
    return None


def _choices() -> Iterator[tuple[str, str, int]]:
    for a in KNOWN:
        for b in KNOWN:
            for sign in (-1, 1):
                yield a, b, sign


def _diagonal_words(cases: list[Case], k: int, a: str, b: str, sign: int) -> str | None:
    """The vector d with `J = diag(d) + sign * a b^T`, if it is a known one."""
    for name, vector in KNOWN.items():
        if all(
            same(
                np.diag(c.true[k]) - sign * KNOWN[a](*_xy(c, k)) * KNOWN[b](*_xy(c, k)),
                vector(*_xy(c, k)),
            )
            for c in cases
        ):
            return name
    return None


def _xy(c: Case, k: int) -> tuple[Array, Array]:
    return c.argument(k).ravel(), c.outputs[0].ravel()
