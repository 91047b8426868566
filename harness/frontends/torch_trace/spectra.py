"""These rows are Fourier transforms, and what torch does to complex numbers alone."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from backprove.harness.frontends.torch_trace.table import row, tuple_of

SCALES = {0: 0, 1: -1, 2: -2}
"""torch's normalisation -> twice the power of the number of entries by which a transform is multiplied."""


def _scaled(x: Any, count: int, normalization: int) -> Any:
    power = SCALES[normalization] / 2
    return x if power == 0 else x * jnp.asarray(count**power, x.real.dtype)


def _count(x: Any, axes: tuple[int, ...]) -> int:
    return int(np.prod([x.shape[a] for a in axes]))


@row("_fft_c2c")
def _c2c(x: Any, dim: Any, normalization: int, forward: bool) -> Any:
    axes = tuple_of(dim)
    count = _count(x, axes)
    found = x
    for axis in axes:
        found = jnp.fft.fft(found, axis=axis) if forward else jnp.fft.ifft(found, axis=axis) * x.shape[axis]
    return _scaled(found, count, normalization)


@row("_fft_r2c")
def _r2c(x: Any, dim: Any, normalization: int, onesided: bool) -> Any:
    *others, last = tuple_of(dim)
    if not onesided:
        return _c2c(x.astype("complex64" if x.dtype == np.float32 else "complex128"), dim, normalization, True)
    found = jnp.fft.rfft(x, axis=last)
    for axis in others:
        found = jnp.fft.fft(found, axis=axis)
    return _scaled(found, _count(x, tuple_of(dim)), normalization)


@row("_fft_c2r")
def _c2r(x: Any, dim: Any, normalization: int, size: int) -> Any:
    *others, last = tuple_of(dim)
    found = x
    for axis in others:
        found = jnp.fft.ifft(found, axis=axis) * x.shape[axis]
    found = jnp.fft.irfft(found, size, axis=last) * size
    return _scaled(found, _count(x, tuple(others)) * size, normalization)


@row("view_as_real", "view_as_real_copy")
def _view_as_real(x: Any) -> Any:
    return jnp.stack([x.real, x.imag], -1)


@row("view_as_complex", "view_as_complex_copy", "_view_as_complex")
def _view_as_complex(x: Any) -> Any:
    return x[..., 0] + 1j * x[..., 1]


@row("complex")
def _complex(x: Any, y: Any) -> Any:
    return x + 1j * y


@row("polar")
def _polar(size: Any, angle: Any) -> Any:
    return size * jnp.cos(angle) + 1j * (size * jnp.sin(angle))


@row("real")
def _real(x: Any) -> Any:
    return x.real


@row("imag")
def _imag(x: Any) -> Any:
    return x.imag


@row("_conj", "conj_physical", "_conj_physical", "_conj_copy")
def _conj(x: Any) -> Any:
    return jnp.conj(x)


@row("resolve_conj", "resolve_neg")
def _resolved(x: Any) -> Any:
    return x


@row("_neg_view", "_neg_view_copy")
def _negated(x: Any) -> Any:
    return -x
