# SPDX-License-Identifier: Apache-2.0
"""Dropout: what it drops, when, and that its seed decides."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Variable
from fastnn.seeds import set_random_seed

X = np.ones((200, 100), "float32")


def test_inference_is_the_identity():
    x = np.arange(6, dtype="float32").reshape(2, 3)
    for training in (False, None):
        got = layers.Dropout(0.5)(x, training=training)
        np.testing.assert_array_equal(got.numpy(), x)


@pytest.mark.feature("1C-42")
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_scale(rate):
    got = layers.Dropout(rate, seed=1)(X, training=True).numpy()
    dropped = got == 0
    # Five standard deviations of a binomial share.
    tolerance = 5 * np.sqrt(rate * (1 - rate) / X.size)
    assert abs(dropped.mean() - rate) < tolerance
    # The rate is quantised to 2**-16, the scale is exact for that.
    np.testing.assert_allclose(got[~dropped], 1 / (1 - rate), rtol=2e-4)
    assert len(np.unique(got)) == 2


def test_extreme_rates():
    np.testing.assert_array_equal(layers.Dropout(0.0)(X, training=True).numpy(), X)
    np.testing.assert_array_equal(layers.Dropout(1.0)(X, training=True).numpy(), 0 * X)


def test_each_call_draws_anew_and_the_seed_repeats_the_sequence():
    first, second = layers.Dropout(0.5, seed=3), layers.Dropout(0.5, seed=3)
    a1, a2 = (first(X, training=True).numpy() for _ in range(2))
    b1, b2 = (second(X, training=True).numpy() for _ in range(2))
    assert (a1 != a2).any()
    np.testing.assert_array_equal(a1, b1)
    np.testing.assert_array_equal(a2, b2)


def test_unseeded_layers_follow_set_random_seed():
    def draw():
        set_random_seed(42)
        return layers.Dropout(0.5)(X, training=True).numpy()

    np.testing.assert_array_equal(draw(), draw())
    other = layers.Dropout(0.5)(X, training=True).numpy()
    assert (other != draw()).any()


def test_gradient_has_the_same_mask():
    layer, x = layers.Dropout(0.4, seed=1), Variable(X)
    with GradientTape() as tape:
        y = layer(x, training=True)
        total = ops.sum(y)
    np.testing.assert_array_equal(tape.gradient(total, x).numpy(), y.numpy())


def test_noise_shape_shares_decisions():
    layer = layers.Dropout(0.5, noise_shape=(None, 1), seed=1)
    got = layer(X, training=True).numpy()
    assert ((got == 0).all(axis=1) | (got != 0).all(axis=1)).all()
    assert 0 < (got == 0).mean() < 1


def test_its_seed_is_state_but_no_weight():
    layer = layers.Dropout(0.5)
    assert layer.weights == [] and len(layer.variables) == 1
    assert layer.variables[0] is layer.seed_generator.state
    assert layer.count_params() == 0 if layer.built else True


@pytest.mark.parametrize("rate", [-0.1, 1.5, "0.5", None])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]; received"):
        layers.Dropout(rate)


def test_a_rate_set_later_counts():
    layer = layers.Dropout(0.0, seed=3)
    layer.rate = 0.5
    expected = layers.Dropout(0.5, seed=3)(X, training=True).numpy()
    np.testing.assert_array_equal(layer(X, training=True).numpy(), expected)
    layer.rate = 0
    np.testing.assert_array_equal(layer(X, training=True).numpy(), X)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]; received 2"):
        layer.rate = 2
    assert layer.rate == 0


def test_rate_zero_has_no_variable_and_takes_no_seed():
    def seed_of_the_next():
        return layers.Dropout(0.5).seed_generator.seed

    set_random_seed(1)
    expected = seed_of_the_next()
    set_random_seed(1)
    assert layers.Dropout(0.0).variables == []  # as in Keras
    assert seed_of_the_next() == expected


def test_config():
    config = layers.Dropout(0.25, noise_shape=(1, 3), seed=7, name="d").get_config()
    again = layers.Dropout.from_config(config)
    assert (again.rate, again.noise_shape, again.seed) == (0.25, (1, 3), 7)
    assert again.get_config() == config


@pytest.mark.feature("1C-45", "4H-89")
def test_subclass_that_drops_always():
    class MCDropout(layers.Dropout):
        def call(self, inputs):
            return super().call(inputs, training=True)

    assert (MCDropout(0.5)(X).numpy() == 0).any()
    assert (MCDropout(0.5)(X, training=False).numpy() == 0).any()
