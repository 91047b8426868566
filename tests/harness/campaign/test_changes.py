"""A snapshot sees what code changes in its process, and nothing where it changes nothing."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable

import numpy as np
import pytest

import backprove as bp
from backprove.harness.campaign.changes import Snapshot
from backprove.harness.core.evidence import Evidence
from backprove.harness.core.verdicts import Verdict


def test_nothing_is_changed_by_arithmetic_and_imports() -> None:
    before = Snapshot.taken()
    np.sin(np.ones(3)).sum()
    import wave  # noqa: F401

    assert before.changes() == ()


def patched(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(np, "cos", np.sin)


def with_variable(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("A_VARIABLE", "1")


def elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.chdir("/")


def in_the_checker(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Evidence, "verdict", lambda *_: (Verdict.HOLDS, ""))


def without_a_path(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("sys.path", [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (patched, "numpy.cos"),
        (in_the_checker, "backprove.harness.core.evidence.Evidence.verdict"),
        (without_a_path, "the import path"),
        (with_variable, "the environment"),
        (elsewhere, "the working directory"),
    ],
)
def test_changes_are_named(
    change: Callable[[pytest.MonkeyPatch], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Snapshot.taken()
    change(monkeypatch)
    assert before.changes() == (words,)
    monkeypatch.undo()
    assert before.changes() == ()


def test_threads_that_go_on_and_the_floating_point_state_are_changes() -> None:
    before, stop = Snapshot.taken(), threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with np.errstate(over="raise"):
        assert before.changes() == ("the floating-point state", "threads that go on")
    stop.set()
    thread.join()
    assert before.changes() == () and os.getcwd()


def test_timers_are_changes_and_a_dump_to_come_is_called_off() -> None:
    before = Snapshot.taken()
    signal.setitimer(signal.ITIMER_REAL, 1e4)
    faulthandler.dump_traceback_later(1e4, exit=True)
    assert before.changes() == ("timers",)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert before.changes() == ()


def test_judging_a_torch_rule_changes_nothing() -> None:
    torch = pytest.importorskip("torch")

    class Cubed(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            return 3 * g * ctx.saved_tensors[0] ** 2

    rule = bp.from_torch(Cubed, inputs={"x": bp.array("n")})
    before = Snapshot.taken()
    assert bp.check(rule, points=50, dtypes=("float64",)).ok
    assert before.changes() == ()
