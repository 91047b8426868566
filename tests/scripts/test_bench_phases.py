"""The sampled profile gives every second of a run to the innermost phase."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from scripts.bench import phases, tables


def stack(*places: tuple[str, str]) -> FrameType:
    """A frame whose callers are the places before it."""
    frame: Any = None
    for file, function in places:
        code = type("Code", (), {"co_filename": file, "co_name": function})
        frame = type("Frame", (), {"f_code": code, "f_back": frame})
    return cast(FrameType, frame)


JUDGE, DRAWING = "a/harness/judging/judge.py", "a/harness/judging/drawing/sampling.py"


@pytest.mark.parametrize(
    ("places", "phase"),
    [
        ([(JUDGE, "run"), (DRAWING, "_first")], "drawing points and directions"),
        ([(DRAWING, "_first"), ("a/harness/frontends/jax_trace.py", "trace"), ("x", "y")], "tracing by JAX"),
        ([(JUDGE, "run")], phases.OTHER),
        (
            [("a/harness/cli/main.py", "main"), ("<frozen importlib._bootstrap>", "_load"), ("b.py", "<module>")],
            phases.IMPORTS,
        ),
    ],
)
def test_the_innermost_phase_counts(places: list[tuple[str, str]], phase: str) -> None:
    assert phases.phase_of(stack(*places)) == phase


def test_every_place_exists() -> None:
    root = Path(__file__).resolve().parents[2]
    for places in phases.PHASES.values():
        for file, function in places:
            (found,) = [p for p in root.glob(f"harness/**/{Path(file).name}") if str(p).endswith(file)] or [
                root / "strategies" / Path(file).name
            ]
            assert f"def {function}" in found.read_text("utf-8")


def test_a_run_is_sampled_from_end_to_end(tmp_path: Path) -> None:
    options = ["verify", "--only", "logSoftmaxVjp", "--points", "200", "--dtype", "float64", "--executor", "serial"]
    found = phases.measure([*options, "--out", str(tmp_path / "out")], {"BACKPROVE_HOME": str(tmp_path / "home")})
    assert 0.3 < sum(found.values()) < 120
    assert found[phases.IMPORTS] > 0 and found["exact layer, kinks, grades"] > 0
    assert list(found.values()) == sorted(found.values(), reverse=True)
    text = tables._phases({"phases": {"cold": found, "warm": found}, "points": 200})
    assert "| imports |" in text and "| all |" in text


def test_a_run_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit status"):
        phases.measure(["verify", "--only", "nothing of this name"], {})
