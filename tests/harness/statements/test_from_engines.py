"""Rules of autograd's primitives and mygrad's operations: right ones hold, and released mistakes are found."""

from __future__ import annotations

from typing import Any

import pytest

import backprove as bp
from backprove.harness.core.errors import UsageError
from backprove.harness.core.verdicts import Verdict

A = bp.array


def check(rule: bp.Rule) -> bp.Report:
    return bp.check(rule, points=150, dtypes=("float64",))


def test_primitives_of_autograd() -> None:
    anp = pytest.importorskip("autograd.numpy")
    from autograd.extend import defvjp, primitive

    two = {"x": A("n", low=-20, high=20), "y": A("n", low=-20, high=20)}
    right = check(bp.from_autograd(anp.logaddexp, inputs=two))
    assert right.verdict == Verdict.HOLDS, str(right)
    assert right.properties[0].layers["exact"].agreed > 50
    summed = check(bp.from_autograd(anp.sum, inputs={"a": A("m n")}, fixed={"axis": 0}))
    assert summed.verdict == Verdict.HOLDS, str(summed)

    @primitive
    def off(x: Any) -> Any:
        return anp.sin(x)

    defvjp(off, lambda ans, x: lambda g: g * anp.cos(x) * (1 + 1e-9))
    assert check(bp.from_autograd(off, inputs={"x": A("n")})).verdict == Verdict.FALSIFIED


def test_what_is_no_primitive_of_autograd() -> None:
    pytest.importorskip("autograd")
    with pytest.raises(UsageError, match="expected a primitive of autograd with a VJP"):
        bp.from_autograd(abs, inputs={"x": A("n")})


def test_operations_of_mygrad() -> None:
    pytest.importorskip("mygrad")
    from mygrad.math.arithmetic.ops import Multiply
    from mygrad.math.exp_log.ops import Logaddexp
    from mygrad.operation_base import Operation

    right = check(bp.from_mygrad(Multiply, inputs={"x": A("m n"), "y": A("n")}))
    assert right.verdict == Verdict.HOLDS, str(right)
    small = A("n", low=-20, high=20)
    assert check(bp.from_mygrad(Logaddexp, inputs={"x": small, "y": small})).verdict == Verdict.HOLDS

    class Off(Operation):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            self.variables = (x,)
            return x.data**3

        def backward_var(self, grad: Any, index: int, **_: Any) -> Any:
            return 3 * grad * self.variables[0].data ** 2 * (1 - 1e-9)

    assert check(bp.from_mygrad(Off, inputs={"x": A("n")})).verdict == Verdict.FALSIFIED
    with pytest.raises(UsageError, match="expected a subclass of mygrad's Operation"):
        bp.from_mygrad(dict, inputs={"x": A("n")})
