# SPDX-License-Identifier: Apache-2.0
"""Resize and Upsample: a matrix of weights per axis, or places where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.layout import first, last
from fastnn.onnx.importing.shapes import affordable
from fastnn.onnx.importing.table import Node, UnsupportedError, host, reads, tensor


@reads("Upsample", constants="1")
def _upsample(node: Node, x: Any, scales: Any = None) -> Any:
    x = tensor(x)
    factors = node.get("scales") if scales is None else host(scales, node.op)
    sizes = [int(n * s) for n, s in zip(x.shape, factors, strict=True)]
    settings = {
        "mode": node.get("mode", "nearest"),
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return resized(x, range(x.ndim), sizes, factors, settings)


@reads("Resize", constants="1 2 3")
def _resize(
    node: Node, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None
) -> Any:
    x = tensor(x)
    if node.opset < 11:
        return _upsample(node, x, roi)
    axes = [a % x.ndim for a in node.get("axes") or range(x.ndim)]
    known = [x.shape[a] for a in axes]
    factors = [] if scales is None else list(np.ravel(host(scales, node.op, "scales")))
    if factors:
        out = [int(n * s) for n, s in zip(known, factors, strict=True)]
    else:
        out = [int(v) for v in np.ravel(host(sizes, node.op, "sizes"))]
        factors = [o / n for o, n in zip(out, known, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            choose = min if policy == "not_larger" else max
            factors = [choose(factors)] * len(factors)
            out = [int(np.floor(n * factors[0] + 0.5)) for n in known]
    box = None if roi is None else np.ravel(host(roi, node.op, "roi"))
    return resized(x, axes, out, factors, node.attrs, box)


def resized(
    x: Tensor, axes: Any, sizes: Any, factors: Any, settings: Any, roi: Any = None
) -> Tensor:
    """x with other sizes of some axes."""
    whole = list(x.shape)
    for axis, out in zip(axes, sizes, strict=True):
        whole[axis] = out
        affordable((out, x.shape[axis]), "Resize")  # the matrix of weights
    affordable(whole, "Resize")
    work = [
        (axis, out, float(factor), i)
        for i, (axis, out, factor) in enumerate(zip(axes, sizes, factors, strict=True))
        if out != x.shape[axis] or roi is not None or factor != 1
    ]
    if _is_native(x, work, settings):
        return first(raw.resize(last(x), "bilinear", False, tuple(whole[2:])))
    for axis, out, factor, i in work:
        half = 0 if roi is None else len(roi) // 2
        box = None if roi is None or not len(roi) else (roi[i], roi[half + i])
        x = _one_axis(x, axis, out, factor, settings, box)
    return x


def _is_native(x: Tensor, work: Any, settings: Any) -> bool:
    """Whether it is what fastnn's own op computes."""
    if settings.get("mode") != "linear" or x.ndim != 4:
        return False
    mode = settings.get("coordinate_transformation_mode", "half_pixel")
    fits = all(out == x.shape[a] * f and a >= 2 for a, out, f, _ in work)
    plain = not settings.get("exclude_outside", 0) and not settings.get("antialias", 0)
    return mode == "half_pixel" and fits and plain and x.dtype == "float32"


def _one_axis(
    x: Tensor, axis: int, out: int, factor: float, settings: Any, box: Any
) -> Tensor:
    size = x.shape[axis]
    at = _positions(size, out, factor, settings, box)
    mode = settings.get("mode", "nearest")
    mode = mode if isinstance(mode, str) else mode.decode()
    outside = None
    if settings.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        outside = (at < 0) | (at > size - 1)
    if mode == "nearest":
        places = np.clip(_nearest(at, settings.get("nearest_mode")), 0, size - 1)
        y = ops.take(x, places.astype(np.int64), axis=axis)
    else:
        weights = _weights(at, size, factor, mode, settings)
        dtype = x.dtype if x.dtype in ("float32", "float64") else "float32"
        wide = ops.moveaxis(ops.cast(x, dtype), axis, -1)
        y = ops.matmul(wide, tensor(weights.T.astype(dtype)))
        y = ops.moveaxis(y, -1, axis)
        y = y if dtype == x.dtype else ops.cast(ops.round(y), x.dtype)
    if outside is not None and outside.any():
        shape = [1] * x.ndim
        shape[axis] = out
        value = np.asarray(settings.get("extrapolation_value", 0.0), y.dtype)
        y = ops.where(tensor(outside.reshape(shape)), tensor(value), y)
    return y


def _positions(size: int, out: int, factor: float, settings: Any, box: Any) -> Any:
    """Where each output element lies among the input's."""
    o = np.arange(out, dtype=np.float64)
    mode = settings.get("coordinate_transformation_mode", "half_pixel")
    exact = size * factor  # how many outputs there would be without rounding
    if mode == "asymmetric":
        return o / factor
    if mode == "align_corners":
        return np.zeros(out) if exact == 1 else o * (size - 1) / (exact - 1)
    if mode == "pytorch_half_pixel":
        return np.full(out, -0.5) if exact == 1 else (o + 0.5) / factor - 0.5
    if mode == "tf_half_pixel_for_nn":
        return (o + 0.5) / factor
    if mode == "half_pixel_symmetric":
        shift = size / 2 * (1 - out / exact)
        return shift + (o + 0.5) / factor - 0.5
    if mode == "tf_crop_and_resize":
        start, end = box
        if out == 1:
            return np.full(1, 0.5 * (start + end) * (size - 1))
        return (start + o * (end - start) / (out - 1)) * (size - 1)
    if mode != "half_pixel":
        raise UnsupportedError(f"[onnx] Resize with coordinates {mode}")
    return (o + 0.5) / factor - 0.5


def _nearest(at: Any, mode: str | None) -> Any:
    if mode == "floor":
        return np.floor(at)
    if mode == "ceil":
        return np.ceil(at)
    if mode == "round_prefer_ceil":
        return np.floor(at + 0.5)
    return np.ceil(at - 0.5)


def _weights(at: Any, size: int, factor: float, mode: str, settings: Any) -> Any:
    """The (outputs, inputs) matrix of an axis; places outside are the border's."""
    scale = min(factor, 1.0) if settings.get("antialias", 0) else 1.0
    radius = 1 if mode == "linear" else 2
    reach = 1 - (int(np.floor(-radius / scale)) + 1)  # elements on either side
    a = settings.get("cubic_coeff_a", -0.75)
    matrix = np.zeros((len(at), size))
    places = np.ceil(at)[:, None] + np.arange(-reach, reach)
    weights = _kernel((places - at[:, None]) * scale, mode, a)
    if settings.get("exclude_outside", 0):
        weights = np.where((places < 0) | (places >= size), 0, weights)
    if settings.get("exclude_outside", 0) or scale < 1:
        weights = weights / weights.sum(1, keepdims=True)
    rows = np.arange(len(at))[:, None]
    inside = np.clip(places, 0, size - 1).astype(int)
    np.add.at(matrix, (np.broadcast_to(rows, inside.shape), inside), weights)
    return matrix


def _kernel(distance: Any, mode: str, a: float) -> Any:
    d = np.abs(distance)
    if mode == "linear":
        return np.clip(1 - d, 0, 1)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
