"""A worker judges operators one after another in a process of its own, which ends when one takes too long.

with Worker(rule_of_torch, first="sin") as worker:
    row = worker.judge("sin", points=50, limit=60)

Kernels can hang or end a process; then the operator's row says so and the next gets a fresh worker.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backprove.harness.statements.rule import Rule

Row = dict[str, Any]
"""What is known of one operator: `operator`, `outcome`, `why`, `seconds`, and `verdict` and `point` where there are."""

FRESH_AFTER = 40
"""A worker judges so many operators: compiled code and traces pile up in a process."""

EXACTLY, CALLED, LATE, NOT_STATED, NO_SAMPLE, ENDED = (
    "judged exactly", "called", "late", "not stated", "no sample", "ended",
)  # fmt: skip
"""Outcomes: the exact layer judged; a black box was called; the time was up; no rule could be made; there is nothing to
make one of; the process ended."""


class NoSample(Exception):
    """Why there is nothing to make a rule of."""


RuleOf = Callable[[str], "Rule"]
"""Makes a rule by name, or raises `NoSample`; a function of a module, which other processes can import."""


class Worker:
    """One process at a time; a new one where the last was ended or has worked long enough.

    Args:
        rule_of: makes the rule of an operator.
        first: the operator that every process begins with: its start-up counts for no other.
    """

    def __init__(self, rule_of: RuleOf, first: str) -> None:
        self._rule_of, self._first = rule_of, first
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._judged = 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def judge(self, name: str, points: int, limit: float) -> Row:
        """The row of an operator, within `limit` CPU-seconds of the worker (and eight times as long by the clock)."""
        if self._judged >= FRESH_AFTER:
            self._end()
        if self._process is None or self._connection is None:
            self._start()
        assert self._process is not None and self._connection is not None
        self._judged += 1
        begun, clock = self._cpu(), time.monotonic()
        self._connection.send((name, points))
        while not self._connection.poll(1.0):
            spent, waited = self._cpu() - begun, time.monotonic() - clock
            if not self._process.is_alive():
                self._end()
                return _row(name, ENDED, "the process ended", spent)
            if spent > limit or waited > 8 * limit:
                self._end()
                return _row(name, LATE, f"over {limit:.0f} s", spent)
        try:
            row: Row = self._connection.recv()
        except EOFError:
            self._end()
            return _row(name, ENDED, "the process ended", 0.0)
        return row

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._rule_of, self._first), daemon=True)
        self._process.start()
        other.close()
        self._judged = 0
        self._connection.recv()  # what it imports counts for no operator

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def _cpu(self) -> float:
        """CPU-seconds of the worker so far."""
        import psutil

        assert self._process is not None
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


def _row(name: str, outcome: str, why: str, seconds: float) -> Row:
    return {"operator": name, "outcome": outcome, "why": why, "seconds": round(seconds, 2)}


def _serve(connection: Connection, rule_of: RuleOf, first: str) -> None:
    warnings.filterwarnings("ignore")
    judged(rule_of, first, 50)
    connection.send("ready")
    while True:
        name, points = connection.recv()
        connection.send(judged(rule_of, name, points))


def judged(rule_of: RuleOf, name: str, points: int) -> Row:
    """What a check says of one operator, in this process."""
    import backprove as bp

    start = time.process_time()
    try:
        report = bp.check(rule_of(name), points=points, dtypes=("float64",))
    except NoSample as why:
        return _row(name, NO_SAMPLE, str(why), time.process_time() - start)
    except Exception as why:
        words = f"{type(why).__name__}: {why}".splitlines()[0][:300]
        return _row(name, NOT_STATED, words, time.process_time() - start)
    found = next(p for p in report.properties if p.name == "vjp")
    exact = found.layers.get("exact")
    outcome = EXACTLY if exact and exact.agreed + exact.refuted else CALLED
    why = found.reason if outcome == EXACTLY else "; ".join([*found.notes[:1], found.reason])
    row = _row(name, outcome, why, time.process_time() - start)
    row |= {"verdict": str(found.verdict), "points": found.points}
    if (example := found.counterexample) is not None:
        row["why"] = example.message or row["why"]
        row["point"] = {"inputs": example.inputs, "cotangents": example.cotangents, "argument": example.argument,
                        "entry": example.entry, "got": example.got, "expected": example.expected}  # fmt: skip
    return row
