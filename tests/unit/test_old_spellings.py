# SPDX-License-Identifier: Apache-2.0
"""Names of Keras 1 and 2: they work, and say what to write instead."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import keras

L = keras.layers
X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = np.arange(20) % 3


def model(metrics=(), optimizer="sgd", **kwargs):
    parts = [keras.Input((4,)), L.Dense(3, activation="softmax", **kwargs)]
    made = keras.Sequential(parts)
    made.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    return made


def batches():
    while True:
        yield X[:5], Y[:5]


# What is written, what it gives (checked by the function), what the warning names.
RENAMED = [
    (
        lambda: keras.optimizers.SGD(lr=0.1),
        lambda o: float(o.learning_rate) == np.float32(0.1),
        "write learning_rate",
    ),
    (
        lambda: model().optimizer.lr,
        lambda rate: float(rate) == np.float32(0.01),
        "write learning_rate",
    ),
    (
        lambda: keras.optimizers.SGD(0.1, decay=0.01),
        lambda o: float(o.learning_rate) == np.float32(0.1),
        "InverseTimeDecay",
    ),
    (
        lambda: L.LeakyReLU(alpha=0.2),
        lambda layer: layer.negative_slope == 0.2,
        "negative_slope",
    ),
    (lambda: model().predict_classes(X), lambda c: c.shape == (20,), "argmax"),
    (lambda: keras.metrics.Mean().reset_states(), lambda n: n is None, "reset_state"),
    (
        lambda: model().fit_generator(batches(), 2, 3, 0, workers=4),
        lambda history: len(history.epoch) == 3,
        r"write fit\(",
    ),
    (
        lambda: model().evaluate_generator(batches(), 2),
        lambda loss: loss > 0,
        r"write evaluate\(",
    ),
    (
        lambda: model().predict_generator(iter([X, X]), 2),
        lambda found: found.shape == (40, 3),
        r"write predict\(",
    ),
    (lambda: L.BatchNormalization().updates, lambda u: u == [], "non_trainable"),
    (lambda: L.Dense(3, dynamic=True), lambda la: la.units == 3, "run_eagerly"),
    (
        lambda: keras.activations.Activation("relu"),
        lambda layer: isinstance(layer, L.Activation),
        "layers.Activation",
    ),
    (lambda: keras.backend.learning_phase(), lambda p: p == 0, "training"),
]


@pytest.mark.parametrize(("write", "good", "names"), RENAMED)
@pytest.mark.feature("1D-40", "1D-42")
def test_old_names_work_and_name_the_new_one(write, good, names) -> None:
    with pytest.warns(FutureWarning, match=names) as caught:
        assert good(write())
    assert {w.filename for w in caught} == {__file__}  # the user's line


@pytest.mark.feature("4J-112")
@pytest.mark.parametrize(
    "write",
    [
        lambda: L.MaxPool2D(2, padding="SAME").padding == "same",
        lambda: L.Conv2D(2, 3, padding="VALID").padding == "valid",
        lambda: L.MaxPool2D is L.MaxPooling2D,
        lambda: L.GlobalAvgPool2D is L.GlobalAveragePooling2D,
        lambda: keras.models.Model is keras.Model,
        lambda: float(keras.backend.square(3.0)) == 9,
        lambda: np.allclose(keras.backend.mean(X, axis=0), X.mean(0), atol=1e-6),
        lambda: keras.utils.Sequence is keras.utils.PyDataset,
        lambda: isinstance(keras.constraints.nonneg(), keras.constraints.NonNeg),
        lambda: isinstance(keras.constraints.non_neg(), keras.constraints.NonNeg),
        lambda: "acc" in model(["acc"]).fit(X, Y, verbose=0).history,
        lambda: model(input_shape=[4]).built,
        lambda: L.InputLayer(input_shape=[28, 28]).batch_shape == (None, 28, 28),
    ],
)
def test_other_spellings_are_keras_own(write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write()


@pytest.mark.feature("1C-44", "4H-88")
def test_the_learning_phase_switches_dropout_in_predict() -> None:
    """Monte Carlo dropout as books for Keras 2 write it."""
    made = keras.Sequential([keras.Input((50,)), L.Dropout(0.5)])
    ones = np.ones((40, 50), "float32")
    plain = made.predict(ones, verbose=0)
    with pytest.warns(FutureWarning, match=r"model\(x, training=True\)") as caught:
        scope = keras.backend.learning_phase_scope(1)
    assert caught[0].filename == __file__
    with scope:
        drawn = [made.predict(ones, verbose=0) for _ in range(2)]
        called = np.asarray(made(ones))
    for found in (*drawn, called):
        assert set(np.unique(found)) == {0.0, 2.0}
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(plain, ones)
    np.testing.assert_array_equal(made.predict(ones, verbose=0), ones)
    np.testing.assert_array_equal(np.asarray(made(ones)), ones)


@pytest.mark.feature("1C-17")
def test_the_phase_set_for_good() -> None:
    made = keras.Sequential([keras.Input((50,)), L.Dropout(0.5)])
    made.compile("sgd", "mse")
    ones = np.ones((40, 50), "float32")
    try:
        with pytest.warns(FutureWarning):
            keras.backend.set_learning_phase(1)
        assert made.evaluate(ones, ones, verbose=0) == 1.0
        assert float(np.mean(made(ones, training=False))) == 1.0
    finally:
        with pytest.warns(FutureWarning):
            keras.backend.set_learning_phase(0)
    assert made.evaluate(ones, ones, verbose=0) == 0.0
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="0 or 1"):
        keras.backend.set_learning_phase(2)
