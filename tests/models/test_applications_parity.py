# SPDX-License-Identifier: Apache-2.0
"""Networks beside Keras's: weights that Keras saved, loaded here, give its outputs.

One network of each family, with random weights and moving averages, on two images.
"""

from __future__ import annotations

import inspect
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


def zeros(self, shape, dtype=None):
    return keras.ops.zeros(shape, dtype or "float32")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Keras's weights begin as zeros: JAX compiles each shape that it draws."""
    for cls in (keras.initializers.VarianceScaling, keras.initializers.RandomUniform):
        monkeypatch.setattr(cls, "__call__", zeros)
    keras.utils.clear_session()
    utils.clear_session()


def fill(model, seed: int) -> None:
    """Random weights under which no signal dies: He's kernels, positive variances."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        shape = tuple(w.shape)
        if len(shape) > 1:
            depthwise = len(shape) == 4 and shape[-1] == 1
            fan_in = np.prod(shape[:-2]) * (1 if depthwise else shape[-2])
            w.assign(rng.normal(0, (2 / fan_in) ** 0.5, shape).astype("float32"))
        elif w.name in ("beta", "moving_mean", "mean", "bias"):
            w.assign(rng.normal(0, 0.1, shape).astype("float32"))
        elif shape:  # LayerScale's too: its 1e-6 hides the blocks
            w.assign(rng.uniform(0.5, 1.5, shape).astype("float32"))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # what Normalization computes with are copies


def images(name: str) -> np.ndarray:
    """Two, as the network wants them."""
    size = FAMILIES[name]
    rng = np.random.default_rng(size)
    smooth = rng.uniform(0, 255, (2, 4, 4, 3)).repeat(size // 4 + 1, 1)
    smooth = smooth.repeat(size // 4 + 1, 2)[:, :size, :size]
    x = (smooth * 0.7 + rng.uniform(0, 76, smooth.shape)).astype("float32")
    module = inspect.getmodule(getattr(applications, name))
    return module.preprocess_input(x)


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_are_keras_outputs(name: str, tmp_path) -> None:
    if name == "NASNetMobile" and keras.backend.backend() == "torch":
        pytest.skip("Keras does not have it with torch")
    options = {"input_shape": (FAMILIES[name],) * 2 + (3,), "classes": 10}
    options["classifier_activation"] = None
    theirs = getattr(keras.applications, name)(weights=None, **options)
    fill(theirs, FAMILIES[name])
    x = images(name)
    expected = keras.ops.convert_to_numpy(theirs(x, training=False))
    largest = np.abs(expected).max()
    assert np.isfinite(largest) and largest > 1e-3
    assert not np.allclose(expected[0], expected[1], rtol=1e-3)
    # What the last bit of the input does in Keras itself: with random weights
    # EfficientNetV2 makes 1e-3 of it, the others less than the tolerance.
    nudged = keras.ops.convert_to_numpy(theirs(x * np.float32(1 + 2**-23)))
    tolerance = 1e-4 * largest + np.abs(nudged - expected).max()
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    theirs.save(tmp_path / "theirs.h5")  # as trained weights are stored
    for file in ("theirs.weights.h5", "theirs.h5"):
        utils.clear_session()
        mine = getattr(applications, name)(weights=tmp_path / file, **options)
        found = mine.predict(x, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV2"])
def test_keras_reads_what_fastnn_saved(name: str, tmp_path) -> None:
    options = {"weights": None, "include_top": False, "input_shape": (64, 64, 3)}
    mine = getattr(applications, name)(**options)
    mine.save(tmp_path / "mine.keras")
    theirs = keras.models.load_model(tmp_path / "mine.keras")
    x = images(name)
    expected = keras.ops.convert_to_numpy(theirs(x, training=False))
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
        assert np.array_equal(*(keras.ops.convert_to_numpy(w) for w in (a, b)))


def test_images_are_prepared_as_keras_does() -> None:
    assert cases.modes(keras) == cases.modes(own)
