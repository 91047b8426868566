"""Balls and dual balls transform pairs of real arrays by python-flint's own Fourier transform; it is linear."""

from __future__ import annotations

import numpy as np
from flint import acb

from backprove.harness.numbers.balls.arrays import BallArray


def transformed(re: BallArray, im: BallArray, *, inverse: bool) -> tuple[BallArray, BallArray]:
    """sum over k of (re + i im)_k exp(-2 pi i j k / n), or with the other sign if `inverse`, on the last axis.

    Args:
        re, im: parts of shape `(*batch, n, points)`; their points axes may mix 1 and P.
    """
    points = max(re.shape[-1], im.shape[-1])
    shape = (*re.shape[:-1], points)
    n = re.shape[-2]
    if not all(shape):
        empty = np.empty(shape, object)
        return empty, empty.copy()
    rows = [np.moveaxis(np.broadcast_to(x, shape), -2, -1).reshape(-1, n) for x in (re, im)]
    out = [np.empty((len(rows[0]), n), object) for _ in rows]
    for i, (a, b) in enumerate(zip(*rows, strict=True)):
        for j, z in enumerate(acb.dft([acb(x, y) for x, y in zip(a, b, strict=True)], inverse)):
            out[0][i, j], out[1][i, j] = (n * z.real, n * z.imag) if inverse else (z.real, z.imag)
    found = [np.moveaxis(x.reshape((*shape[:-2], points, n)), -1, -2) for x in out]
    return found[0], found[1]
