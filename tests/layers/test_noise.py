# SPDX-License-Identifier: Apache-2.0
"""Noise while training: its distribution, who shares it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.models import Sequential

X = np.random.default_rng(0).normal(size=(400, 100)).astype("f")


def test_gaussian_noise_is_added():
    noise = layers.GaussianNoise(0.3, seed=1)(X, training=True).numpy() - X
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(X.size)
    np.testing.assert_allclose(noise.std(), 0.3, rtol=0.02)


def test_gaussian_dropout_multiplies_with_the_variance_of_dropout():
    ones = np.ones_like(X)
    noise = layers.GaussianDropout(0.2, seed=1)(ones, training=True).numpy()
    np.testing.assert_allclose(noise.mean(), 1, atol=0.02)
    np.testing.assert_allclose(noise.var(), 0.25, rtol=0.05)


@pytest.mark.feature("1C-43", "4H-90")
def test_alpha_dropout_keeps_mean_and_variance():
    got = layers.AlphaDropout(0.3, seed=1)(X, training=True).numpy()
    np.testing.assert_allclose(got.mean(), X.mean(), atol=0.03)
    np.testing.assert_allclose(got.var(), X.var(), rtol=0.05)
    values, counts = np.unique(got, return_counts=True)
    assert abs(counts.max() / X.size - 0.3) < 0.02  # all dropped are one value
    limit = -1.7580993408473766
    a = (0.7 * (1 + 0.3 * limit**2)) ** -0.5
    np.testing.assert_allclose(
        values[counts.argmax()], a * limit * (1 - 0.3), rtol=1e-6
    )


def test_alpha_dropout_shares_decisions_by_noise_shape():
    layer = layers.AlphaDropout(0.4, noise_shape=(None, 1), seed=1)
    got = layer(np.ones_like(X), training=True).numpy()
    assert (got == got[:, :1]).all()
    assert len(np.unique(got)) == 2


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_spatial_dropout_drops_whole_channels(rank, first):
    options = {"data_format": "channels_first"} if first and rank > 1 else {}
    layer = getattr(layers, f"SpatialDropout{rank}D")(0.4, seed=2, **options)
    x = np.ones((20, *(3, 4, 5)[:rank], 30), "f")
    x = np.moveaxis(x, -1, 1) if options else x
    got = layer(x, training=True).numpy()
    got = np.moveaxis(got, 1, -1) if options else got
    channels = got.reshape(20, -1, 30)
    assert (channels == channels[:, :1]).all()
    assert 0.3 < (channels[:, 0] == 0).mean() < 0.5
    np.testing.assert_allclose(channels.max(), 1 / 0.6, rtol=1e-4)


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout"])
def test_a_strength_set_later_counts(name):
    cls = getattr(layers, name)
    attribute = "stddev" if name == "GaussianNoise" else "rate"
    layer = cls(0.0, seed=3)
    assert layer.variables == []
    setattr(layer, attribute, 0.25)
    expected = cls(0.25, seed=3)(X, training=True).numpy()
    assert (expected != X).any()
    np.testing.assert_array_equal(layer(X, training=True).numpy(), expected)
    setattr(layer, attribute, 0.0)
    np.testing.assert_array_equal(layer(X, training=True).numpy(), X)
    with pytest.raises(ValueError, match=f"{attribute} must be in"):
        setattr(layer, attribute, -1.0)


LAYERS = [
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.AlphaDropout,
]


@pytest.mark.parametrize("cls", LAYERS)
class TestNoiseLayers:
    def test_every_call_draws_anew_and_the_seed_repeats(self, cls):
        one, two = cls(0.5, seed=3), cls(0.5, seed=3)
        a, b = (one(X, training=True).numpy() for _ in range(2))
        assert (a != b).any()
        np.testing.assert_array_equal(two(X, training=True).numpy(), a)

    def test_a_strength_of_zero_is_the_identity(self, cls):
        np.testing.assert_array_equal(cls(0.0)(X, training=True).numpy(), X)

    def test_gradient_sees_the_noise_of_its_call(self, cls):
        layer, x = cls(0.5, seed=1), ops.convert_to_tensor(X)
        with GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            total = ops.sum(y)
        slope = tape.gradient(total, x).numpy()
        if cls is layers.GaussianNoise:
            assert (slope == 1).all()
        else:
            moved = cls(0.5, seed=1)(X + 0.25, training=True).numpy()
            np.testing.assert_allclose((moved - y.numpy()) / 0.25, slope, atol=1e-4)

    @pytest.mark.parametrize("strength", [-0.1, 1.5, "0.5", None])
    def test_refuses_a_strength_out_of_range(self, cls, strength):
        with pytest.raises(ValueError, match=r"must be in \[0, 1.*received"):
            cls(strength)

    def test_plan_draws_what_eager_draws(self, cls):
        eager, planned = cls(0.5, seed=4), cls(0.5, seed=4)
        run = fastnn.function(lambda x: planned(x, training=True))
        for _ in range(3):
            expected = eager(X, training=True).numpy()
            np.testing.assert_allclose(run(X).numpy(), expected, 1e-6, 1e-6)


def test_activity_regularization_adds_its_penalty():
    layer = layers.ActivityRegularization(l1=0.1, l2=0.2)
    x = np.array([[1.0, -2.0], [3.0, 0.5]], "f")
    np.testing.assert_array_equal(layer(x).numpy(), x)
    expected = (0.1 * np.abs(x).sum() + 0.2 * np.square(x).sum()) / 2  # per sample
    np.testing.assert_allclose(float(layer.losses[0]), expected, rtol=1e-6)


@pytest.mark.parametrize("eager", [False, True])
def test_fit_trains_through_noise(eager):
    model = Sequential(
        [
            layers.Input((6, 4)),
            layers.GaussianNoise(0.1, seed=1),
            layers.SpatialDropout1D(0.2, seed=2),
            layers.Flatten(),
            layers.AlphaDropout(0.1, seed=3),
            layers.GaussianDropout(0.1, seed=4),
            layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    model.compile("sgd", "mse", run_eagerly=eager)
    x = np.linspace(-1, 1, 16 * 24).reshape(16, 6, 4).astype("f")
    history = model.fit(x, x.sum((1, 2)), 4, epochs=3, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert np.isfinite(losses).all()
    assert len(set(losses)) == 3


class TestRReLU:
    @pytest.mark.feature("1C-8")
    def test_slopes_are_uniform_and_drawn_anew(self):
        layer, x = layers.RReLU(0.1, 0.4, seed=1), np.where(X == 0, 1, X)
        got = layer(x, training=True).numpy()
        slopes = (got / x)[x < 0]
        np.testing.assert_array_equal(got[x > 0], x[x > 0])
        assert 0.1 - 1e-6 <= slopes.min() < 0.11
        assert 0.39 < slopes.max() <= 0.4 + 1e-6
        np.testing.assert_allclose(slopes.mean(), 0.25, atol=0.005)
        assert (layer(x, training=True).numpy() != got).any()

    def test_inference_takes_the_mean_slope(self):
        got = layers.RReLU(0.1, 0.4)(X).numpy()
        np.testing.assert_allclose(got, np.where(X > 0, X, 0.25 * X), rtol=1e-6)

    def test_gradient_is_the_slope_of_its_call(self):
        layer, x = layers.RReLU(seed=1), ops.convert_to_tensor(X)
        with GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            total = ops.sum(y)
        slope = tape.gradient(total, x).numpy()
        np.testing.assert_allclose(slope * X, y.numpy(), rtol=1e-5, atol=1e-6)

    def test_config(self):
        layer = layers.RReLU(0.2, 0.3, seed=5)
        again = layers.deserialize(layers.serialize(layer))
        assert (again.lower, again.upper, again.seed) == (0.2, 0.3, 5)

    @pytest.mark.parametrize("bounds", [(0.4, 0.3), (-0.1, 0.3)])
    def test_bounds(self, bounds):
        with pytest.raises(ValueError, match="0 <= lower <= upper; received"):
            layers.RReLU(*bounds)
