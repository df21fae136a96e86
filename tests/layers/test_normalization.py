# SPDX-License-Identifier: Apache-2.0
"""Normalization layers against NumPy in float64, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.errors import ShapeError
from fastnn.models import Sequential

RNG = np.random.default_rng(3)
IMAGES = RNG.normal(2, 3, (4, 3, 5, 6))


def normalized(x, axes, epsilon):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


class TestNormalization:
    def test_adapts_to_an_array(self):
        layer = layers.Normalization(dtype="float64")
        layer.adapt(IMAGES)
        got = layer(IMAGES).numpy()
        np.testing.assert_allclose(got, normalized(IMAGES, (0, 1, 2), 0), rtol=1e-9)
        assert [w.name for w in layer.weights] == ["mean", "variance", "count"]
        assert layer.trainable_weights == []

    def test_adapts_to_batches_of_any_size(self):
        layer = layers.Normalization(axis=(1, 3), dtype="float64")
        layer.adapt((IMAGES[i:j], None) for i, j in ((0, 1), (1, 1), (1, 4)))
        got = layer(IMAGES).numpy()
        np.testing.assert_allclose(got, normalized(IMAGES, (0, 2), 0), rtol=1e-9)

    def test_a_plan_sees_a_later_adapt(self):
        layer = layers.Normalization(axis=None)
        model = Sequential([layers.Input((3, 5, 6)), layer])
        x = IMAGES.astype("f")
        np.testing.assert_allclose(model.predict(x, verbose=0), x, rtol=1e-6)
        layer.adapt(x)
        expected = (x - x.mean()) / x.std()
        got = model.predict(x, verbose=0)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)

    def test_refuses_half_the_statistics(self):
        with pytest.raises(ValueError, match="must be given together"):
            layers.Normalization(mean=1.0)
        with pytest.raises(ValueError, match="more axes than axis="):
            layers.Normalization(axis=1, mean=[[1.0]], variance=[[1.0]])
        with pytest.raises(ValueError, match="was given its mean"):
            layers.Normalization(mean=1.0, variance=1.0).adapt(IMAGES)
        with pytest.raises(ValueError, match="received no data"):
            layers.Normalization().adapt([])


class TestBatchNormalization:
    @pytest.mark.feature("1C-13")
    def test_statistics_follow_the_batches(self):
        layer = layers.BatchNormalization(momentum=0.7, dtype="float64")
        mean, variance = np.zeros(6), np.ones(6)
        for scale in (1, 2, 3):
            x = IMAGES * scale
            y = layer(x, training=True).numpy()
            expected = normalized(x, (0, 1, 2), 1e-3)
            np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
            mean = 0.7 * mean + 0.3 * x.mean((0, 1, 2))
            variance = 0.7 * variance + 0.3 * x.var((0, 1, 2))
        got_mean, got_variance = layer.get_weights()[2:]
        np.testing.assert_allclose(got_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(got_variance, variance, rtol=1e-12)
        expected = (IMAGES - mean) / np.sqrt(variance + 1e-3)
        for training in (None, False):
            got = layer(IMAGES, training=training).numpy()
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)

    def test_frozen_layers_use_their_moving_statistics(self):
        layer = layers.BatchNormalization(trainable=False, dtype="float64")
        y = layer(IMAGES, training=True).numpy()
        np.testing.assert_allclose(y, IMAGES / np.sqrt(1 + 1e-3), rtol=1e-12)
        assert layer.trainable_weights == []
        assert not layer.moving_mean.numpy().any()

    def test_integers_become_the_layer_s_dtype(self):
        x = RNG.integers(0, 255, (8, 3), "uint8")
        y = layers.BatchNormalization(dtype="float64")(x, training=True).numpy()
        np.testing.assert_allclose(y, normalized(x.astype(float), 0, 1e-3), rtol=1e-9)

    def test_masked_places_do_not_count(self):
        layer = layers.BatchNormalization(momentum=0.5, dtype="float64")
        mask = RNG.integers(0, 2, IMAGES.shape[:-1]).astype(bool)
        got = layer(IMAGES, training=True, mask=mask).numpy()
        kept = IMAGES[mask]
        expected = (IMAGES - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-3)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
        mean = layer.moving_mean.numpy()
        np.testing.assert_allclose(mean, kept.mean(0) / 2, rtol=1e-6)
        with pytest.raises(ShapeError, match="a mask has one axis less"):
            layer(IMAGES, training=True, mask=mask[0])

    def test_replicas_are_refused(self):
        with pytest.raises(ValueError, match="synchronized=True needs replicas"):
            layers.BatchNormalization(synchronized=True)

    @pytest.mark.parametrize(
        "bounds", [{"rmin": 2, "rmax": 1}, {"dmax": -1}, {"min": 0}], ids=str
    )
    def test_bounds_of_renorm(self, bounds):
        with pytest.raises(ValueError, match=r"renorm_clipping may have .* received"):
            layers.BatchNormalization(renorm=True, renorm_clipping=bounds)

    def test_axis_out_of_range(self):
        with pytest.raises(ShapeError, match=r"size of axis 4; received shape \(None,"):
            layers.BatchNormalization(axis=4)(IMAGES)

    def test_an_axis_from_both_ends(self):
        with pytest.raises(ShapeError, match=r"axis=\[-1, 3\] has an axis .* twice"):
            layers.BatchNormalization(axis=[-1, 3])(IMAGES)

    def test_another_number_of_channels(self):
        layer = layers.BatchNormalization()
        layer(IMAGES)
        with pytest.raises(ShapeError, match="last axis has size 6; received shape"):
            layer(IMAGES[..., :5])


@pytest.mark.parametrize("axis", [1, [1], [1, 2], [3, 1]])
def test_layer_normalization_of_inner_axes(axis):
    layer = layers.LayerNormalization(axis=axis, dtype="float64", epsilon=0.1)
    got = layer(IMAGES).numpy()
    axes = tuple(np.atleast_1d(axis))
    np.testing.assert_allclose(got, normalized(IMAGES, axes, 0.1), rtol=1e-10)
    assert layer.gamma.shape == tuple(IMAGES.shape[a] for a in sorted(axes))


def test_old_rms_scaling_divides_by_the_deviation():
    layer = layers.LayerNormalization(rms_scaling=True, dtype="float64")
    got = layer(IMAGES).numpy()
    expected = IMAGES / np.sqrt(IMAGES.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert [w.name for w in layer.weights] == ["gamma"]


@pytest.mark.parametrize("axis", [1, 2])
def test_rms_normalization_of_inner_axes(axis):
    got = layers.RMSNormalization(axis=axis, dtype="float64")(IMAGES).numpy()
    square = np.square(IMAGES).mean(axis, keepdims=True)
    np.testing.assert_allclose(got, IMAGES / np.sqrt(square + 1e-6), rtol=1e-10)


class TestGroupNormalization:
    @pytest.mark.parametrize(("groups", "axis"), [(3, -1), (2, 3), (1, 1), (-1, 1)])
    def test_statistics_are_those_of_a_group(self, groups, axis):
        layer = layers.GroupNormalization(groups, axis, dtype="float64")
        x = np.moveaxis(IMAGES, axis, -1)
        count = x.shape[-1] if groups == -1 else groups
        parts = x.reshape(*x.shape[:-1], count, -1)
        expected = normalized(parts, (1, 2, 4), 1e-3).reshape(x.shape)
        got = layer(IMAGES).numpy()
        np.testing.assert_allclose(
            got, np.moveaxis(expected, -1, axis), rtol=1e-10, atol=1e-12
        )

    def test_groups_must_divide_the_channels(self):
        with pytest.raises(ShapeError, match="6 channels are no multiple of groups=4"):
            layers.GroupNormalization(4)(IMAGES)

    @pytest.mark.parametrize("groups", [0, -2, 1.5, True])
    def test_groups_are_positive_or_minus_one(self, groups):
        with pytest.raises(ValueError, match="groups must be a positive integer"):
            layers.GroupNormalization(groups)


@pytest.mark.parametrize(
    "cls",
    [layers.LayerNormalization, layers.RMSNormalization, layers.UnitNormalization],
)
class TestAxis:
    def test_must_exist(self, cls):
        with pytest.raises(ShapeError, match=r"axis 4, which shape \(2, 3\)"):
            cls(axis=4).compute_output_shape((2, 3))

    def test_is_a_number(self, cls):
        with pytest.raises(TypeError, match="axis must be an integer or a list"):
            cls(axis="channels")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("offset", [0, 3, 30])
@pytest.mark.parametrize(
    ("layer", "groups", "channels"),
    [("LayerNormalization", 1, 4), ("GroupNormalization", 3, 6)],
)
def test_gradients_of_16_bits_stand_an_offset(layer, groups, channels, offset, policy):
    """Statistics in 16 bits have errors of 10 % at mean 3, of 600 % at mean 30."""
    rng = np.random.default_rng(0)
    options = {"groups": groups} if groups > 1 else {}
    made = getattr(layers, layer)(dtype=policy, epsilon=1e-3, **options)
    made.build((None, channels))
    gamma, beta = rng.normal(1, 0.3, channels), rng.normal(size=channels)
    made.set_weights([gamma, beta])
    x = ops.cast(rng.normal(offset, 1, (32, channels)), made.compute_dtype)
    c = rng.normal(size=(32, channels)).astype("float32")
    with GradientTape() as tape:
        tape.watch(x)
        total = ops.sum(ops.cast(made(x), "float32") * c)
    found = tape.gradient(total, [x, made.gamma])

    def grouped(a):
        return a.reshape(32, groups, -1)

    g = grouped(c * gamma)
    values = grouped(ops.cast(x, "float64").numpy())
    xhat = normalized(values, -1, 1e-3)
    spread = np.sqrt(values.var(-1, keepdims=True) + 1e-3)
    shared = g.mean(-1, keepdims=True) + xhat * (g * xhat).mean(-1, keepdims=True)
    dx = ((g - shared) / spread).reshape(32, channels)
    dgamma = (c * xhat.reshape(32, channels)).sum(0)
    for got, expected in zip(found, (dx, dgamma), strict=True):
        error = np.abs(ops.cast(got, "float64").numpy() - expected).max()
        assert error < 0.01 * np.abs(expected).max()
