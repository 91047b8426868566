"""JAX code that is called, not traced, gets arrays of JAX where it needs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backprove.harness.frontends.function import Function
from backprove.harness.frontends.own_arrays import with_own_arrays


def first_doubled(x: Any) -> Any:
    return x.at[0].multiply(2.0) if float(x[0]) > 0 else 1 * x


def test_jax_code_that_branches_on_values_gets_arrays_of_jax_once_it_asks_for_what_they_have() -> None:
    seen = []

    def code(x: Any) -> Any:
        seen.append(type(x) is np.ndarray)
        return first_doubled(x)

    call = with_own_arrays(code)
    for x, wanted in ((-1.0, -1.0), (3.0, 6.0), (-1.0, -1.0)):
        assert float(call(np.array([x, 1.0]))[0]) == wanted
    assert seen == [True, True, False, False]


def test_calls_of_a_users_function_are_such_calls() -> None:
    (found,) = Function(first_doubled, "forward", called_first=True).at(np.array([3.0, 1.0]))
    np.testing.assert_array_equal(found, [6.0, 1.0])


def test_code_that_asks_for_what_no_array_has_raises_what_it_raised() -> None:
    with pytest.raises(AttributeError, match=r"numpy\.ndarray"):
        with_own_arrays(lambda x: x.no_such_attribute)(np.ones(2))
    with pytest.raises(AttributeError, match="'int'"):
        with_own_arrays(lambda x: len(x).at)(np.ones(2))
