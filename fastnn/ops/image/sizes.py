# SPDX-License-Identifier: Apache-2.0
"""Images resized, cropped and padded."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import to_float
from fastnn.ops.image._batches import close_images, one_of, open_images
from fastnn.ops.padding import pad
from fastnn.opset.resize import METHODS


def _cut(x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    whole = (None, None, 1)
    rows, columns = (top, top + height, 1), (left, left + width, 1)
    return raw.slice(x, (whole, rows, columns, whole))


def _resample(x: Tensor, size: tuple[int, int], method: str, antialias: bool) -> Tensor:
    y = raw.resize(to_float(x), method, antialias, size)
    return y if y.dtype == x.dtype else raw.cast(y, x.dtype)


def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images resampled to `size`, with half-pixel centres (`tf.image.resize`).

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or
            channels first. Integers are resampled as floats and cast back.
        size: (height, width) of the result.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
        antialias: widen the kernel when shrinking, so that every input counts.
        crop_to_aspect_ratio: first crop centrally to the aspect ratio of `size`.
        pad_to_aspect_ratio: first pad centrally to it.
        fill_mode: "constant" is what padding knows.
        fill_value: the number that padding uses.
        data_format: "channels_last" or "channels_first"; None is the configured one.
    """
    name = "resize"
    one_of(name, "interpolation", interpolation, METHODS)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            f"[{name}] only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be "
            f"true"
        )
    if fill_mode != "constant":
        raise ValueError(f'[{name}] fill_mode must be "constant", not {fill_mode!r}')
    if np.size(size) != 2:
        raise ValueError(f"[{name}] size must be (height, width), received {size!r}")
    rows, columns = (int(n) for n in size)
    x, single, first = open_images(name, images, data_format)
    height, width = x.shape[1:3]
    if crop_to_aspect_ratio:
        h = min(int(width * rows / columns), height)
        w = min(int(height * columns / rows), width)
        x = _cut(x, (height - h) // 2, (width - w) // 2, max(h, 1), max(w, 1))
    elif pad_to_aspect_ratio:
        h = max(int(width * rows / columns), height)
        w = max(int(height * columns / rows), width)
        top, left = (h - height) // 2, (w - width) // 2
        pads = ((0, 0), (top, h - height - top), (left, w - width - left), (0, 0))
        x = pad(x, pads, constant_values=fill_value)
    y = _resample(x, (rows, columns), interpolation, bool(antialias))
    return close_images(y, single, first)


def _sides(
    name: str,
    word: str,
    size: int,
    before: int | None,
    after: int | None,
    target: int | None,
    sign: int,
) -> tuple[int, int]:
    """(before, after) from those two of (before, after, target) that are given."""
    if [before, after, target].count(None) != 1:
        raise ValueError(
            f"[{name}] give exactly two of the {word} before, the {word} after and the "
            f"target size; received {before}, {after} and {target}"
        )
    if target is not None:
        total = sign * (target - size)
        before = total - after if before is None else before  # type: ignore[operator]
        after = total - before if after is None else after
    if before < 0 or after < 0:  # type: ignore[operator]
        raise ValueError(
            f"[{name}] a size of {size} has {word} {before} and {after}: neither may "
            f"be negative"
        )
    return before, after  # type: ignore[return-value]


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without some rows and columns at their borders.

    Of top, bottom and target height exactly two are given; so of left, right and
    target width.
    """
    name, word = "crop_images", "cropping"
    x, single, first = open_images(name, images, data_format)
    height, width = x.shape[1:3]
    up = _sides(name, word, height, top_cropping, bottom_cropping, target_height, -1)
    side = _sides(name, word, width, left_cropping, right_cropping, target_width, -1)
    if sum(up) >= height or sum(side) >= width:
        raise ShapeError(f"[{name}] nothing is left of {height} x {width}")
    y = _cut(x, up[0], side[0], height - sum(up), width - sum(side))
    return close_images(y, single, first)


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with rows and columns of zeros around them; arguments as `crop_images`."""
    name, word = "pad_images", "padding"
    x, single, first = open_images(name, images, data_format)
    height, width = x.shape[1:3]
    up = _sides(name, word, height, top_padding, bottom_padding, target_height, 1)
    side = _sides(name, word, width, left_padding, right_padding, target_width, 1)
    return close_images(pad(x, ((0, 0), up, side, (0, 0))), single, first)


__all__ = ["crop_images", "pad_images", "resize"]
