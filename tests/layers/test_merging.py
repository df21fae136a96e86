# SPDX-License-Identifier: Apache-2.0
"""Merging layers as functions, and the inputs that they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers
from fastnn.errors import ShapeError

RNG = np.random.default_rng(2)
A, B = RNG.normal(size=(2, 3, 4, 5)).astype("f")

FUNCTIONS = {
    layers.add: np.add,
    layers.subtract: np.subtract,
    layers.multiply: np.multiply,
    layers.average: lambda a, b: (a + b) / 2,
    layers.maximum: np.maximum,
    layers.minimum: np.minimum,
    layers.concatenate: lambda a, b: np.concatenate([a, b], -1),
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functional_forms(function):
    expected = FUNCTIONS[function](A, B)
    np.testing.assert_allclose(function([A, B]).numpy(), expected, rtol=1e-6)


def test_concatenate_and_dot_take_their_axes():
    got = layers.concatenate([A, B[:, :2]], axis=1, name="joined").numpy()
    np.testing.assert_array_equal(got, np.concatenate([A, B[:, :2]], 1))
    got = layers.dot([A, B], axes=(2, 2)).numpy()
    np.testing.assert_allclose(got, np.einsum("bij,bkj->bik", A, B), rtol=1e-5)


MERGES = [
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Concatenate,
]


@pytest.mark.parametrize("cls", MERGES)
class TestErrors:
    def test_one_tensor(self, cls):
        with pytest.raises(ShapeError, match="merges a list of inputs"):
            cls()(A)

    def test_sizes_that_do_not_fit(self, cls):
        with pytest.raises(ShapeError, match=r"\(None, 4, 5\), \(None, 3, 5\)"):
            cls()([A, B[:, :3]])

    def test_other_batch_sizes(self, cls):
        layer = cls()
        layer([A, B])
        with pytest.raises(ShapeError, match=r"different batch sizes.*\(2, 4, 5\)"):
            layer([A, B[:2]])

    def test_structure_is_kept_in_shapes(self, cls):
        shape = cls().compute_output_shape([(None, 4, None), (7, 4, None)])
        assert shape == (7, 4, None)


def test_subtract_takes_two():
    with pytest.raises(ShapeError, match="expects 2 inputs, received 3"):
        layers.Subtract()([A, A, A])


@pytest.mark.parametrize("axes", [0, (0, 1), (1,), "last", 1.5])
def test_dot_refuses_axes(axes):
    with pytest.raises(ValueError, match="axes must be an integer or two of them"):
        layers.Dot(axes)


def test_dot_refuses_axes_of_other_sizes():
    with pytest.raises(ShapeError, match=r"axis 1 and axis 2 of .* have 4 and 5"):
        layers.Dot((1, 2))([A, B])
