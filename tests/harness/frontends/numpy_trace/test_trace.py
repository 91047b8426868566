"""NumPy code traced through duck arrays: equal to plain NumPy, or refused with a reason; never silently different."""

from __future__ import annotations

import threading

import jax
import numpy as np
import pytest
import scipy.special

from backprove.harness.core.formats import FORMATS
from backprove.harness.frontends.numpy_trace.array import NotTraceable
from backprove.harness.frontends.numpy_trace.trace import as_jax, trace_numpy
from tests.numpy_code import CASES, Case, call, flat, logsoftmax

TRACEABLE = [c for c in CASES if c.traceable]


def jaxpr_values(function, *inputs):
    """The traced function, compiled by JAX and called."""
    with jax.enable_x64(True):
        out = jax.jit(as_jax(function))(*inputs)
    return flat(out)


@pytest.mark.parametrize("case", TRACEABLE, ids=str)
def test_traced_values_are_numpys(case: Case) -> None:
    expected = call(case)
    got = jaxpr_values(case.function, *case.inputs)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", TRACEABLE, ids=str)
def test_a_program_comes_out(case: Case) -> None:
    program = trace_numpy(case.function, *((np.shape(a), str(np.asarray(a).dtype)) for a in case.inputs))
    assert [v.shape for v in program.outputs] == [r.shape for r in call(case)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("case", TRACEABLE, ids=str)
def test_dtypes_are_numpys(case: Case, dtype: str) -> None:
    kind = FORMATS[dtype].numpy
    inputs = tuple(np.asarray(a).astype(kind) if np.asarray(a).dtype.kind == "f" else a for a in case.inputs)
    try:
        with np.errstate(all="ignore"):
            expected = flat(case.function(*(np.array(a) for a in inputs)))
    except Exception:  # NumPy itself refuses (bfloat16 in einsum): so does the tracer
        with pytest.raises(NotTraceable):
            trace_numpy(case.function, *((np.shape(a), str(np.asarray(a).dtype)) for a in inputs))
        return
    got = jaxpr_values(case.function, *inputs)
    assert [str(a.dtype) for a in got] == [str(b.dtype) for b in expected]
    for a, b in zip(got, expected, strict=True):
        u = max(FORMATS[dtype].u, FORMATS[str(b.dtype)].u) if b.dtype.kind not in "iub" else 0.0
        np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=200 * u, atol=200 * u)


def test_numpy_widens_as_numpy_does() -> None:
    w = np.ones(3)

    def widened(x):
        return x * np.float64(2), x + w, x * np.arange(3), x * 2.0, np.dot(x, np.arange(3))

    program = trace_numpy(widened, ((3,), "float32"))
    assert [v.dtype for v in program.outputs] == ["float64", "float64", "float64", "float32", "float64"]


def test_the_front_page_example_needs_five_kinds_of_operations() -> None:
    program = trace_numpy(logsoftmax, ((2, 3), "float32"))
    assert program.primitives == {"reduce_max", "reduce_sum", "exp", "log", "sub", "broadcast_in_dim"}


def test_derivatives_of_traced_code() -> None:
    with jax.enable_x64(True):
        z, t = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 1.0, 1.0]])
        _, moved = jax.jvp(as_jax(lambda z: logsoftmax(z) * 2), (z,), (t,))
    np.testing.assert_allclose(moved, 0, atol=1e-15)


def view_after_update(x):
    out = np.zeros((2, 2))
    rows = out.reshape(4)
    out[0] = x[:2]
    return rows * 1


def into_ordinary(x):
    out = np.arange(3.0)
    out[0] = x[0]
    return out


def ordinary_in_place(x):
    out = np.arange(3.0)
    out += x
    return out


REFUSED = {
    "if": lambda x: x if x[0] > 0 else -x,
    "while": lambda x: [x for _ in iter(lambda: x.sum() < 0, True)],
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "item": lambda x: x.max().item(),
    "tolist": lambda x: x.tolist(),
    "in": lambda x: x * (0.5 in x),
    "and": lambda x: x * ((x > 0).any() and 2),
    "python index": lambda x: [1.0, 2.0, 3.0][x.argmax()],
    "python max": max,
    "math": lambda x: __import__("math").exp(x[0]),
    "scipy": scipy.special.dawsn,
    "scipy on the way": lambda x: scipy.special.spence(x * x),
    "mask selection": lambda x: x[x > 0],
    "assignment through mask": lambda x: x.copy().__setitem__(x > 0, x[:2]),
    "ordinary array": into_ordinary,
    "ordinary array in place": ordinary_in_place,
    "view written": lambda x: np.zeros((2, 3)).T.__setitem__(0, x[:2]),
    "reshaped view written": lambda x: x.reshape(3, 1).__imul__(2.0),
    "stale view read": view_after_update,
    "unknown function": np.unique,
    "string": lambda x: "no array",
    "object array": lambda x: np.array([None, 1]),
    "error of numpy": lambda x: np.concatenate([x, x.reshape(3, 1)]),
    "bad assignment": lambda x: np.zeros(2).__setitem__(slice(None), x),
    "conversion": lambda x: np.float64(x[0]) * 2,
    "in-place cast": lambda x: np.zeros(3, dtype=np.int64).__iadd__(x),
    "random state": lambda x: np.random.default_rng(0).permutation(x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused(name: str) -> None:
    with pytest.raises(NotTraceable):
        trace_numpy(REFUSED[name], ((3,), "float64"))


def test_scalars_are_immutable_and_slices_are_views() -> None:
    def code(x):
        s = x.sum()
        kept = s
        s += 1
        out = np.zeros((2, 3))
        row = out[1]
        out[1, 2] = x[0]  # seen through the view
        row[0] += x[1]  # and written through it
        return kept, s, out, row, out[:, 0]

    x = np.array([1.0, 2.0, 4.0])
    for a, b in zip(jaxpr_values(code, x), flat(code(x)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_unset_entries_are_not_numbers() -> None:
    out = jaxpr_values(lambda x: (np.empty(3) * x, np.empty_like(x)), np.ones(3))
    assert np.isnan(out).all()


def test_numpy_is_restored_and_other_threads_see_their_own() -> None:
    before = (np.zeros, np.array, np.finfo)
    seen = []

    def code(x):
        worker = threading.Thread(target=lambda: seen.append(type(np.zeros(2))))
        worker.start()
        worker.join()
        seen.append(type(np.zeros(2)).__name__)
        trace_numpy(lambda y: np.ones(2) * y, ((2,), "float64"))  # nests
        seen.append(type(np.zeros(2)).__name__)
        raise ValueError("stop")

    with pytest.raises(NotTraceable, match="ValueError: stop"):
        trace_numpy(code, ((2,), "float64"))
    assert seen == [np.ndarray, "Traced", "Traced"]
    assert (np.zeros, np.array, np.finfo) == before


def test_none_stands_for_no_cotangent() -> None:
    program = trace_numpy(lambda x, i: (x * 2, None), ((2,), "float64"), ((2,), "int64"))
    assert len(program.outputs) == 1


def test_sizes_zero_and_one() -> None:
    for n in (0, 1):
        program = trace_numpy(lambda x: (np.exp(x).sum(), x * 2), ((n,), "float64"))
        assert [v.shape for v in program.outputs] == [(), (n,)]
