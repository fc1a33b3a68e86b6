"""How near features are to those that were learnt from."""

import numpy as np
import pytest

from vidcam.neighbours import Neighbours, unit


def test_the_nearest_one_counts_whatever_the_lengths():
    features = unit(np.array([[2.0, 0, 0], [0, 5, 0], [0, 3, 4]])).astype(np.float16)
    near = Neighbours(features, 0.5).nearness(np.array([[9.0, 0, 0], [0, 0, 0.1], [-1, 0, 0]]))
    assert near.dtype == np.float32
    assert near == pytest.approx([1, 0.8, 0], abs=1e-3)


def test_what_has_no_length_is_near_to_nothing():
    assert not unit(np.zeros((2, 4))).any()
    assert Neighbours(np.eye(4, dtype=np.float16), 0.1).nearness(np.zeros((1, 4))) == [0]


def test_neighbours_of_any_length_give_a_cosine():
    features = np.array([[3.0, 0], [0, 0.01]], np.float16)
    near = Neighbours(features, 0.5).nearness(np.array([[1.0, 1.0], [-2.0, 0]]))
    assert near == pytest.approx([0.5**0.5, 0], abs=1e-3)
