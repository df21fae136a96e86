# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution, response normalization, padding and resizing by definition.

The oracles are windows cut out in NumPy, float64, and weights worked out by hand; none
shares code with fastnn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import ops
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops import image

RNG = np.random.default_rng(21)


def convolved(
    x: np.ndarray, w: np.ndarray, stride: tuple, padding: str, dilation: tuple
) -> np.ndarray:
    """Every channel by itself: windows cut out of a padded image, times the filter."""
    rank = x.ndim - 2
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape, dilation, strict=False)]
    pads = [(0, 0)]
    for n, k, s in zip(x.shape[1:-1], spans, stride, strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0) if padding == "same" else 0
        pads.append((total // 2, total - total // 2))
    wide = np.pad(x, [*pads, (0, 0)])
    cut = np.lib.stride_tricks.sliding_window_view(
        wide, spans, tuple(range(1, rank + 1))
    )
    every: list[Any] = [slice(None), *[slice(None, None, s) for s in stride]]
    cut = cut[(*every, slice(None), *[slice(None, None, d) for d in dilation])]
    letters = "ijk"[:rank]
    y = np.einsum(f"b...c{letters},{letters}cm->b...cm", cut, w)
    return y.reshape(*y.shape[:-2], -1)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("shape", "window", "stride", "dilation"),
    [
        ((2, 9, 5), (3, 5, 1), (2,), (1,)),
        ((2, 8, 11, 6), (3, 3, 6, 1), (1, 1), (1, 1)),
        ((1, 9, 20, 33), (3, 3, 33, 1), (2, 2), (1, 1)),
        ((2, 9, 13, 4), (2, 3, 4, 2), (1, 1), (2, 3)),
        ((1, 21, 12, 3), (7, 5, 3, 1), (1, 3), (1, 1)),
        ((2, 8, 30, 17), (5, 5, 17, 1), (2, 2), (1, 1)),
    ],
)
def test_depthwise_and_separable_convolution(
    shape: tuple, window: tuple, stride: tuple, dilation: tuple, padding: str
) -> None:
    x, w = RNG.normal(size=shape), RNG.normal(size=window)
    expected = convolved(x, w, stride, padding, dilation)
    args = (stride, padding)
    y = ops.depthwise_conv(x, w, *args, dilation_rate=dilation)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    first = np.moveaxis(x, -1, 1)
    y = ops.depthwise_conv(first, w, *args, "channels_first", dilation)
    np.testing.assert_allclose(
        np.moveaxis(y.numpy(), 1, -1), expected, rtol=1e-12, atol=1e-12
    )
    mix = RNG.normal(size=(*[1] * len(stride), expected.shape[-1], 4))
    y = ops.separable_conv(x, w, mix, *args, dilation_rate=dilation)
    mixed = expected @ mix.reshape(mix.shape[-2:])
    np.testing.assert_allclose(y.numpy(), mixed, rtol=1e-11, atol=1e-11)


def test_response_normalization_by_its_equation() -> None:
    x = RNG.normal(size=(2, 3, 4, 9))
    radius, bias, alpha, beta = 2, 1.5, 0.3, 0.75
    expected = np.empty_like(x)
    for c in range(9):
        near = x[..., max(c - radius, 0) : c + radius + 1]
        total = bias + alpha * (near**2).sum(-1)
        expected[..., c] = x[..., c] / total**beta
    y = ops.local_response_normalization(x, radius, bias, alpha, beta)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-13)


NUMPY_MODES = ["constant", "edge", "linear_ramp", "maximum", "mean", "minimum"]


@pytest.mark.parametrize("mode", [*NUMPY_MODES, "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [2, (1, 3), ((0, 2), (3, 1), (0, 0))])
def test_padding_as_numpy(mode: str, width: Any) -> None:
    x = RNG.normal(size=(4, 5, 3))
    y = ops.pad(x, width, mode).numpy()
    np.testing.assert_allclose(y, np.pad(x, width, mode), rtol=1e-13, atol=1e-15)
    i = RNG.integers(0, 9, (4, 5, 3)).astype("int32")
    if mode not in ("linear_ramp", "mean"):
        np.testing.assert_array_equal(ops.pad(i, width, mode), np.pad(i, width, mode))


def test_the_gradient_of_reflected_elements_adds_up() -> None:
    t = Tensor(np.arange(4.0))
    weights = np.array([1.0, 10, 100, 1000, 10000, 100000, 1000000])
    with GradientTape() as tape:
        tape.watch(t)
        y = ops.sum(ops.multiply(ops.pad(t, (2, 1), "reflect"), weights))
    # 2 1 | 0 1 2 3 | 2
    expected = [100, 10 + 1000, 1 + 10000 + 1000000, 100000]
    np.testing.assert_array_equal(tape.gradient(y, t).numpy(), expected)


def test_resizing_by_whole_factors() -> None:
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    near = image.resize(x, (4, 6), "nearest").numpy()[0, :, :, 0]
    np.testing.assert_array_equal(near, np.repeat(np.repeat(x[0, :, :, 0], 2, 0), 3, 1))
    # Half-pixel centres: 3/4 and 1/4 of the neighbours, clamped at the border.
    linear = image.resize(x[:, :1], (1, 4), "bilinear").numpy().ravel()
    np.testing.assert_allclose(linear, [0, 0.25, 0.75, 1])
    shrunk = image.resize(np.arange(8.0).reshape(1, 1, 8, 1), (1, 2), "nearest")
    np.testing.assert_array_equal(shrunk.numpy().ravel(), [2, 6])


def test_antialiasing_is_a_wider_triangle() -> None:
    x = RNG.normal(size=(1, 1, 8, 1))
    y = image.resize(x, (1, 4), "bilinear", antialias=True).numpy().ravel()
    flat = x.ravel()
    inner = [
        (flat[i - 1] + 3 * flat[i] + 3 * flat[i + 1] + flat[i + 2]) / 8 for i in (2, 4)
    ]
    np.testing.assert_allclose(y[1:3], inner, rtol=1e-12)
    left = (3 * flat[0] + 3 * flat[1] + flat[2]) / 7
    np.testing.assert_allclose(y[0], left, rtol=1e-12)


def test_bicubic_weights_are_those_of_keys() -> None:
    x = np.zeros((1, 1, 8, 1))
    x[0, 0, 4] = 1
    y = image.resize(x, (1, 16), "bicubic").numpy().ravel()
    near, far = 0.8671875, -0.0703125  # at distances 1/4 and 5/4, a = -1/2
    np.testing.assert_allclose(y[[8, 9]], near, rtol=1e-12)
    np.testing.assert_allclose(y[[6, 11]], far, rtol=1e-12)


def test_resize_keeps_dtype_format_and_aspect() -> None:
    x = RNG.integers(0, 255, (5, 8, 3)).astype("uint8")
    y = image.resize(x, (10, 16), "nearest")
    assert y.dtype == "uint8"
    np.testing.assert_array_equal(y, np.repeat(np.repeat(x, 2, 0), 2, 1))
    first = image.resize(
        np.moveaxis(x, -1, 0), (10, 16), "nearest", data_format="channels_first"
    )
    np.testing.assert_array_equal(np.moveaxis(first.numpy(), 0, -1), y)
    f = x.astype("float64")
    cut = image.resize(f, (4, 4), crop_to_aspect_ratio=True)
    np.testing.assert_allclose(cut, image.resize(f[:, 1:6], (4, 4)))
    wide = np.pad(f, ((1, 2), (0, 0), (0, 0)), constant_values=7)
    boxed = image.resize(f, (4, 4), pad_to_aspect_ratio=True, fill_value=7)
    np.testing.assert_allclose(boxed, image.resize(wide, (4, 4)))


def test_cropping_and_padding_of_images() -> None:
    x = RNG.normal(size=(2, 6, 7, 3))
    y = image.crop_images(x, 1, 2, target_height=3, target_width=4)
    np.testing.assert_array_equal(y, x[:, 1:4, 2:6])
    y = image.crop_images(
        x[0], bottom_cropping=2, right_cropping=0, top_cropping=0, left_cropping=3
    )
    np.testing.assert_array_equal(y, x[0, :4, 3:])
    y = image.pad_images(x, 1, 2, target_height=9, target_width=9)
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (1, 2), (2, 0), (0, 0))))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: ops.depthwise_conv(x, np.ones((3, 3, 2, 1))), ShapeError, "match"),
        (lambda x: ops.depthwise_conv(x, np.ones((9, 3, 3, 1))), ShapeError, "fit"),
        (
            lambda x: ops.separable_conv(x, np.ones((2, 2, 3, 1)), np.ones((3, 4))),
            ShapeError,
            "pointwise_kernel",
        ),
        (lambda x: ops.pad(x, 1, "round"), ValueError, "mode"),
        (lambda x: ops.pad(x, -1), ValueError, "pad_width"),
        (lambda x: ops.pad(x, (1, 2, 3)), ValueError, "pad_width"),
        (lambda x: ops.pad(x, 1, "edge", 2), ValueError, "constant_values"),
        (lambda x: image.resize(x, (2, 2), "area"), ValueError, "interpolation"),
        (lambda x: image.resize(x, (0, 2)), ShapeError, "positive"),
        (lambda x: image.crop_images(x, 1, 1), ValueError, "exactly two"),
        (lambda x: image.crop_images(x, 2, 2, 2, 2), ShapeError, "nothing is left"),
        (
            lambda x: image.pad_images(x, 1, 1, target_height=3, target_width=9),
            ValueError,
            "negative",
        ),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[\w+\].*{text}"):
        call(np.ones((1, 4, 4, 3)))
