# SPDX-License-Identifier: Apache-2.0
"""Dense against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import activations, layers, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)


def made(units, inputs, dtype="float64", **kwargs):
    """A built layer with random weights, and those weights."""
    layer = layers.Dense(units, dtype=dtype, **kwargs)
    layer.build((None, inputs))
    weights = [RNG.normal(size=w.shape) for w in layer.weights]
    layer.set_weights(weights)
    return layer, weights


ACTIVATIONS = {
    None: lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward(activation):
    layer, (kernel, bias) = made(3, 5, activation=activation)
    x = RNG.normal(size=(7, 5))
    expected = ACTIVATIONS[activation](x @ kernel + bias)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_without_bias():
    layer, (kernel,) = made(3, 5, use_bias=False)
    x = RNG.normal(size=(7, 5))
    assert layer.bias is None
    np.testing.assert_allclose(layer(x).numpy(), x @ kernel, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 1, 4, 5), (0, 5), (2, 0, 5)])
def test_more_axes_and_empty_batches(shape):
    layer, (kernel, bias) = made(3, 5)
    x = RNG.normal(size=shape)
    got = layer(x).numpy()
    assert got.shape == (*shape[:-1], 3) == layer.compute_output_shape(shape)
    np.testing.assert_allclose(got, x @ kernel + bias, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool", "float64"])
def test_inputs_of_other_dtypes(dtype):
    layer, (kernel, bias) = made(2, 4, dtype="float32")
    x = RNG.integers(0, 2, (3, 4)).astype(dtype)
    got = layer(x)
    assert got.dtype == "float32"
    np.testing.assert_allclose(got.numpy(), x @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_gradients_against_central_differences():
    layer, weights = made(3, 4, activation="tanh")
    x = RNG.normal(size=(5, 4))

    def loss(kernel, bias):
        return float((np.tanh(x @ kernel + bias) ** 2).sum())

    with GradientTape() as tape:
        value = ops.sum(ops.square(layer(x)))
    for i, gradient in enumerate(tape.gradient(value, layer.trainable_weights)):
        for index in np.ndindex(*gradient.shape):
            plus, minus = [[w.copy() for w in weights] for _ in range(2)]
            plus[i][index] += 1e-6
            minus[i][index] -= 1e-6
            expected = (loss(*plus) - loss(*minus)) / 2e-6
            np.testing.assert_allclose(gradient.numpy()[index], expected, rtol=1e-5)


def test_initial_weights():
    layer = layers.Dense(300)
    layer.build((None, 784))
    kernel, bias = layer.get_weights()
    limit = np.sqrt(6 / (784 + 300))  # Glorot and Bengio, uniform
    assert np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.01)
    assert bias.dtype == np.float32 and not bias.any()
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    assert layer.count_params() == 235_500


def test_activation_may_be_a_function_or_a_layer():
    x = RNG.normal(size=(4, 3))
    for activation in (activations.relu, layers.ReLU(dtype="float64"), "relu"):
        layer, (kernel, bias) = made(2, 3, activation=activation)
        expected = np.maximum(x @ kernel + bias, 0)
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)


def test_regularizer_and_constraint_reach_the_weights():
    layer, _ = made(2, 3, kernel_regularizer="l2", bias_constraint="non_neg")
    assert layer.kernel.regularizer is layer.kernel_regularizer is not None
    assert layer.bias.constraint is layer.bias_constraint is not None
    assert layer.kernel.constraint is None


class TestErrors:
    def test_wrong_last_axis(self):
        layer, _ = made(3, 784, name="hidden")
        with pytest.raises(ShapeError) as error:
            layer(np.zeros((32, 100)))
        assert str(error.value) == (
            "[Dense] layer 'hidden' expects an input whose last axis has size 784; "
            "received shape (32, 100), dtype float64."
        )

    def test_one_axis(self):
        with pytest.raises(ShapeError, match=r"rank 2 or more; received shape \(4,\)"):
            layers.Dense(3)(np.zeros(4))

    def test_unknown_last_axis(self):
        with pytest.raises(ShapeError, match=r"needs the size of the last axis.*None"):
            layers.Dense(3).build((None, None))

    @pytest.mark.parametrize("units", [0, -3, 2.5, "3", None, True])
    def test_units(self, units):
        with pytest.raises(ValueError, match="units must be a positive integer"):
            layers.Dense(units)

    def test_unknown_activation(self):
        with pytest.raises(ValueError, match="Did you mean 'relu'"):
            layers.Dense(3, activation="rellu")

    def test_nothing_is_built_by_a_wrong_input(self):
        layer = layers.Dense(3)
        with pytest.raises(ShapeError):
            layer(np.zeros(4))
        assert not layer.built and layer.weights == []


def test_config_round_trip():
    layer = layers.Dense(
        3,
        activation="relu",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer="l1",
        kernel_constraint="max_norm",
        name="d",
    )
    config = layers.serialize(layer)
    assert config["module"] == "keras.layers" and config["class_name"] == "Dense"
    again = layers.deserialize(config)
    assert layers.serialize(again) == config
    assert (again.units, again.use_bias, again.name) == (3, False, "d")
    assert again.activation is activations.relu


def test_config_of_a_built_layer_builds_it():
    layer, _ = made(3, 5)
    again = layers.deserialize(layers.serialize(layer))
    assert again.built and again.kernel.shape == (5, 3)
