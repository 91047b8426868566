"""The documented losses are those of PyTorch, values and gradients, under the conventions of the catalogue's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from backprove.rules import losses

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")

Loss = Callable[..., Any]


def mse(F: Any, a: Any, b: Any) -> Any:
    return F.mse_loss(a, b)


def cross_entropy(F: Any, a: Any, b: Any) -> Any:
    return F.cross_entropy(a, b)


def nll(F: Any, a: Any, b: Any) -> Any:
    return F.nll_loss(a, b.argmax(dim=1))


def bce(F: Any, a: Any, b: Any) -> Any:
    return F.binary_cross_entropy_with_logits(a, b)


def kl(F: Any, a: Any, b: Any) -> Any:
    return F.kl_div(a, b, reduction="batchmean")


def rows(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    logits = rng.normal(0, 3, (4, 5))
    return logits, np.eye(5)[rng.integers(0, 5, 4)]


CASES: dict[str, tuple[Loss, Loss, str]] = {
    "mse": (losses.mse, mse, "real"),
    "cross entropy, one-hot": (losses.cross_entropy, cross_entropy, "one-hot"),
    "cross entropy, probabilities": (losses.cross_entropy, cross_entropy, "simplex"),
    "nll": (losses.nll, nll, "one-hot"),
    "bce with logits": (losses.bce, bce, "real"),
    "kl divergence": (losses.kl_div, kl, "simplex"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradients_agree(name: str, seed: int) -> None:
    ours, theirs, targets = CASES[name]
    rng = np.random.default_rng(seed)
    a, b = rows(rng)
    if targets == "simplex":
        b = rng.dirichlet(np.ones(5), 4)
    elif targets == "real":
        b = rng.normal(0, 3, a.shape)
    x, y = (torch.tensor(v, requires_grad=True) for v in (a, b))
    loss = theirs(torch.nn.functional, x, y)
    differentiable = [x, y] if name != "nll" else [x]
    gradients = torch.autograd.grad(loss, differentiable)
    with jax.enable_x64(True):
        value, mine = jax.value_and_grad(ours, argnums=tuple(range(len(differentiable))))(a, b)
    np.testing.assert_allclose(float(value), float(loss.detach()), rtol=1e-12)
    for got, expected in zip(mine, gradients, strict=True):
        np.testing.assert_allclose(np.asarray(got), expected.numpy(), rtol=1e-10, atol=1e-12)
