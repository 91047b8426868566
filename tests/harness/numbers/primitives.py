"""The table of primitives and number systems: a row says on what a primitive is tried, and a hole has a reason.

`ROWS["tanh"]` is the case "smooth: tanh" of `cases` and the NumPy code of the same meaning, `np.tanh`; a row without
such code is a hole of the systems that run NumPy code. Rows of integers are named "integers: add".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.harness.numbers.cases import INTEGERS


@dataclass(frozen=True)
class Row:
    """The name of a case whose program uses the primitive, and NumPy code of the same meaning."""

    case: str
    numpy: Callable[..., Any] | None = None


TRACED = ("floats", "linked floats", "balls", "dual balls", "error bounds")
"""Systems that run programs of JAX's primitives."""

OBJECTS = ("object balls", "object duals", "object bounds")
"""Systems of scalars on which NumPy code runs as it is."""

SYSTEMS = (*TRACED, *OBJECTS)


def _put(ufunc: np.ufunc) -> Callable[..., Any]:
    """NumPy's unbuffered update of a copy."""

    def scattered(x: Any, where: Any, y: Any) -> Any:
        out = x.copy()
        ufunc.at(out, where, y)
        return out

    return scattered


def _start(i: int, n: int, size: int) -> int:
    """Where JAX starts a window: negative indices count from the end, and the window stays inside."""
    return int(min(max(i + n if i < 0 else i, 0), n - size))


def _window(x: Any, i: int) -> Any:
    start = _start(i, len(x), 2)
    return x[start : start + 2]


def _with_window(x: Any, y: Any, i: int) -> Any:
    out, start = x.copy(), _start(i, len(x), len(y))
    out[start : start + len(y)] = y
    return out


def _with_entry(x: Any, y: Any, i: int) -> Any:
    out = x.copy()
    out[abs(i) % 4] = y
    return out


def _padded(x: Any) -> Any:
    out = np.full((8, 1), 0.5)
    out[1:6:2] = x[:, 1:]
    return out


_SCATTERED = {name: _put(ufunc) for name, ufunc in (("sub", np.subtract), ("mul", np.multiply))}
_SCATTERED |= {"add": _put(np.add), "max": _put(np.maximum), "min": _put(np.minimum)}

NUMPY: dict[str, tuple[str, Callable[..., Any]]] = {
    "neg": ("smooth: neg", lambda x: -x),
    "exp": ("smooth: exp", np.exp),
    "exp2": ("smooth: exp2", np.exp2),
    "expm1": ("smooth: expm1", np.expm1),
    "log": ("smooth: log", np.log),
    "log1p": ("smooth: log1p", np.log1p),
    "tanh": ("smooth: tanh", np.tanh),
    "sinh": ("smooth: sinh", np.sinh),
    "cosh": ("smooth: cosh", np.cosh),
    "asinh": ("smooth: asinh", np.arcsinh),
    "acosh": ("smooth: acosh", np.arccosh),
    "atanh": ("smooth: atanh", np.arctanh),
    "sin": ("smooth: sin", np.sin),
    "cos": ("smooth: cos", np.cos),
    "tan": ("smooth: tan", np.tan),
    "asin": ("smooth: asin", np.arcsin),
    "acos": ("smooth: acos", np.arccos),
    "atan": ("smooth: atan", np.arctan),
    "sqrt": ("smooth: sqrt", np.sqrt),
    "cbrt": ("smooth: cbrt", np.cbrt),
    "square": ("smooth: square", np.square),
    "integer_pow": ("smooth: integer_pow", lambda x: x**3 + x**-2.0),
    "abs": ("elementwise: abs", np.abs),
    "sign": ("elementwise: sign", lambda x: x * np.sign(x)),
    "floor": ("elementwise: floor", lambda x: x * np.floor(x)),
    "ceil": ("elementwise: ceil", lambda x: x * np.ceil(x)),
    "round": ("elementwise: round half even", lambda x: x * np.rint(x)),
    "add": ("elementwise: add", np.add),
    "sub": ("elementwise: sub", np.subtract),
    "mul": ("elementwise: mul", np.multiply),
    "div": ("elementwise: div", np.divide),
    "max": ("elementwise: max", np.maximum),
    "min": ("elementwise: min", np.minimum),
    "pow": ("elementwise: pow", np.power),
    "rem": ("elementwise: rem", lambda x, y: np.fmod(x, y + np.where(np.abs(y) < 0.3, 1.0, 0.0))),
    "atan2": ("elementwise: atan2", np.arctan2),
    "clamp": ("elementwise: clamp", lambda x: np.clip(x, -1.0, 1.0)),
    "select_n": ("elementwise: select_n of integers", lambda i, x: np.choose(np.abs(i) % 3, [x, x * x, -x])),
    "and": ("elementwise: where and", lambda x, y: np.where((x > 0) & (y < 1), x, y)),
    "or": ("elementwise: where or", lambda x, y: np.where((x > 0) | ~(y < 1), x, y)),
    "not": ("elementwise: where or", lambda x, y: np.where((x > 0) | ~(y < 1), x, y)),
    "xor": ("elementwise: where xor", lambda x, y: np.where((x > 0) ^ (y < 1), x, y)),
    "lt": ("elementwise: lt", lambda x, y: np.where(x < y, x, y * y)),
    "le": ("elementwise: le", lambda x, y: np.where(x <= y, x, y * y)),
    "gt": ("elementwise: gt", lambda x, y: np.where(x > y, x, y * y)),
    "ge": ("elementwise: ge", lambda x, y: np.where(x >= y, x, y * y)),
    "eq": ("elementwise: eq", lambda x, y: np.where(x == y, x, y * y)),
    "ne": ("elementwise: x != x", lambda x: np.where(x != x, 0.0, x)),  # noqa: PLR0124
    "reduce_and": ("elementwise: all", lambda x: np.where(np.all(x > -2, axis=1)[:, None], x, 2 * x)),
    "reduce_or": ("elementwise: any", lambda x: np.where(np.any(x > 1, axis=0), x, 2 * x)),
    "is_finite": ("elementwise: isfinite", lambda x: np.where(np.isfinite(x), x, 0.0)),
    "convert_element_type": ("elementwise: integers as floats", lambda x, i: x * i),
    "nextafter": ("further: nextafter", np.nextafter),
    "concatenate": ("moves: concatenate", lambda x, y: np.concatenate([x, np.ones((1, 2)), y])),
    "stack": ("moves: stack", lambda x, y: np.stack([x, y, np.zeros(2)])),
    "unstack": ("moves: unstack", lambda x: x[1]),
    "split": ("moves: split", lambda x: np.split(x, 3)[1] * 2),
    "pad": ("moves: pad", _padded),
    "transpose": ("moves: transpose", lambda x: x.T @ x),
    "broadcast_in_dim": ("moves: broadcast", lambda x: np.broadcast_to(x[:, None], (3, 2)) * x[0]),
    "reshape": ("moves: reshape", lambda x: x.reshape(6)),
    "squeeze": ("moves: squeeze", lambda x: np.squeeze(x, 1)),
    "slice": ("moves: slice", lambda x: x[1:4:2]),
    "rev": ("moves: flip", lambda x: x[::-1] * x[::2].sum()),
    "copy": ("moves: copy", np.copy),
    "dynamic_slice": ("moves: dynamic_slice", _window),
    "dynamic_update_slice": ("moves: dynamic_update_slice", _with_window),
    "gather": ("moves: gather", lambda x, i: x[np.abs(i) % 4]),
    "scatter": ("moves: scatter", _with_entry),
    "scatter-add": ("moves: scatter-add", lambda x, y, i: _SCATTERED["add"](x, np.abs(i) % 4, y)),
    "scatter-sub": ("moves: scatter-sub", lambda x, y: _SCATTERED["sub"](x, [2, 2], y)),
    "scatter-mul": ("moves: scatter-mul", lambda x, y: _SCATTERED["mul"](x, [2, 0], y)),
    "scatter-max": ("moves: scatter-max", lambda x, y: _SCATTERED["max"](x, [2, 2], y)),
    "scatter-min": ("moves: scatter-min", lambda x, y: _SCATTERED["min"](x, [1], y[1:])),
    "iota": ("moves: iota", lambda x: x * np.arange(3.0)),
    "reduce_sum": ("reductions: sum", lambda x: x.sum(axis=1)),
    "reduce_prod": ("reductions: prod", lambda x: x.prod(axis=1)),
    "reduce_max": ("reductions: max", lambda x: x.max(axis=1)),
    "reduce_min": ("reductions: min", lambda x: x.min(axis=(0, 1))),
    "argmax": ("reductions: argmax", lambda x: x * np.argmax(x, axis=1)[:, None]),
    "argmin": ("reductions: argmin", lambda x: np.take(x, np.argmin(x))),
    "cumsum": ("reductions: cumsum", lambda x: np.cumsum(x, axis=1)),
    "cumprod": ("reductions: cumprod", lambda x: np.cumprod(x, axis=0)),
    "cummax": ("reductions: cummax", np.maximum.accumulate),
    "cummin": ("reductions: cummin", lambda x: np.minimum.accumulate(x[::-1])[::-1]),
    "cumlogsumexp": ("reductions: cumlogsumexp", np.logaddexp.accumulate),
    "sort": ("reductions: sort", lambda x: np.sort(x, axis=0)),
    "dot_general": ("reductions: matmul", np.matmul),
    "tile": ("matrices: tile", lambda x: np.tile(x, (2, 3))),
}
"""Primitive -> its case, and NumPy code of the same meaning."""

_ABSENT = "NumPy has no such function"
_JAX_ONLY = "JAX's own bookkeeping; NumPy code has nothing of the kind"
_FACTORED = "NumPy factors matrices in LAPACK, which takes floats alone; programs have these primitives"
_PYTHON = "NumPy code loops and branches in Python, which runs as it is"

_COMPLEX = "complex numbers are no exact scalars"

MATRIX_PRIMITIVES = ("lu", "cholesky", "triangular_solve", "custom_linear_solve", "qr", "eigh", "svd")

SPECIAL_PRIMITIVES = (
    *("lgamma", "digamma", "polygamma", "zeta", "igamma", "igammac", "igamma_grad_a"),
    *("gamma", "erfcx", "log_ndtr"),
    *("regularized_incomplete_beta", "bessel_i0e", "bessel_i1e"),
)

WITHOUT_NUMPY: dict[str, tuple[str, str]] = {
    "logistic": ("smooth: logistic", _ABSENT),
    "rsqrt": ("smooth: rsqrt", _ABSENT),
    "erf": ("smooth: erf", _ABSENT),
    "erfc": ("smooth: erfc", _ABSENT),
    "erf_inv": ("smooth: erf_inv", _ABSENT),
    "dft": ("special: dft", _COMPLEX),
    **{name: (f"special: {name}", _ABSENT) for name in SPECIAL_PRIMITIVES},
    "reduce_precision": ("smooth: reduce_precision", _ABSENT),
    "lt_to": ("elementwise: lt_to", _ABSENT),
    "le_to": ("elementwise: le_to", _ABSENT),
    "top_k": ("reductions: top_k", _ABSENT),
    "add_any": ("smooth: add_any", _JAX_ONLY),
    "stop_gradient": ("elementwise: stop_gradient", _JAX_ONLY),
    "optimization_barrier": ("moves: optimization_barrier", _JAX_ONLY),
    "empty2": ("control: empty2", _JAX_ONLY),
    "scan": ("control: scan", _PYTHON),
    "cond": ("control: cond", _PYTHON),
    "while": ("control: while", _PYTHON),
    **{name: (f"matrices: {name}", _FACTORED) for name in MATRIX_PRIMITIVES},
}
"""Primitive -> its case, and why there is no NumPy code for it."""

ROWS: dict[str, Row] = {
    **{primitive: Row(case, code) for primitive, (case, code) in NUMPY.items()},
    **{primitive: Row(case) for primitive, (case, _) in WITHOUT_NUMPY.items()},
}

INTEGER_ROWS: dict[str, Row] = {f"integers: {primitive}": Row(f"integers: {primitive}") for primitive in INTEGERS}

_FLAT = "flat programs have no control flow; `Floats` runs these"
_NO_GROWTH = "no proven bound yet on how an error of the argument grows"
_NEIGHBOUR = "the next float is no function over the reals"

HOLES: dict[tuple[str, str], str] = {
    **{(primitive, system): why for primitive, (_, why) in WITHOUT_NUMPY.items() for system in OBJECTS},
    **{(primitive, "linked floats"): _FLAT for primitive in ("scan", "cond", "while", "integers: platform_index")},
    **{("nextafter", s): _NEIGHBOUR for s in ("balls", "dual balls", "error bounds", *OBJECTS)},
    **{(p, "error bounds"): _NO_GROWTH for p in SPECIAL_PRIMITIVES},
    ("top_k", "error bounds"): "no rule yet for positions that depend on rounding; `sort` has one",
    ("scatter-mul", "error bounds"): "no bound yet for several factors at one place in any order",
    ("scatter-min", "error bounds"): "not written yet; `min` has the bound",
    ("scatter-max", "error bounds"): "not written yet; `max` has the bound",
}
"""(row, system) -> why the system does not evaluate the primitive."""
