# SPDX-License-Identifier: Apache-2.0
"""Flatten, Reshape, Permute and RepeatVector against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers
from fastnn.errors import ShapeError


def data(*shape):
    return np.arange(int(np.prod(shape)), dtype="float32").reshape(shape)


CASES = [
    (layers.Flatten(), (2, 28, 28), lambda x: x.reshape(2, 784)),
    (layers.Flatten(), (5, 3), lambda x: x),
    (layers.Flatten(), (4,), lambda x: x.reshape(4, 1)),
    (layers.Flatten(), (0, 3, 2), lambda x: x.reshape(0, 6)),
    (
        layers.Flatten(data_format="channels_first"),
        (2, 3, 4, 5),
        lambda x: x.transpose(0, 2, 3, 1).reshape(2, 60),
    ),
    (layers.Reshape((4, 3)), (2, 12), lambda x: x.reshape(2, 4, 3)),
    (layers.Reshape((-1, 2)), (3, 4, 5), lambda x: x.reshape(3, 10, 2)),
    (layers.Reshape((1,)), (3, 1, 1), lambda x: x.reshape(3, 1)),
    (layers.Permute((2, 1)), (2, 3, 4), lambda x: x.transpose(0, 2, 1)),
    (layers.Permute((3, 1, 2)), (2, 3, 4, 5), lambda x: x.transpose(0, 3, 1, 2)),
    (layers.RepeatVector(3), (2, 4), lambda x: np.repeat(x[:, None], 3, axis=1)),
]


@pytest.mark.parametrize(("layer", "shape", "expected"), CASES)
def test_values_shapes_and_configs(layer, shape, expected):
    x = data(*shape)
    got = layer(x)
    np.testing.assert_array_equal(got.numpy(), expected(x))
    assert layer.compute_output_shape(shape) == got.shape
    open_shape = layer.compute_output_shape((None, *shape[1:]))
    assert open_shape == (None, *got.shape[1:])
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(x).numpy(), got.numpy())
    assert layer.count_params() == 0


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_integers_keep_their_dtype(dtype):
    x = data(2, 2, 2).astype(dtype)
    assert layers.Flatten()(x).dtype == dtype


def test_open_axes_stay_open():
    assert layers.Flatten().compute_output_shape((None, None, 3)) == (None, None)
    reshape = layers.Reshape((-1, 2))
    assert reshape.compute_output_shape((None, None, 4)) == (None, None, 2)


@pytest.mark.parametrize("target", [(5,), (7, -1)])
def test_reshape_that_does_not_fit(target):
    with pytest.raises(ShapeError, match=r"'r' cannot reshape samples .*\(12 values\)"):
        layers.Reshape(target, name="r")(data(2, 12))


@pytest.mark.parametrize("target", [(-1, -1), (2.5,), (-2,), "ab"])
def test_reshape_targets_that_make_no_sense(target):
    with pytest.raises(ShapeError, match=r"\[Reshape\]"):
        layers.Reshape(target)


@pytest.mark.parametrize("dims", [(0, 1), (1, 1), (2, 3)])
def test_permutations_that_are_none(dims):
    with pytest.raises(ShapeError, match=r"permutation of 1..2, received"):
        layers.Permute(dims)


def test_wrong_ranks():
    with pytest.raises(ShapeError, match="expects an input of rank 3"):
        layers.Permute((2, 1))(data(2, 3))
    with pytest.raises(ShapeError, match="expects an input of rank 2"):
        layers.RepeatVector(2)(data(2, 3, 4))


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_bad_repeats(n):
    with pytest.raises(ValueError, match="n must be a positive integer"):
        layers.RepeatVector(n)


def test_unknown_data_format():
    with pytest.raises(ValueError, match="received 'NHWC'"):
        layers.Flatten(data_format="NHWC")
