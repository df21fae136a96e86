# SPDX-License-Identifier: Apache-2.0
"""Conversions between colour spaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import to_float
from fastnn.ops.arrays import concatenate
from fastnn.ops.image._batches import back_to, close_images, open_images
from fastnn.opset._dtypes import is_float

# Luma of red, green and blue (ITU-R BT.601), as `tf.image.rgb_to_grayscale` rounds it.
LUMA = np.array([[0.2989], [0.5870], [0.1140]])


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue, as one channel (ITU-R BT.601).

    Args:
        images: (batch, height, width, 3) or one image, or channels first; images of
            one channel stay as they are. Integers are weighed as floats and cut off.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        (batch, height, width, 1) in the dtype of images.

    Raises:
        ShapeError: for other ranks, and for channels other than 1 or 3.
    """
    x, single, first = open_images("rgb_to_grayscale", images, data_format)
    if x.shape[-1] not in (1, 3):
        raise ShapeError(
            f"[rgb_to_grayscale] needs 3 channels, or 1, received images of "
            f"{x.shape[-1]} channels"
        )
    if x.shape[-1] == 1:
        return close_images(x, single, first)
    rows = to_float(x)
    y = raw.matmul(rows, Tensor(LUMA.astype(rows.dtype)))
    return close_images(back_to(x.dtype, y), single, first)


def _planes(name: str, images: Any, data_format: str | None) -> Any:
    """The three channels of float images, and the arguments of `close_images`."""
    x, single, first = open_images(name, images, data_format)
    if not is_float(x.dtype):
        raise ValueError(
            f"[{name}] needs float images, received {x.dtype}: divide them by 255"
        )
    if x.shape[-1] != 3:
        raise ShapeError(f"[{name}] needs 3 channels, received {x.shape[-1]}")
    return x, [x[..., c : c + 1] for c in range(3)], single, first


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue to hue, saturation and value, all from 0 to 1.

    value = max(r, g, b), saturation = (value - min(r, g, b)) / value, hue = the place
    on the colour circle in turns (Smith, SIGGRAPH 1978); 0 where it is undefined.

    Args:
        images: floats, (batch, height, width, 3) or one image, or channels first.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Raises:
        ValueError: for images that are not floats.
        ShapeError: for other ranks or channels.
    """
    x, _, single, first = _planes("rgb_to_hsv", images, data_format)
    x = raw.where(raw.less(raw.abs(x), _epsilon(x.dtype)), 0.0, x)
    r, g, b = (x[..., c : c + 1] for c in range(3))
    value = raw.max(x, (3,), True)
    spread = raw.subtract(value, raw.min(x, (3,), True))
    some = raw.greater(spread, 0.0)
    bright = raw.greater(value, 0.0)
    unit = raw.divide(1.0 / 6.0, raw.where(some, spread, 1.0))

    def turn(one: Tensor, other: Tensor, start: float) -> Tensor:
        return raw.add(raw.multiply(unit, raw.subtract(one, other)), start)

    hue = raw.where(raw.equal(value, g), turn(b, r, 1 / 3), turn(r, g, 2 / 3))
    hue = raw.where(raw.equal(value, r), turn(g, b, 0.0), hue)
    hue = raw.where(raw.less(hue, 0.0), raw.add(hue, 1.0), hue)
    hue = raw.where(some, hue, 0.0)
    safe = raw.where(bright, value, 1.0)
    saturation = raw.where(bright, raw.divide(spread, safe), 0.0)
    return close_images(concatenate([hue, saturation, value], 3), single, first)


def _epsilon(dtype: str) -> float:
    """The distance from 1 to the next number of a float dtype."""
    return {
        "float64": 2.0**-52,
        "float32": 2.0**-23,
        "float16": 2.0**-10,
        "bfloat16": 2.0**-7,
    }[dtype]


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value to red, green and blue: the inverse of `rgb_to_hsv`.

    Each colour is value * (1 - saturation + saturation * w), with w a trapezoid over
    the colour circle.

    Args:
        images: floats, (batch, height, width, 3) or one image, or channels first.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Raises:
        ValueError: for images that are not floats.
        ShapeError: for other ranks or channels.
    """
    _, (hue, saturation, value), single, first = _planes(
        "hsv_to_rgb", images, data_format
    )
    sixth = raw.multiply(raw.mod(hue, 1.0), 6.0)
    # |6 hue - centre|, for red turned inside out: its trapezoid goes around 0.
    away = [raw.abs(raw.subtract(sixth, c)) for c in (3.0, 2.0, 4.0)]
    ramps = [raw.subtract(away[0], 1.0), *(raw.subtract(2.0, a) for a in away[1:])]
    w = raw.minimum(raw.maximum(concatenate(ramps, 3), 0.0), 1.0)
    rest = raw.subtract(1.0, saturation)
    y = raw.multiply(value, raw.add(rest, raw.multiply(saturation, w)))
    return close_images(y, single, first)


__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]
