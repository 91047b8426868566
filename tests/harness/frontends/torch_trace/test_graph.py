"""Torch code becomes a functional graph, or says why it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import jax  # noqa: E402

from backprove.harness.frontends.torch_trace.graph import NotTraced, graph, operations  # noqa: E402
from backprove.harness.frontends.torch_trace.reading import as_jax  # noqa: E402

X = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


def values(code: Any, *tensors: Any) -> list[Any]:
    made = graph(code, tensors)
    assert not any(n.target._schema.is_mutable for n in operations(made))
    with jax.enable_x64(True):
        return [np.asarray(v).tolist() for v in as_jax(made)(*(t.numpy() for t in tensors))]


def test_writes_in_place_become_values() -> None:
    def code(x: Any) -> list[Any]:
        y = x.clone()
        y[1:].mul_(2)
        y[0] = 7
        y.view(3, 1)[2, 0].add_(1)
        return [y, x]

    assert values(code, X) == [[7, -4, 7], [1, -2, 3]]


def test_constants_of_the_code_are_data() -> None:
    weights = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    assert values(lambda x: [x * weights], X) == [[1, -20, 300]]


def test_operations_of_other_libraries_are_followed_into_their_code() -> None:
    @torch.library.custom_op("backprove_tests::scaled", mutates_args=())
    def scaled(x: torch.Tensor, by: float) -> torch.Tensor:
        return by * torch.where(x > 0, x, -x)

    assert values(lambda x: [scaled(x, 3.0) + 1], X) == [[4, 7, 10]]


WHY = {
    "branch": (lambda x: [x if x[0] > 0 else -x], "depends on the values"),
    "loop": (lambda x: [x * len([k for k in range(9) if k < x[0]])], "depends on the values"),
    "item": (lambda x: [x * x[0].item()], "depends on the values"),
    "mask": (lambda x: [x[x > 0]], "shape of what a mask selects depends on the values"),
    "random": (lambda x: [x * torch.rand(3, dtype=x.dtype)], "draws random numbers"),
    "dropout": (lambda x: [torch.nn.functional.dropout(x)], "draws random numbers"),
    "numpy": (lambda x: [torch.from_numpy(np.sin(x.numpy()))], "tracing stopped with"),
    "unknown": (lambda x: [torch.histc(x)], "histc, which the tracer does not know"),
}


@pytest.mark.parametrize("kind", WHY)
def test_what_cannot_be_followed_says_why(kind: str) -> None:
    code, said = WHY[kind]
    with pytest.raises(NotTraced, match=said):
        as_jax(graph(code, [X]))(X.numpy())
