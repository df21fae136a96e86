# SPDX-License-Identifier: Apache-2.0
"""Identity, Lambda and Rescaling."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers, ops
from fastnn.errors import SerializationError
from fastnn.models import Sequential
from fastnn.serialization import register_keras_serializable

X = np.arange(6, dtype="f").reshape(2, 3)


def test_identity_passes_structures():
    a, b = layers.Identity()([X, X + 1])
    np.testing.assert_array_equal(a.numpy(), X)
    np.testing.assert_array_equal(b.numpy(), X + 1)


@register_keras_serializable("test_functions")
def scaled(x, factor=1.0, training=None):
    return x * factor + (100.0 if training else 0.0)


class TestLambda:
    def test_gets_arguments_and_training(self):
        layer = layers.Lambda(scaled, arguments={"factor": 3.0})
        np.testing.assert_array_equal(layer(X).numpy(), 3 * X)
        np.testing.assert_array_equal(layer(X, training=True).numpy(), 3 * X + 100)

    def test_shape_is_found_by_a_call(self):
        layer = layers.Lambda(lambda x: ops.concatenate([x, x], -1))
        assert layer.compute_output_shape((None, 3)) == (None, 6)

    def test_shape_may_be_given(self):
        assert layers.Lambda(scaled, (7,)).compute_output_shape((None, 3)) == (None, 7)
        layer = layers.Lambda(scaled, lambda shape: (*shape, 2))
        assert layer.compute_output_shape((None, 3)) == (None, 3, 2)

    def test_named_functions_are_saved(self):
        layer = layers.Lambda(scaled, (3,), arguments={"factor": 2.0})
        again = layers.deserialize(layers.serialize(layer))
        np.testing.assert_array_equal(again(X).numpy(), 2 * X)
        assert again.compute_output_shape((None, 3)) == (None, 3)

    def test_lambdas_are_not(self):
        with pytest.raises(SerializationError, match="a lambda cannot be saved"):
            layers.serialize(layers.Lambda(lambda x: x))

    def test_trains_inside_a_plan(self):
        model = Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 2)])
        model.add(layers.Dense(1))
        model.compile("sgd", "mse")
        model.fit(X, X[:, :1], verbose=0)
        expected = layers.Dense.call(model.layers[1], ops.convert_to_tensor(2 * X))
        np.testing.assert_allclose(
            model.predict(X, verbose=0), expected.numpy(), rtol=1e-6
        )

    def test_a_mask_of_its_own(self):
        kept = np.arange(len(X)) > 0
        y = layers.Lambda(lambda x: x + 1, mask=ops.convert_to_tensor(kept))(X)
        np.testing.assert_array_equal(y._keras_mask.numpy(), kept)
        other = layers.Lambda(lambda x: x, mask=lambda x, mask: ops.logical_not(mask))
        np.testing.assert_array_equal(other(y)._keras_mask.numpy(), kept)
        flipped = layers.Lambda(
            lambda x, mask: x + 1, mask=lambda x, mask: ops.logical_not(mask)
        )(y)
        np.testing.assert_array_equal(flipped._keras_mask.numpy(), ~kept)

    def test_needs_a_function(self):
        with pytest.raises(TypeError, match="function must be callable, received 3"):
            layers.Lambda(3)


class TestRescaling:
    def test_integers_become_floats(self):
        layer = layers.Rescaling(1 / 255)
        got = layer(np.array([[0, 51, 255]], "uint8"))
        assert got.dtype == "float32"
        np.testing.assert_allclose(got.numpy(), [[0, 0.2, 1]], rtol=1e-6)

    def test_arrays_survive_a_round_trip(self):
        layer = layers.Rescaling(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0]))
        again = layers.deserialize(layers.serialize(layer))
        np.testing.assert_allclose(again(X).numpy(), X * [1, 2, 3] + [0, 1, 0])
