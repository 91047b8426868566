"""Arrays with an axis of points."""

from __future__ import annotations

import numpy as np

from backprove.harness.core.arrays import at_point, at_points

VARIES = np.arange(6.0).reshape(2, 3)
CONSTANT = np.array([[1.0], [2.0]])


def test_some_points_are_taken_and_what_is_the_same_at_all_stays() -> None:
    assert at_points(VARIES, np.array([2, 0])).tolist() == [[2.0, 0.0], [5.0, 3.0]]
    assert at_points(VARIES, slice(1, 3)).tolist() == [[1.0, 2.0], [4.0, 5.0]]
    assert at_points(CONSTANT, np.array([2, 0])) is CONSTANT


def test_one_point_has_no_axis_of_points() -> None:
    assert at_point(VARIES, 1).tolist() == [1.0, 4.0]
    assert at_point(CONSTANT, 1).tolist() == [1.0, 2.0]
    assert at_point(np.array([7.0]), 5).shape == ()
