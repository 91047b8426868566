"""Functions that together use every primitive that a number system knows, with the inputs they are tried on.

`CASES["smooth: tanh"]` is `jnp.tanh` of three numbers from -3 to 3. Balls and dual balls know all groups but the last
two: `FURTHER`, whose derivatives or values they lack, and `INTEGERS`, which are the same in every system.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax import nn as jnn
from jax.extend.core import primitives as named

from tests.harness.numbers.matrix_cases import MATRICES, as_permutation
from tests.harness.numbers.special_cases import SPECIAL

F, I, B = "float64", "int64", "bool"

POINTS = 4
"""Points at which a case is tried."""

Spec = tuple[tuple[int, ...], str]


@dataclass(frozen=True)
class Case:
    """A function, its inputs (shape, dtype), the range of its floats and whether JAX has its derivative."""

    call: Callable[..., Any]
    specs: tuple[Spec, ...]
    low: float = -3.0
    high: float = 3.0
    tangent: bool = True

    def draw(self, seed: int) -> list[np.ndarray]:
        """Inputs with a points axis; the second floating-point input does not vary (points axis of size 1)."""
        rng = np.random.default_rng(seed)
        out: list[np.ndarray] = []
        for k, (shape, dtype) in enumerate(self.specs):
            size = (*shape, 1 if k == 1 else POINTS)
            if dtype == "float64":
                out.append(rng.uniform(self.low, self.high, size))
            else:
                out.append(rng.integers(0, 2, size).astype(bool) if dtype == "bool" else rng.integers(-2, 6, size))
        return out


def unary(call: Callable[..., Any], low: float = -3.0, high: float = 3.0) -> Case:
    return Case(call, (((3,), F),), low, high)


def binary(call: Callable[..., Any], low: float = -3.0, high: float = 3.0) -> Case:
    return Case(call, (((2, 3), F), ((3,), F)), low, high)


def at(array: np.ndarray, p: int) -> np.ndarray:
    """The entries at one point."""
    return array[..., min(p, array.shape[-1] - 1)]


def of(call: Callable[..., Any], *shapes: tuple[int, ...], low: float = -3.0, high: float = 3.0) -> Case:
    return Case(call, tuple((s, F) for s in shapes), low, high)


SMOOTH: dict[str, Case] = {
    "neg": unary(lambda x: -x),
    "exp": unary(jnp.exp),
    "exp2": unary(jnp.exp2),
    "expm1": unary(jnp.expm1),
    "log": unary(jnp.log, 0.1, 9),
    "log1p": unary(jnp.log1p, -0.9, 9),
    "logistic": unary(lax.logistic),
    "tanh": unary(jnp.tanh),
    "sinh": unary(jnp.sinh),
    "cosh": unary(jnp.cosh),
    "asinh": unary(jnp.arcsinh),
    "acosh": unary(jnp.arccosh, 1.1, 5),
    "atanh": unary(jnp.arctanh, -0.9, 0.9),
    "sin": unary(jnp.sin),
    "cos": unary(jnp.cos),
    "tan": unary(jnp.tan, -1.5, 1.5),
    "asin": unary(jnp.arcsin, -0.9, 0.9),
    "acos": unary(jnp.arccos, -0.9, 0.9),
    "atan": unary(jnp.arctan),
    "sqrt": unary(jnp.sqrt, 0.1, 9),
    "rsqrt": unary(lax.rsqrt, 0.1, 9),
    "cbrt": unary(jnp.cbrt, 0.1, 9),
    "cbrt of negatives": unary(jnp.cbrt, -9, -0.1),
    "square": unary(lax.square),
    "erf": unary(lax.erf),
    "erfc": unary(lax.erfc),
    "erf_inv": unary(lax.erf_inv, -0.9, 0.9),
    "integer_pow": unary(lambda x: x**3 + x**-2, 0.5, 3),
    "add_any": binary(lambda x, y: named.add_jaxvals_p.bind(x * y, x + y)),
    "reduce_precision": unary(lambda x: lax.reduce_precision(x, 11, 52)),
}

ELEMENTWISE: dict[str, Case] = {
    "abs": unary(jnp.abs),
    "sign": unary(lambda x: x * jnp.sign(x)),
    "floor": unary(lambda x: x * jnp.floor(x)),
    "ceil": unary(lambda x: x * jnp.ceil(x)),
    "round half even": unary(lambda x: x * jnp.round(x)),
    "round half away": unary(lambda x: x * lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)),
    "add": binary(jnp.add),
    "sub": binary(jnp.subtract),
    "mul": binary(jnp.multiply),
    "div": binary(jnp.divide, 0.5, 3),
    "max": binary(jnp.maximum),
    "min": binary(jnp.minimum),
    "pow": binary(jnp.power, 0.2, 3),
    "pow of a constant": unary(lambda x: jnp.power(x, 2.5), 0.2, 3),
    "pow with integers": Case(lax.pow, (((3,), F), ((3,), I)), 0.5, 2),
    "rem": binary(lambda x, y: lax.rem(x, y + jnp.where(jnp.abs(y) < 0.3, 1.0, 0.0) + 0 * x)),
    "mod": binary(lambda x, y: jnp.mod(x, jnp.where(jnp.abs(y) < 0.3, 1.0, y))),
    "atan2": binary(jnp.arctan2),
    "hypot": binary(jnp.hypot),
    "logaddexp": binary(jnp.logaddexp),
    "clamp": unary(lambda x: lax.clamp(-1.0, x, 1.0)),
    "clip": unary(lambda x: jnp.clip(x, -1.0, 1.0)),
    "clamp by arrays": of(lambda x, a, b: lax.clamp(a - 3, x, b + 3), (3,), (3,), (3,)),
    "select": binary(lambda x, y: jnp.where(x > y, x * y, x - y)),
    "select_n of integers": Case(lambda i, x: lax.select_n(jnp.abs(i) % 3, x, x * x, -x), (((3,), I), ((3,), F))),
    "where and": binary(lambda x, y: jnp.where((x > 0) & (y < 1), x, y)),
    "where or": binary(lambda x, y: jnp.where((x > 0) | ~(y < 1), x, y)),
    "where xor": binary(lambda x, y: jnp.where((x > 0) ^ (y < 1), x, y)),
    "lt": binary(lambda x, y: jnp.where(x < y, x, y * y)),
    "le": binary(lambda x, y: jnp.where(x <= y, x, y * y)),
    "gt": binary(lambda x, y: jnp.where(x > y, x, y * y)),
    "ge": binary(lambda x, y: jnp.where(x >= y, x, y * y)),
    "eq": binary(lambda x, y: jnp.where(x == y, x, y * y)),
    "lt_to": of(lambda x, y: jnp.where(named.lt_to_p.bind(x, y), x, y * y), (3,), (3,)),
    "le_to": of(lambda x, y: jnp.where(named.le_to_p.bind(x, y), x, y * y), (3,), (3,)),
    "mask": Case(lambda x, m: jnp.where(m, x, 0.0), (((3,), F), ((3,), B))),
    "mask as numbers": Case(lambda x, m: x * m.astype(x.dtype), (((3,), F), ((3,), B))),
    "comparison as numbers": unary(lambda x: x * (x > 0).astype(x.dtype)),
    "all": of(lambda x: jnp.where(jnp.all(x > -2, axis=1)[:, None], x, 2 * x), (3, 2)),
    "any": of(lambda x: jnp.where(jnp.any(x > 1, axis=0), x, 2 * x), (3, 2)),
    "isnan": unary(lambda x: jnp.where(jnp.isnan(x), 0.0, x)),
    "isfinite": unary(lambda x: jnp.where(jnp.isfinite(x), x, 0.0)),
    "x != x": unary(lambda x: jnp.where(x != x, 0.0, x)),  # noqa: PLR0124
    "stop_gradient": unary(lambda x: x * lax.stop_gradient(x)),
    "to float32 and back": unary(lambda x: (x.astype("float32") * 0).astype("float64") + x),
    "trunc to integer": unary(lambda x: x * x.astype("int32")),
    "integers as floats": Case(lambda x, i: x * i, (((3,), F), ((3,), I))),
    "nan_to_num": unary(jnp.nan_to_num),
    "sinc": unary(jnp.sinc),
    "heaviside": unary(lambda x: x * jnp.heaviside(x, 0.5)),
    "frac": unary(lambda x: x - jnp.trunc(x)),
}

MOVES: dict[str, Case] = {
    "concatenate": of(lambda x, y: jnp.concatenate([x, jnp.ones((1, 2)), y]), (2, 2), (1, 2)),
    "stack": of(lambda x, y: jnp.stack([x, y, jnp.zeros(2)]), (2,), (2,)),
    "split": of(lambda x: jnp.split(x, 3)[1] * 2, (6,)),
    "pad": of(lambda x: lax.pad(x, 0.5, ((1, 2, 1), (-1, 0, 0))), (3, 2)),
    "transpose": of(lambda x: x.T @ x, (2, 3)),
    "broadcast": of(lambda x: jnp.broadcast_to(x[:, None], (3, 2)) * x[0], (3,)),
    "flip": of(lambda x: x[::-1] * x[::2].sum(), (5,)),
    "dynamic_slice": Case(lambda x, i: lax.dynamic_slice(x, (i,), (2,)), (((5,), F), ((), I))),
    "dynamic_update_slice": Case(lambda x, y, i: lax.dynamic_update_slice(x, y, (i,)), (((5,), F), ((2,), F), ((), I))),
    "gather": Case(lambda x, i: x[jnp.abs(i) % 4], (((4, 2), F), ((3,), I))),
    "gather along": Case(lambda x, i: jnp.take_along_axis(x, jnp.abs(i) % 2, axis=1), (((3, 2), F), ((3, 1), I))),
    "scatter": Case(lambda x, y, i: x.at[jnp.abs(i) % 4].set(y), (((4,), F), ((), F), ((), I))),
    "scatter-add": Case(lambda x, y, i: x.at[jnp.abs(i) % 4].add(y), (((4,), F), ((3,), F), ((3,), I))),
    "scatter-mul": of(lambda x, y: x.at[jnp.array([2, 0])].multiply(y, unique_indices=True), (4,), (2,)),
    "scatter-sub": of(lambda x, y: x.at[jnp.array([2, 2])].subtract(y), (4,), (2,)),
    "scatter-max": Case(lambda x, y: x.at[jnp.array([2, 2])].max(y), (((4,), F), ((2,), F)), tangent=False),
    "scatter-min": Case(lambda x, y: x.at[jnp.array([9, 1])].min(y), (((4,), F), ((2,), F)), tangent=False),
    "segment_sum": Case(lambda x, i: jax.ops.segment_sum(x, jnp.abs(i) % 3, 3), (((5,), F), ((5,), I))),
    "one_hot": Case(lambda x, i: jnn.one_hot(jnp.abs(i) % 3, 3) @ x, (((3,), F), ((2,), I))),
    "tril": of(lambda x: jnp.tril(x) * 2, (3, 3)),
    "trace": of(jnp.trace, (3, 3)),
    "eye": of(lambda x: x * jnp.eye(3), (3, 3)),
    "iota": of(lambda x: x * lax.iota("float64", 3), (3,)),
    "reshape": of(lambda x: x.reshape(6), (2, 3)),
    "squeeze": of(lambda x: lax.squeeze(x, (1,)), (3, 1)),
    "slice": of(lambda x: x[1:4:2], (5,)),
    "unstack": of(lambda x: jnp.unstack(x)[1], (3, 2)),
    "copy": of(lambda x: jnp.array(x, copy=True), (3,)),
    "optimization_barrier": of(lax.optimization_barrier, (3,)),
}

REDUCTIONS: dict[str, Case] = {
    "sum": of(lambda x: x.sum(axis=1), (2, 3)),
    "mean": of(lambda x: x.mean(axis=0), (2, 3)),
    "var": of(lambda x: x.var(axis=1), (2, 3)),
    "prod": of(lambda x: x.prod(axis=1), (2, 3)),
    "prod of all": of(jnp.prod, (2, 3)),
    "max": of(lambda x: x.max(axis=1), (2, 3)),
    "min": of(lambda x: x.min(axis=(0, 1)), (2, 3)),
    "sum of nothing": of(lambda x: jnp.sum(x, axis=0), (0, 3)),
    "argmax": of(lambda x: x * jnp.argmax(x, axis=1)[:, None], (2, 3)),
    "argmin": of(lambda x: jnp.take(x, jnp.argmin(x)), (4,)),
    "cumsum": of(lambda x: jnp.cumsum(x, axis=1), (2, 3)),
    "cumsum backwards": of(lambda x: lax.cumsum(x, axis=0, reverse=True), (3,)),
    "cumprod": of(lambda x: jnp.cumprod(x, axis=0), (3, 2)),
    "cumprod backwards": of(lambda x: lax.cumprod(x, axis=0, reverse=True), (3,)),
    "cummax": of(lambda x: lax.cummax(x, axis=0), (4,)),
    "cummin": of(lambda x: lax.cummin(x, axis=0, reverse=True), (4,)),
    "cumlogsumexp": of(lambda x: lax.cumlogsumexp(x, axis=0), (4,)),
    "cumsum of nothing": of(lambda x: jnp.cumsum(x, axis=0), (0, 2)),
    "sort": of(lambda x: jnp.sort(x, axis=0), (4, 2)),
    "sort descending": of(lambda x: jnp.sort(x, descending=True), (4,)),
    "argsort": of(lambda x: x[jnp.argsort(x)] * jnp.arange(4.0), (4,)),
    "sort by key": of(lambda x, y: lax.sort((x, y), num_keys=1)[1], (4,), (4,)),
    "sort of three": of(lambda x, y: lax.sort((x, y, x * y), num_keys=1)[2], (4,), (4,)),
    "sort of integers with floats": Case(lambda i, x: lax.sort((i, x), num_keys=1)[1], (((4,), I), ((4,), F))),
    "sort by two keys": Case(lambda i, x: lax.sort((i // 3, x), num_keys=2)[1], (((4,), I), ((4,), F))),
    "top_k": of(lambda x: lax.top_k(x, 2)[0], (5,)),
    "median": of(jnp.median, (5,)),
    "median of four": of(jnp.median, (4,)),
    "logsumexp": of(lambda x: jnn.logsumexp(x, axis=-1), (2, 3)),
    "norm": of(jnp.linalg.norm, (3,)),
    "norms": of(lambda x: jnp.linalg.norm(x, ord=1) + jnp.linalg.norm(x, ord=jnp.inf), (3,)),
    "matmul": of(jnp.matmul, (2, 3), (3, 4)),
    "batched matmul": of(jnp.matmul, (2, 2, 3), (2, 3, 2)),
    "einsum": of(lambda x, y: jnp.einsum("ijk,kj->ik", x, y), (2, 2, 3), (3, 2)),
    "outer": of(jnp.outer, (2,), (3,)),
    "dot of nothing": of(jnp.dot, (2, 0), (0, 3)),
    "interp": of(lambda x, y: jnp.interp(x, jnp.linspace(-3.5, 3.5, 4), y), (3,), (4,)),
}

CONTROL: dict[str, Case] = {
    "scan": of(lambda x: lax.scan(lambda c, y: (jnp.sin(c) * y, c), 1.0, x)[1], (4,)),
    "scan backwards": of(lambda x: lax.scan(lambda c, y: (c + y, c * y), 0.0, x, reverse=True), (4,)),
    "for": of(lambda x: lax.fori_loop(0, 3, lambda i, c: c * x + i, 1.0), ()),
    "while": of(lambda x: lax.while_loop(lambda y: y > 1.0, lambda y: y / 2, jnp.abs(x) * 40), ()),
    "cond": of(lambda x: lax.cond(x > 0, lambda y: y * y, lambda y: -y, x), ()),
    "switch": Case(
        lambda i, x: lax.switch(i, [lambda y: y, lambda y: y * y, lambda y: 1 / y], x), (((), I), ((2,), F)), 0.5, 3
    ),
    "empty2": of(lambda x: x + 0 * named.empty2_p.bind(dtype=x.dtype, memory_space=jax.typeof(x).memory_space), ()),
    "map": of(lambda x: lax.map(lambda y: jnp.exp(y).sum(), x), (3, 2)),
    "vmap": of(jax.vmap(lambda y: jnp.sort(y)[0]), (3, 2)),
    "gradient": of(jax.grad(lambda x: jnp.log(jnp.sum(jnp.exp(x)))), (3,)),
    "gradient of prod": of(jax.grad(jnp.prod), (4,), low=0.5),
    "gradient of cumprod": of(jax.grad(lambda x: jnp.cumprod(x).sum()), (3,), low=0.5),
    "gradient of sort": of(jax.grad(lambda x: jnp.sort(x) @ jnp.arange(4.0)), (4,)),
    "gradient of gather": of(jax.grad(lambda x: x[jnp.array([0, 0, 2])] @ x[:3]), (4,)),
    "gradient of scan": of(jax.grad(lambda x: lax.scan(lambda c, y: (c * y, c), 1.0, x)[1].sum()), (4,)),
}

ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "relu": jnn.relu,
    "relu6": jnn.relu6,
    "sigmoid": jnn.sigmoid,
    "softplus": jnn.softplus,
    "sparse_plus": jnn.sparse_plus,
    "sparse_sigmoid": jnn.sparse_sigmoid,
    "soft_sign": jnn.soft_sign,
    "silu": jnn.silu,
    "mish": jnn.mish,
    "log_sigmoid": jnn.log_sigmoid,
    "leaky_relu": jnn.leaky_relu,
    "hard_sigmoid": jnn.hard_sigmoid,
    "hard_silu": jnn.hard_silu,
    "hard_tanh": jnn.hard_tanh,
    "elu": jnn.elu,
    "celu": jnn.celu,
    "selu": jnn.selu,
    "gelu": jnn.gelu,
    "gelu exactly": lambda x: jnn.gelu(x, approximate=False),
    "squareplus": jnn.squareplus,
}

JAX_NN: dict[str, Case] = {
    name: of(call, (2, 3))
    for name, call in {
        **ACTIVATIONS,
        "glu": lambda x: jnn.glu(x, axis=0),
        "log_softmax": jnn.log_softmax,
        "softmax": jnn.softmax,
        "logsumexp": lambda x: jnn.logsumexp(x, axis=1),
        "standardize": jnn.standardize,
        "identity": jnn.identity,
        "log1mexp": lambda x: jnn.log1mexp(x * x + 0.1),
    }.items()
}
JAX_NN["dot_product_attention"] = of(
    lambda q, k, v: jnn.dot_product_attention(q, k, v, is_causal=True), (2, 2, 2), (2, 2, 2), (2, 2, 2)
)

FURTHER: dict[str, Case] = {
    "nextafter": Case(lax.nextafter, (((3,), F), ((3,), F)), tangent=False),
}

SCATTERS = {"add": "add", "sub": "subtract", "mul": "multiply", "min": "min", "max": "max"}
"""Short names of the scatters, and what `.at[]` calls them."""

ONE, TWO = (((4,), I),), (((4,), I), ((4,), I))


def scattered(method: str) -> Case:
    """Integers that meet at one place, and one that stays alone."""
    return Case(lambda i, j: getattr(i.at[jnp.array([2, 0, 2, 9])], method)(j), TWO)


INTEGERS: dict[str, Case] = {
    name: Case(call, specs)
    for name, call, specs in (
        ("add", lax.add, TWO),
        ("add_any", named.add_jaxvals_p.bind, TWO),
        ("sub", lax.sub, TWO),
        ("mul", lax.mul, TWO),
        ("div", lax.div, TWO),
        ("rem", lax.rem, TWO),
        ("max", lax.max, TWO),
        ("min", lax.min, TWO),
        ("neg", lax.neg, ONE),
        ("abs", lax.abs, ONE),
        ("sign", lax.sign, ONE),
        ("square", lax.square, ONE),
        ("integer_pow", lambda i: lax.integer_pow(i, 3), ONE),
        ("eq", lax.eq, TWO),
        ("ne", lax.ne, TWO),
        ("lt", lax.lt, TWO),
        ("le", lax.le, TWO),
        ("gt", lax.gt, TWO),
        ("ge", lax.ge, TWO),
        ("xor", lax.bitwise_xor, TWO),
        ("and", lax.bitwise_and, TWO),
        ("or", lax.bitwise_or, TWO),
        ("not", lax.bitwise_not, ONE),
        ("clamp", lambda i: lax.clamp(0, i, 3), ONE),
        ("shift_left", lax.shift_left, TWO),
        ("shift_right_logical", lax.shift_right_logical, TWO),
        ("shift_right_arithmetic", lax.shift_right_arithmetic, TWO),
        ("population_count", lax.population_count, ONE),
        ("reduce_sum", lambda i: lax.reduce_sum(i, (0,)), ONE),
        ("reduce_prod", lambda i: lax.reduce_prod(i, (0,)), ONE),
        ("reduce_max", lambda i: lax.reduce_max(i, (0,)), ONE),
        ("reduce_min", lambda i: lax.reduce_min(i, (0,)), ONE),
        ("reduce_and", lambda i: lax.reduce_and(i, (0,)), ONE),
        ("reduce_or", lambda i: lax.reduce_or(i, (0,)), ONE),
        ("reduce_xor", lambda i: lax.reduce_xor(i, (0,)), ONE),
        ("argmax", lambda i: lax.argmax(i, 0, "int64"), ONE),
        ("argmin", lambda i: lax.argmin(i, 0, "int64"), ONE),
        ("cumsum", lax.cumsum, ONE),
        ("cumprod", lax.cumprod, ONE),
        ("cummax", lambda i: lax.cummax(i, reverse=True), ONE),
        ("cummin", lax.cummin, ONE),
        ("sort", lambda i, j: lax.sort((i, j), num_keys=1), TWO),
        ("dot_general", jnp.dot, TWO),
        ("convert_element_type", lambda i: i.astype("int32"), ONE),
        ("stop_gradient", lax.stop_gradient, ONE),
        ("iota", lambda i: i + lax.iota("int64", 4), ONE),
        ("lu_pivots_to_permutation", as_permutation, ONE),
        ("platform_index", lambda i: lax.platform_dependent(i, cpu=lambda k: k + 1, default=lambda k: k), ONE),
    )
} | {f"scatter-{short}": scattered(method) for short, method in SCATTERS.items()}

REALS = {
    "smooth": SMOOTH,
    "elementwise": ELEMENTWISE,
    "moves": MOVES,
    "reductions": REDUCTIONS,
    "control": CONTROL,
    "jax.nn": JAX_NN,
    "matrices": {name: Case(call, specs) for name, (call, specs) in MATRICES.items()},
    "special": {name: Case(call, shapes, *span) for name, (call, shapes, span) in SPECIAL.items()},
}
"""Groups whose values and tangents the ball systems know."""


def named_cases(groups: dict[str, dict[str, Case]]) -> dict[str, Case]:
    """The cases of some groups, each as "group: name"."""
    return {f"{group}: {name}": case for group, cases in groups.items() for name, case in cases.items()}


REAL_CASES = named_cases(REALS)
CASES = named_cases({**REALS, "further": FURTHER, "integers": INTEGERS})
