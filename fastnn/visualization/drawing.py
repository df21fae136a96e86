# SPDX-License-Identifier: Apache-2.0
"""Boxes and masks drawn into images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.utils.bounding_boxes import convert_format
from fastnn.utils.images import is_first, pillow

Color = Sequence[int]
_CAPITALS = 30  # pixels of a font of scale 1: its capitals are 21 high, as OpenCV's


def channels_last(name: str, images: Any, data_format: str | None) -> np.ndarray:
    found = np.asarray(images)
    if found.ndim != 4:
        raise ShapeError(
            f"[{name}] needs a batch of images (n, height, width, channels), received "
            f"shape {found.shape}; write images[None] for a single one."
        )
    return found.transpose(0, 2, 3, 1) if is_first(name, data_format) else found


def _as_given(name: str, images: np.ndarray, data_format: str | None) -> np.ndarray:
    return images.transpose(0, 3, 1, 2) if is_first(name, data_format) else images


def _bytes(images: np.ndarray) -> np.ndarray:
    """Values as uint8; floats that are nowhere above 1 are parts of 255."""
    if images.dtype.kind not in "iub" and images.size:
        images = np.clip(images.astype("float64"), 0, 255)
        images = images * 255 if images.max() <= 1 else images
    return images.astype("uint8")


@export("keras.visualization")
def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Color = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int | None = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with boxes around objects, and the names of their classes.

    Args:
        images: (n, height, width, 1, 3 or 4), or channels first. Floats that are
            nowhere above 1 are taken for parts of 255.
        bounding_boxes: "boxes" (n, boxes, 4), "labels" (n, boxes) and perhaps
            "confidences" (n, boxes). A box with label -1 is none.
        bounding_box_format: see `fastnn.utils.bounding_boxes`.
        class_mapping: label -> name; boxes of other labels get no text.
        color: red, green, blue, 0 to 255.
        line_thickness: of the box in pixels; half of it lies outside.
        text_thickness: of the letters; None for that of the lines.
        font_scale: 1.0 has capitals about 21 pixels high.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        uint8, shaped as `images`.

    Raises:
        ImportError: without Pillow.
        TypeError: when `bounding_boxes` is no dict.
        ValueError: for images of another rank, and without "boxes" or "labels".
    """
    name = "draw_bounding_boxes"
    pixels = _bytes(channels_last(name, images, data_format))
    _check_boxes(name, bounding_boxes)
    height, width = pixels.shape[1:3]
    boxes = convert_format(
        bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width
    ).numpy()
    labels = np.asarray(bounding_boxes["labels"]).astype("int64")
    texts = _texts(labels, bounding_boxes.get("confidences"), class_mapping or {})
    pen = _Pen(color, line_thickness, text_thickness or line_thickness, font_scale)
    drawn = [
        pen.draw(image, boxes[i][labels[i] != -1].astype(int), texts[i])
        for i, image in enumerate(pixels)
    ]
    stacked = np.stack(drawn) if drawn else pixels
    return _as_given(name, stacked, data_format)


def _check_boxes(name: str, bounding_boxes: Any) -> None:
    if not isinstance(bounding_boxes, Mapping):
        raise TypeError(
            f"[{name}] bounding_boxes must be a dict with 'boxes' and 'labels', "
            f"received {type(bounding_boxes).__name__}."
        )
    if not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(
            f"[{name}] bounding_boxes needs the keys 'boxes' and 'labels', received "
            f"{sorted(bounding_boxes)}."
        )


def _texts(
    labels: np.ndarray, confidences: Any, names: Mapping[int, str]
) -> list[list[str | None]]:
    """What is written to the boxes of each image that are some."""
    found = []
    for i, row in enumerate(labels):
        shown = [k for k, label in enumerate(row) if label != -1]
        texts = [names.get(int(row[k])) for k in shown]
        if confidences is not None:
            sure = np.asarray(confidences[i])[shown]
            texts = [t and f"{t} | {c:.2f}" for t, c in zip(texts, sure, strict=True)]
        found.append(texts)
    return found


class _Pen:
    """Draws boxes and texts of one colour and size."""

    def __init__(self, color: Color, line: int, text: int, scale: float) -> None:
        self._color, self._line, self._text = tuple(color), line, text
        self._scale = scale
        self._image = pillow("draw_bounding_boxes")

    def draw(self, image: np.ndarray, boxes: np.ndarray, texts: list) -> np.ndarray:
        from PIL import ImageDraw, ImageFont

        grey = image.shape[-1] == 1
        canvas = self._image.fromarray(
            np.ascontiguousarray(image[..., 0] if grey else image)
        )
        brush = ImageDraw.Draw(canvas)
        red, green, blue = self._color
        ink: Any = self._color + (255,) * (image.shape[-1] - 3)
        if grey:
            ink = round(0.299 * red + 0.587 * green + 0.114 * blue)
        half = self._line // 2
        font = ImageFont.load_default(max(1.0, _CAPITALS * self._scale))
        for (x1, y1, x2, y2), text in zip(boxes.tolist(), texts, strict=True):
            x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
            outer = (x1 - half, y1 - half, x2 + half, y2 + half)
            brush.rectangle(outer, outline=ink, width=self._line)
            if text:
                self._write(brush, (x1, y1), text, font, ink)
        result = np.array(canvas)
        return result[..., None] if grey else result

    def _write(self, brush: Any, corner: Any, text: str, font: Any, ink: Any) -> None:
        """Above the box, or inside it where there is no room above."""
        x, y = corner
        stroke = max(0, self._text - 1)
        left, top, _, bottom = brush.textbbox((0, 0), text, font, stroke_width=stroke)
        space = self._line + 2
        above = y - space - (bottom - top)
        place = (x, above) if above >= 0 else (x + space, y + space)
        place = place[0] - left, place[1] - top
        brush.text(place, text, ink, font, stroke_width=stroke)


@export("keras.visualization")
def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Color] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with each pixel in the colour of its class: (1 - alpha) * image + alpha *
    colour.

    Args:
        images: (n, height, width, 3), or channels first; values 0 to 255.
        segmentation_masks: classes as integers, (n, height, width), or with an axis of
            size 1 for channels.
        num_classes: classes 0 to num_classes - 1 are coloured; None for all.
        color_mapping: class -> red, green, blue; None for colours of its own, where
            class 0 is black.
        alpha: 0 shows the image, 1 the colours.
        blend: without it, colours replace the image.
        ignore_index: a class whose pixels stay as they are.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Shaped as `images`; uint8, or float32 without `blend`.

    Raises:
        TypeError: for masks that are no integers.
        ValueError: for images or masks of another shape, and a missing colour.
    """
    name = "draw_segmentation_masks"
    pixels = channels_last(name, images, data_format).astype("float32")
    masks = classes_of(name, segmentation_masks, pixels.shape[:3], data_format)
    if num_classes is None:
        num_classes = int(masks.max(initial=0)) + 1
    painted = pixels.copy()
    for k, color in enumerate(_palette(num_classes, color_mapping)):
        painted[masks == k] = color
    if not blend:
        return _as_given(name, painted, data_format)
    mixed = pixels * np.float32(1 - alpha) + painted * np.float32(alpha)
    mixed = np.where((masks == ignore_index)[..., None], pixels, mixed)
    return _as_given(name, mixed.astype("uint8"), data_format)


def classes_of(
    name: str, masks: Any, wanted: tuple[int, ...], data_format: str | None
) -> np.ndarray:
    """Masks without their axis of channels."""
    found = np.asarray(masks)
    if found.dtype.kind not in "iu":
        raise TypeError(
            f"[{name}] segmentation_masks must hold integers, received "
            f"{found.dtype}: write masks.astype('int32')."
        )
    axis = 1 if is_first(name, data_format) else 3
    if found.ndim == 4 and found.shape[axis] == 1:
        found = found.squeeze(axis)
    if found.shape != wanted:
        raise ShapeError(
            f"[{name}] masks must have the shape {wanted} of the images (and perhaps "
            f"an axis of size 1), received {np.shape(masks)}."
        )
    return found


def _palette(count: int, mapping: Mapping[int, Color] | None) -> list[Color]:
    if mapping is None:
        steps = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])
        return [(k * steps % 255).tolist() for k in range(count)]
    missing = [k for k in range(count) if k not in mapping]
    if missing:
        raise ValueError(
            f"[draw_segmentation_masks] color_mapping has no colour for class "
            f"{missing[0]} of {count}; classes count from 0."
        )
    return [mapping[k] for k in range(count)]
