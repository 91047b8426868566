"""These diagnoses name sums over the wrong axes: one not summed, summed to a scalar, an axis forgotten, the wrong one
reduced.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from backprove.harness.core.arrays import Array
from backprove.harness.explaining.diagnoses.evidence import Case, Evidence, same


def result_shape(e: Evidence) -> str | None:
    """The results have a wrong shape: what was done to the right ones?"""
    if e.mode != "vjp" or len(e.shaped) == len(e.cases):
        return None
    said: list[str] | None = None
    for c in e.cases:
        if c.got is not None:
            if not all(c.right(k) for k in range(len(e.names))):
                return None
            continue
        d = c.directions()
        got, right = c.rule(d), c.apply(c.true, d)
        if got is None or len(got) != len(right):
            return None
        for name, g, r in zip(e.names, got, right, strict=True):
            if g.shape != r.shape:
                here = list(_reshaped(name, g, r, c))
                said = here if said is None else [t for t in said if t in here]
            elif not same(g, r):
                return None
    return said[0] if said else None


def _reshaped(name: str, got: Array, right: Array, c: Case) -> Iterator[str]:
    """All that may have been done to the right result, the most special first."""
    if got.ndim == 0 and same(got, np.asarray(right.sum())):
        yield (
            f"The cotangent of {name} is summed to a scalar: sum only over the axes that were broadcast, "
            f"down to the shape of {name}."
        )
    if got.ndim == right.ndim == 2 and got.shape == right.shape[::-1] and same(got.T, right):
        yield f"The cotangent of {name} is the transpose of the right one: transpose the result."
    if got.ndim >= right.ndim:
        extra = got.ndim - right.ndim
        padded = (1,) * extra + right.shape
        over = tuple(
            a for a, (p, q) in enumerate(zip(padded, got.shape, strict=True)) if a < extra or (p == 1 and q > 1)
        )
        if over and same(got.sum(axis=over).reshape(-1), right.reshape(-1)):
            yield (
                f"A broadcast axis is not summed: {name} was broadcast in forward, so its cotangent must be "
                "summed down to "
                f"the shape of {name}."
            )
    if len(c.sizes) > 1 and got.ndim == right.ndim and _overlap_agrees(got, right):
        yield (
            f"The cotangent of {name} takes its shape from the wrong sizes: it is right only where they are equal. "
            f"Use the shape of {name}."
        )
    if got.size == right.size and same(got.reshape(-1), right.reshape(-1)):
        yield (
            f"The values of the cotangent of {name} are right but its shape is not: reshape it to the shape of {name}."
        )


def _overlap_agrees(got: Array, right: Array) -> bool:
    common = tuple(slice(0, min(p, q)) for p, q in zip(got.shape, right.shape, strict=True))
    return got.size > 0 and right.size > 0 and same(got[common], right[common])


def summed_too_far(e: Evidence) -> str | None:
    """The result is the right one summed (or averaged) over some of its axes and spread out again."""
    if e.mode != "vjp" or not e.wrong or len(e.shaped) < len(e.cases):
        return None
    texts = {_summed(c, k) for c in e.cases for k in e.wrong if not c.right(k)}
    how = texts.pop() if len(texts) == 1 else None
    if how is None:
        return None
    names = " and ".join(e.names[k] for k in e.wrong)
    return (
        f"The cotangent of {names} is {how}: every entry of {names} must get its own sum, down to the shape of {names}."
    )


def _summed(c: Case, k: int) -> str | None:
    assert c.got is not None
    shape = c.shapes[k]
    got, true = c.got[k].reshape(-1, *shape), c.true[k].reshape(-1, *shape)
    axes = [a for a in range(len(shape)) if shape[a] > 1]
    for count in range(len(axes), 0, -1):
        for over in combinations(axes, count):
            real = tuple(a + 1 for a in over)
            whole = "all its entries" if count == len(axes) else f"its axis {over[0]}"
            if same(got, np.broadcast_to(true.sum(axis=real, keepdims=True), got.shape)):
                return f"summed over {whole}"
            if same(got, np.broadcast_to(true.mean(axis=real, keepdims=True), got.shape)):
                return f"averaged over {whole}"
    return None


def transposed_axes(e: Evidence) -> str | None:
    """The rule is that of the same map along the other axis."""
    if not e.wrong or len(e.names) != 1 or len(e.cases[0].x) != 1 or len(e.shaped) < len(e.cases):
        return None
    square = [c for c in e.cases if len(c.shapes[0]) == 2 and c.shapes[0][0] == c.shapes[0][1] > 1]
    if len(square) < 2 or not all(_other_axis(c) for c in square):
        return None
    return (
        "The wrong axis is reduced: the result is right for the map along the other axis of "
        f"{e.names[0]}. Check axis= in the rule."
    )


def _other_axis(c: Case) -> bool:
    assert c.got is not None
    there = c.true_at([c.x[0].T])
    if there is None:
        return False
    n, m = c.shapes[0]
    rows = len(there[0])
    cube = there[0].reshape(rows, n, m).swapaxes(1, 2)
    if c.claim_at.output_shapes[0] == (n, m):
        cube = cube.reshape(n, m, n, m).swapaxes(0, 1).reshape(rows, n, m)
    return same(c.got[0], cube.reshape(rows, n * m)) and not same(c.got[0], c.true[0])


def axis_forgotten(e: Evidence) -> str | None:
    """Right while one dimension has size 1; beyond, entries influence each other that forward keeps apart."""
    if not e.wrong or len(e.shaped) < len(e.cases):
        return None
    dims = list(e.cases[0].sizes)
    for name in dims:
        alone = [c for c in e.cases if c.sizes[name] == 1]
        several = [c for c in e.cases if c.sizes[name] > 1 and not all(c.right(k) for k in e.wrong)]
        telling = [c for c in alone if max(c.sizes.values()) > 1]
        if not telling or not several:
            continue
        if all(c.right(k) for c in alone for k in e.wrong) and all(_mixes(c, k) for c in several for k in e.wrong):
            return (
                f"{e.where}right when {name} = 1, but for larger {name} entries influence each other that "
                "forward keeps apart: "
                "a sum runs over the whole array. Give it axis= (and keepdims=True), so that it does not run "
                f"over {name}."
            )
    return None


def _mixes(c: Case, k: int) -> bool:
    """Whether the rule has all entries of the Jacobian, and more where it is zero, as a sum over too much has."""
    assert c.got is not None
    got, true = c.got[k], c.true[k]
    if not np.isfinite(got).all():
        return False
    if len(true) < true.shape[1] and ((true != 0).sum(axis=1) <= 1).all():
        return False  # forward selects entries: there is no sum in it to run too far
    present = np.abs(got) > 1e-6 * np.abs(true).max()
    return bool(present[true != 0].all()) and bool(present[true == 0].any())
