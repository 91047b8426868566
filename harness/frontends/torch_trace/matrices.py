"""These rows are products of matrices, convolutions, and factorisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from backprove.harness.frontends.torch_trace.table import row, row_of_node


@row("mm", "bmm", "matmul", "mv")
def _matmul(x: Any, y: Any) -> Any:
    return x @ y


@row("dot", "vdot")
def _dot(x: Any, y: Any) -> Any:
    return jnp.sum(x * y)


@row("addmm", "baddbmm", "addmv")
def _addmm(c: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    product = x @ y
    return (c if beta == 1 else beta * c) + (product if alpha == 1 else alpha * product)


@row("addbmm")
def _addbmm(c: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * c + alpha * jnp.sum(x @ y, 0)


@row("linalg_cross")
def _cross(x: Any, y: Any, *, dim: int = -1) -> Any:
    x, y = jnp.broadcast_arrays(x, y)
    return jnp.cross(x, y, axis=dim)


@row("_trilinear")
def _trilinear(a: Any, b: Any, c: Any, expand_a: Any, expand_b: Any, expand_c: Any, summed: Any, _: int = 1) -> Any:
    product: Any = 1
    for array, expand in ((a, expand_a), (b, expand_b), (c, expand_c)):
        product = product * jnp.expand_dims(array, tuple(expand))
    return jnp.sum(product, axis=tuple(summed))


# -- convolutions ------------------------------------------------------------------------------------------------------


@row("convolution", "_convolution")
def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> Any:
    n = weight.ndim - 2
    batch = x.ndim == n + 2
    steps, edges, gaps = (_each(v, n) for v in (stride, padding, dilation))
    more = _each(output_padding, n)
    out = _convolved(x if batch else x[None], weight, steps, edges, gaps, transposed, more, groups)
    if bias is not None:
        out = out + bias.reshape((1, -1) + (1,) * n)
    return out if batch else out[0]


def _each(value: Any, n: int) -> list[int]:
    return list(value) * n if len(value) == 1 else list(value)


def _convolved(
    x: Any,
    w: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Any:
    if not transposed:
        return lax.conv_general_dilated(
            x, w, stride, [(p, p) for p in padding], rhs_dilation=dilation, feature_group_count=groups
        )
    # the transpose of a convolution is one with flipped kernels over an input with gaps
    given, made, window = w.shape[0], w.shape[1], w.shape[2:]
    kernels = w.reshape(groups, given // groups, made, *window).swapaxes(1, 2)
    kernels = jnp.flip(kernels.reshape(groups * made, given // groups, *window), tuple(range(2, w.ndim)))
    reach = [d * (k - 1) for d, k in zip(dilation, window, strict=True)]
    edges = [(r - p, r - p + o) for r, p, o in zip(reach, padding, output_padding, strict=True)]
    ones = [1] * len(window)
    return lax.conv_general_dilated(
        x, kernels, ones, edges, lhs_dilation=stride, rhs_dilation=dilation, feature_group_count=groups
    )


@row("convolution_backward")
def _convolution_backward(
    g: Any, x: Any, w: Any, _: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any,
    groups: int, wanted: Any,
) -> Any:  # fmt: skip
    def forward(x: Any, w: Any) -> Any:
        return _convolution(x, w, None, stride, padding, dilation, transposed, output_padding, groups)

    of_x = transpose(lambda a: forward(a, w), x, g) if wanted[0] else None
    of_w = transpose(lambda a: forward(x, a), w, g) if wanted[1] else None
    of_bias = jnp.sum(g, axis=(0, *range(2, g.ndim))) if wanted[2] else None
    return of_x, of_w, of_bias


def transpose(linear: Callable[[Any], Any], like: Any, g: Any) -> Any:
    """The transpose of a linear map of arrays like `like`, at a cotangent of its result."""
    (found,) = jax.linear_transpose(linear, jax.ShapeDtypeStruct(like.shape, like.dtype))(g)
    return found


# -- factorisations ----------------------------------------------------------------------------------------------------


def _info(a: Any) -> Any:
    """What LAPACK says where it succeeds."""
    return jnp.zeros(a.shape[:-2], "int32")


@row("linalg_cholesky_ex")
def _cholesky_ex(a: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    return cholesky(a, upper), _info(a)


@row("cholesky")
def cholesky(a: Any, upper: bool = False) -> Any:
    """The factor; torch reads one triangle."""
    lower = jnp.linalg.cholesky(a.mT if upper else a, symmetrize_input=False)
    return lower.mT if upper else lower


@row("linalg_solve_triangular")
def _solve_triangular(a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(m, batch + m.shape[-2:]) for m in (a, b))
    return lax.linalg.triangular_solve(a, b, left_side=left, lower=not upper, unit_diagonal=unitriangular)


@row("triangular_solve")
def _triangular_solve(b: Any, a: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
    found = lax.linalg.triangular_solve(
        a, b, left_side=True, lower=not upper, transpose_a=transpose, unit_diagonal=unitriangular
    )
    return found, a


@row("cholesky_solve")
def _cholesky_solve(b: Any, factor: Any, upper: bool = False) -> Any:
    lower = factor.mT if upper else factor
    half = lax.linalg.triangular_solve(lower, b, left_side=True, lower=True)
    return lax.linalg.triangular_solve(lower, half, left_side=True, lower=True, transpose_a=True)


@row("cholesky_inverse")
def _cholesky_inverse(factor: Any, upper: bool = False) -> Any:
    return _cholesky_solve(jnp.broadcast_to(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape), factor, upper)


@row("linalg_lu_solve")
def _lu_solve(lu: Any, pivots: Any, b: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    if not left:  # X A = B says A' X' = B'
        return _lu_solve(lu, pivots, b.mT, left=True, adjoint=not adjoint).mT
    order = lax.linalg.lu_pivots_to_permutation(pivots - 1, lu.shape[-1])
    if not adjoint:
        half = lax.linalg.triangular_solve(lu, _rows(b, order), left_side=True, lower=True, unit_diagonal=True)
        return lax.linalg.triangular_solve(lu, half, left_side=True, lower=False)
    half = lax.linalg.triangular_solve(lu, b, left_side=True, lower=False, transpose_a=True)
    found = lax.linalg.triangular_solve(lu, half, left_side=True, lower=True, unit_diagonal=True, transpose_a=True)
    return _rows(found, jnp.argsort(order, axis=-1))


def _rows(b: Any, order: Any) -> Any:
    return jnp.take_along_axis(b, jnp.broadcast_to(order[..., None], b.shape), axis=-2)


@row("lu_unpack")
def _lu_unpack(lu: Any, pivots: Any, data: bool = True, permutation: bool = True) -> Any:
    rows, columns = lu.shape[-2:]
    k = min(rows, columns)
    moved = lower = upper = jnp.zeros(0, lu.dtype)  # what was not asked for
    if permutation:
        order = lax.linalg.lu_pivots_to_permutation(pivots - 1, rows)
        moved = (order[..., None, :] == jnp.arange(rows)[:, None]).astype(lu.dtype)
    if data:
        lower = jnp.tril(lu[..., :k], -1) + jnp.eye(rows, k, dtype=lu.dtype)
        upper = jnp.triu(lu[..., :k, :])
    return moved, lower, upper


@row("linalg_lu")
def _lu(a: Any, *, pivot: bool = True) -> Any:
    lu, pivots, _ = lax.linalg.lu(a)
    return _lu_unpack(lu, pivots + 1)


@row("_linalg_check_errors")
def _check_errors(*_: Any, **__: Any) -> None:
    """What LAPACK says of failures; points at which it fails are outside the domain."""


@row("linalg_inv_ex")
def _inv_ex(a: Any, *, check_errors: bool = False) -> Any:
    return jnp.linalg.inv(a), _info(a)


@row("_linalg_solve_ex")
def _solve_ex(a: Any, b: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    right = b[..., None] if vector else b
    found = jnp.linalg.solve(a, right) if left else jnp.linalg.solve(a.mT, right.mT).mT
    lu, pivots, _ = lax.linalg.lu(a)
    return (found[..., 0] if vector else found), lu, pivots + 1, _info(a)


@row("linalg_lu_factor_ex")
def _lu_factor_ex(a: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    lu, pivots, _ = lax.linalg.lu(a)
    return lu, pivots + 1, _info(a)


def _factors_for_backward(node: Any, a: Any) -> tuple[Any, Any]:
    """The factors that determinants keep: those of the transpose, where the matrix lies in memory row by row."""
    recorded = node.args[0].meta.get("val", node.args[0].meta.get("tensor_meta"))
    by_rows = recorded.is_contiguous() if hasattr(recorded, "numel") else a.ndim == 2
    lu, pivots, _ = lax.linalg.lu(a.mT if by_rows else a)
    return lu, pivots


@row_of_node("_linalg_det")
def _det(node: Any, a: Any) -> Any:
    lu, pivots = _factors_for_backward(node, a)
    return jnp.linalg.det(a), lu, pivots + 1


@row_of_node("_linalg_slogdet")
def _slogdet(node: Any, a: Any) -> Any:
    lu, pivots = _factors_for_backward(node, a)
    sign, value = jnp.linalg.slogdet(a)
    return sign, value, lu, pivots + 1


@row("linalg_qr")
def _qr(a: Any, mode: str = "reduced") -> Any:
    return jnp.linalg.qr(a, mode=mode)


@row("_linalg_eigh")
def _eigh(a: Any, uplo: str = "L", compute_v: bool = True) -> Any:
    return jnp.linalg.eigh(a, UPLO=uplo, symmetrize_input=False)


@row("_linalg_svd")
def _svd(a: Any, full_matrices: bool = False, compute_uv: bool = True, **_: Any) -> Any:
    return jnp.linalg.svd(a, full_matrices=full_matrices)


@row("linalg_matrix_exp")
def _matrix_exp(a: Any) -> Any:
    return jax.scipy.linalg.expm(a)


@row("linalg_householder_product")
def _householder_product(vectors: Any, scales: Any) -> Any:
    m, n = vectors.shape[-2:]
    return _reflected(vectors, scales, jnp.broadcast_to(jnp.eye(m, n, dtype=vectors.dtype), vectors.shape))


@row("ormqr")
def _ormqr(vectors: Any, scales: Any, x: Any, left: bool = True, transpose: bool = False) -> Any:
    if left:
        return _reflected(vectors, scales, x, transpose)
    return jnp.swapaxes(_reflected(vectors, scales, jnp.swapaxes(x, -1, -2), not transpose), -1, -2)


def _reflected(vectors: Any, scales: Any, x: Any, transpose: bool = False) -> Any:
    """The product of the reflections `I - scale * v v^T` times `x`; column i of `vectors` holds v below its entry 1."""
    row_numbers, count = jnp.arange(vectors.shape[-2]), scales.shape[-1]
    for i in range(count) if transpose else reversed(range(count)):
        v = jnp.where(row_numbers > i, vectors[..., i], jnp.where(row_numbers == i, 1, 0))[..., None]
        x = x - scales[..., i, None, None] * v * jnp.sum(v * x, -2, keepdims=True)
    return x


@row_of_node("linalg_pinv")
def _pinv(node: Any, x: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    given = node.kwargs.get("atol")
    if given is not None and not (getattr(given, "op", "") == "call_function" and given.args[-1] == 0):
        raise NotImplementedError("a least singular value")
    return jnp.linalg.pinv(x, rtol=rcond if rtol is None else rtol, hermitian=hermitian)
