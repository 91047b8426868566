"""The Fourier transform of real and imaginary parts is NumPy's in floats of any width."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import Array


def fourier(re: Array, im: Array, inverse: bool) -> tuple[Array, Array]:
    """sum over k of (re + i im)_k exp(-2 pi i j k / n), or with the other sign if `inverse`, without a factor.

    Args:
        re, im: shape `(*batch, n, points)`.
    """
    if not re.size or not im.size:
        empty = np.zeros(np.broadcast_shapes(re.shape, im.shape), re.dtype)
        return empty, empty.copy()
    z = re + 1j * im
    found = np.fft.ifft(z, axis=-2, norm="forward") if inverse else np.fft.fft(z, axis=-2)
    return np.ascontiguousarray(found.real), np.ascontiguousarray(found.imag)
