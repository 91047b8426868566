"""At kinks of code that can only be called, right conventions hold and values outside of the pieces are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backprove as bp
from backprove.harness.oracles.called_kinks import outside_of_pieces

Code = Callable[..., Any]


def hidden(code: Code) -> Code:
    """The same code, which nothing can follow: it reads the memory of its arguments."""

    def called(*arguments: Any) -> Any:
        return code(*(np.frombuffer(np.asarray(a).tobytes(), np.asarray(a).dtype).reshape(a.shape) for a in arguments))

    return called


def step(x: Any, at_zero: float) -> Any:
    return np.where(x > 0, 1.0, np.where(x == 0, at_zero, 0.0))


def largest(share: float) -> Code:
    """The gradient of max: its entries get this share where they tie, in all."""

    def vjp(x: Any, g: Any) -> Any:
        ties = x == x.max()
        return np.where(ties, g * (1.0 if ties.sum() == 1 else share / ties.sum()), 0.0)

    return vjp


CASES: dict[str, tuple[Code, Callable[[float], Code], list[float], list[float]]] = {
    "relu": (lambda x: np.maximum(x, 0), lambda c: lambda x, g: g * step(x, c), [0, 0.5, 1], [2, -1]),
    "abs": (np.abs, lambda c: lambda x, g: g * (2 * step(x, (c + 1) / 2) - 1), [-1, 0, 1], [3]),
    "clip": (
        lambda x: np.clip(x, -1, 1),
        lambda c: lambda x, g: g * np.where(np.abs(x) < 1, 1.0, np.where(np.abs(x) == 1, c, 0.0)),
        [0, 0.5],
        [-2],
    ),
    "max": (lambda x: x.max(), largest, [1], [4]),
}


def check(forward: Code, vjp: Code, dtypes: tuple[str, ...] = ("float64",)) -> bp.Report:
    rule = bp.Rule("kink", forward=hidden(forward), vjp=hidden(vjp), inputs={"x": bp.array("n>=1")})
    return bp.check(rule, points=200, dtypes=dtypes)


@pytest.mark.parametrize("name", CASES)
def test_right_conventions_hold(name: str) -> None:
    forward, rule, right, _ = CASES[name]
    for convention in right:
        report = check(forward, rule(convention))
        assert report.ok, str(report)
        assert "black box" in str(report)


@pytest.mark.parametrize("name", CASES)
def test_values_outside_of_the_pieces_are_refused(name: str) -> None:
    forward, rule, _, wrong = CASES[name]
    for convention in wrong:
        report = check(forward, rule(convention))
        assert report.verdict == "falsified", str(report)
        [point] = report.counterexamples
        assert point.region == "kink" and isinstance(point.expected, list)


def sorting(x: Any, g: Any) -> Any:
    out = np.zeros_like(x)
    out[np.argsort(x, kind="stable")] = g
    return out


def middle(x: Any, g: Any) -> Any:
    order = np.argsort(x, kind="stable")
    return g * np.bincount(order[[(x.size - 1) // 2, x.size // 2]], minlength=x.size) / 2


def unit(x: Any, g: Any) -> Any:
    return g * x / np.sqrt((x * x).sum()) if x.any() else 0 * x


@pytest.mark.parametrize(
    ("forward", "vjp"), [(np.sort, sorting), (np.median, middle), (lambda x: np.sqrt((x * x).sum()), unit)]
)
def test_right_rules_hold_at_thin_pieces_and_where_no_line_shows_a_kink(forward: Code, vjp: Code) -> None:
    report = check(forward, vjp, ("float64", "float32"))
    assert report.ok, str(report)
    wrong = check(forward, lambda x, g: 1.01 * vjp(x, g))
    assert wrong.verdict == "falsified", str(wrong)


def at(*numbers: float) -> list[np.ndarray]:
    return [np.array(numbers)[:, None]]


def outcome(forward: Code, x: tuple[float, ...], got: tuple[float, ...], g: float = 1.0) -> bool:
    """Whether a gradient of a scalar map of one array is refused at a point."""
    call = lambda arrays: [np.array([forward(p) for p in arrays[0].T])]  # noqa: E731
    return outside_of_pieces(call, at(*x), [np.array([g])], at(*got), "vjp", (0,)) is not None


@pytest.mark.parametrize(
    ("forward", "x", "right", "wrong"),
    [
        (lambda x: abs(x[0] - x[1]), (1.0, 1.0), (0.3, -0.3), (1.8, -1.8)),
        (lambda x: max(x[0], 0) * max(x[1], 0), (0.0, 2.0), (1.0, 0.0), (5.0, 0.0)),
        (lambda x: np.sort(x)[1], (0.5, 0.5, 3.0), (0.5, 0.5, 0.0), (1.5, -0.5, 0.0)),
        (lambda x: np.sqrt((x * x).sum()), (0.0, 0.0), (0.6, 0.8), (0.0, 1.9)),
        (np.median, (1.0, 1.0, 1.0), (2.0, -1.0, 0.0), (2.0, -1.0, 0.0)),  # no kink along any line
        (lambda x: abs(abs(x[0]) - 1.0), (0.0,), (0.0,), (2.0,)),
        (lambda x: x[0] * abs(x[0]), (0.0,), (2.0,), (2.0,)),  # smooth: nothing is said
        (lambda x: np.floor(x[0]), (1.0,), (5.0,), (5.0,)),  # no derivative: nothing is said
        (lambda x: np.sqrt(abs(x[0])), (0.0,), (7.0,), (7.0,)),  # slopes diverge: nothing is claimed
    ],
)
def test_ranges_are_those_of_the_pieces(
    forward: Code, x: tuple[float, ...], right: tuple[float, ...], wrong: tuple[float, ...]
) -> None:
    assert not outcome(forward, x, right)
    assert outcome(forward, x, wrong) == (wrong != right)
    assert not outcome(forward, x, tuple(-3.0 * v for v in right), g=-3.0)
