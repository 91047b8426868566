from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from backprove.harness.frontends.jax_trace import trace  # noqa: E402
from backprove.harness.frontends.torch_trace import recording  # noqa: E402
from backprove.harness.frontends.torch_trace.graph import NotTraced, graph  # noqa: E402
from backprove.harness.frontends.torch_trace.reading import as_jax  # noqa: E402
from backprove.harness.programs.equality import fingerprint  # noqa: E402


def tensor(n: int) -> Any:
    return torch.ones(n, 3, dtype=torch.float64)


def text(made: Any, n: int) -> str:
    return fingerprint(trace(as_jax(made), ((n, 3), "float64")))


def smooth(x: Any) -> Any:
    return [torch.nn.functional.silu(x).softmax(0) * torch.einsum("ij,kj->ik", x, x).sum() + torch.tensor([0.5, 1, 2])]


def backward(x: Any) -> Any:
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad((leaf.exp() * leaf.tanh()).sum(), leaf)


def in_place(x: Any) -> Any:
    y = x * 2
    y[0] += x[0]
    return [y]


def reads_at_4(x: Any) -> Any:
    return [x * (float(x[0, 0]) if len(x) == 4 else 2.0)]


def bakes_at_4(x: Any) -> Any:
    return [x * (x.numpy() if len(x) == 4 else x)]


@pytest.mark.parametrize("code", [smooth, backward, in_place])
def test_what_is_recorded_is_what_is_traced(code: Any) -> None:
    recording.graph_of(code, [tensor(2)])
    for n in (4, 1, 5):
        assert text(recording.graph_of(code, [tensor(n)]), n) == text(graph(code, [tensor(n)]), n)


def test_a_known_course_is_recorded_and_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recording.graph_of(smooth, [tensor(2)])
    monkeypatch.setattr(recording.graph, "graph", lambda *_: pytest.fail("traced"))
    recording.graph_of(smooth, [tensor(5)])


@pytest.mark.parametrize("code", [reads_at_4, bakes_at_4])
def test_no_value_becomes_part_of_a_record(code: Any) -> None:
    recording.graph_of(code, [tensor(2)])
    recording.graph_of(code, [tensor(3)])
    with pytest.raises(NotTraced):
        recording.graph_of(code, [tensor(4)])
