# SPDX-License-Identifier: Apache-2.0
"""Blur, edges and the similarity that compares blurred images."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import (
    bias_of,
    channels_last,
    is_channels_first,
    per_axis,
    placement,
)
from fastnn.ops._promote import as_dtype, promote, to_float
from fastnn.ops.arrays import concatenate
from fastnn.ops.image._batches import back_to, close_images, open_images
from fastnn.opset._dtypes import is_float


def _filtered(name: str, x: Tensor, kernel: Tensor, padding: str) -> Tensor:
    """Every channel of x convolved with kernel (rows, columns, multiplier)."""
    rows, columns, many = kernel.shape
    channels = x.shape[-1]
    w = raw.reshape(kernel, (rows, columns, 1, many))
    w = raw.broadcast_to(w, (rows, columns, channels, many))
    window, one = (rows, columns), (1, 1)
    low, out = placement(name, x.shape[1:3], window, one, one, padding)
    return raw.depthwise_conv(x, raw.copy(w), bias_of(x, None), one, one, low, out)


def _bell(size: int, sigma: Tensor) -> Tensor:
    """e^(-(x / sigma)^2 / 2) around the middle of `size` places, with sum 1."""
    places = np.arange(size) - (size - 1) / 2
    x = raw.divide(Tensor(places.astype(sigma.dtype)), sigma)
    y = raw.exp(raw.multiply(raw.square(x), -0.5))
    return raw.divide(y, raw.sum(y, (0,), True))


def blurred(
    name: str, x: Tensor, size: tuple[int, int], sigma: Any, padding: str
) -> Tensor:
    """x (batch, height, width, channels) blurred; sizes and sigma are (rows, columns).

    Gaussians are products of one factor per axis, so are the convolutions.
    """
    rows, columns = (
        _bell(n, as_dtype(s, x.dtype)) for n, s in zip(size, sigma, strict=True)
    )
    y = _filtered(name, x, raw.reshape(rows, (size[0], 1, 1)), padding)
    return _filtered(name, y, raw.reshape(columns, (1, size[1], 1)), padding)


def gaussian_blur(
    images: Any,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Images convolved with a Gaussian of sum 1, zeros around them.

    Args:
        images: (batch, height, width, channels) or one image, or channels first.
            Integers are blurred as floats and cast back.
        kernel_size: (columns, rows) of the kernel, in Keras's order, or one for both.
        sigma: standard deviations (along a row, along a column) in pixels, or one.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Images of the same shape and dtype.
    """
    name = "gaussian_blur"
    x, single, first = open_images(name, images, data_format)
    columns, rows = per_axis(name, "kernel_size", kernel_size, 2)
    if isinstance(sigma, (tuple, list)):
        along, across = sigma
    else:
        given = convert_to_tensor(sigma)
        along, across = (given, given) if given.ndim == 0 else (given[0], given[1])
    y = blurred(name, to_float(x), (rows, columns), (across, along), "same")
    return close_images(back_to(x.dtype, y), single, first)


# Derivatives along a column (dy) and along a row (dx), smoothed by 1 2 1.
_SOBEL = np.array([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])
_SOBEL = np.stack([_SOBEL, _SOBEL.T], axis=-1)


def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """Sobel's derivatives of images, zeros around them.

    Args:
        images: (batch, height, width, channels), or channels first.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        The shape of images and a last axis of 2: (dy, dx).

    Raises:
        ShapeError: for images of another rank.
    """
    name = "sobel_edges"
    given = convert_to_tensor(images)
    if given.ndim != 4:
        raise ShapeError(
            f"[{name}] needs images of rank 4 (a batch), received shape {given.shape}"
        )
    first = is_channels_first(name, data_format)
    x = channels_last(given) if first else given
    f = to_float(x)
    y = _filtered(name, f, Tensor(_SOBEL.astype(f.dtype)), "same")
    if not is_float(x.dtype):
        y = raw.cast(y, "int32")  # derivatives may be negative: unsigned ones wrap
    y = back_to(x.dtype, raw.reshape(y, (*x.shape, 2)))
    return raw.transpose(y, (0, 3, 1, 2, 4)) if first else y


def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 13, 2004), averaged over an image.

    (2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) with means m,
    variances and covariance s under a Gaussian window that stays inside the image.

    Args:
        image1, image2: (batch, height, width, channels), or one image each, or
            channels first; of one shape.
        max_val: the largest value that a pixel can have.
        filter_size: rows and columns of the window.
        filter_sigma: its standard deviation.
        k1, k2: c1 = (k1 max_val)^2 and c2 = (k2 max_val)^2 keep quotients finite.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        (batch,), or a scalar, in the dtype of image1.

    Raises:
        ShapeError: for shapes that differ, and images smaller than the window.
    """
    name = "ssim"
    a, single, _ = open_images(name, image1, data_format)
    b, _, _ = open_images(name, image2, data_format)
    if a.shape != b.shape:
        raise ShapeError(
            f"[{name}] the images must have one shape, received {a.shape} and {b.shape}"
        )
    dtype = a.dtype
    a, b = promote(to_float(a), to_float(b))
    (size,) = per_axis(name, "filter_size", filter_size, 1)
    # Five averages under the same window: one convolution of five times the channels.
    maps = [a, b, raw.square(a), raw.square(b), raw.multiply(a, b)]
    sigma = (filter_sigma, filter_sigma)
    means = blurred(name, concatenate(maps, 3), (size, size), sigma, "valid")
    channels = a.shape[-1]
    m1, m2, s1, s2, s12 = (
        means[..., i * channels : (i + 1) * channels] for i in range(5)
    )
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    product = raw.multiply(m1, m2)
    squares = raw.add(raw.square(m1), raw.square(m2))
    covariance = raw.add(raw.multiply(raw.subtract(s12, product), 2.0), c2)
    variances = raw.add(raw.subtract(raw.add(s1, s2), squares), c2)
    above = raw.multiply(raw.add(raw.multiply(product, 2.0), c1), covariance)
    values = raw.divide(above, raw.multiply(raw.add(squares, c1), variances))
    count = float(np.prod(values.shape[1:]))
    y = raw.divide(raw.sum(values, (1, 2, 3), False), count)
    y = raw.reshape(y, ()) if single else y
    return back_to(dtype, y)


__all__ = ["gaussian_blur", "sobel_edges", "ssim"]
