"""On what programs run: directly at first, then linked, on a device where JAX has one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats import runs
from backprove.harness.numbers.floats.device import Jitted
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.linked import SharedLinked
from backprove.harness.numbers.floats.runs import DIRECT_RUNS, ManyRuns, link, on_device
from tests.harness.numbers.floats.test_linked import FUNCTIONS, drawn, same

SQUARE = trace(lambda x: x * x, ((2,), "float64"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["functions", "choices", "contractions", "order", "moves"])
def test_runs_are_direct_at_first_and_linked_later_with_the_same_bits(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    program = trace(function, *((s, dtype) for s in shapes))
    arrays, several = drawn(program, 50), ManyRuns([program, program], [range(len(shapes))] * 2)
    wanted = Floats().run(program, arrays)
    with np.errstate(all="ignore"):
        for _ in range(DIRECT_RUNS + 2):
            for found in several(arrays):
                for a, b, v in zip(found, wanted, program.outputs, strict=True):
                    assert same(Floats().lower(a, v), b)


@pytest.mark.parametrize("there", [True, False])
def test_a_device_takes_over_what_runs_often(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(runs, "on_device", lambda: there)
    assert isinstance(link([SQUARE], [(0,)], 3, [np.ones((2, 3))]), Jitted if there else SharedLinked)
    several = ManyRuns([SQUARE], [(0,)])
    for k in range(DIRECT_RUNS + 1):
        (((found,),)) = several([np.full((2, 3), 1.0 + k)])
        assert (found == (1.0 + k) ** 2).all()
    assert isinstance(several._linked, Jitted if there else SharedLinked)


def test_what_the_device_lacks_runs_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "on_device", lambda: True)
    monkeypatch.setattr("backprove.harness.numbers.floats.device.OPTIONS", {"no_such_option": 1})
    assert isinstance(link([SQUARE], [(0,)], 3, [np.ones((2, 3))]), SharedLinked)


def test_the_cpu_is_no_device_and_jax_is_not_started_to_find_out() -> None:
    code = (
        "import sys; from backprove.harness.numbers.floats.runs import on_device\n"
        "assert not on_device(); print('jax' in sys.modules)"
    )
    # a machine with a plugin is asked through the variable
    for platforms in ("cpu", "cpu,cuda"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={"JAX_PLATFORMS": platforms, "PYTHONPATH": ":".join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == "False\n"


def test_a_plugin_is_asked_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(answer: Any) -> bool:
        def default_backend() -> str:
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setattr("jax.default_backend", default_backend)
        on_device.cache_clear()
        try:
            return on_device()
        finally:
            on_device.cache_clear()

    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(runs, "find_spec", lambda name: name == "libtpu")
    assert backend("tpu") and not backend("cpu") and not backend(RuntimeError("no device"))
    monkeypatch.setattr(runs, "find_spec", lambda name: None)
    monkeypatch.setattr(runs, "entry_points", lambda group: [])
    assert not backend("gpu")
