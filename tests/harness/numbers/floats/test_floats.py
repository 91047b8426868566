"""The floats against XLA: exact where the operation is, within a few ulps elsewhere, in every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats import floats
from backprove.harness.numbers.floats.floats import Floats

QUICK = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Compile quickly: the programs run once."""

DTYPES = ("float64", "float32", "bfloat16")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 1.5, -2.5, 3.0, 88.0, -88.0, 1e4, -1e4, np.inf, -np.inf, np.nan, 1e-30)


def xla(f: Callable[..., Any], inputs: Sequence[np.ndarray], dtypes: Sequence[str]) -> list[np.ndarray]:
    with jax.enable_x64(True):
        arrays = [jnp.asarray(x, FORMATS[d].numpy if d in FORMATS else d) for x, d in zip(inputs, dtypes, strict=True)]
        lowered = jax.jit(jax.vmap(f, in_axes=-1, out_axes=-1)).lower(*arrays)
        out = jax.tree.leaves(lowered.compile(compiler_options=QUICK)(*arrays))
        return [np.asarray(o).astype(np.float64) if o.dtype.name in FORMATS else np.asarray(o) for o in out]


def assert_close(got: np.ndarray, expected: np.ndarray, dtype: str, ulps: float, scale: bool = False) -> None:
    """Within `ulps`, of the largest entry of the point if `scale`; equal where not finite, and in the sign of 0."""
    form = FORMATS[dtype]
    assert got.shape == expected.shape
    size = np.where(np.isfinite(expected), np.abs(expected), 0.0)
    if scale and size.size:
        axes = tuple(range(size.ndim - 1))
        size = np.broadcast_to(np.max(size, axis=axes, keepdims=True, initial=1.0), size.shape)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= ulps * form.ulp(size)
    fine = near | (got == expected) | (np.isnan(got) & np.isnan(expected))
    assert fine.all(), f"got {got[~fine][:5]}, XLA has {expected[~fine][:5]}"
    if ulps == 0:
        assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(expected[~np.isnan(got)]))


def pairs(dtype: str, n: int) -> list[np.ndarray]:
    """All combinations of special values and random ones, as numbers of the format, normal or zero."""
    rng = np.random.default_rng(0)
    random = rng.standard_normal(60) * 10.0 ** rng.uniform(-3, 3, 60)
    values = FORMATS[dtype].round(np.concatenate([np.array(SPECIAL), random]))
    return [values] if n == 1 else [m.ravel() for m in np.meshgrid(values, values)]


# name -> (function, ulps in float64 and float32, ulps in bfloat16); 0 = bit-equal
UNARY: dict[str, tuple[Callable[..., Any], float]] = {
    "neg": (lax.neg, 0),
    "abs": (lax.abs, 0),
    "sign": (lax.sign, 0),
    "floor": (lax.floor, 0),
    "ceil": (lax.ceil, 0),
    "round away": (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), 0),
    "round even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), 0),
    "exp": (lax.exp, 4),
    "expm1": (lax.expm1, 8),
    "log": (lax.log, 4),
    "log1p": (lax.log1p, 160),
    "logistic": (lax.logistic, 6),
    "tanh": (lax.tanh, 10),
    "sinh": (lax.sinh, 100),
    "cosh": (lax.cosh, 100),
    "asinh": (lax.asinh, 10),
    "acosh": (lax.acosh, 10),
    "atanh": (lax.atanh, 10),
    "sin": (lax.sin, 4),
    "cos": (lax.cos, 4),
    "tan": (lax.tan, 8),
    "asin": (lax.asin, 8),
    "acos": (lax.acos, 8),
    "atan": (lax.atan, 4),
    "sqrt": (lax.sqrt, 0),
    "rsqrt": (lax.rsqrt, 4),
    "cbrt": (lax.cbrt, 16),
    "square": (lax.square, 0),
    "cube": (lambda x: lax.integer_pow(x, 3), 1),
    "seventh": (lambda x: lax.integer_pow(x, 7), 3),
    "inverse square": (lambda x: lax.integer_pow(x, -2), 2),
    "zeroth": (lambda x: lax.integer_pow(x, 0), 0),
    "erf": (lax.erf, 16),
    "erfc": (lax.erfc, 200),
    "erf_inv": (lax.erf_inv, 64),
    "stop": (lax.stop_gradient, 0),
    "clamp": (lambda x: lax.clamp(jnp.asarray(-1, x.dtype), x, jnp.asarray(2, x.dtype)), 0),
    "precision": (lambda x: lax.reduce_precision(x, 6, 5), 0),
    "select": (lambda x: jnp.where(x > 0, x, -x), 0),
}
BINARY: dict[str, tuple[Callable[..., Any], float]] = {
    "add": (lax.add, 0),
    "sub": (lax.sub, 0),
    "mul": (lax.mul, 0),
    "div": (lax.div, 0),
    "rem": (lax.rem, 0),
    "max": (lax.max, 0),
    "min": (lax.min, 0),
    "pow": (lax.pow, 64),
    "atan2": (lax.atan2, 4),
    "nextafter": (lax.nextafter, 0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_elementwise(name: str, dtype: str) -> None:
    n = 1 if name in UNARY else 2
    f, ulps = (UNARY if n == 1 else BINARY)[name]
    inputs = pairs(dtype, n)
    got = Floats().run(trace(f, *[((), dtype)] * n), inputs)[0]
    expected = xla(f, inputs, [dtype] * n)[0]
    # XLA flushes subnormals to zero and may miss the last bit of a number that is nearly one.
    subnormal = (
        (np.abs(got) < FORMATS[dtype].tiny * 4) & (np.abs(expected) < FORMATS[dtype].tiny * 4) & (got != expected)
    )
    expected = np.where(subnormal, got, expected)
    assert_close(got, expected, dtype, ulps if dtype != "bfloat16" else min(ulps, 4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp2(dtype: str) -> None:
    """Against NumPy: XLA rounds x * log(2) and loses the digits of x."""
    x = pairs(dtype, 1)
    got = Floats().run(trace(lax.exp2, ((), dtype)), x)[0]
    with np.errstate(all="ignore"):
        expected = FORMATS[dtype].round(np.exp2(x[0]))
    assert_close(got, expected, dtype, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gamma_functions(dtype: str) -> None:
    x = [FORMATS[dtype].round(np.linspace(0.05, 30.0, 200))]
    for f in (lax.lgamma, lax.digamma, lambda x: lax.polygamma(jnp.ones_like(x), x)):
        got = Floats().run(trace(f, ((), dtype)), x)[0]
        assert_close(got, xla(f, x, [dtype])[0], dtype, 128 if dtype != "bfloat16" else 2, scale=True)
    assert np.isnan(Floats().run(trace(lax.digamma, ((), "float64")), [np.array([0.0, -0.0, -3.0])])[0]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons(dtype: str) -> None:
    def f(x: Any, y: Any) -> Any:
        truth = (x < y, x <= y, x > y, x >= y, x == y, x != y, jnp.isfinite(x))
        return (*truth, (x < y) & (y < 2), (x < y) | (y < 2), ~(x < y), (x < y) ^ (y < x), x.astype(bool))

    inputs = pairs(dtype, 2)
    for got, expected in zip(
        Floats().run(trace(f, ((), dtype), ((), dtype)), inputs), xla(f, inputs, [dtype] * 2), strict=True
    ):
        assert got.dtype == bool and np.array_equal(got, expected)


@pytest.mark.parametrize("source", [*FORMATS, "int32", "int64", "bool"])
@pytest.mark.parametrize("target", [*FORMATS, "int8", "int32", "int64", "uint8", "bool"])
def test_conversions(source: str, target: str) -> None:
    values = np.array([0.0, -0.0, 1.0, -1.75, 2.5, 127.6, 3e9, -3e9, 1e19, 70000.0, 65519.0, np.inf, -np.inf, np.nan])
    if source in FORMATS:
        x = FORMATS[source].round(values)
    else:
        x = np.array([0, 1, -1, 77, 2**31 - 1, 2**24 + 1, 65520]).astype(source)
    f = lambda v: lax.convert_element_type(v, FORMATS[target].numpy if target in FORMATS else target)  # noqa: E731
    got, expected = Floats().run(trace(f, ((), source)), [x])[0], xla(f, [x], [source])[0]
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    if target in FORMATS:
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


JAX_NN = ["relu", "relu6", "silu", "softplus", "log_softmax", "softmax", "logsumexp", "elu", "celu", "selu", "mish"]
JAX_NN += ["hard_sigmoid", "hard_tanh", "hard_silu", "sigmoid", "log_sigmoid", "soft_sign", "leaky_relu", "squareplus"]
JAX_NN += ["sparse_plus", "sparse_sigmoid", "standardize", "identity"]

LIBRARY: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    **{name: (getattr(jax.nn, name), (5,)) for name in JAX_NN},
    "tanh gelu": (lambda x: jax.nn.gelu(x, approximate=True), (5,)),
    "erf gelu": (lambda x: jax.nn.gelu(x, approximate=False), (5,)),
    "glu": (jax.nn.glu, (6,)),
    "one_hot": (lambda x: x[:, None] * jax.nn.one_hot(jnp.array([2, 0, 4, 1, 7]), 5, dtype=x.dtype), (5,)),
    "softmax over an axis": (lambda x: jax.nn.softmax(x, axis=0), (3, 4)),
    "cumsum": (jnp.cumsum, (6,)),
    "cumprod": (jnp.cumprod, (6,)),
    "cummax": (lambda x: lax.cummax(x, reverse=True), (6,)),
    "cummin": (lax.cummin, (6,)),
    "cumlogsumexp": (lax.cumlogsumexp, (6,)),
    "sort": (lambda x: jnp.sort(x, axis=0), (5, 2)),
    "sort two": (lambda x: lax.sort((jnp.round(x), x), num_keys=2), (6,)),
    "top_k": (lambda x: lax.top_k(x, 3)[0], (6,)),
    "median": (jnp.median, (6,)),
    "take": (lambda x: jnp.take(x, jnp.array([2, 0, 2]), axis=0), (3, 2)),
    "at set": (lambda x: x.at[1].set(x[0] * 2), (3, 2)),
    "at add": (lambda x: x.at[jnp.array([1, 0, 1])].add(x), (3, 2)),
    "at multiply": (lambda x: x.at[jnp.array([1, 0])].multiply(2), (3,)),
    "at max": (lambda x: x.at[jnp.array([1, 0, 1])].max(x), (3,)),
    "concatenate": (lambda x: jnp.concatenate([x, x * x]), (4,)),
    "split": (lambda x: jnp.split(x, 2)[1], (4,)),
    "pad": (lambda x: jnp.pad(x, 2), (3,)),
    "dynamic_slice": (lambda x: lax.dynamic_slice(x, (1,), (2,)), (4,)),
    "roll": (lambda x: jnp.roll(x, 2), (5,)),
    "diag": (jnp.diag, (3, 3)),
    "diag of a vector": (jnp.diag, (3,)),
    "tril": (jnp.tril, (3, 4)),
    "trace": (jnp.trace, (3, 4)),
    "einsum": (lambda x: jnp.einsum("bij,bkj->bik", x, x), (2, 3, 4)),
    "einsum with a constant": (
        lambda x: jnp.einsum("ij,jk->ki", x, jnp.arange(8.0, dtype=x.dtype).reshape(4, 2)),
        (3, 4),
    ),
    "constant first": (lambda x: jnp.arange(6.0, dtype=x.dtype).reshape(2, 3) @ x, (3, 4)),
    "inner product": (lambda x: x @ x, (5,)),
    "outer product": (lambda x: jnp.outer(x, x), (3,)),
    "attention": (lambda x: jax.nn.softmax(x @ x.T / 2) @ x, (3, 2)),
    "var": (jnp.var, (3, 4)),
    "std": (lambda x: jnp.std(x, axis=0), (3, 4)),
    "mean": (lambda x: jnp.mean(x, axis=1), (3, 4)),
    "prod": (lambda x: jnp.prod(x, axis=0), (3, 2)),
    "max": (lambda x: jnp.max(x, axis=0), (3, 2)),
    "min": (jnp.min, (3, 2)),
    "norm": (lambda x: jnp.sqrt(jnp.sum(x * x)), (3,)),
    "logaddexp": (lambda x: jnp.logaddexp(x[0], x[1]), (2, 3)),
    "where": (lambda x: jnp.where(x > 0, x, jnp.expm1(x)), (4,)),
    "abs power": (lambda x: jnp.abs(x) ** 1.7, (4,)),
    "erf family": (lambda x: lax.erf(x) + lax.erfc(x) * x, (4,)),
    "remainder": (lambda x: jnp.remainder(x, 0.7), (4,)),
    "scan": (lambda x: lax.scan(lambda c, y: (jnp.tanh(c + y), c), x[0] * 0, x)[1], (4,)),
    "first": (lambda x: x[0], (3, 2)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LIBRARY)
def test_library(name: str, dtype: str) -> None:
    """Values and JAX's pullbacks of everyday functions."""
    f, shape = LIBRARY[name]
    rng = np.random.default_rng(7)
    x = FORMATS[dtype].round(rng.standard_normal((*shape, 40)) * 2)
    out = trace(f, (shape, dtype)).outputs[0].shape
    g = FORMATS[dtype].round(rng.standard_normal((*out, 40)))

    def both(x: Any, g: Any) -> Any:
        values, pullback = jax.vjp(lambda y: jax.tree.leaves(f(y))[0], x)
        return values, pullback(g)[0]

    specs = [(shape, dtype), (out, dtype)]
    ulps = 64.0 if dtype != "bfloat16" else 16.0
    program, expected = trace(both, *specs), xla(both, [x, g], [dtype, dtype])
    got = Floats().run(program, [x, g])
    assert_close(got[0], expected[0], dtype, ulps, scale=True)
    assert_close(got[1], expected[1], dtype, ulps * 4, scale=True)


SIZES: dict[str, Callable[..., Any]] = {
    "sum": lambda x: x.sum(0),
    "prod": lambda x: x.prod(0),
    "max": lambda x: x.max(0, initial=-jnp.inf),
    "min": lambda x: lax.reduce_min(x, (0,)),
    "cumsum": lambda x: jnp.cumsum(x, 0),
    "sort": lambda x: jnp.sort(x, 0),
    "dot": lambda x: x.T @ x,
    "dot with a constant": lambda x: x.T @ jnp.ones_like(x),
    "softmax": lambda x: jax.nn.softmax(x, axis=1),
    "take": lambda x: x[:, jnp.array([0, 0])],
    "add": lambda x: x.at[jnp.zeros(2, int)].add(1.0, mode="drop"),
    "argument": lambda x: jnp.argmax(x, axis=1),
}


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (1, 1), (4, 1)])
@pytest.mark.parametrize("name", SIZES)
def test_sizes_zero_and_one(name: str, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(2).standard_normal((*shape, 5))
    got, expected = Floats().run(trace(SIZES[name], (shape, "float64")), [x])[0], xla(SIZES[name], [x], ["float64"])[0]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_arguments_of_nan_and_ties() -> None:
    x = np.array([[1.0, np.nan, 3.0, -0.0], [1.0, 5.0, 3.0, 0.0], [0.0, np.nan, np.nan, 0.0]])
    f = lambda v: (jnp.argmax(v), jnp.argmin(v), jnp.sort(v), jnp.argsort(v), lax.top_k(v, 2))  # noqa: E731
    for g, e in zip(Floats().run(trace(f, ((3,), "float64")), [x]), xla(f, [x], ["float64"]), strict=True):
        np.testing.assert_array_equal(g, e)


def test_products_accumulate_in_the_preferred_type() -> None:
    f = lambda a, b: jnp.dot(a, b, preferred_element_type=jnp.float32)  # noqa: E731
    a = FORMATS["bfloat16"].round(np.random.default_rng(5).standard_normal((8, 20)))
    got = Floats().run(trace(f, ((8,), "bfloat16"), ((8,), "bfloat16")), [a, a])[0]
    assert np.abs(got - (a * a).sum(0)).max() < 1e-5
    rounded = Floats().run(trace(jnp.dot, ((8,), "bfloat16"), ((8,), "bfloat16")), [a, a])[0]
    assert np.array_equal(rounded, FORMATS["bfloat16"].round(got))


def test_narrow_values_stay_in_their_format() -> None:
    f = lambda x: (jnp.exp(x) * 3 + x, jax.nn.softmax(x), jnp.cumsum(x), x @ x, x.at[0].add(x[1]))  # noqa: E731
    for dtype in ("bfloat16", "float16"):
        x = FORMATS[dtype].round(np.random.default_rng(6).standard_normal((4, 50)))
        for out in Floats().run(trace(f, ((4,), dtype)), [x]):
            assert np.array_equal(out, FORMATS[dtype].round(out))


class TestRun:
    def test_chunks_give_what_points_give(self, monkeypatch: pytest.MonkeyPatch) -> None:
        program = trace(lambda x, i: (x[i] * 2, jnp.ones(2)), ((3,), "float64"), ((), "int64"))
        rng = np.random.default_rng(8)
        x, i = rng.standard_normal((3, 1000)), rng.integers(0, 3, 1000)
        whole = Floats().run(program, [x, i])
        monkeypatch.setattr(floats, "CHUNK", 7)
        parts = Floats().run(program, [x, i])
        assert np.array_equal(whole[0], 2 * x[i, np.arange(1000)]) and np.array_equal(whole[0], parts[0])
        assert whole[1].shape == parts[1].shape == (2, 1000)

    def test_large_values_are_cut_smaller(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = []
        keep = Floats.lift
        monkeypatch.setattr(Floats, "lift", lambda self, a, d: sizes.append(a.shape[-1]) or keep(self, a, d))
        program = trace(lambda x: x + jnp.zeros(2**11), ((), "float64"))
        Floats().run(program, [np.zeros(300)])
        assert sizes == [128, 128, 44]

    def test_inputs_that_do_not_vary_and_are_not_changed(self) -> None:
        program = trace(lambda x, y: (x + y, y), ((2,), "float32"), ((2,), "float32"))
        x, y = np.ones((2, 6)), np.full((2, 1), 0.1)
        total, same = Floats().run(program, [x, y])
        assert total.shape == same.shape == (2, 6) and total.dtype == np.float64
        same[...] = 0
        assert y[0, 0] == 0.1 and same.flags.writeable

    def test_no_points(self) -> None:
        assert Floats().run(trace(jnp.sum, ((3,), "float64")), [np.empty((3, 0))])[0].shape == (0,)

    def test_no_warnings(self) -> None:
        with np.errstate(all="raise"):
            out = Floats().run(trace(lambda x: jnp.log(x) / x, ((), "float64")), [np.array([0.0, -1.0])])[0]
        assert out[0] == -np.inf and np.isnan(out[1])

    def test_what_is_not_known_is_named(self) -> None:
        with pytest.raises(UnsupportedPrimitive, match="the floats have no rule for the primitive 'schur'"):
            Floats().run(trace(lambda x: lax.linalg.schur(x)[0], ((2, 2), "float64")), [np.ones((2, 2, 1))])
