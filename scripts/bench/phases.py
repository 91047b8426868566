"""Where the seconds of a whole run go: a sampled profile of `backprove verify` in one process, by phase.

Every few milliseconds of processor time a signal interrupts the run, and the time since the last one goes to the phase
of the innermost frame that has one. (A thread that looks at the main one would see it mostly where that releases
Python's lock.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from types import FrameType

INTERVAL = 0.004
"""Seconds of processor time between two looks."""

OTHER = "the rest"
IMPORTS = "imports"
PHASES: dict[str, tuple[tuple[str, str], ...]] = {
    "tracing by JAX": (("frontends/jax_trace.py", "trace"), ("oracles/autodiff.py", "derivative_program")),
    "XLA: compiled spot checks": (
        ("judging/real_calls/spot_check.py", "enter"),
        ("frontends/function_at.py", "xla"),
        ("oracles/joint_xla.py", ""),
    ),
    "Hypothesis: drawing examples": (("harness/judging/drawing/examples.py", ""),),
    "drawing points and directions": (("harness/judging/drawing/sampling.py", ""), ("strategies/values.py", "")),
    "screen": (("harness/judging/judge.py", "_left"),),
    "exact layer, kinks, grades": (
        ("harness/judging/derivative_layers.py", "_arbitrate"),
        ("harness/judging/derivative_layers.py", "_grade"),
        ("harness/judging/equality.py", "_arbitrate"),
        ("harness/judging/sides.py", "over_reals"),
    ),
    "float results and their error bounds": (
        ("harness/judging/derivative_layers.py", "_rounding"),
        ("harness/judging/derivative_layers.py", "_result"),
        ("harness/judging/derivative.py", "_forward"),
        ("frontends/function_at.py", "floats"),
        ("frontends/function_at.py", "bounds"),
    ),
    "rule against autodiff, sides of identities": (
        ("harness/judging/derivative_layers.py", "_against_autodiff"),
        ("harness/judging/equality.py", "_floats"),
    ),
    "finite differences": (("harness/judging/derivative_layers.py", "_differences"),),
    "kept traces and results": (("harness/core/cache.py", ""), ("harness/campaign/store.py", "")),
    "report": (("harness/cli/session.py", "finish"),),
}
"""Phases by file and function ("": any)."""


def phase_of(frame: FrameType | None) -> str:
    """The phase of the innermost frame that has one."""
    importing = False
    while frame is not None:
        code = frame.f_code
        importing |= code.co_filename.startswith("<frozen importlib")
        for phase, places in PHASES.items():
            for file, function in places:
                if code.co_filename.endswith(file) and function in ("", code.co_name):
                    return IMPORTS if importing else phase
        frame = frame.f_back
    return IMPORTS if importing else OTHER


class Sampler:
    """Samples the main thread from `start` to `stop`; `seconds` has the time by phase."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._last = 0.0

    def start(self) -> None:
        self._last = perf_counter()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _look(self, _: int, frame: FrameType | None) -> None:
        now = perf_counter()
        self.seconds[phase_of(frame)] += now - self._last
        self._last = now

    def stop(self) -> dict[str, float]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return dict(self.seconds)


def measure(arguments: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """Seconds by phase of `backprove` with these arguments, in a fresh process; largest first.

    Raises:
        RuntimeError: where the run fails.
    """
    found = subprocess.run(
        [sys.executable, "-m", "scripts.bench.phases", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
        cwd=Path(__file__).resolve().parents[2],
        text=True,
        check=False,
    )
    last = found.stdout.strip().rpartition("\n")[2]
    if found.returncode or not last.startswith("{"):
        raise RuntimeError(f"backprove {' '.join(arguments)}: exit status {found.returncode}")
    seconds: dict[str, float] = json.loads(last)
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def main(arguments: Sequence[str]) -> int:
    """Run the command line under the sampler; the last line printed is the result as JSON."""
    sampler = Sampler()
    sampler.start()
    from backprove.harness.cli.main import main as backprove

    status = backprove(list(arguments))
    print(json.dumps(sampler.stop()))
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
