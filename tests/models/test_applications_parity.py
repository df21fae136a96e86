# SPDX-License-Identifier: Apache-2.0
"""Networks beside Keras's: weights that Keras saved, loaded here, give its outputs.

One network of each family, with random weights and moving averages, on two images.
"""

from __future__ import annotations

import os

import application_cases as cases
import numpy as np
import pytest

from fastnn import applications, utils
from fastnn import keras as own
from fastnn.models import load_model

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        keras.__name__ != "keras" or keras.__version__ < "3.15",
        reason="needs Keras 3.15",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file"),
]

# The smallest of each family, at a size that has every block see several places.
FAMILIES = {
    "ConvNeXtTiny": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "EfficientNetV2S": 64,
    "InceptionResNetV2": 107,
    "InceptionV3": 107,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Large": 64,
    "MobileNetV3Small": 65,
    "NASNetMobile": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "VGG16": 32,
    "VGG19": 32,
    "Xception": 85,
}


def fill(model, seed: int) -> None:
    """Random values under which no signal dies; kernels stay as drawn."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        shape, value = tuple(w.shape), None
        if w.name in ("moving_variance", "variance", "gamma"):
            value = rng.uniform(0.5, 1.5, shape)
        elif w.name in ("beta", "moving_mean", "mean", "bias"):
            value = rng.normal(0, 0.1, shape)
        elif len(shape) == 1:
            value = rng.uniform(0.5, 1.5, shape)  # LayerScale: its 1e-6 hides blocks
        if value is not None and shape:
            w.assign(value.astype("float32"))


def images(size: int) -> np.ndarray:
    rng = np.random.default_rng(size)
    smooth = rng.uniform(0, 255, (2, 4, 4, 3)).repeat(size // 4 + 1, 1)
    smooth = smooth.repeat(size // 4 + 1, 2)[:, :size, :size]
    return (smooth * 0.7 + rng.uniform(0, 76, smooth.shape)).astype("float32")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_outputs_are_keras_outputs(name: str, ending: str, tmp_path) -> None:
    options = {"input_shape": (FAMILIES[name],) * 2 + (3,), "classes": 10}
    options["classifier_activation"] = None
    keras.utils.clear_session()
    theirs = getattr(keras.applications, name)(weights=None, **options)
    fill(theirs, FAMILIES[name])
    path = str(tmp_path / f"theirs{ending}")
    (theirs.save_weights if ending == ".weights.h5" else theirs.save)(path)
    utils.clear_session()
    mine = getattr(applications, name)(weights=path, **options)
    x = images(FAMILIES[name])
    expected = np.asarray(theirs(x, training=False))
    found = mine.predict(x, verbose=0)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )
    assert not np.allclose(expected[0], expected[1], rtol=1e-3)


@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV2"])
def test_keras_reads_what_fastnn_saved(name: str, tmp_path) -> None:
    options = {"weights": None, "include_top": False, "input_shape": (64, 64, 3)}
    mine = getattr(applications, name)(**options)
    mine.save(tmp_path / "mine.keras")
    theirs = keras.models.load_model(tmp_path / "mine.keras")
    x = images(64)
    expected = np.asarray(theirs(x, training=False))
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(mine.predict(x, verbose=0), expected, atol=tolerance)


@pytest.mark.parametrize("name", ["InceptionResNetV2", "ConvNeXtTiny"])
def test_networks_with_layers_of_their_own_go_both_ways(name: str, tmp_path) -> None:
    options = {"weights": None, "include_top": False, "input_shape": (75, 75, 3)}
    theirs = getattr(keras.applications, name)(**options)
    theirs.save(tmp_path / "theirs.keras")
    mine = load_model(tmp_path / "theirs.keras")
    mine.save(tmp_path / "mine.keras")
    again = keras.models.load_model(tmp_path / "mine.keras")
    for a, b in zip(again.weights, theirs.weights, strict=True):
        assert np.array_equal(a, b)


def test_images_are_prepared_as_keras_does() -> None:
    assert cases.modes(keras) == cases.modes(own)
