"""Programs compiled for JAX's device compute what `Floats` does, up to roundings; here the device is the CPU."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.core.errors import UnsupportedPrimitive
from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers.floats.device import Jitted
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.floats.narrow import STORAGE
from backprove.harness.programs.program import Equation, Program, Var
from backprove.harness.programs.retype import widened
from tests.harness.numbers.floats.test_linked import FUNCTIONS
from tests.harness.numbers.test_control import CASES, draw

DTYPES = ["float64", "float32", "bfloat16", "float16"]


def stored(program: Any, points: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    drawn = [rng.standard_normal((*v.shape, points)) for v in program.inputs]
    return [FORMATS[v.dtype].round(a).astype(STORAGE[v.dtype]) for v, a in zip(program.inputs, drawn, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_results_are_those_of_floats_up_to_roundings(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    program = trace(function, *((s, dtype) for s in shapes))
    arrays = stored(program, 40)
    jitted = Jitted([program, program], [range(len(shapes))] * 2, 40, arrays)
    with np.errstate(all="ignore"):
        wanted = Floats().run(program, [a.astype(np.float64) for a in arrays])
    for _ in range(2):
        jitted.run()
        for outputs in jitted.outputs:
            for v, got, b in zip(program.outputs, outputs, wanted, strict=True):
                a = np.asarray(got)
                assert a.shape == (*v.shape, 40) and a.dtype == STORAGE.get(v.dtype, a.dtype)
                if v.dtype in FORMATS:
                    np.testing.assert_allclose(
                        a.astype(float), b, rtol=64 * FORMATS[dtype].u, atol=64 * FORMATS[dtype].u
                    )
                else:
                    np.testing.assert_array_equal(a, b)


def test_the_inputs_are_read_at_every_run() -> None:
    program = trace(lambda x, y: x * y, ((2,), "float64"), ((2,), "float64"))
    x, y = np.ones((2, 2, 5))
    jitted = Jitted([program], [(1, 0)], 5, [x, y])
    for factor in (2.0, 3.0):
        x[...] = factor
        jitted.run()
        assert (jitted.outputs[0][0] == factor).all()


def test_digits_that_the_code_drops_stay_dropped() -> None:
    """XLA may leave out a conversion to a shorter format and back."""

    def narrow(x: Any) -> Any:
        return x.astype(jnp.bfloat16).astype(x.dtype) * 3

    program = trace(narrow, ((4,), "float32"))
    (x,) = stored(program, 20)
    jitted = Jitted([program], [(0,)], 20, [x])
    jitted.run()
    np.testing.assert_array_equal(jitted.outputs[0][0], Floats().run(program, [x])[0])
    assert np.abs(jitted.outputs[0][0] / (3 * x) - 1).max() > 1e-3


def test_widened_programs_run_in_float64() -> None:
    program = widened(trace(lambda x: jnp.exp(x) @ jnp.ones((3, 2), x.dtype), ((3,), "bfloat16")))
    x = np.random.default_rng(0).standard_normal((3, 10))
    jitted = Jitted([program], [(0,)], 10, [x])
    jitted.run()
    np.testing.assert_allclose(jitted.outputs[0][0], np.tile(np.exp(x).sum(axis=0), (2, 1)), rtol=1e-14)


@pytest.mark.parametrize("name", ["gradient of a scan", "scan of nothing", "cond on arrays", "while that varies"])
def test_control_flow_runs_on_the_device(name: str) -> None:
    function, specs = CASES[name]
    program = trace(function, *specs)
    given = [draw(s, 9) for s in specs]
    jitted = Jitted([program], [range(len(specs))], 9, given)
    jitted.run()
    for a, b in zip(jitted.outputs[0], Floats().run(program, given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_what_jax_lacks_and_xla_cannot_compile_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = Var(0, (2,), "float64"), Var(1, (2,), "float64")
    with pytest.raises(UnsupportedPrimitive, match="no_such_thing"):
        Jitted([Program((x,), (y,), {}, (Equation("no_such_thing", {}, (x,), (y,)),))], [(0,)], 4, [np.ones((2, 4))])
    monkeypatch.setattr("backprove.harness.numbers.floats.device.OPTIONS", {"no_such_option": 1})
    with pytest.raises(UnsupportedPrimitive, match="no_such_option"):
        Jitted([trace(lambda x: x * 2, ((2,), "float64"))], [(0,)], 4, [np.ones((2, 4))])
