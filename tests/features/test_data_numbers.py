# SPDX-License-Identifier: Apache-2.0
"""Numbers of items.txt about data and sizes: 3D-57 to 3D-59, 3D-62, 3D-67.

Not here, because nothing computes them: the other numbers of 3D-67 (results of a
contest) and those quoted from papers. Not here, because they need ImageNet weights or a
data set to be downloaded: the answers of ResNet50, and Xception on flowers.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import keras, ops
from fastnn.utils import event_files

layers = keras.layers
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.feature("3D-57")
def test_n57_a_person_as_a_protocol_buffer() -> None:
    """E14: name = 1, id = 2, repeated email = 3, by the writer of event files."""
    emails = b"".join(event_files.blob(3, e) for e in ("a@b.com", "c@d.com"))
    person = event_files.blob(1, "Alice") + event_files.integer(2, 123) + emails
    assert person == b"\n\x05Alice\x10{\x1a\x07a@b.com\x1a\x07c@d.com"
    assert len(person) == 27


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data here")
@pytest.mark.feature("3D-58")
def test_n58_a_line_of_houses_standardized() -> None:
    """E6: by the 11610 rows that scikit-learn's splits with random_state=42 leave."""
    table = np.loadtxt(DATA / "california_housing.csv.gz", delimiter=",", skiprows=1)
    rows = np.arange(len(table))
    for _ in range(2):
        order = np.random.RandomState(42).permutation(len(rows))
        rows = rows[order[ceil(len(rows) / 4) :]]
    assert len(rows) == 11_610
    mean, deviation = (f(table[rows, :8], axis=0) for f in (np.mean, np.std))
    line = "4.2083,44.0,5.3232,0.9171,846.0,2.3370,37.47,-122.2,2.782"
    *x, y = (float(field) for field in line.split(","))
    assert any(np.allclose(row, [*x, y], atol=1e-4) for row in table[rows])
    standardize = layers.Normalization(mean=mean, variance=deviation**2)
    expected = [0.16579159, 1.216324, -0.05204564, -0.39215982]
    expected += [-0.5277444, -0.2633488, 0.8543046, -1.3072058]
    np.testing.assert_allclose(standardize([x])[0], expected, rtol=2e-5)
    assert y == 2.782


@pytest.mark.feature("3D-59")
def test_n59_a_bucket_and_an_embedding() -> None:
    """E26: five buckets one-hot, then the rows of a 5x2 matrix: a tensor (3, 7)."""
    vocabulary = ["<1H OCEAN", "INLAND", "NEAR OCEAN", "NEAR BAY", "ISLAND"]
    assert vocabulary.index("NEAR BAY") == 3
    incomes = np.array([3.0, 7.2, 1.0], "float32")
    oceans = ["NEAR OCEAN", "INLAND", "INLAND"]
    buckets = ops.digitize(incomes, [1.5, 3.0, 4.5, 6.0])
    assert buckets.numpy().tolist() == [2, 4, 0]
    near, inland = [-0.36277947, 0.30109018], [0.22548223, 0.33142096]
    embedding = layers.Embedding(5, 2)
    embedding.build((None,))
    matrix = np.zeros((5, 2), "float32")
    matrix[1], matrix[2] = inland, near
    embedding.set_weights([matrix])
    places = np.array([vocabulary.index(name) for name in oceans])
    made = layers.Concatenate()([ops.one_hot(buckets, 5), embedding(places)])
    assert made.shape == (3, 7)
    expected = [[0, 0, 1, 0, 0, *near], [0, 0, 0, 0, 1, *inland], [1, 0, 0, 0, 0]]
    expected[2] += inland
    np.testing.assert_array_equal(made, np.array(expected, "float32"))


@pytest.mark.feature("3D-62")
def test_n62_connections_of_an_image_to_neurons() -> None:
    dense = layers.Dense(1000, use_bias=False)
    dense(layers.Flatten()(keras.Input((100, 100))))
    assert dense.count_params() == 10_000_000


# Per module: 1x1; 1x1 and 3x3; 1x1 and 5x5; 1x1 behind the pooling (arXiv:1409.4842,
# table 1). A pooling stands before the third and the eighth.
INCEPTIONS = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def _inception(x: Any, sizes: tuple[int, ...]) -> Any:
    conv = partial(layers.Conv2D, padding="SAME", activation="relu")
    first, before_3, size_3, before_5, size_5, behind = sizes
    return keras.ops.concatenate(
        [
            conv(first, 1)(x),
            conv(size_3, 3)(conv(before_3, 1)(x)),
            conv(size_5, 5)(conv(before_5, 1)(x)),
            conv(behind, 1)(layers.MaxPool2D(3, 1, "SAME")(x)),
        ],
        axis=3,
    )


@pytest.mark.feature("3D-67")
def test_n67_googlenet_has_six_million_parameters() -> None:
    conv = partial(layers.Conv2D, padding="SAME", activation="relu")
    pool = partial(layers.MaxPool2D, 3, 2, "SAME")
    inputs = keras.Input((224, 224, 3))
    x = pool()(conv(64, 7, strides=2)(inputs))
    x = pool()(conv(192, 3)(conv(64, 1)(x)))
    for i, sizes in enumerate(INCEPTIONS):
        x = _inception(pool()(x) if i in (2, 7) else x, sizes)
    assert x.shape == (None, 7, 7, 1024)
    body = keras.Model(inputs, x)
    assert body.count_params() == 5_973_552
    outputs = layers.Dense(1000)(layers.GlobalAvgPool2D()(x))
    assert keras.Model(inputs, outputs).count_params() == 6_998_552
    alexnet = 62.4e6  # 3D-73
    assert 10 * body.count_params() < alexnet
