# SPDX-License-Identifier: Apache-2.0
"""Graphs on a device give what plans of the CPU give: whole training steps."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice

import fastnn as keras
from fastnn.graph.device_plan import DevicePlan
from fastnn.models import steps as model_steps

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


def train(name: str) -> tuple[list[float], list[np.ndarray], np.ndarray]:
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
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history
    return history["loss"], model.get_weights(), model.predict(x, verbose=0)


@pytest.mark.parametrize("name", CASES)
def test_fit_on_a_device_equals_fit_on_the_cpu(name, monkeypatch) -> None:
    expected = train(name)
    plans = []

    def plan(graph):
        plans.append(DevicePlan(graph, EmulatedDevice()))
        return plans[-1]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    found = train(name)
    assert plans, "nothing ran on the device"
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(found[2], expected[2], rtol=2e-4, atol=2e-5)
