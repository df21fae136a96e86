# SPDX-License-Identifier: Apache-2.0
"""Round trips, edges, random distortion and errors of fastnn.ops.image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops import image

RNG = np.random.default_rng(41)
X = RNG.random((2, 7, 9, 3))
LINE = X[0, 0]
IDENTITY = np.array([1.0, 0, 0, 0, 1, 0, 0, 0])


def test_colours_there_and_back() -> None:
    np.testing.assert_allclose(image.hsv_to_rgb(image.rgb_to_hsv(X)), X, atol=1e-12)
    named = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]]])
    want = [[0, 1, 1], [1 / 3, 1, 1], [2 / 3, 1, 1], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(image.rgb_to_hsv(named)[0], want, atol=1e-15)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [None, 1, (2, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_patches_there_and_back(
    dtype: str, strides: Any, padding: str, form: str
) -> None:
    x = (X * 99).astype(dtype)[:, :6, :8]
    x = np.moveaxis(x, -1, 1) if form == "channels_first" else x
    for y in (x, x[0]):
        patches = image.extract_patches(y, (3, 2), strides, 1, padding, form)
        back = image.reconstruct_patches(
            patches, (3, 2), (6, 8), strides, padding, form
        )
        assert back.dtype == dtype
        assert back.shape == y.shape
        seen = 5 if padding == "valid" and strides == (2, 1) else 6
        rows = (Ellipsis, slice(seen), slice(None), *[slice(None)] * (form[9] == "l"))
        np.testing.assert_allclose(back.numpy()[rows], y[rows], rtol=1e-6)
        assert not back.numpy()[(*rows[:1], slice(seen, 6), *rows[2:])].any()


def test_patches_of_volumes_there_and_back() -> None:
    x = RNG.random((2, 4, 6, 2, 3))
    patches = image.extract_patches(x, (2, 3, 2))
    np.testing.assert_array_equal(patches, image.extract_patches_3d(x, (2, 3, 2)))
    np.testing.assert_array_equal(image.reconstruct_patches(patches, (2, 3, 2)), x)
    total = image.reconstruct_patches(
        image.extract_patches(X, 2, 1), 2, strides=1, reduction="sum"
    )
    np.testing.assert_allclose(total.numpy()[:, 1:-1, 1:-1], 4 * X[:, 1:-1, 1:-1])


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_transforms_that_change_nothing(interpolation: str, dtype: str) -> None:
    x = (X * 200).astype(dtype)
    corners = np.array([[0.0, 0], [0, 6], [8, 0], [8, 6]])
    for y in (
        image.affine_transform(x, IDENTITY, interpolation),
        image.perspective_transform(x, corners, corners, interpolation),
        image.elastic_transform(x, 0.0, 1.0, interpolation),
    ):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), x, rtol=1e-3 if dtype == "float16" else 0)


def test_a_shift_by_whole_pixels() -> None:
    shift = IDENTITY.copy()
    shift[[2, 5]] = 2, -1  # what was two columns to the right and a row above
    y = image.affine_transform(X, shift, fill_value=9).numpy()
    np.testing.assert_array_equal(y[:, 1:, :-2], X[:, :-1, 2:])
    assert (y[:, 0] == 9).all()
    assert (y[:, :, -2:] == 9).all()


def test_elastic_transform_reads_where_its_noise_says() -> None:
    from fastnn import random

    sigma, alpha = 1.2, 3.0
    noise = random.normal((2, 7, 9, 2), dtype="float64", seed=5) * sigma
    size = int(6 * sigma) | 1
    moved = image.gaussian_blur(noise, (size, size), (sigma, sigma)).numpy() * alpha
    rows, columns = np.mgrid[:7, :9] + np.moveaxis(moved, -1, 0)[:, 0]
    want = [
        image.map_coordinates(X[0, ..., c], [rows, columns], 1, "reflect").numpy()
        for c in range(3)
    ]
    y = image.elastic_transform(X, alpha, sigma, seed=5)
    np.testing.assert_allclose(y.numpy()[0], np.stack(want, -1), rtol=1e-9)
    again = image.elastic_transform(
        X, alpha, sigma, seed=fastnn.random.SeedGenerator(5)
    )
    np.testing.assert_array_equal(y, again)
    first = image.elastic_transform(
        np.moveaxis(X, -1, 1), alpha, sigma, seed=5, data_format="channels_first"
    )
    np.testing.assert_array_equal(np.moveaxis(first.numpy(), 1, -1), y)


def test_coordinates_and_transforms_have_gradients() -> None:
    # On a plane linear interpolation is exact, so is its slope.
    rows, columns = np.mgrid[:6, :8].astype("float64")
    plane = 2 * rows - 3 * columns
    places = Tensor(RNG.uniform(1.1, 4.9, (2, 5)))
    with fastnn.GradientTape() as tape:
        tape.watch(places)
        y = ops.sum(image.map_coordinates(plane, places, 1))
    np.testing.assert_allclose(
        tape.gradient(y, places), np.repeat([[2.0], [-3.0]], 5, 1), rtol=1e-12
    )


def test_nothing_is_an_image_too() -> None:
    none = X[:0]
    for y in (
        image.affine_transform(none, IDENTITY),
        image.gaussian_blur(none),
        image.rgb_to_hsv(none),
        image.elastic_transform(none),
    ):
        assert y.shape == none.shape
    assert image.sobel_edges(none).shape == (*none.shape, 2)
    assert image.ssim(none, none, filter_size=3).shape == (0,)
    assert image.extract_patches(none, 3).shape == (0, 2, 3, 27)
    assert image.map_coordinates(X[0, 0, 0], np.zeros((1, 0)), 1).shape == (0,)


def test_not_a_number_and_far_away() -> None:
    line = np.arange(4.0)
    places = np.array([[np.nan, np.inf, -np.inf, 1e30, -1e30]])
    near = image.map_coordinates(line, places, 0, "nearest").numpy()
    np.testing.assert_array_equal(near[1:], [3, 0, 3, 0])
    out = image.map_coordinates(line, places, 0, "constant", 7).numpy()
    np.testing.assert_array_equal(out[1:], [7, 7, 7, 7])


def test_symbolic_images_keep_their_open_axes() -> None:
    x = fastnn.KerasTensor((None, 8, 8, 3))
    assert image.affine_transform(x, IDENTITY.astype("f")).shape == (None, 8, 8, 3)
    assert image.gaussian_blur(x).shape == (None, 8, 8, 3)
    assert image.extract_patches(x, 4).shape == (None, 2, 2, 48)
    assert image.ssim(x, x, filter_size=3).shape == (None,)
    assert image.sobel_edges(x).shape == (None, 8, 8, 3, 2)
    q = fastnn.KerasTensor((None, 5, 2, 4))
    assert ops.dot_product_attention(q, q, q).shape == (None, 5, 2, 4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: image.rgb_to_grayscale(X[..., :2]), ShapeError, "3 channels"),
        (lambda: image.rgb_to_hsv(X.astype(int)), ValueError, "float images"),
        (lambda: image.hsv_to_rgb(X[..., :1]), ShapeError, "3 channels"),
        (lambda: image.gaussian_blur(X[0, 0]), ShapeError, "rank 3 or 4"),
        (lambda: image.sobel_edges(X[0]), ShapeError, "rank 4"),
        (lambda: image.ssim(X, X[:1]), ShapeError, "one shape"),
        (lambda: image.ssim(X, X), ShapeError, "do not fit"),
        (lambda: image.map_coordinates(X, X, 1), ShapeError, "one entry per axis"),
        (
            lambda: image.map_coordinates(X[0, 0], [[1.0], [1.0]], 3),
            ValueError,
            "order",
        ),
        (
            lambda: image.map_coordinates(LINE, [[1.0], [1.0]], 1, "edge"),
            ValueError,
            "fill_mode",
        ),
        (lambda: image.affine_transform(X, np.eye(3)), ShapeError, "transform must"),
        (
            lambda: image.affine_transform(X, IDENTITY, "cubic"),
            ValueError,
            "interpolation",
        ),
        (
            lambda: image.perspective_transform(X, np.eye(4), np.eye(4)),
            ShapeError,
            "start_points",
        ),
        (
            lambda: image.scale_and_translate(
                X, X.shape, [1.0], [0.0], (1, 2), "cubic"
            ),
            ShapeError,
            "one scale",
        ),
        (
            lambda: image.scale_and_translate(X, X.shape, [1.0], [0.0], (1,), "area"),
            ValueError,
            "method",
        ),
        (lambda: image.extract_patches(X, "3"), TypeError, "size must"),
        (lambda: image.extract_patches(X, (3,)), ValueError, "2 numbers"),
        (lambda: image.extract_patches(X, 8), ShapeError, "do not fit"),
        (
            lambda: image.reconstruct_patches(X, 1, padding="same"),
            ValueError,
            "output_size",
        ),
        (lambda: image.reconstruct_patches(X, 2), ShapeError, "multiple of 4"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[\w+\].*{text}"):
        call()
