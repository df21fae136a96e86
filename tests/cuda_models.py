# SPDX-License-Identifier: Apache-2.0
"""Small models of every kind of layer, trained the same way on any backend."""

from __future__ import annotations

import numpy as np

import fastnn as keras

layers = keras.layers


def dense_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.25, seed=3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def image_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((10, 10, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def sequence_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(20, 8),
            layers.LSTM(5, return_sequences=True),
            layers.GRU(4),
            layers.LayerNormalization(),
            layers.Dense(3),
        ]
    )


CASES = {
    "dense": (dense_model, "adam", "categorical_crossentropy"),
    "images": (image_model, "sgd", "mse"),
    "sequences": (sequence_model, "rmsprop", "mse"),
}


def train(
    name: str, epochs: int = 3
) -> tuple[list[float], list[np.ndarray], np.ndarray]:
    """Losses, weights and predictions of a small training, always the same."""
    make, optimizer, loss = CASES[name]
    keras.utils.set_random_seed(7)
    model = make()
    model.compile(optimizer, loss, metrics=["mae"])
    rng = np.random.default_rng(0)
    shape = (40, *model.input_shape[1:])
    x = rng.normal(size=shape).astype("float32")
    if name == "sequences":
        x = rng.integers(0, 20, shape).astype("int32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 40)]
    history = model.fit(x, y, batch_size=16, epochs=epochs, verbose=0).history
    return history["loss"], model.get_weights(), model.predict(x, verbose=0)
