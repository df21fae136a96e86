# SPDX-License-Identifier: Apache-2.0
"""Boxes: scalar Python, counted pixels, and numbers that Keras 3.15 (JAX) printed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastnn import function, ops
from fastnn.utils import bounding_boxes as boxes

HEIGHT, WIDTH = 80, 100
RNG = np.random.default_rng(0)


def corners(*shape: int) -> np.ndarray:
    low = RNG.integers(0, 40, (*shape, 2))
    return np.concatenate([low, low + RNG.integers(1, 40, (*shape, 2))], -1)


A, B = (corners(2, 5).astype("float32") for _ in range(2))


def written(box, name):
    """A box (x1, y1, x2, y2) in a format, number by number."""
    x1, y1, x2, y2 = (float(n) for n in box)
    if name.startswith("rel_"):
        x1, x2, y1, y2 = x1 / WIDTH, x2 / WIDTH, y1 / HEIGHT, y2 / HEIGHT
    x, y, w, h = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
    return {
        "xyxy": [x1, y1, x2, y2],
        "yxyx": [y1, x1, y2, x2],
        "xywh": [x1, y1, w, h],
        "center_xywh": [x, y, w, h],
        "center_yxhw": [y, x, h, w],
    }[name.removeprefix("rel_")]


def all_written(values, name):
    flat = [written(box, name) for box in values.reshape(-1, 4)]
    return np.array(flat, "float32").reshape(values.shape)


@pytest.mark.parametrize("target", boxes.SUPPORTED_FORMATS)
@pytest.mark.parametrize("source", boxes.SUPPORTED_FORMATS)
def test_formats(source, target) -> None:
    given = all_written(A, source)
    found = boxes.convert_format(given, source, target, HEIGHT, WIDTH)
    np.testing.assert_allclose(found, all_written(A, target), rtol=1e-5, atol=1e-5)
    traced = function(lambda x: boxes.convert_format(x, source, target, HEIGHT, WIDTH))
    np.testing.assert_array_equal(traced(given), found)
    table = boxes.convert_format({"boxes": given}, source, target, HEIGHT, WIDTH)
    np.testing.assert_array_equal(table["boxes"], found)


def pixels(box) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = (int(n) for n in box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def counted(a, b) -> float:
    return len(pixels(a) & pixels(b)) / len(pixels(a) | pixels(b))


@pytest.mark.parametrize("name", boxes.SUPPORTED_FORMATS)
def test_overlaps_are_those_of_pixels(name) -> None:
    expected = [
        [[counted(a, b) for b in y] for a in x] for x, y in zip(A, B, strict=True)
    ]
    given = [all_written(x, name) for x in (A, B)]
    image = (HEIGHT, WIDTH, 3)
    found = boxes.compute_iou(*given, name, image_shape=image)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    flat = boxes.compute_iou(given[0][1], given[1][1], name, image_shape=image)
    np.testing.assert_allclose(flat, expected[1], rtol=1e-4, atol=1e-5)


def test_masked_overlaps() -> None:
    given = B[0].copy()
    given[1] = -1
    found = np.asarray(boxes.compute_iou(A[0], given, "xyxy", True, mask_val=-7.0))
    assert (found[:, 1] == -7).all() and (np.delete(found, 1, 1) >= 0).all()


def complete(a, b) -> float:
    """Equations 7, 8 and 11 of Zheng et al."""
    (x1, y1, x2, y2), (u1, v1, u2, v2) = a.tolist(), b.tolist()
    distance = ((x1 + x2 - u1 - u2) / 2) ** 2 + ((y1 + y2 - v1 - v2) / 2) ** 2
    diagonal = (max(x2, u2) - min(x1, u1)) ** 2 + (max(y2, v2) - min(y1, v1)) ** 2
    turn = math.atan((u2 - u1) / (v2 - v1)) - math.atan((x2 - x1) / (y2 - y1))
    v = 4 / math.pi**2 * turn**2
    iou = counted(a, b)
    return iou - distance / diagonal - v * v / (1 - iou + v)


def test_complete_overlaps() -> None:
    expected = [
        [complete(a, b) for a, b in zip(x, y, strict=True)]
        for x, y in zip(A, B, strict=True)
    ]
    found = boxes.compute_ciou(A, B, "xyxy")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    image = (HEIGHT, WIDTH, 3)
    given = [all_written(x, "rel_xywh") for x in (A, B)]
    found = boxes.compute_ciou(*given, "rel_xywh", image_shape=image)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_borders() -> None:
    found = boxes.clip_to_image_size({"boxes": A, "labels": [[1] * 5] * 2}, 20, 30)
    expected = np.clip(A, 0, [30, 20, 30, 20])
    np.testing.assert_array_equal(found["boxes"], expected)
    sizes = expected[..., 2:] - expected[..., :2]
    np.testing.assert_array_equal(found["labels"], np.where(sizes.prod(-1) > 0, 1, -1))
    inside = boxes.clip_to_image_size({"boxes": A / 40}, bounding_box_format="rel_xyxy")
    np.testing.assert_array_equal(inside["boxes"], np.clip(A / 40, 0, 1))
    assert "labels" not in inside
    moved = boxes.crop(A, 10, 5, 30, 25)
    np.testing.assert_array_equal(
        moved, np.clip(A - [5, 10, 5, 10], 0, [25, 30, 25, 30])
    )
    np.testing.assert_array_equal(boxes.pad(A, 10, 5), A + [5, 10, 5, 10])


def test_affine() -> None:
    angles = [np.float32([n, m]) for n, m in [(30, -20), (5, -9), (3, 12)]]
    moves = [np.float32([n, m]) for n, m in [(0.1, 0.2), (-0.1, 0.3), (1.2, 0.7)]]
    given = np.float32([[[10, 20, 40, 50]], [[0, 0, 99, 79]]])
    found = boxes.affine_transform(
        given, angles[0], *moves, *angles[1:], HEIGHT, WIDTH, 0.2, 0.7
    )
    expected = [
        [[-10.057937622, -7.373815536, 43.360992431, 41.112529754]],
        [[3.895549774, 36.122093200, 101.470024108, 121.610679626]],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    none = np.zeros(2, "float32")
    still = boxes.affine_transform(given, *[none] * 3, none + 1, none, none, 80, 100)
    np.testing.assert_allclose(still, given, atol=1e-4)


@pytest.mark.parametrize("variance", [None, [0.1, 0.1, 0.2, 0.2]])
@pytest.mark.parametrize("encoding", ["center_xywh", "center_yxhw"])
def test_anchors(encoding, variance) -> None:
    a, b = all_written(A, encoding), all_written(B, encoding)
    expected = np.concatenate(
        [(b[..., :2] - a[..., :2]) / a[..., 2:], np.log(b[..., 2:] / a[..., 2:])], -1
    ) / (1 if variance is None else np.array(variance))
    options = (encoding, variance)
    given = A, all_written(B, "xywh")
    found = boxes.encode_box_to_deltas(*given, "xyxy", "xywh", *options)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    back = boxes.decode_deltas_to_boxes(A, found, "xyxy", "xywh", *options)
    np.testing.assert_allclose(back, given[1], rtol=1e-4, atol=1e-4)
    levels = {"p3": (A, found), "p4": (B, ops.zeros_like(found))}
    several = boxes.decode_deltas_to_boxes(
        *({k: pair[i] for k, pair in levels.items()} for i in (0, 1)),
        *("xyxy", "xyxy", *options),
    )
    np.testing.assert_allclose(several["p4"], B, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: boxes.convert_format(A, "xy", "xyxy"), ValueError),
        (lambda: boxes.convert_format(A[..., :3], "xywh", "xyxy"), ValueError),
        (lambda: boxes.convert_format(A, "rel_xywh", "xyxy"), ValueError),
        (lambda: boxes.crop(A, 1, 1, 1, 1, "xywh"), NotImplementedError),
        (lambda: boxes.compute_iou(A[0, 0], A, "xyxy"), ValueError),
        (lambda: boxes.compute_iou(A, A, "rel_xyxy"), ValueError),
        (lambda: boxes.compute_ciou(A, A, "rel_xyxy"), ValueError),
        (lambda: boxes.encode_box_to_deltas(A, A, *["xyxy"] * 3), ValueError),
        (
            lambda: boxes.encode_box_to_deltas(A, A, *["xyxy"] * 2, variance=[1.0]),
            ValueError,
        ),
        (lambda: boxes.clip_to_image_size({"boxes": A}), ValueError),
        (
            lambda: boxes.clip_to_image_size({"boxes": A}, bounding_box_format="xywh"),
            NotImplementedError,
        ),
    ],
)
def test_errors_are_those_of_keras(call, error) -> None:
    with pytest.raises(error, match=r"^\["):
        call()
