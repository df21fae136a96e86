# SPDX-License-Identifier: Apache-2.0
"""`tf.image`: images (h, w, c), or (n, h, w, c) with a batch."""

from __future__ import annotations

from typing import Any

from fastnn import ops, random
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.errors import ShapeError


def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    """Images resampled to `size` = (height, width), with half-pixel centres.

    `method`: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5". With
    `preserve_aspect_ratio` the largest size within `size` that keeps the ratio.
    """
    x = convert_to_tensor(images)
    height, width = (int(n) for n in size)
    if preserve_aspect_ratio:
        h, w = x.shape[-3:-1]
        scale = min(height / h, width / w)
        height, width = max(1, round(h * scale)), max(1, round(w * scale))
    return ops.image.resize(
        x, (height, width), interpolation=method, antialias=antialias
    )


def flip_left_right(image: Any) -> Any:
    """Mirrored: columns in reversed order."""
    return ops.flip(image, -2)


def flip_up_down(image: Any) -> Any:
    """Upside down: rows in reversed order."""
    return ops.flip(image, -3)


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored with probability 1/2, each image of a batch by itself."""
    return _perhaps(image, flip_left_right, seed)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Upside down with probability 1/2, each image of a batch by itself."""
    return _perhaps(image, flip_up_down, seed)


def _perhaps(image: Any, change: Any, seed: Any) -> Any:
    x = convert_to_tensor(image)
    if x.ndim not in (3, 4):
        raise ShapeError(f"[random_flip] images have 3 or 4 axes, received {x.shape}")
    shape = (x.shape[0], 1, 1, 1) if x.ndim == 4 else (1, 1, 1)
    return ops.where(random.uniform(shape, seed=seed) < 0.5, x, change(x))


def random_crop(value: Any, size: Any, seed: Any = None) -> Any:
    """A part of shape `size`, at a place drawn anew at each call.

    Raises:
        ShapeError: for a size that does not fit.
    """
    x, sizes = convert_to_tensor(value), tuple(int(n) for n in size)
    if len(sizes) != x.ndim or any(n > m for n, m in zip(sizes, x.shape, strict=True)):
        raise ShapeError(f"[random_crop] no part of shape {sizes} in {x.shape}")
    room = [m - n + 1 for n, m in zip(sizes, x.shape, strict=True)]
    drawn = random.uniform((x.ndim,), seed=seed)
    start = ops.cast(ops.floor(drawn * convert_to_tensor(room, "float32")), "int32")
    start = ops.minimum(start, convert_to_tensor(room, "int32") - 1)
    return ops.slice(x, start, sizes)


def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Any:
    """Parts of images, each resampled to `crop_size`, corners on corners.

    Args:
        image: (n, h, w, c).
        boxes: (boxes, 4): y1, x1, y2, x2, where 0 and 1 are the first and the last row
            or column; y1 > y2 turns the part upside down.
        box_indices: (boxes,), the image of each box.
        crop_size: (height, width).
        method: "bilinear" or "nearest".
        extrapolation_value: what lies outside of the image.

    Returns:
        (boxes, height, width, c), floats.

    Raises:
        ValueError: for another method.
    """
    if method not in ("bilinear", "nearest"):
        raise ValueError(
            f"[crop_and_resize] method must be 'bilinear' or 'nearest', received "
            f"{method!r}"
        )
    x = convert_to_tensor(image)
    x = x if x.dtype.startswith("float") else ops.cast(x, "float32")
    n, h, w, c = x.shape
    corners = ops.cast(convert_to_tensor(boxes), x.dtype)
    ys = _places(corners[:, 0], corners[:, 2], int(crop_size[0]), h)
    xs = _places(corners[:, 1], corners[:, 3], int(crop_size[1]), w)
    first = ops.cast(box_indices, "int32")[:, None, None] * (h * w)
    rows = ops.reshape(x, (n * h * w, c))

    def at(y: Any, x: Any) -> Any:
        place = ops.cast(y, "int32")[:, :, None] * w + ops.cast(x, "int32")[:, None, :]
        return ops.take(rows, first + place, 0)

    if method == "nearest":
        y, z = (ops.floor(_inside(v, m) + 0.5) for v, m in ((ys, h), (xs, w)))
        found = at(_inside(y, h), _inside(z, w))
    else:
        top, left = (ops.floor(_inside(v, m)) for v, m in ((ys, h), (xs, w)))
        below, right = _inside(top + 1.0, h), _inside(left + 1.0, w)
        dy, dx = (ys - top)[:, :, None, None], (xs - left)[:, None, :, None]
        upper = at(top, left) * (1.0 - dx) + at(top, right) * dx
        lower = at(below, left) * (1.0 - dx) + at(below, right) * dx
        found = upper * (1.0 - dy) + lower * dy
    seen = ops.logical_and(
        _within(ys, h)[:, :, None, None], _within(xs, w)[:, None, :, None]
    )
    return ops.where(seen, found, float(extrapolation_value))


def _places(first: Any, last: Any, count: int, size: int) -> Any:
    """(boxes, count) positions from first to last, in pixels."""
    if count == 1:
        return ((first + last) * (0.5 * (size - 1)))[:, None]
    share = ops.cast(ops.arange(count), first.dtype) / float(count - 1)
    begin, end = first[:, None] * (size - 1.0), last[:, None] * (size - 1.0)
    return begin + share[None, :] * (end - begin)


def _inside(position: Any, size: int) -> Any:
    return ops.clip(position, 0.0, size - 1.0)


def _within(position: Any, size: int) -> Any:
    return ops.logical_and(position >= 0.0, position <= size - 1.0)
