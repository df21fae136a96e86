# SPDX-License-Identifier: Apache-2.0
"""Boxes around objects in images: formats, overlaps, offsets from anchors.

A box is four numbers, named by the format: `"xyxy"` and `"yxyx"` are two corners,
`"xywh"` a corner and sizes, `"center_xywh"` and `"center_yxhw"` the middle and sizes,
in pixels; with `rel_` in front in parts of the image's width and height.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastnn import config, ops
from fastnn._registry import export
from fastnn.errors import ShapeError

_MODULE = "keras.utils.bounding_boxes"

Halves = tuple[Any, Any]
# Format without `rel_` -> whether y comes first, and the two points or point and sizes
# to corners and back.
_CORNERS: tuple[Callable[..., Halves], Callable[..., Halves]] = (
    lambda a, b: (a, b),
    lambda low, high: (low, high),
)
_SIZES: tuple[Callable[..., Halves], Callable[..., Halves]] = (
    lambda a, b: (a, a + b),
    lambda low, high: (low, high - low),
)
_CENTERS: tuple[Callable[..., Halves], Callable[..., Halves]] = (
    lambda a, b: (a - b / 2.0, a + b / 2.0),
    lambda low, high: (low + (high - low) / 2.0, high - low),
)
_FORMATS = {
    "xyxy": (False, *_CORNERS),
    "yxyx": (True, *_CORNERS),
    "xywh": (False, *_SIZES),
    "center_xywh": (False, *_CENTERS),
    "center_yxhw": (True, *_CENTERS),
}
SUPPORTED_FORMATS = (
    *_FORMATS,
    *("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"),
)


def _joined(a: Any, b: Any, swapped: bool) -> Any:
    if swapped:
        a, b = ops.flip(a, -1), ops.flip(b, -1)
    return ops.concatenate([a, b], axis=-1)


def _scale(height: Any, width: Any, dtype: str) -> Any:
    sizes = [ops.cast(n, dtype) for n in (width, height, width, height)]
    return ops.stack(sizes, axis=-1)


@export(_MODULE)
def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: str = "float32",
) -> Any:
    """Boxes of one format in another one.

    Args:
        boxes: (..., 4), or a dict with such an entry "boxes".
        source, target: formats.
        height, width: of the image in pixels, for relative formats.
        dtype: of the result.

    Raises:
        ValueError: for an unknown format, a last axis that is not 4, and a relative
            format without the sizes.
    """
    if isinstance(boxes, dict):
        inner = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": inner}
    source, target = source.lower(), target.lower()
    for name in (source, target):
        if name not in SUPPORTED_FORMATS:
            raise ValueError(
                f"[convert_format] formats are {', '.join(SUPPORTED_FORMATS)}; "
                f"received {name!r}."
            )
    boxes = ops.cast(boxes, dtype)
    if boxes.shape[-1] != 4:
        raise ShapeError(
            f"[convert_format] boxes must have 4 numbers, received {boxes.shape}."
        )
    relative = [name.startswith("rel_") for name in (source, target)]
    if any(relative) and (height is None or width is None):
        raise ValueError(
            f"[convert_format] {source!r} to {target!r} needs height and width, "
            f"received {height} and {width}."
        )
    if source == target:
        return boxes
    swapped, to_corners, _ = _FORMATS[source.removeprefix("rel_")]
    first, second = boxes[..., :2], boxes[..., 2:]
    if swapped:
        first, second = ops.flip(first, -1), ops.flip(second, -1)
    low, high = to_corners(first, second)
    swapped, _, from_corners = _FORMATS[target.removeprefix("rel_")]
    if relative[0] == relative[1]:
        return _joined(*from_corners(low, high), swapped)
    corners, scale = ops.concatenate([low, high], -1), _scale(height, width, dtype)
    corners = corners * scale if relative[0] else corners / scale
    return _joined(*from_corners(corners[..., :2], corners[..., 2:]), swapped)


def _only_xyxy(name: str, given: str, known: tuple[str, ...] = ("xyxy",)) -> None:
    if given not in known:
        raise NotImplementedError(
            f"[{name}] bounding_box_format must be {' or '.join(known)}, received "
            f"{given!r}: convert_format first."
        )


def _clipped(boxes: Any, height: Any, width: Any) -> Any:
    x, y = boxes[..., 0::2], boxes[..., 1::2]
    x, y = ops.clip(x, 0, width), ops.clip(y, 0, height)
    parts = [x[..., :1], y[..., :1], x[..., 1:], y[..., 1:]]
    return ops.concatenate(parts, axis=-1)


@export(_MODULE)
def clip_to_image_size(
    bounding_boxes: dict[str, Any],
    height: int | None = None,
    width: int | None = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Boxes cut off at the image's border; labels of those that lie outside become -1.

    Args:
        bounding_boxes: "boxes" (..., 4), and "labels" (...) if there are any.
        height, width: of the image, for `"xyxy"`.
        bounding_box_format: `"xyxy"` or `"rel_xyxy"`.

    Raises:
        NotImplementedError: for another format. ValueError: without the sizes.
    """
    known = ("xyxy", "rel_xyxy")
    _only_xyxy("clip_to_image_size", bounding_box_format, known)
    if bounding_box_format == "rel_xyxy":
        height, width = 1, 1
    if height is None or width is None:
        raise ValueError("[clip_to_image_size] 'xyxy' needs height and width.")
    boxes = ops.convert_to_tensor(bounding_boxes["boxes"])
    boxes = _clipped(boxes, height, width)
    found = {**bounding_boxes, "boxes": boxes}
    if (labels := bounding_boxes.get("labels")) is not None:
        found["labels"] = ops.where(_areas(boxes) > 0, labels, -1)
    return found


@export(_MODULE)
def crop(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Boxes in the part of an image that begins at (top, left), cut off at its border.

    Raises:
        NotImplementedError: for another format than `"xyxy"`.
    """
    _only_xyxy("crop", bounding_box_format)
    moved = pad(boxes, -top, -left)
    return _clipped(moved, height, width)


@export(_MODULE)
def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Boxes in an image that got `top` rows above and `left` columns before.

    Raises:
        NotImplementedError: for another format than `"xyxy"`.
    """
    _only_xyxy("pad", bounding_box_format)
    x = ops.convert_to_tensor(boxes)
    return x + ops.cast(ops.stack([left, top, left, top], axis=-1), x.dtype)


# ---- affine ------------------------------------------------------------------------


@export(_MODULE)
def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: int,
    width: int,
    center_x: float | None = None,
    center_y: float | None = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """The boxes around boxes that were turned, moved, scaled and sheared.

    Args:
        boxes: (batch, boxes, 4).
        angle, shear_x, shear_y: in degrees, (batch,).
        translate_x, translate_y: in parts of the size, (batch,).
        scale: (batch,).
        height, width: of the image.
        center_x, center_y: what stays in its place, in parts of the size; by default
            the middle.

    Raises:
        NotImplementedError: for another format than `"xyxy"`.
    """
    _only_xyxy("affine_transform", bounding_box_format)
    middle = (0.5 if c is None else c for c in (center_x, center_y))
    cx, cy = (c * (n - 1) for c, n in zip(middle, (width, height), strict=True))
    x = ops.convert_to_tensor(angle)
    turn, sx, sy = (
        ops.cast(degrees, x.dtype) * (-math.pi / 180.0)
        for degrees in (angle, shear_x, shear_y)
    )
    tx = cx - ops.cast(translate_x, x.dtype) * (width - 1)
    ty = cy - ops.cast(translate_y, x.dtype) * (height - 1)
    a = ops.cos(turn - sy) / ops.cos(sy)
    b = a * ops.tan(sx) + ops.sin(turn)
    c = -ops.sin(turn - sy) / ops.cos(sy)
    d = ops.cos(turn) - c * ops.tan(sx)
    a0, a1, b0, b1 = (v * scale for v in (d, -b, -c, a))
    rows = [[a0, a1, cx - a0 * tx - a1 * ty], [b0, b1, cy - b0 * tx - b1 * ty]]
    matrix = ops.stack([ops.stack(row, -1) for row in rows], 1)  # (batch, 2, 3)
    corners = ops.cast(boxes, x.dtype)
    ends = [corners[..., i : i + 1] for i in (0, 1, 2, 1, 2, 3, 0, 3)]
    shape = (*corners.shape[:2], 4, 2)
    points = ops.reshape(ops.concatenate(ends, axis=-1), shape)
    moved = ops.einsum("bnpi,bji->bnpj", points, matrix[:, :, :2])
    moved = moved + matrix[:, None, None, :, 2]
    return ops.concatenate([ops.min(moved, axis=2), ops.max(moved, axis=2)], axis=-1)


# ---- overlaps ----------------------------------------------------------------------


def _areas(boxes: Any) -> Any:
    sizes = boxes[..., 2:] - boxes[..., :2]
    return sizes[..., 0] * sizes[..., 1]


def _both_as_xyxy(name: str, boxes: Any, given: str, image_shape: Any) -> list[Any]:
    if "rel" in given and image_shape is None:
        raise ValueError(
            f"[{name}] the relative format {given!r} needs image_shape=(height, width, "
            "channels)."
        )
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return [convert_format(one, given, "xyxy", height, width) for one in boxes]


@export(_MODULE)
def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Any = None,
) -> Any:
    """Intersection over union of every box of one set with every box of another.

    Args:
        boxes1, boxes2: (n, 4) or (batch, n, 4).
        bounding_box_format: of both.
        use_masking: whether pairs with a box of negative numbers give `mask_val`.
        image_shape: (height, width, channels), for relative formats.

    Returns:
        (n, m) or (batch, n, m).

    Raises:
        ValueError: for boxes of other rank, or a relative format without image_shape.
    """
    for boxes in (boxes1, boxes2):
        if len(ops.shape(boxes)) not in (2, 3):
            raise ShapeError(
                "[compute_iou] boxes must be (n, 4) or (batch, n, 4), received "
                f"{ops.shape(boxes)}."
            )
    both = (boxes1, boxes2)
    first, second = _both_as_xyxy("compute_iou", both, bounding_box_format, image_shape)
    rows, columns = first[..., :, None, :], second[..., None, :, :]
    low = ops.maximum(rows[..., :2], columns[..., :2])
    high = ops.minimum(rows[..., 2:], columns[..., 2:])
    shared = _areas(ops.concatenate([low, ops.maximum(low, high)], axis=-1))
    union = _areas(first)[..., :, None] + _areas(second)[..., None, :] - shared
    found = shared / (union + config.epsilon())
    if not use_masking:
        return found
    empty = [ops.max(boxes, axis=-1) < 0.0 for boxes in (first, second)]
    masked = ops.logical_or(empty[0][..., :, None], empty[1][..., None, :])
    return ops.where(masked, ops.cast(mask_val, found.dtype), found)


@export(_MODULE)
def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None
) -> Any:
    """Complete intersection over union of pairs of boxes (Zheng et al., 2020).

    The overlap, less the distance of the middles and the difference of the shapes.

    Args:
        boxes1, boxes2: (..., 4).
        bounding_box_format: of both.
        image_shape: (height, width, channels), for relative formats.

    Raises:
        ValueError: for a relative format without image_shape.
    """
    small = config.epsilon()
    both = (boxes1, boxes2)
    a, b = _both_as_xyxy("compute_ciou", both, bounding_box_format, image_shape)
    low = ops.maximum(a[..., :2], b[..., :2])
    high = ops.minimum(a[..., 2:], b[..., 2:])
    shared = _areas(ops.concatenate([low, ops.maximum(low, high)], axis=-1))
    widths = [x[..., 2] - x[..., 0] for x in (a, b)]
    heights = [x[..., 3] - x[..., 1] + small for x in (a, b)]
    areas = [w * h for w, h in zip(widths, heights, strict=True)]
    iou = shared / (areas[0] + areas[1] - shared + 2 * small)
    around = ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])
    diagonal = ops.sum(ops.square(around), axis=-1) + small
    middles = [(x[..., :2] + x[..., 2:]) / 2.0 for x in (a, b)]
    distance = ops.sum(ops.square(middles[0] - middles[1]), axis=-1)
    angles = [ops.arctan(w / h) for w, h in zip(widths, heights, strict=True)]
    v = 4 / math.pi**2 * ops.square(angles[1] - angles[0])
    alpha = v / (v - iou + (1 + small))
    return iou - (distance / diagonal + v * alpha)


# ---- anchors -----------------------------------------------------------------------


def _checked(name: str, encoding: str, variance: Any, image_shape: Any) -> Any:
    """(variance, height, width)."""
    if encoding not in ("center_xywh", "center_yxhw"):
        raise ValueError(
            f"[{name}] the encoding must be 'center_xywh' or 'center_yxhw', received "
            f"{encoding!r}."
        )
    if variance is not None:
        variance = ops.cast(variance, "float32")
        if variance.shape[-1] != 4:
            raise ValueError(
                f"[{name}] variance must have 4 numbers, received {variance.shape}."
            )
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return variance, height, width


@export(_MODULE)
def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """What takes anchors to boxes: `(middle - middle') / size'`, `log(size / size')`.

    Args:
        anchors, boxes: (..., 4).
        anchor_format, box_format: their formats.
        encoding_format: order of the result, `"center_xywh"` or `"center_yxhw"`.
        variance: four numbers that the result is divided by.
        image_shape: (height, width, channels), for relative formats.

    Raises:
        ValueError: for another encoding, or a variance that is not four numbers.
    """
    name = "encode_box_to_deltas"
    variance, *sizes = _checked(name, encoding_format, variance, image_shape)
    a = convert_format(anchors, anchor_format, encoding_format, *sizes)
    b = convert_format(boxes, box_format, encoding_format, *sizes)
    old, new = (ops.maximum(x[..., 2:], config.epsilon()) for x in (a, b))
    parts = [(b[..., :2] - a[..., :2]) / old, ops.log(new / old)]
    deltas = ops.concatenate(parts, axis=-1)
    return deltas if variance is None else deltas / variance


@export(_MODULE)
def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """The inverse of `encode_box_to_deltas`, also for dicts of levels."""
    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        rest = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {
            level: decode_deltas_to_boxes(anchor, boxes_delta[level], *rest)
            for level, anchor in anchors.items()
        }
    name = "decode_deltas_to_boxes"
    variance, *sizes = _checked(name, encoded_format, variance, image_shape)
    a = convert_format(anchors, anchor_format, encoded_format, *sizes)
    deltas = ops.convert_to_tensor(boxes_delta)
    deltas = deltas if variance is None else deltas * variance
    middle = deltas[..., :2] * a[..., 2:] + a[..., :2]
    size = ops.exp(deltas[..., 2:]) * a[..., 2:]
    found = ops.concatenate([middle, size], axis=-1)
    return convert_format(found, encoded_format, box_format, *sizes)
