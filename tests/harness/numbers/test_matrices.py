"""The textbook algorithms factor and solve what SciPy does, at many points at once."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg as sl
from jax import lax

from backprove.harness.core.arrays import Array
from backprove.harness.frontends.jax_trace import trace
from backprove.harness.numbers import lapack, matrices
from backprove.harness.numbers.floats.floats import Floats
from backprove.harness.numbers.matrices import PLAIN, inward, outward

RNG = np.random.default_rng(3)


def test_inward_and_outward_are_inverse() -> None:
    a = RNG.normal(size=(2, 5, 3, 4, 7))
    assert inward(a).shape == (3, 4, 2, 5, 7)
    np.testing.assert_array_equal(outward(inward(a)), a)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 5), (4, 2), (2, 4)])
def test_lu_has_lapacks_pivots(shape: tuple[int, int]) -> None:
    a = RNG.normal(size=(*shape, 6))
    packed, pivots, order = matrices.lu(PLAIN, a)
    assert pivots.shape == (min(shape), 6)
    for p in range(6):
        wanted, places, _ = sl.lapack.dgetrf(a[..., p])
        np.testing.assert_allclose(packed[..., p], wanted, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(pivots[:, p], places)
        lower = np.tril(packed[..., p], -1)[:, : min(shape)] + np.eye(shape[0], min(shape))
        np.testing.assert_allclose(lower @ np.triu(packed[..., p])[: min(shape)], a[order[:, p], :, p], atol=1e-12)


def test_equal_pivots_are_taken_in_order() -> None:
    _, pivots, _ = matrices.lu(PLAIN, np.array([[1.0, 2.0], [-1.0, 5.0]])[..., None])
    assert pivots[0, 0] == 0


def test_a_permutation_is_that_of_jax() -> None:
    pivots = RNG.integers(0, 5, (3, 8))
    for p in range(8):
        wanted = lax.linalg.lu_pivots_to_permutation(jnp.asarray(pivots[:, p], "int32"), 5)
        np.testing.assert_array_equal(matrices.permutation(pivots, 5)[:, p], wanted)


def test_cholesky_reads_the_lower_triangle_alone() -> None:
    x = RNG.normal(size=(4, 4))
    a = x @ x.T + np.eye(4)
    found = matrices.cholesky(PLAIN, np.tril(a)[..., None])[..., 0]
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_triangular_solves_of_every_form_are_jaxs(lower: bool, transpose: bool, left: bool, unit: bool) -> None:
    a, b = RNG.normal(size=(3, 3)) + 4 * np.eye(3), RNG.normal(size=(3, 2) if left else (2, 3))

    def solve(a: object, b: object) -> object:
        return lax.linalg.triangular_solve(a, b, left_side=left, lower=lower, transpose_a=transpose, unit_diagonal=unit)

    program = trace(solve, (a.shape, "float64"), (b.shape, "float64"))
    (found,) = Floats().run(program, [a[..., None], b[..., None]])
    t = np.tril(a) if lower else np.triu(a)
    t = t - np.diag(np.diag(t)) + np.eye(3) if unit else t
    t = t.T if transpose else t
    wanted = np.linalg.solve(t, b) if left else np.linalg.solve(t.T, b.T).T
    np.testing.assert_allclose(found[..., 0], wanted, rtol=1e-11, atol=1e-12)


def test_a_solution_without_rows_has_the_points_of_both() -> None:
    t, b = np.zeros((0, 0, 5)), np.zeros((0, 0, 1))
    assert matrices.substitute(PLAIN, t, b, lower=True, unit=False).shape == (0, 0, 5)


def test_a_triangle_keeps_what_its_diagonal_says() -> None:
    a = np.ones((3, 4, 1))
    for k in (-1, 0, 1):
        np.testing.assert_array_equal(matrices.triangle(a, lower=True, diagonal=k)[..., 0], np.tril(a[..., 0], k))
        np.testing.assert_array_equal(matrices.triangle(a, lower=False, diagonal=k)[..., 0], np.triu(a[..., 0], k))


def test_a_matrix_that_lapack_gives_up_on_has_no_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its batch have them; LAPACK stops on some matrices with entries close to overflow."""
    whole = np.linalg.eigh

    def some(x: Array) -> Any:
        if (x > 1e300).any():
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return whole(x)

    monkeypatch.setattr(np.linalg, "eigh", some)
    vectors, values = lapack.eigh(np.stack([np.eye(2), np.full((2, 2), 1e308), 2 * np.eye(2)], axis=-1))
    assert vectors.shape == (2, 2, 3) and np.isnan(values[:, 1]).all() and np.isnan(vectors[..., 1]).all()
    assert values[:, [0, 2]].tolist() == [[1, 2], [1, 2]]
