# SPDX-License-Identifier: Apache-2.0
"""A trained model, and what equal models are, for the tests of files."""

from __future__ import annotations

import json
import zipfile

import h5py
import numpy as np
import pytest

from fastnn import keras
from fastnn.errors import ModelFileError
from fastnn.models import load_model

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = RNG.normal(size=(24, 2)).astype("float32")


def trained(optimizer="adam", **options):
    """A compiled Sequential after an epoch."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.2, name="drop"),
            layers.Dense(2, name="last"),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    model.fit(X, Y, batch_size=8, verbose=0)
    return model


def assert_same(first, second, optimizer=True):
    """Weights, and what the optimizer remembers, to the bit; and the same outputs."""
    pairs = list(zip(first.get_weights(), second.get_weights(), strict=True))
    if optimizer:
        own, other = first.optimizer.variables, second.optimizer.variables
        pairs += [(a.numpy(), b.numpy()) for a, b in zip(own, other, strict=True)]
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    if first.input_shape == (None, 4) and len(first.outputs) == 1:
        np.testing.assert_array_equal(
            first.predict(X, verbose=0), second.predict(X, verbose=0)
        )


# ---- archives that are not sound ---------------------------------------------------


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def with_config(members, tmp_path, change):
    config = json.loads(members["config.json"])
    config = change(config) or config
    members = {**members, "config.json": json.dumps(config)}
    return pack(tmp_path / "bad.keras", members)


def with_weights(members, tmp_path, change):
    path = tmp_path / "bad.h5"
    path.write_bytes(members["model.weights.h5"])
    with h5py.File(path, "r+") as file:
        change(file)
    members = {**members, "model.weights.h5": path.read_bytes()}
    return pack(tmp_path / "bad.keras", members)


def refused(path, text=""):
    with pytest.raises(ModelFileError, match=text or None) as info:
        load_model(path)
    assert str(path) in str(info.value)
    return info.value


def function(module, name):
    """A function as configs name it."""
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }
