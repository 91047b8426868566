"""Nothing that a rule raises escapes a check; a person at the keyboard still stops it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import backprove as bp
from backprove.harness.core.guard import RaisedByCode, guarded, interrupts
from backprove.harness.core.verdicts import Verdict


class Own(BaseException):
    pass


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


RAISED = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Own("own"), Speechless(), Exception("\ud800")]


def raising(why: BaseException) -> Callable[..., Any]:
    def code(*arguments: Any) -> Any:
        raise why

    return code


def checked(forward: Any, vjp: Any, **more: Any) -> bp.Report:
    rule = bp.Rule("rule", forward=forward, vjp=vjp, inputs={"x": bp.array("n")}, **more)
    return bp.check(rule, points=30, dtypes=("float64",))


def cosine(x: Any, g: Any) -> Any:
    return g * np.cos(x)


@pytest.mark.parametrize("why", RAISED, ids=lambda w: type(w).__name__)
def test_what_a_rule_raises_is_its_error(why: BaseException) -> None:
    report = checked(np.sin, raising(why))
    assert report.verdict is Verdict.ERROR and f"vjp raised {type(why).__name__}" in str(report)


@pytest.mark.parametrize("why", [RAISED[0], RAISED[4]], ids=lambda w: type(w).__name__)
def test_what_a_rule_raises_in_a_region_is_its_error(why: BaseException) -> None:
    def vjp(x: Any, g: Any) -> Any:
        if np.any(np.asarray(x) > 3):
            raise why
        return cosine(x, g)

    assert checked(np.sin, vjp).verdict is Verdict.ERROR


@pytest.mark.parametrize("why", [RAISED[1], RAISED[4]], ids=lambda w: type(w).__name__)
def test_a_forward_that_ends_its_caller_is_an_error(why: BaseException) -> None:
    """Everywhere, at one size, or at some points; an `Exception` only says that nothing can be judged there."""

    def at_three(x: Any) -> Any:
        return raising(why)() if np.shape(x) == (3,) else np.sin(x)

    def at_points(x: Any) -> Any:
        return raising(why)() if np.any(np.asarray(x, dtype=float) > 3) else np.sin(x)

    caught = isinstance(why, Exception)
    for forward, otherwise in ((raising(why), "inconclusive"), (at_three, "inconclusive"), (at_points, "holds")):
        report = checked(forward, cosine)
        assert str(report.verdict) == (otherwise if caught else "error"), str(report)
    assert caught or f"forward raised {type(why).__name__}" in str(report)


def test_exceptions_with_a_text_go_through_as_they_are() -> None:
    why = LookupError("where")
    with pytest.raises(LookupError) as found:
        guarded(raising(why))()
    assert found.value is why


def test_ctrl_c_stops_what_a_rule_does() -> None:
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts():
        guarded(interrupted)()
    assert signal.getsignal(signal.SIGINT) is before
    with interrupts(), pytest.raises(RaisedByCode) as found:
        guarded(raising(KeyboardInterrupt()))()
    assert type(found.value).__name__ == "KeyboardInterrupt"


@pytest.mark.parametrize(("xp", "factor"), [(np, 1.0), (jnp, 1.0), (np, 1.0001), (jnp, 1.0001)])
def test_the_rule_is_judged_with_the_cotangent_that_it_is_given(xp: Any, factor: float) -> None:
    """Forward's outputs are float32 in a float64 run, and so is the cotangent."""
    report = checked(lambda x: xp.sin(x).astype(np.float32), lambda x, g: factor * g * xp.cos(x))
    assert report.ok is (factor == 1.0), str(report)


def test_a_workspace_of_the_users_keeps_no_tracers() -> None:
    kept: dict[Any, Any] = {}

    def workspace(xp: Any) -> Callable[..., Any]:
        def vjp(x: Any, g: Any) -> Any:
            if (xp, x.shape) not in kept:
                kept[xp, x.shape] = xp.zeros_like(x)
            return g * xp.cos(x) + kept[xp, x.shape]

        return vjp

    assert checked(np.sin, workspace(np)).ok and checked(jnp.sin, workspace(jnp)).ok


class Grudging:
    """Callable, and raises where it is asked for what it lacks."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return self.factor * np.sin(x)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} is not for you")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (1.001, "falsified")])
def test_callables_that_raise_when_they_are_asked_for_attributes(factor: float, verdict: str) -> None:
    rule = bp.Rule("sin", forward=Grudging(factor), vjp=lambda x, g: g * np.cos(x), inputs={"x": bp.array("n")})
    assert bp.check(rule, points=50, dtypes=("float64",)).verdict == verdict
