# SPDX-License-Identifier: Apache-2.0
"""The textbook's two first networks reach the textbook's numbers on the real data."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastnn as keras
from fastnn.utils import set_random_seed, to_categorical

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data here")


@pytest.mark.feature("1B-14", "1B-29")
def test_mnist_mlp_reaches_97_5_percent() -> None:
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data(path=DATA / "mnist")
    x, x_test = (a.reshape(-1, 784).astype("float32") / 255 for a in (x, x_test))
    set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(784, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    assert model.count_params() == 623_290
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    options = {"epochs": 5, "batch_size": 128, "verbose": 0}
    history = model.fit(x, to_categorical(y), **options).history
    printed = [0.2396, 0.0923, 0.0609, 0.0433, 0.0321]
    assert history["loss"] == pytest.approx(printed, rel=0.15)
    assert history["accuracy"][-1] == pytest.approx(0.9902, abs=0.002)
    loss, accuracy = model.evaluate(x_test, to_categorical(y_test), verbose=0)
    assert accuracy >= 0.975
    assert loss == pytest.approx(0.0675, rel=0.3)


def test_california_regression_reaches_0_42() -> None:
    path = DATA / "california_housing.csv.gz"
    (x, y), (x_test, y_test) = keras.datasets.california_housing.load_data(
        path=path, test_split=0.25
    )
    assert (len(x), len(x_test)) == (15_480, 5_160)
    mean, deviation = x[:11_610].mean(0), x[:11_610].std(0)
    x, x_test = (((a - mean) / deviation).astype("float32") for a in (x, x_test))
    set_random_seed(42)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    validation = (x[11_610:], y[11_610:])
    history = model.fit(
        x[:11_610], y[:11_610], epochs=20, validation_data=validation, verbose=0
    )
    assert len(history.history["val_loss"]) == 20
    assert model.evaluate(x_test, y_test, verbose=0) <= 0.42
