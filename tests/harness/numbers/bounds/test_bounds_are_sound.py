"""The running error bound must cover what floats really do, and must not cover what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn

from backprove.harness.core.arrays import Array
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.bounds.bounds import ANY, EXTENDED, Running
from backprove.harness.numbers.bounds.truth import Bounded
from backprove.harness.numbers.elementary.table import having
from backprove.harness.numbers.floats.floats import Floats

DTYPES = ("float64", "float32", "bfloat16", "float16")
POINTS = 600
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 6.0, 20.0, -40.0, 90.0, -750.0)


def wild(shape: tuple[int, ...], dtype: str, rng: np.random.Generator, points: int = POINTS) -> Array:
    """Points of a format: normal, log-scaled over its range, saturated, special, subnormal, with ties."""
    fmt = FORMATS[dtype]
    full = (*shape, points)
    low, high = np.log10(fmt.tiny) - 2, np.log10(fmt.max)
    sign = rng.choice([-1.0, 1.0], full)
    kinds = [
        rng.normal(0, 3, full),
        sign * 10 ** rng.uniform(low, high, full),
        sign * 10 ** rng.uniform(-5, 3, full),
        rng.choice(SPECIAL, full) * (1 + rng.integers(-4, 5, full) * 2 * fmt.u),
        rng.choice(SPECIAL, full),
    ]
    per_entry = rng.integers(0, len(kinds), full)
    per_point = np.broadcast_to(rng.integers(0, len(kinds), points), full)
    x = np.choose(np.where(rng.random(full) < 0.3, per_entry, per_point), kinds)
    if shape and shape[-1] > 1:
        copied = rng.random(points) < 0.15
        x[..., :, copied] = x[..., :1, copied]
    x = fmt.round(x)
    return np.where(np.isfinite(x), x, 1.0)


def on_xla(function: Callable[..., Any], arrays: list[Array], dtype: str) -> list[Array]:
    """What the compiled program computes, points on the last axis."""
    with jax.enable_x64(True):
        moved = [jnp.asarray(np.moveaxis(a, -1, 0).astype(FORMATS[dtype].numpy)) for a in arrays]
        out = jax.jit(jax.vmap(function))(*moved)
        return [np.moveaxis(np.asarray(y).astype(np.float64), 0, -1) for y in jax.tree.leaves(out)]


def violations(bound: Bounded, got: Array, dtype: str) -> Array:
    """How far results lie outside their bound, as a multiple of it (finite bounds only)."""
    finite = np.isfinite(bound.e)
    allowed = 2 * bound.e + 4 * FORMATS[dtype].tiny
    with np.errstate(all="ignore"):
        distance = np.abs(got - bound.v).astype(np.float64)
        ratio = np.where(distance <= allowed, 0.0, distance / allowed)
    return np.where(finite, np.where(np.isnan(ratio), np.inf, ratio), 0.0)


def assert_sound(
    function: Callable[..., Any],
    shapes: tuple[tuple[int, ...], ...],
    dtype: str,
    names: list[str] | None = None,
    signed_zeros: bool = True,
) -> None:
    """Results of XLA and of NumPy lie within twice the bound of every output (`names`), wherever it is finite."""
    rng = np.random.default_rng([7, DTYPES.index(dtype)])
    arrays = [wild(s, dtype, rng) + (0.0 if not signed_zeros else -0.0) for s in shapes]
    program = trace(function, *((s, dtype) for s in shapes))
    bounds = Running(dtype).run(program, arrays)
    names = names or [str(i) for i in range(len(bounds))]
    for name, bound in zip(names, bounds, strict=True):
        assert np.isfinite(bound.e).any(), f"{name}: no finite bound at all"
    flushed = [np.where(np.abs(a) < FORMATS[dtype].tiny, 0, a) for a in arrays]
    for backend, points, results in (
        ("xla", arrays, on_xla(function, arrays, dtype)),
        ("numpy", arrays, Floats().run(program, arrays)),
        ("numpy, flushed", flushed, Floats().run(program, flushed)),
    ):
        for name, bound, got in zip(names, bounds, results, strict=True):
            bad = violations(bound, got, dtype)
            i = np.unravel_index(int(np.argmax(bad)), bad.shape) if bad.size else ()
            assert not bad.any(), (
                f"{name}, {backend}: {np.count_nonzero(bad)} of {bad.size}; {bad[i]:.3g} times outside at "
                f"{[p[..., i[-1]] for p in points]}: {got[i]!r}, bound {bound.v[i]!r} +- {bound.e[i]!r}"
            )


def vjp(function: Callable[..., Any]) -> Callable[..., Any]:
    """`(*inputs, cotangent) -> cotangents` of a function with one output."""

    def pullback(*arguments: Any) -> Any:
        return jax.vjp(function, *arguments[:-1])[1](arguments[-1])

    return pullback


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": nn.relu,
    "relu6": nn.relu6,
    "sigmoid": nn.sigmoid,
    "softplus": nn.softplus,
    "soft_sign": nn.soft_sign,
    "silu": nn.silu,
    "log_sigmoid": nn.log_sigmoid,
    "leaky_relu": nn.leaky_relu,
    "hard_sigmoid": nn.hard_sigmoid,
    "hard_silu": nn.hard_silu,
    "hard_tanh": nn.hard_tanh,
    "elu": nn.elu,
    "celu": nn.celu,
    "selu": nn.selu,
    "gelu_tanh": nn.gelu,
    "gelu_erf": lambda x: nn.gelu(x, approximate=False),
    "squareplus": nn.squareplus,
    "mish": nn.mish,
    "identity": nn.identity,
    "textbook sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
    "textbook sigmoid'": lambda x: nn.sigmoid(x) * (1 - nn.sigmoid(x)),
    "textbook tanh'": lambda x: 1 - jnp.tanh(x) ** 2,
    "textbook softplus": lambda x: jnp.log(1 + jnp.exp(x)),
    "textbook softplus'": lambda x: jnp.exp(x) / (1 + jnp.exp(x)),
    "textbook silu'": lambda x: nn.sigmoid(x) + x * nn.sigmoid(x) * (1 - nn.sigmoid(x)),
    "sigmoid'": lambda x: nn.sigmoid(x) * nn.sigmoid(-x),
    "smooth abs": lambda x: x / jnp.sqrt(x * x + 1e-3),
    "safe log": lambda x: jnp.log(jnp.maximum(x, 1e-6)),
    "x^-2": lambda x: x**-2,
    "x^5": lambda x: x**5,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "sinc-like": lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x)),
}

UNARY: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(lax, name) for name, row in having("growth").items() if not row.exact},
    "floor": lax.floor,
    "ceil": lax.ceil,
    "round": lax.round,
    "round even": jnp.round,
    "square": lax.square,
    "clamp": lambda x: lax.clamp(jnp.asarray(-1, x.dtype), x, jnp.asarray(2, x.dtype)),
    "nan_to_num": jnp.nan_to_num,
    "floor mod": lambda x: jnp.mod(x, 3),
    "count": lambda x: (x > 0).astype(x.dtype) + (x.astype(jnp.int32) % 5).astype(x.dtype),
}


def dressed(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The function at an argument with a rounding error of its own, its value scaled."""
    return lambda x, w: function(x * w + 1) * w


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_and_their_derivatives_stay_inside(dtype: str) -> None:
    names = [n + d for n in ACTIVATIONS for d in ("", "'")]
    assert_sound(lambda x, g: [(f(x), vjp(f)(x, g)) for f in ACTIVATIONS.values()], ((), ()), dtype, names)


@pytest.mark.parametrize("dtype", DTYPES)
def test_primitives_stay_inside(dtype: str) -> None:
    names = [n + d for n in UNARY for d in ("", " of a rounded argument")]
    assert_sound(lambda x, w: [(f(x), dressed(f)(x, w)) for f in UNARY.values()], ((), ()), dtype, names)


def norm(x: Any) -> Any:
    return jnp.sqrt(jnp.sum(x * x))


def layer_norm(x: Any) -> Any:
    centred = x - jnp.mean(x)
    return centred / jnp.sqrt(jnp.mean(centred**2) + 1e-5)


def textbook_layer_norm(x: Any) -> Any:
    return (x - jnp.mean(x)) * lax.rsqrt(jnp.mean(x * x) - jnp.mean(x) ** 2 + 1e-3)


def textbook_softmax(x: Any) -> Any:
    return jnp.exp(x) / jnp.sum(jnp.exp(x))


VECTORS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "softmax": (nn.softmax, ((5,),)),
    "textbook softmax": (textbook_softmax, ((4,),)),
    "log-softmax": (nn.log_softmax, ((5,),)),
    "textbook log-softmax": (lambda x: jnp.log(textbook_softmax(x)), ((4,),)),
    "logsumexp": (nn.logsumexp, ((5,),)),
    "cross entropy": (lambda z, y: -jnp.sum(y * nn.log_softmax(z), axis=-1), ((3, 4), (3, 4))),
    "mse": (lambda x, y: jnp.mean((x - y) ** 2), ((7,), (7,))),
    "kl": (lambda p, q: jnp.sum(p * (jnp.log(p) - jnp.log(q))), ((4,), (4,))),
    "bce": (lambda z, y: jnp.mean(nn.softplus(z) - z * y), ((6,), (6,))),
    "mlp": (
        lambda x, a, b, w, c: w @ nn.relu(a @ x + b) + c,
        ((4,), (5, 4), (5,), (3, 5), (3,)),
    ),
    "tanh mlp": (lambda x, a, w: jnp.sum(w * jnp.tanh(a @ x)), ((3,), (4, 3), (4,))),
    "layer norm": (layer_norm, ((5,),)),
    "textbook layer norm": (textbook_layer_norm, ((5,),)),
    "norm": (norm, ((4,),)),
    "standardise": (nn.standardize, ((5,),)),
    "max": (jnp.max, ((4,),)),
    "hidden max": (lambda x: jnp.min(x * x - 3 * x), ((4,),)),
    "prod": (jnp.prod, ((4,),)),
    "cumsum": (lambda x: jnp.cumsum(x[::-1]), ((6,),)),
    "cumprod": (jnp.cumprod, ((5,),)),
    "cummax": (lax.cummax, ((5,),)),
    "cummin of products": (lambda x, y: lax.cummin(x * y), ((4,), (4,))),
    "cumlogsumexp": (lax.cumlogsumexp, ((5,),)),
    "logaddexp": (jnp.logaddexp, ((), ())),
    "logaddexp2": (jnp.logaddexp2, ((), ())),
    "sort": (jnp.sort, ((5,),)),
    "sort of products": (lambda x, y: jnp.sort(x * y), ((4,), (4,))),
    "trace": (lambda a, b: jnp.trace(a @ b), ((3, 4), (4, 3))),
    "outer": (jnp.outer, ((3,), (2,))),
    "hypot": (jnp.hypot, ((), ())),
    "pow": (lambda x, y: jnp.abs(x) ** y, ((), ())),
    "signed pow": (lambda x: x**3.0, ((),)),
    "atan2": (jnp.arctan2, ((), ())),
    "atan2 of sums": (lambda x, y: jnp.arctan2(x - y, -x * y), ((), ())),
    "rem": (lax.rem, ((), ())),
    "rem of products": (lambda x, y: lax.rem(x * y, y + 1), ((), ())),
    "interpolate": (lambda x: jnp.where(x > 0, x * x, -x), ((4,),)),
    "scatter-add": (lambda x, y: x.at[jnp.array([0, 2, 2])].add(y), ((4,), (3,))),
    "scatter-sub": (lambda x, y: x.at[jnp.array([0, 2, 2])].subtract(y), ((4,), (3,))),
    "scatter-sub of results": (lambda x, y: jnp.exp(x).at[jnp.array([0, 2, 2])].subtract(y * y), ((4,), (3,))),
    "logical": (lambda x, y: jnp.where((x * y > x) & ~(x > 2) | (y - x < 0), x, y), ((), ())),
    "normalise": (lambda x: x / norm(x), ((3,),)),
    "glu": (nn.glu, ((6,),)),
    "wide sum": (lambda x: jnp.sum(x.astype(jnp.promote_types(x.dtype, jnp.float32))).astype(x.dtype), ((6,),)),
    "divisor near the top": (lambda x: x / (jnp.max(x) * 3), ((4,),)),
}

FORWARD_ONLY = {"cumlogsumexp", "rem of products", "logical"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VECTORS)
def test_vector_programs_stay_inside(name: str, dtype: str) -> None:
    f, shapes = VECTORS[name]
    # jnp.arctan2 rightly gives another angle at -0 than at 0
    signed_zeros = name != "atan2"
    if name in FORWARD_ONLY:
        assert_sound(f, shapes, dtype, signed_zeros=signed_zeros)
    else:
        out = jax.eval_shape(f, *(jax.ShapeDtypeStruct(s, np.float32) for s in shapes)).shape
        both = (*shapes, out)
        assert_sound(lambda *a: (f(*a[:-1]), vjp(f)(*a)), both, dtype, signed_zeros=signed_zeros)


def test_control_flow_runs_in_the_bound() -> None:
    def f(x: Any) -> Any:
        total = lax.fori_loop(0, 3, lambda i, y: y + x[i] * x[i], jnp.zeros((), x.dtype))
        return lax.cond(total > 1, lambda t: t, lambda t: -t, total)

    assert_sound(f, ((3,),), "float32")


# ---------------------------------------------------------------- what is wrong lies outside


def benign(shape: tuple[int, ...], dtype: str, points: int = 400, seed: int = 11) -> Array:
    rng = np.random.default_rng(seed)
    return FORMATS[dtype].round(rng.normal(0, 1, (*shape, points)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["log-softmax", "softmax", "cross entropy", "tanh mlp", "mse", "layer norm"])
def test_bounds_are_tight_at_ordinary_points(name: str, dtype: str) -> None:
    f, shapes = VECTORS[name]
    out = jax.eval_shape(f, *(jax.ShapeDtypeStruct(s, np.float32) for s in shapes)).shape
    program = trace(vjp(f), *((s, dtype) for s in (*shapes, out)))
    arrays = [benign(s, dtype, seed=i) for i, s in enumerate((*shapes, out))]
    for bound in Running(dtype).run(program, arrays):
        with np.errstate(all="ignore"):
            in_roundings = bound.e / (FORMATS[dtype].u * np.abs(bound.v))
        assert np.nanmedian(in_roundings) < 200


def outside(right: Callable[..., Any], wrong: Callable[..., Any], dtype: str, **options: Any) -> float:
    """Share of ordinary points at which the wrong code's float result lies outside the right or its own bound."""
    x = benign((), dtype)
    bound = Running(dtype, **options).run(trace(wrong, ((), dtype)), [x])[0]
    exact = Running(dtype).run(trace(right, ((), dtype)), [x])[0]
    got = on_xla(wrong, [x], dtype)[0]
    return float(np.mean(violations(Bounded(exact.v, bound.e), got, dtype) > 0))


def test_a_relative_error_of_1e_12_is_outside_in_float64() -> None:
    assert outside(nn.sigmoid, lambda x: nn.sigmoid(x) * (1 + 1e-12), "float64") > 0.95
    assert outside(nn.sigmoid, lambda x: nn.sigmoid(x) * 1.0, "float64") == 0


def test_a_float32_cast_in_a_float64_rule_is_outside_unless_narrowing_is_allowed() -> None:
    def narrow(x: Any) -> Any:
        return jnp.sin(x.astype(jnp.float32)).astype(x.dtype)

    assert outside(jnp.sin, narrow, "float64") > 0.95
    assert outside(jnp.sin, narrow, "float64", narrows_to=ANY) == 0


def test_wider_sums_are_charged_their_own_roundoff() -> None:
    x = benign((512,), "bfloat16", 50)
    wide = Running("bfloat16").run(trace(jnp.sum, ((512,), "bfloat16")), [np.abs(x)])[0]
    # one final rounding to bfloat16, not 512 of them
    assert np.all(wide.e <= 2 * FORMATS["bfloat16"].u * wide.v)


def test_a_float16_result_that_overflows_has_no_bound() -> None:
    bound = Running("float16").run(trace(lambda x: x * x / x, ((), "float16")), [np.array([2.0, 300.0])])[0]
    assert np.isfinite(bound.e).tolist() == [True, False]


# ---------------------------------------------------------------- the wide evaluation's own error


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit numbers")
def test_the_error_of_the_wide_evaluation_covers_float64_against_extended() -> None:
    names = ["log-softmax", "tanh mlp", "layer norm", "cumprod", "norm", "sort of products"]
    for name in names:
        f, shapes = VECTORS[name]
        arrays = [wild(s, "float32", np.random.default_rng(3)) for s in shapes]
        program = trace(f, *((s, "float64") for s in shapes))
        exact = Running("float64", unit=2.0**-64).run(program, arrays)[0]
        low = Running("float32", unit=2.0**-53).run(program, arrays)[0]
        assert low.v.dtype == np.float64 and exact.v.dtype == np.longdouble
        finite = np.isfinite(low.e) & np.isfinite(exact.e)
        assert finite.mean() > 0.5
        assert np.all(np.abs(low.v - exact.v)[finite] <= (low.e + exact.e)[finite]), name


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit numbers")
def test_the_theorem_screen_sees_a_relative_error_of_1e_17() -> None:
    x = benign((), "float64")
    system = Running("float64", unit=2.0**-64)
    right = system.run(trace(lambda x: jnp.exp(x) * x, ((), "float64")), [x])[0]
    wrong = Bounded(right.v * (1 + np.longdouble(10) ** -17), right.e)
    same = system.run(trace(lambda x: x * jnp.exp(x / 2) ** 2, ((), "float64")), [x])[0]
    assert np.all(np.abs(wrong.v - right.v) > right.e + wrong.e)
    assert np.all(np.abs(same.v - right.v) <= right.e + same.e)
