# SPDX-License-Identifier: Apache-2.0
"""Masks travel from layer to layer, into losses and metrics, as in Keras."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import Input, Model, Sequential, layers, losses, metrics, ops
from fastnn.autodiff.tensor import Tensor

WORDS = np.array([[3, 1, 0, 0], [2, 2, 5, 0], [0, 4, 1, 6]])
MASK = WORDS != 0


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def mask_of(y: Tensor) -> np.ndarray:
    return y._keras_mask.numpy()


def test_masking_marks_rows_of_the_mask_value_and_zeroes_them():
    x = rows(2, 3, 2)
    x[0, 1] = x[1, 2] = 7
    x[0, 0, 0] = 7
    y = layers.Masking(mask_value=7.0)(x)
    np.testing.assert_array_equal(
        mask_of(y), [[True, False, True], [True, True, False]]
    )
    np.testing.assert_array_equal(
        y.numpy(), np.where((x == 7).all(-1)[..., None], 0, x)
    )


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3),
        layers.Dropout(0.5),
        layers.Activation("relu"),
        layers.LayerNormalization(),
        layers.PReLU(),
        layers.LSTM(3, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_pass_the_mask_on(layer):
    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(mask_of(layer(x)), MASK)


@pytest.mark.parametrize("layer", [layers.LSTM(3), layers.GlobalAveragePooling1D()])
def test_layers_that_use_the_steps_up_end_the_mask(layer):
    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    assert layer(x)._keras_mask is None


def test_a_layer_that_does_not_know_masks_warns_and_ends_them():
    class Plain(layers.Layer):
        def call(self, inputs):
            return inputs * 2

    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    with pytest.warns(UserWarning, match="does not support masking"):
        assert Plain()(x)._keras_mask is None


def masked_pair():
    """Two inputs of three steps, and masks that meet in every way."""
    x, y = rows(2, 3, 2), rows(2, 3, 2) + 3
    masks = (
        np.array([[1, 1, 0], [0, 1, 0]], bool),
        np.array([[1, 0, 1], [0, 1, 0]], bool),
    )
    return x, y, masks


def carrying(x, mask):
    tensor = ops.convert_to_tensor(x)
    tensor._keras_mask = ops.convert_to_tensor(mask)
    return tensor


def test_a_product_has_only_the_factors_that_count():
    x, y, (a, b) = masked_pair()
    got = layers.Multiply()([carrying(x, a), carrying(y, b)])
    kept = np.where(a[..., None], x, 1) * np.where(b[..., None], y, 1)
    np.testing.assert_allclose(got, np.where((a | b)[..., None], kept, 0), rtol=1e-6)
    np.testing.assert_array_equal(mask_of(got), a | b)
    alone = layers.Multiply()([carrying(x, a), ops.convert_to_tensor(y)])
    np.testing.assert_allclose(alone, np.where(a[..., None], x, 1) * y, rtol=1e-6)
    assert alone._keras_mask is None


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_of_the_largest_only_those_that_count_are_compared(name):
    x, y, (a, b) = masked_pair()
    got = getattr(layers, name)()([carrying(x, a), carrying(y, b)]).numpy()
    both = getattr(np, name.lower())(x, y)
    np.testing.assert_array_equal(got[a & b], both[a & b])
    np.testing.assert_array_equal(got[a & ~b], x[a & ~b])
    np.testing.assert_array_equal(got[~a & b], y[~a & b])


def test_masked_products_in_a_model():
    x, y, (a, b) = masked_pair()
    x, y = np.where(a[..., None], x, 7), np.where(b[..., None], y, 7)
    masked = layers.Masking(7.0)
    inputs = [Input((3, 2)), Input((3, 2))]
    model = Model(inputs, layers.Multiply()([masked(i) for i in inputs]))
    factors = np.where(a[..., None], x, 1) * np.where(b[..., None], y, 1)
    expected = np.where((a | b)[..., None], factors, 0)
    np.testing.assert_allclose(model.predict([x, y], verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "layer", [layers.MultiHeadAttention(2, 3), layers.GroupQueryAttention(3, 2, 1)]
)
def test_heads_use_masks_and_warn_of_none(layer):
    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = layer(x, x)
    np.testing.assert_array_equal(mask_of(x), MASK)
    np.testing.assert_array_equal(mask_of(y), MASK)


def test_rms_normalization_ends_the_mask_as_in_keras():
    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    with pytest.warns(UserWarning, match="does not support masking"):
        assert layers.RMSNormalization()(x)._keras_mask is None


def test_a_layer_gets_the_mask_it_asks_for():
    seen = []

    class Looks(layers.Layer):
        def call(self, inputs, mask=None):
            seen.append(mask)
            return inputs

    class Makes(layers.Layer):
        def call(self, inputs):
            return inputs + 1

        def compute_mask(self, inputs, mask=None):
            return ops.logical_not(mask)

    x = layers.Embedding(7, 3, mask_zero=True)(WORDS)
    y = Makes()(x)
    np.testing.assert_array_equal(mask_of(y), ~MASK)
    with pytest.warns(UserWarning, match="supports_masking = True"):
        Looks()(y)
    np.testing.assert_array_equal(seen[0].numpy(), ~MASK)


def test_merged_masks():
    a, b = layers.Masking()(rows(3, 4, 2)), rows(3, 4, 2)
    first = layers.Embedding(7, 2, mask_zero=True)(WORDS)
    second = layers.Embedding(7, 2, mask_zero=True)(WORDS[::-1].copy())
    np.testing.assert_array_equal(
        mask_of(layers.Add()([first, second])), MASK | MASK[::-1]
    )
    assert layers.Add()([a, b])._keras_mask is None
    along = layers.Concatenate(axis=1)([first, b])
    np.testing.assert_array_equal(mask_of(along), np.hstack([MASK, np.ones((3, 4))]))
    np.testing.assert_array_equal(
        mask_of(layers.Concatenate()([first, second])), MASK | MASK[::-1]
    )


def tagger(*middle) -> Model:
    inputs = Input((4,), dtype="int32")
    x = layers.Embedding(7, 3, mask_zero=True)(inputs)
    for layer in middle:
        x = layer(x)
    return Model(inputs, layers.Dense(1)(x))


@pytest.mark.parametrize("make", ["functional", "sequential", "nested"])
def test_outputs_of_models_carry_their_mask(make):
    model = tagger(layers.GRU(3, return_sequences=True))
    if make == "sequential":
        model = Sequential(model.layers)
    if make == "nested":
        model = Sequential(
            [Input((4,), dtype="int32"), model, layers.Activation("relu")]
        )
    for _ in range(4):  # the short way of the third call too
        np.testing.assert_array_equal(mask_of(model(WORDS)), MASK)


def test_a_mask_given_to_a_model_reaches_its_layers():
    x = rows(3, 4, 2)
    lstm = layers.LSTM(3)
    model = Sequential([Input((4, 2)), lstm])
    np.testing.assert_array_equal(model(x, mask=MASK), lstm(x, mask=MASK))
    inputs = Input((4, 2))
    np.testing.assert_array_equal(
        Model(inputs, lstm(inputs))(x, mask=MASK), lstm(x, mask=MASK)
    )


def test_symbolic_tensors_show_their_mask_to_layers_of_users():
    class Softmax(layers.Layer):
        def call(self, inputs, mask=None):
            kept = ops.expand_dims(ops.cast(mask, "float32"), -1)
            x = ops.exp(inputs) * kept
            return x / ops.sum(x, axis=1, keepdims=True)

    inputs = Input((4,), dtype="int32")
    x = layers.Embedding(7, 3, mask_zero=True)(inputs)
    assert x._keras_mask.shape == (None, 4)
    with pytest.warns(UserWarning, match="does not support masking"):
        got = Model(inputs, Softmax()(x))(WORDS).numpy()
    assert (got[~MASK] == 0).all()


# -- losses and metrics ----------------------------------------------------------------


def masked_prediction() -> Tensor:
    y = ops.convert_to_tensor(rows(3, 4, 1))
    y._keras_mask = ops.convert_to_tensor(MASK)
    return y


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_count_only_what_the_mask_keeps(weighted):
    y, true = masked_prediction(), rows(3, 4)[..., None]
    weights = np.array([1.0, 2.0, 0.5], "float32") if weighted else None
    values = ((y.numpy() - true) ** 2)[..., 0]
    if weighted:
        values = values * weights[:, None]
    expected = (values * MASK).sum() / MASK.sum()
    loss = losses.MeanSquaredError()
    given = None if weights is None else np.repeat(weights[:, None], 4, 1)
    np.testing.assert_allclose(loss(true, y, given), expected, rtol=1e-6)
    total = losses.MeanSquaredError(reduction="sum")(true, y, given)
    np.testing.assert_allclose(total, (values * MASK).sum(), rtol=1e-6)


def test_metrics_count_only_what_the_mask_keeps():
    y, true = masked_prediction(), rows(3, 4)[..., None]
    metric = metrics.MeanSquaredError()
    metric.update_state(true, y)
    # Keras: instances by their mean, weighted by the share of kept steps.
    values = ((y.numpy() - true) ** 2)[..., 0] * MASK
    expected = values.mean(1).sum() / MASK.mean(1).sum()
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


def test_fit_and_evaluate_use_the_mask_in_plans():
    true = rows(3, 4)[..., None]
    model = tagger(layers.LSTM(3, return_sequences=True))
    model.compile("sgd", "mse", metrics=["mae"])
    y = model.predict(WORDS, verbose=0)
    loss, mae = model.evaluate(WORDS, true, verbose=0)
    errors = np.abs(y - true)[..., 0] * MASK
    np.testing.assert_allclose(loss, (errors**2).sum() / MASK.sum(), rtol=1e-5)
    np.testing.assert_allclose(
        mae, errors.mean(1).sum() / MASK.mean(1).sum(), rtol=1e-5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing runs eagerly
        before = model.fit(WORDS, true, epochs=1, verbose=0).history["loss"][0]
    np.testing.assert_allclose(before, loss, rtol=1e-5)


def test_training_in_a_plan_equals_training_by_hand():
    true, weights = rows(3, 4)[..., None], None
    finals = []
    for eagerly in (False, True):
        fastnn.utils.set_random_seed(3)
        model = tagger(
            layers.GRU(3, return_sequences=True), layers.LayerNormalization()
        )
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile("sgd", "mse", run_eagerly=eagerly)
        model.fit(WORDS, true, epochs=3, verbose=0, shuffle=False)
        finals.append(model.get_weights())
    for a, b in zip(*finals, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
