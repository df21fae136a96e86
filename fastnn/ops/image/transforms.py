# SPDX-License-Identifier: Apache-2.0
"""Images moved: by a matrix, between quadrangles, at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import as_dtype, promote, to_float
from fastnn.ops.arrays import concatenate
from fastnn.ops.image._batches import close_images, one_of, open_images
from fastnn.ops.image.filters import blurred
from fastnn.ops.image.sampling import FILL_MODES, ORDERS, sampled_images


def _pixels(height: int, width: int, dtype: str) -> tuple[Tensor, Tensor]:
    """Numbers of rows (1, height, 1) and of columns (1, 1, width)."""
    y, x = (np.arange(n, dtype="float64").astype(dtype) for n in (height, width))
    return Tensor(y.reshape(1, height, 1)), Tensor(x.reshape(1, 1, width))


def _projected(
    images: Tensor, t: Tensor, interpolation: str, mode: str, fill: Any
) -> Tensor:
    """Pixel (x, y) from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with
    k = c0 x + c1 y + 1, where t (batch or 1, 8) holds a, b, c.
    """
    batch, height, width = images.shape[:3]
    y, x = _pixels(height, width, t.dtype)
    t = raw.reshape(raw.broadcast_to(t, (batch, 8)), (batch, 8, 1, 1))

    def plane(first: int) -> Tensor:
        a, b = t[:, first], t[:, first + 1]
        return raw.add(raw.multiply(x, a), raw.multiply(y, b))

    k = raw.add(plane(6), 1.0)
    columns = raw.divide(raw.add(plane(0), t[:, 2]), k)
    rows = raw.divide(raw.add(plane(3), t[:, 5]), k)
    order = ORDERS[interpolation]
    return sampled_images(images, rows, columns, order, mode, fill)


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixel (x, y) is what images have at the transformed place.

    With transform (a0, a1, a2, b0, b1, b2, c0, c1) that place is
    ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1, as in
    TensorFlow; Keras's other backends take c0 = c1 = 0.

    Args:
        images: (batch, height, width, channels) or one image, or channels first.
        transform: (8,) for all images, or (batch, 8).
        interpolation: "nearest" or "bilinear".
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or
            "reflect" (see `map_coordinates`).
        fill_value: used by "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ShapeError: for other ranks, and a transform without 8 numbers per image.
        ValueError: for an interpolation or fill_mode that does not exist.
    """
    name = "affine_transform"
    one_of(name, "interpolation", interpolation, ORDERS)
    one_of(name, "fill_mode", fill_mode, FILL_MODES)
    x, single, first = open_images(name, images, data_format)
    t = to_float(transform)
    if t.shape not in ((8,), (1, 8), (x.shape[0], 8)):
        raise ShapeError(
            f"[{name}] transform must have shape (8,) or ({x.shape[0]}, 8), received "
            f"{t.shape}"
        )
    t = raw.reshape(t, (1, 8)) if t.ndim == 1 else t
    y = _projected(x, t, interpolation, fill_mode, fill_value)
    return close_images(y, single, first)


def _homography(start: Tensor, end: Tensor) -> Tensor:
    """(batch, 8): the projection that takes 4 end points to the start points."""
    sx, sy = start[..., 0], start[..., 1]
    ex, ey = end[..., 0], end[..., 1]
    nil = Tensor(np.zeros(ex.shape, ex.dtype))
    one = Tensor(np.ones(ex.shape, ex.dtype))

    def equations(s: Tensor, before: list[Tensor], after: list[Tensor]) -> Tensor:
        back = [raw.negative(raw.multiply(s, e)) for e in (ex, ey)]
        columns = [*before, ex, ey, one, *after, *back]
        return concatenate([raw.reshape(c, (*c.shape, 1)) for c in columns], -1)

    three = [nil, nil, nil]
    matrix = concatenate([equations(sx, [], three), equations(sy, three, [])], 1)
    right = concatenate([sx, sy], 1)
    y = raw.solve(matrix, raw.reshape(right, (*right.shape, 1)))
    return raw.reshape(y, right.shape)


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images with the quadrangle of start points moved onto that of end points.

    Args:
        images: (batch, height, width, channels) or one image, or channels first.
        start_points, end_points: (4, 2) for all images or (batch, 4, 2): corners
            (x, y) in pixels. No three of one quadrangle may lie on a line.
        interpolation: "nearest" or "bilinear".
        fill_value: what lies outside of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ShapeError: for other ranks, and points of other shapes.
        ValueError: for an interpolation that does not exist.
    """
    name = "perspective_transform"
    one_of(name, "interpolation", interpolation, ORDERS)
    x, single, first = open_images(name, images, data_format)
    start, end = promote(to_float(start_points), to_float(end_points))
    if start.shape != end.shape or start.shape[-2:] != (4, 2) or start.ndim > 3:
        raise ShapeError(
            f"[{name}] start_points and end_points must both be (4, 2) or (batch, 4, "
            f"2), received {start.shape} and {end.shape}"
        )
    if start.ndim == 3 and start.shape[0] not in (1, x.shape[0]):
        raise ShapeError(
            f"[{name}] {start.shape[0]} quadrangles for {x.shape[0]} images"
        )
    # Eight equations with products of pixels in them lose half of float32's digits.
    four = (start.size // 8, 4, 2)
    start, end = (raw.reshape(raw.cast(p, "float64"), four) for p in (start, end))
    y = _projected(x, _homography(start, end), interpolation, "constant", fill_value)
    return close_images(y, single, first)


def elastic_transform(
    images: Any,
    alpha: Any = 20.0,
    sigma: Any = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: Any = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images distorted by smooth random displacements (Simard et al., ICDAR 2003).

    Normal noise of deviation sigma, blurred by a Gaussian of deviation sigma, times
    alpha, is how far from a pixel its value is read.

    Args:
        images: (batch, height, width, channels) or one image, or channels first.
        alpha: strength of the displacements.
        sigma: their smoothness in pixels; a number, for it says how large the kernel
            is, int(6 sigma) | 1.
        interpolation: "nearest" or "bilinear".
        fill_mode: what lies outside (see `map_coordinates`).
        fill_value: used by "constant".
        seed: int, `SeedGenerator` or None.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Images of the same shape and dtype. Rows and columns are displaced by noise of
        their own, where Keras uses the same for both.

    Raises:
        ShapeError: for other ranks.
        ValueError: for an interpolation or fill_mode that does not exist.
    """
    from fastnn import random

    name = "elastic_transform"
    one_of(name, "interpolation", interpolation, ORDERS)
    one_of(name, "fill_mode", fill_mode, FILL_MODES)
    x, single, first = open_images(name, images, data_format)
    batch, height, width = x.shape[:3]
    deviation = float(sigma)
    dtype = to_float(x).dtype
    noise = random.normal((batch, height, width, 2), dtype=dtype, seed=seed)
    size = int(6 * deviation) | 1
    noise = raw.multiply(noise, deviation)
    noise = blurred(name, noise, (size, size), (deviation, deviation), "same")
    noise = raw.multiply(noise, as_dtype(alpha, dtype))
    y, x0 = _pixels(height, width, dtype)
    rows, columns = raw.add(y, noise[..., 0]), raw.add(x0, noise[..., 1])
    order = ORDERS[interpolation]
    moved = sampled_images(x, rows, columns, order, fill_mode, fill_value)
    return close_images(moved, single, first)


__all__ = ["affine_transform", "elastic_transform", "perspective_transform"]
