"""Code with complex numbers inside becomes a program of reals that means the same in every number system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb

import backprove as bp
from backprove.harness.core.arrays import Array
from backprove.harness.frontends.front_end import ProgramOnBalls
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.balls.arrays import lift
from backprove.harness.numbers.bounds.bounds import Running
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.programs.to_jax import as_jax_function

SHAPE = (2, 4)


def parts(w: Any) -> Any:
    return jnp.real(w), jnp.imag(w)


def of(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The parts of what a function of x[0] + i x[1] returns."""
    return lambda x: jax.tree.map(parts, function(x[0] + 1j * x[1]))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "cube and reciprocal": of(lambda z: z**3 + 1 / z - z**0),
    "square of the size": lambda x: (jnp.abs(x[0] + 1j * x[1]) ** 2).sum(),
    "exp, log, sqrt": of(lambda z: jnp.exp(z) + jnp.log(z) * jnp.sqrt(z)),
    "sin, cos, tanh": of(lambda z: jnp.sin(z) - jnp.tanh(z) / (1 + jnp.cos(z)) + jnp.tan(z)),
    "sinh, cosh": of(lambda z: jnp.sinh(z) * jnp.cosh(z) + jax.nn.sigmoid(z)),
    "expm1, log1p": of(lambda z: jnp.expm1(z) + jnp.log1p(z)),
    "arc functions": of(lambda z: jnp.arcsin(z) * jnp.arctan(z / 3) + jnp.arccos(z)),
    "area functions": of(lambda z: jnp.arcsinh(z) * jnp.arctanh(z / 3) + jnp.arccosh(z * z + 2)),
    "loop": of(lambda z: jax.lax.scan(lambda c, y: (c * y, c + 1j), 1j + z[0], z)),
    "branch": of(lambda z: jax.lax.cond(z[0].real > -9, lambda a: a * a, lambda a: a, z)),
    "while loop": lambda x: parts(
        jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * c[1]), (0, x[0] + 1j))[1]
    ),
    "power": of(lambda z: z ** (0.3 + 2j) + z**z),
    "angle": lambda x: jnp.angle(x[0] + 1j * x[1]),
    "rsqrt, conj": of(lambda z: jax.lax.rsqrt(z) * jnp.conj(z)),
    "product": of(jnp.prod),
    "running sum": of(jnp.cumsum),
    "choice": of(lambda z: jnp.where((z == 0) | ~jnp.isfinite(z) | (z.real > 0), z, 2 * z)),
    "contraction": lambda x: parts(jnp.einsum("ij,kj->ik", x * 1j, x + 1j)),
    "convolution": of(lambda z: jnp.convolve(z, z * 1j)),
    "fft": of(jnp.fft.fft),
    "fft of reals": lambda x: jnp.abs(jnp.fft.fft(x)) ** 2,
    "ifft": of(jnp.fft.ifft),
    "fft2": lambda x: parts(jnp.fft.fft2(x)),
    "rfft": lambda x: parts(jnp.fft.rfft(x)),
    "rfft2": lambda x: parts(jnp.fft.rfft2(x)),
    "irfft of an even size": lambda x: jnp.fft.irfft(x[0] + 1j * x[1], 6),
    "irfft of an odd size": lambda x: jnp.fft.irfft(x[0] + 1j * x[1], 5),
    "irfft2": lambda x: jnp.fft.irfft2(x + 1j * x * x),
    "orthonormal fft": lambda x: jnp.fft.fft(x, norm="ortho").imag,
    "gradient through an fft": jax.grad(lambda x: (jnp.abs(jnp.fft.fft(x)) ** 2 * jnp.arange(4)).sum()),
}


def middle(balls: Array) -> Array:
    return np.vectorize(lambda b: float(b.mid()) if isinstance(b, arb) else b)(balls)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_system_computes_what_jax_computes(name: str) -> None:
    function = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)
    program = trace(function, (SHAPE, "float64"))
    with jax.enable_x64(True):
        value, slope = jax.jvp(function, (jnp.asarray(x),), (jnp.asarray(t),))
        again = jax.jvp(as_jax_function(program), (jnp.asarray(x),), (jnp.asarray(t),))[1]
    values, slopes = (list(map(np.asarray, jax.tree.leaves(v))) for v in (value, slope))
    point = [x[..., None]]
    found, moved, touched = ProgramOnBalls(program).duals([lift(p) for p in point], [lift(t[..., None])])
    assert not touched.any()
    floats, bounds = Floats().run(program, point), Running("float64").run(program, point)
    for k, (v, s) in enumerate(zip(values, slopes, strict=True)):
        np.testing.assert_allclose(floats[k][..., 0], v, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(middle(found[k])[..., 0], v, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(middle(moved[k])[..., 0], s, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(np.asarray(again[k]), s, rtol=1e-12, atol=1e-12)
        assert (np.abs(v - bounds[k].v[..., 0]) <= bounds[k].e[..., 0]).all() and (bounds[k].e < 1e-11).all()


def test_the_twiddle_factors_are_no_rounded_numbers() -> None:
    program = trace(lambda x: jnp.fft.fft(x).real, ((3,), "float64"))
    (out,) = ProgramOnBalls(program).balls([lift(np.array([[0.0], [2.0], [0.0]]))])
    assert out[1, 0].overlaps(arb(-1)) and out[1, 0].rad() < 1e-30


@pytest.mark.parametrize(
    ("function", "point", "slope"),
    [(jnp.sign, 1 + 1j, 8**-0.5 * (-1 + 1j)), (jnp.arccosh, -0.5 + 1j, 1j / (np.sqrt(-1.5 + 1j) * np.sqrt(0.5 + 1j)))],
)
def test_slopes_that_jax_has_otherwise(function: Any, point: complex, slope: complex) -> None:
    """JAX takes sign for constant, and the root of (z - 1)(z + 1) for the product of roots, off by -1 left of 0."""
    program = trace(lambda x: parts(function(x[0] + 1j * x[1])), ((2,), "float64"))
    place = np.array([[point.real], [point.imag]])
    _, moved, _ = ProgramOnBalls(program).duals([lift(place)], [lift(np.array([[0.0], [1.0]]))])
    assert [float(m[0].mid()) for m in moved] == pytest.approx([slope.real, slope.imag])


@pytest.mark.parametrize(
    "function", [lambda x: jnp.sort(x + 2j).real, lambda x: jnp.linalg.inv(jnp.diag(x + 2j)).real], ids=["sort", "lu"]
)
def test_what_is_not_rewritten_is_named(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="of complex numbers"):
        trace(function, ((3,), "float64"))


def power(x: Any) -> Any:
    return (jnp.abs(jnp.fft.rfft(x)) ** 2 * jnp.arange(1.0, 4.0)).sum()


def power_vjp(x: Any, g: Any) -> Any:
    """Twice the real part of the inverse transform of the weighted spectrum, without a factor."""
    weighted = jnp.fft.rfft(x) * jnp.arange(1.0, 4.0)
    k, n = jnp.arange(3), jnp.arange(4)
    turn = jnp.exp(2j * jnp.pi * k[:, None] * n / 4)
    return g * 2 * jnp.real((weighted[:, None] * turn).sum(0))


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (1 + 1e-9, "falsified")])
def test_rules_with_complex_numbers_inside_are_judged_over_the_reals(factor: float, verdict: str) -> None:
    rule = bp.Rule("power", forward=power, vjp=lambda x, g: factor * power_vjp(x, g), inputs={"x": bp.array("4")})
    report = bp.check(rule, points=200, dtypes=("float64",))
    assert report.verdict == verdict
    if verdict == "falsified":
        assert report.counterexamples[0].oracle == "dual balls"
