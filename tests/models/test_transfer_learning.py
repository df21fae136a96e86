# SPDX-License-Identifier: Apache-2.0
"""A network as the base of another: frozen, then trained, on a few photographs."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from fastnn import keras

ARCHIVE = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10_12k_jpeg.tar"
)
CLASSES = ("airplane", "frog", "ship")

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="no ../shared/data here")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder for each class, with eight images in it."""
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            *_, kind, name = member.name.split("/")
            wanted = kind in CLASSES and "/test/" in member.name and name < "0008"
            if wanted and member.isfile():
                (tmp_path / kind).mkdir(exist_ok=True)
                data = archive.extractfile(member)
                assert data is not None
                (tmp_path / kind / name).write_bytes(data.read())
    return tmp_path


def values(model) -> list[np.ndarray]:
    return [np.asarray(w).copy() for w in model.weights]


def changed(model, before) -> list[str]:
    pairs = zip(model.weights, before, strict=True)
    return [w.path for w, b in pairs if not np.array_equal(w, b)]


def test_a_base_is_frozen_then_trained(photographs: Path) -> None:
    images = keras.utils.image_dataset_from_directory(
        photographs, image_size=(64, 64), batch_size=8, seed=0, verbose=False
    )
    x, y = (np.concatenate(parts) for parts in zip(*images, strict=True))
    assert x.shape == (24, 64, 64, 3)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    base = keras.applications.MobileNetV2(
        alpha=0.35, weights=None, include_top=False, input_shape=(64, 64, 3)
    )
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    output = keras.layers.Dense(len(CLASSES), activation="softmax")(pooled)
    model = keras.Model(inputs=base.input, outputs=output)

    for layer in base.layers:
        layer.trainable = False
    assert [w.path.split("/")[-1] for w in model.trainable_weights] == [
        "kernel",
        "bias",
    ]
    first = keras.optimizers.SGD(learning_rate=0.2, momentum=0.9)
    loss = "sparse_categorical_crossentropy"
    model.compile(loss=loss, optimizer=first, metrics=["accuracy"])
    before = values(base)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert changed(base, before) == []

    for layer in base.layers:
        layer.trainable = True
    second = keras.optimizers.SGD(learning_rate=0.01, momentum=0.9)
    model.compile(loss=loss, optimizer=second, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=8, epochs=4, verbose=0).history
    assert len(changed(base, before)) == len(base.weights)
    # As many photographs as it can learn by heart.
    assert history["loss"][-1] < history["loss"][0]
    assert model.evaluate(x, y, verbose=0)[0] > 0
