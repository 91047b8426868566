"""Every operation means in JAX what it does in torch: values and backward of ordinary code, read from its graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from backprove.harness.frontends.torch_trace.graph import graph  # noqa: E402
from backprove.harness.frontends.torch_trace.reading import as_jax  # noqa: E402

INDEX = torch.tensor([[0, 2], [1, 1], [2, 0]])
LABELS = torch.tensor([[0, 2, -1], [1, -1, 0]])
MASK = torch.tensor([[True, False], [False, False], [True, True]])

CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "arithmetic": (lambda x, y: (2 * x - y) / (1 + x * x) + x**3 - 1 / (3 + y), ((3, 2), (2,))),
    "alpha": (
        lambda x, y: torch.add(x, y, alpha=2) + torch.sub(x, y, alpha=3) + torch.rsub(x, y, alpha=4),
        ((3,),) * 2,
    ),
    "powers": (lambda x: (x * x + 1) ** 0.3 + (x + 5) ** -2 + torch.rsqrt(x * x + 1), ((4,),)),
    "exponentials": (lambda x: x.exp() + x.expm1() + (x * x).log1p() + x.exp2() + x.sigmoid() + x.tanh(), ((4,),)),
    "trigonometric": (lambda x: x.sin() + x.cos() + x.atan() + (x / 9).asin() + x.sinh() - x.cosh(), ((4,),)),
    "error functions": (lambda x: x.erf() + x.erfc() + (x / 9).erfinv() + torch.special.entr(x * x), ((4,),)),
    "scaled error function": (lambda x: torch.special.erfcx(x) + torch.special.log_ndtr(x), ((4,),)),
    "sign copied": (lambda x, y: x.copysign(y) * x.copysign(torch.tensor(-0.0)), ((4,), (4,))),
    "mantissa": (lambda x: torch.frexp(8 * x).mantissa, ((5,),)),
    "chosen by a mask that is computed": (lambda x: torch.combinations(x, 2) + x[torch.ones(5) > 0][:2], ((5,),)),
    "segments": (
        lambda x: (
            sum(
                torch.segment_reduce(x, kind, lengths=torch.tensor([2, 0, 3]), initial=1.0)
                for kind in ("sum", "prod", "max", "min")
            )
            + torch.segment_reduce(x, "mean", offsets=torch.tensor([0, 2, 5, 5]))[:1]
        ),
        ((5, 2),),
    ),
    "bags": (
        lambda x, w: (
            F.embedding_bag(INDEX[:, 0], x, torch.tensor([0, 2]), mode="sum", per_sample_weights=w)
            + F.embedding_bag(INDEX[:, 1], x, torch.tensor([0, 2]), padding_idx=0)
        ),
        ((3, 2), (3,)),
    ),
    "antialiased": (lambda x: F.interpolate(x, (2, 5), mode="bilinear", antialias=True), ((1, 1, 5, 3),)),
    "chosen by a mask": (lambda x: x.masked_select(MASK), ((3, 2),)),
    "most frequent": (lambda x: x.mode(0).values + x.mode(1, keepdim=True).values, ((3, 2),)),
    "polar": (lambda x, y: torch.view_as_real(torch.polar(x * x, y)), ((3,), (3,))),
    "reflections": (
        lambda x, y, z: torch.linalg.householder_product(x, y) @ z.T + torch.ormqr(x, y, z, transpose=True)[:, :1],
        ((3, 2), (2,), (3, 2)),
    ),
    "pseudoinverse": (torch.linalg.pinv, ((3, 2),)),
    "cross entropy": (
        lambda x: 1e14 * F.binary_cross_entropy(1e-14 * x.sigmoid(), torch.zeros(4).double()),
        ((4,),),
    ),
    "margins": (
        lambda x: F.multi_margin_loss(x, INDEX[0], p=2) + F.multilabel_margin_loss(x, LABELS),
        ((2, 3),),
    ),
    "sampled": (
        lambda x, y: (
            F.grid_sample(x, y, align_corners=False, padding_mode="border")
            + F.grid_sample(x, y, align_corners=True) * F.grid_sample(x, y, "nearest", "reflection", False)
        ),
        ((1, 2, 3, 4), (1, 2, 2, 2)),
    ),
    "sampled in space": (
        lambda x, y: F.grid_sample(x, y, align_corners=False, padding_mode="reflection"),
        ((1, 1, 2, 3, 2), (1, 1, 2, 1, 3)),
    ),
    "running statistics": (
        lambda x: F.batch_norm(x, torch.zeros(3).double(), torch.ones(3).double(), training=True, eps=0.1),
        ((4, 3),),
    ),
    "gamma": (lambda x: torch.lgamma(x * x + 1) + torch.digamma(x * x + 1), ((4,),)),
    "rounding": (lambda x: x * (x.floor() + x.ceil() + x.round() + x.trunc() + x.sign()), ((4,),)),
    "quotients": (
        lambda x, y: torch.fmod(x, 2) + torch.remainder(x, 2) + torch.div(x, y, rounding_mode="floor"),
        ((4,),) * 2,
    ),
    "choices": (
        lambda x, y: torch.where(x > y, x, 2 * y) + x.clamp(-0.5, 0.5) + torch.maximum(x, y) + x.relu(),
        ((4,),) * 2,
    ),
    "activations": (
        lambda x: F.elu(x) + F.selu(x) + F.leaky_relu(x) + F.hardtanh(x) + F.silu(x) + F.softplus(x) + F.mish(x),
        ((5,),),
    ),
    "gelu": (lambda x: F.gelu(x) + F.gelu(x, approximate="tanh"), ((4,),)),
    "shrinking": (lambda x: F.hardshrink(x) + F.softshrink(x) + F.hardswish(x) + F.hardsigmoid(x).round(), ((4,),)),
    "sums": (lambda x: x.sum() + x.mean(0) + x.prod(1).sum() + x.var() + x.std(0, unbiased=False), ((3, 2),)),
    "extrema": (lambda x: x.max() + x.amin(0) + x.max(1).values.sum() + x.median() + x.kthvalue(2).values, ((2, 2),)),
    "sorted": (lambda x: x.sort(descending=True).values + x.topk(3).values + x.cummax(0).values, ((3,),)),
    "running": (lambda x: x.cumsum(0) + x.cumprod(0) + x.logcumsumexp(0), ((4,),)),
    "softmax": (lambda x: x.softmax(-1) + x.log_softmax(0) + x.logsumexp(1, keepdim=True), ((3, 2),)),
    "norms": (lambda x: x.norm() + x.norm(p=1) + x.norm(p=3) + torch.linalg.vector_norm(x, float("inf")), ((3,),)),
    "scalars": (lambda x: x.sum() + x.softmax(0) + x.cumsum(0) + x.flip(0) + x.sort().values + x.amax(), ((),)),
    "views": (lambda x: x.T.reshape(6).view(2, 3)[:, None].expand(2, 2, 3).squeeze(0).permute(2, 0, 1), ((3, 2),)),
    "slices": (lambda x: x[1:, ::2] + x[0, 1] + x.select(1, 2)[:, None].narrow(0, 1, 2), ((3, 3),)),
    "joins": (lambda x, y: torch.cat([x, y, x]) + torch.stack([x, y, x]).flip(0).reshape(-1, 2), ((3, 2), (3, 2))),
    "splits": (lambda x: x.split(2)[0] * x.chunk(2)[1] + x.unbind(0)[1] + x.split([1, 2, 1])[1], ((4, 2),)),
    "moved": (lambda x: x.roll(1, 0) + x.repeat(2, 1)[:3] + x.tril() - x.triu(1) + x.diagonal(), ((3, 3),)),
    "diagonals": (lambda x: torch.diag_embed(x, 1)[..., :3, 1:] + torch.diag(x[0]), ((2, 3),)),
    "unfolded": (lambda x: x.unfold(0, 2, 1).sum(-1) + x.as_strided((3,), (1,), 1), ((4,),)),
    "padded": (lambda x: F.pad(x, (1, 2), value=3.0) + F.pad(x[None], (2, 1), "reflect")[0], ((4,),)),
    "replicated": (lambda x: F.pad(x[None], (2, -1), "replicate"), ((4,),)),
    "indexed": (lambda x: x[INDEX[:, 0], INDEX[:2].T.reshape(-1)[:3]] + x.index_select(0, INDEX[0])[0], ((3, 3),)),
    "gathered": (lambda x: x.gather(1, INDEX) + torch.take(x, INDEX), ((4, 3),)),
    "scattered": (
        lambda x, y: x.scatter(1, INDEX, y) + x.scatter_add(1, INDEX, y) + x.scatter_reduce(1, INDEX, y, "amax"),
        ((3, 3), (3, 2)),
    ),
    "filled": (lambda x, y: x.index_fill(0, INDEX[1], y), ((3, 2), ())),
    "written": (
        lambda x, y: x.index_add(0, INDEX[1], y) + x.index_copy(0, INDEX[2], y) + x.masked_fill(MASK, 2.0),
        ((3, 2), (2, 2)),
    ),
    "masked": (lambda x: torch.where(MASK, x, 0).masked_scatter(MASK, x * 2), ((3, 2),)),
    "embedded": (lambda w: F.embedding(INDEX, w), ((3, 4),)),
    "products": (lambda x, y: x @ y + torch.addmm(x[:, :1], x, y, beta=2, alpha=3), ((3, 4), (4, 2))),
    "batches": (lambda x, y: torch.bmm(x, y) + torch.einsum("bij,bjk->bik", x, y), ((2, 3, 4), (2, 4, 2))),
    "cross": (lambda x, y: torch.linalg.cross(x, y) + x.dot(y), ((3,), (3,))),
    "convolution": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, dilation=2),
        ((1, 2, 6, 5), (3, 2, 2, 2), (3,)),
    ),
    "groups": (lambda x, w: F.conv1d(x, w, groups=2), ((2, 4, 5), (6, 2, 3))),
    "transposed": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        ((1, 4, 3, 3), (4, 3, 2, 2)),
    ),
    "max pooling": (lambda x: F.max_pool2d(x, 2, stride=1, padding=1, ceil_mode=True), ((1, 2, 4, 3),)),
    "mean pooling": (
        lambda x: F.avg_pool2d(x, 2, stride=2, padding=1, ceil_mode=True) + F.avg_pool2d(x, 3, 2, 1, True, False),
        ((1, 1, 5, 5),),
    ),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, (2, 3)) + F.adaptive_max_pool2d(x, (2, 3)), ((1, 2, 5, 4),)),
    "resampled": (
        lambda x: (
            F.interpolate(x, (4, 5))
            + F.interpolate(x, (4, 5), mode="bilinear")
            + F.interpolate(x, (4, 5), mode="bicubic")
        ),
        ((1, 1, 3, 2),),
    ),
    "aligned": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), ((1, 1, 3, 2),)),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (3,), w, b), ((2, 3), (3,), (3,))),
    "group norm": (lambda x, w: F.group_norm(x, 2, w), ((2, 4, 3), (4,))),
    "batch norm": (
        lambda x: F.batch_norm(x, torch.zeros(2).double(), torch.ones(2).double(), training=True),
        ((3, 2),),
    ),
    "losses": (lambda x: F.cross_entropy(x, INDEX[:, 0]) + F.nll_loss(x, INDEX[:, 1], reduction="sum"), ((3, 3),)),
    "other losses": (
        lambda x, y: (
            F.huber_loss(x, y) + F.smooth_l1_loss(x, y) + F.mse_loss(x, y) + F.kl_div(x, y.exp(), reduction="batchmean")
        ),
        ((3,),) * 2,
    ),
    "distances": (lambda x, y: torch.cdist(x, y) + torch.cdist(x, y, p=1), ((3, 2), (4, 2))),
    "pairs": (lambda x: torch.pdist(x) + torch.pdist(x, p=3), ((3, 2),)),
    "factors": (
        lambda x: torch.linalg.cholesky(x @ x.T + torch.eye(3)) + torch.linalg.inv(x + 5 * torch.eye(3)),
        ((3, 3),),
    ),
    "solved": (
        lambda a, b: torch.linalg.solve(a + 5 * torch.eye(3), b) + torch.linalg.det(a) + torch.linalg.det(a.T),
        ((3, 3), (3, 2)),
    ),
    "triangles": (
        lambda a, b: torch.linalg.solve_triangular(a.triu() + 3 * torch.eye(3), b, upper=True),
        ((3, 3), (3, 2)),
    ),
    "log-determinant": (lambda a: torch.linalg.slogdet(a).logabsdet, ((3, 3),)),
    "fourier": (
        lambda x: (
            torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(x.flip(0)), 5)
            + torch.fft.fft(x).abs()
            + torch.fft.ifft(torch.fft.fft(x, norm="ortho")).real
        ),
        ((5,),),
    ),
    "complex": (
        lambda x, y: torch.view_as_real(torch.complex(x, y) * torch.complex(y, x).conj()).sum(-1),
        ((3,), (3,)),
    ),
    "made": (lambda x: x * torch.arange(3) + torch.ones_like(x) - torch.full((3,), 2.0) + torch.eye(3)[0], ((3,),)),
    "cast": (lambda x: x.to(torch.float32).to(torch.float64) * x.long(), ((3,),)),
}


def vjp(code: Callable[..., Any], inputs: int) -> Callable[..., list[Any]]:
    def pullback(*tensors: Any) -> list[Any]:
        leaves = [t.detach().requires_grad_() for t in tensors[:inputs]]
        found = torch.autograd.grad(code(*leaves), leaves, tensors[inputs:], allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]

    return pullback


def read(code: Callable[..., Sequence[Any]], tensors: Sequence[Any]) -> list[Any]:
    made = as_jax(graph(code, tensors))
    with jax.enable_x64(True):
        return [np.asarray(a) for a in jax.jit(made)(*(t.numpy() for t in tensors))]


@pytest.mark.parametrize("name", CASES)
def test_a_graph_means_in_jax_what_the_code_does_in_torch(name: str) -> None:
    code, shapes = CASES[name]
    torch.manual_seed(len(name))
    tensors = [2 * torch.randn(shape, dtype=torch.float64) for shape in shapes]
    out = code(*tensors)
    assert out.dtype == torch.float64
    (forward,) = read(lambda *x: [code(*x)], tensors)
    assert forward.shape == tuple(out.shape)
    np.testing.assert_allclose(forward, out.numpy(), rtol=1e-9, atol=1e-12)
    with_cotangent = [*tensors, torch.randn(out.shape, dtype=torch.float64)]
    backward = vjp(code, len(tensors))
    for found, expected in zip(read(backward, with_cotangent), backward(*with_cotangent), strict=True):
        assert found.shape == tuple(expected.shape)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_short_formats_keep_their_dtypes(dtype: str) -> None:
    x = torch.tensor([0.5, -1.25, 3.0], dtype=getattr(torch, dtype))
    made = as_jax(graph(lambda x: [x.softmax(0), x.sum(), (x * 3).exp() / 7], [x]))
    for found in made(np.asarray(x.float().numpy()).astype(jax.numpy.dtype(dtype))):
        assert str(found.dtype) == dtype
