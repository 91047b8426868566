"""The edits: what they change, that they keep shapes, and that they are never the program itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from backprove.harness.frontends.jax_trace import trace
from backprove.harness.mutation.edits import Mutant, mutants
from backprove.harness.mutation.splice import find, rest, substitute
from backprove.harness.numbers.floats.floats import run_floats
from backprove.harness.programs.equality import fingerprint
from backprove.harness.programs.program import Program

V = ((3,), "float64")
M = ((2, 2), "float64")


def run(program: Program, *arrays: Any) -> list[np.ndarray[Any, Any]]:
    return [o[..., 0] for o in run_floats(program, [np.asarray(a, dtype=float)[..., None] for a in arrays])]


def variants(function: Callable[..., Any], *inputs: Any) -> dict[str, Program]:
    return {m.label: m.program for m in mutants(trace(function, *inputs))}


X, D = [1.0, -2.0, 4.0], [0.5, 3.0, -1.0]
A, B = [[1.0, 2.0], [3.0, 5.0]], [[7.0, -1.0], [0.5, 2.0]]


@pytest.mark.parametrize(
    ("function", "inputs", "arrays", "label", "expected"),
    [
        (lambda x, d: d * jnp.exp(x), (V, V), (X, D), "equation 2 (mul): negated", -np.array(D) * np.exp(X)),
        (
            lambda x, d: d * jnp.exp(x),
            (V, V),
            (X, D),
            "equation 1 (exp): dropped, operand 1 passed through",
            [0.5, -6, -4],
        ),
        (lambda x, d: d * jnp.exp(x), (V, V), (X, D), "equation 1 (exp): dropped, zero in its place", [0, 0, 0]),
        (lambda x, d: d + x, (V, V), (X, D), "equation 1 (add): scaled by 1 + 1e-6", np.add(X, D) * (1 + 1e-6)),
        (lambda x, d: d - x, (V, V), (X, D), "inputs 1 and 2 exchanged", np.subtract(X, D)),
        (lambda x, d: d * x, (V, V), (X, D), "input 2: ones in its place", X),
        (lambda x, d: d * x, (V, V), (X, D), "output 1: doubled", 2 * np.multiply(X, D)),
        (jnp.sum, (V,), (X,), "equation 1 (reduce_sum): mean in its place", 1.0),
        (jnp.sum, (V,), (X,), "equation 1 (reduce_sum): first entry in its place", 1.0),
        (lambda a: jnp.sum(a, axis=1), (M,), (A,), "equation 1 (reduce_sum): over axis 0 instead of 1", [4, 7]),
        (lambda a: jnp.sum(a, axis=1), (M,), (A,), "equation 1 (reduce_sum): first entry in its place", [1, 3]),
        (lambda a: a.T * 1, (M,), (A,), "equation 1 (transpose): dropped, operand 1 passed through", A),
        (lambda a, b: a @ b, (M, M), (A, B), "equation 1 (dot_general): operand 1 transposed", np.transpose(A) @ B),
        (lambda a, b: a @ b, (M, M), (A, B), "equation 1 (dot_general): operand 2 transposed", A @ np.transpose(B)),
        (lambda a, b: a @ b, (M, M), (A, B), "equation 1 (dot_general): transposed", np.transpose(np.matmul(A, B))),
        (lambda x: x**3, (V,), (X,), "equation 1 (integer_pow): exponent plus 1", np.array(X) ** 4),
        (jnp.max, (V,), (X,), "equation 1 (reduce_max): reduce_min in its place", -2),
        (lambda x: jnp.maximum(x, 0), (V,), (X,), "equation 1 (max): min in its place", [0, -2, 0]),
        (lambda x: (x > 1) * x, (V,), (X,), "equation 1 (gt): lt in its place", [0, -2, 0]),
        (lambda x: (x > 1) * x, (V,), (X,), "equation 1 (gt): ge in its place", [1, 0, 4]),
        (lambda x: 2.0 * x, (V,), (X,), "constant 2: plus 1", [3, -6, 12]),
        (lambda x: 2.0 * x, (V,), (X,), "constant 2: scaled by 1 + 1e-6", np.array(X) * (2 * (1 + 1e-6))),
    ],
)
def test_an_edit_does_what_it_says(function: Any, inputs: Any, arrays: Any, label: str, expected: Any) -> None:
    (got,) = run(variants(function, *inputs)[label], *arrays)
    np.testing.assert_allclose(got, expected, rtol=1e-15)


def rule(x: Any, d: Any) -> Any:
    y = jnp.exp(x - jnp.max(x))
    return d - y / jnp.sum(y) * jnp.sum(d)


def test_variants_keep_inputs_and_shapes_and_differ_from_the_program_and_one_another() -> None:
    program = trace(rule, V, V)
    found = mutants(program)
    assert len(found) > 30
    keys = {fingerprint(m.program) for m in found}
    assert len(keys) == len(found)
    assert fingerprint(program) not in keys
    for m in found:
        assert [(v.shape, v.dtype) for v in m.program.inputs] == [V, V], m.label
        (out,) = run(m.program, X, D)
        assert out.shape == (3,), m.label


def test_a_variant_without_effect_is_left_out() -> None:
    found = mutants(trace(lambda x, d: jnp.zeros(3), V, V))
    assert not [m for m in found if m.label.startswith("input")]


def test_fingerprints_see_constants_and_parameters_but_not_slots() -> None:
    def print_of(f: Any) -> str:
        return fingerprint(trace(f, V, V))

    assert print_of(lambda x, d: d * x) == print_of(lambda a, b: b * a)
    assert print_of(lambda x, d: d * x) != print_of(lambda x, d: x * d)
    assert print_of(lambda x, d: d * 2.0) != print_of(lambda x, d: d * 3.0)
    assert print_of(lambda x, d: x**2) != print_of(lambda x, d: x**3)


def test_a_rule_is_found_in_a_pairing_and_replaced_there() -> None:
    part = trace(lambda x, d: d * jnp.exp(x), V, V)
    host = trace(lambda x, dx, d: jnp.sum((dx * jnp.exp(x)) * d), V, V, V)
    places = find(host, part)
    assert len(places) == 1
    assert [e.primitive for e in rest(host, part, places)] == ["mul", "reduce_sum"]
    other = substitute(host, part, places, trace(lambda x, d: d + 10 * x, V, V))
    assert other is not None
    (got,) = run(other, X, D, [1.0, 2.0, 3.0])
    assert got == np.sum((np.array(D) + 10 * np.array(X)) * [1, 2, 3])


def test_a_rule_inside_which_the_host_looks_is_not_found() -> None:
    part = trace(lambda x, d: d * jnp.exp(x), V, V)
    assert not find(trace(lambda x, d: d * jnp.exp(x) + jnp.cos(x), V, V), trace(jnp.sin, V))

    def leaking(x: Any, d: Any) -> Any:
        e = jnp.exp(x)
        return d * e + e

    assert not find(trace(leaking, V, V), part)


def test_a_replacement_that_reads_more_than_the_host_has_does_not_fit() -> None:
    part = trace(lambda x, d, t: d * jnp.exp(x), V, V, V)
    host = trace(lambda x, d: jnp.sum(d * jnp.exp(x)), V, V)
    places = find(host, part)
    assert places
    assert substitute(host, part, places, trace(lambda x, d, t: t * x, V, V, V)) is None


def test_inputs_that_a_part_does_not_read_are_the_hosts_where_both_take_the_same_arguments() -> None:
    part = trace(lambda x, d: d * 2.0, V, V)
    host = trace(lambda x, d: jnp.sum(x * (d * 2.0)), V, V)
    other = substitute(host, part, find(host, part), trace(lambda x, d: x * 2.0, V, V))
    assert other is not None
    (got,) = run(other, X, D)
    assert got == 2 * np.sum(np.square(X))


def test_mutants_are_plain_records() -> None:
    assert isinstance(mutants(trace(jnp.exp, V))[0], Mutant)
