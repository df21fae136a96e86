# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from fastnn import utils


@pytest.mark.feature("1B-4")
def test_to_categorical():
    rows = utils.to_categorical([0, 1, 2, 3])
    assert rows.dtype == "float32"
    np.testing.assert_array_equal(rows, np.eye(4))
    np.testing.assert_array_equal(
        utils.to_categorical(np.array([[1], [0]]), 3), [[0, 1, 0], [1, 0, 0]]
    )
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)
    assert utils.to_categorical([], 3).shape == (0, 3)
    for wrong in ([3], [-1]):
        with pytest.raises(ValueError, match="outside 0 to 2"):
            utils.to_categorical(wrong, 3)


def test_normalize():
    np.testing.assert_allclose(
        utils.normalize([[3.0, 4], [0, 0]]), [[0.6, 0.8], [0, 0]]
    )
    np.testing.assert_allclose(
        utils.normalize(np.array([[1.0, 2], [3, 2]]), axis=0, order=1),
        [[0.25, 0.5], [0.75, 0.5]],
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"padding": "post", "value": -1}, [[1, -1, -1], [2, 3, -1], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
    ],
)
def test_pad_sequences(options, expected):
    padded = utils.pad_sequences([[1], [2, 3], [4, 5, 6]], **options)
    assert padded.dtype == "int32"
    np.testing.assert_array_equal(padded, expected)


def test_pad_sequences_of_vectors_and_nothing():
    padded = utils.pad_sequences([np.ones((1, 2)), np.ones((2, 2))], dtype="float32")
    assert padded.shape == (2, 2, 2)
    assert padded[0].sum() == 2
    assert utils.pad_sequences([[], [1]]).tolist() == [[0], [1]]
    with pytest.raises(ValueError, match="padding"):
        utils.pad_sequences([[1]], padding="both")
    with pytest.raises(ValueError, match="differ in shape"):
        utils.pad_sequences([np.ones((1, 2)), np.ones((1, 3))])
