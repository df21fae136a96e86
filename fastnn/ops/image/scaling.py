# SPDX-License-Identifier: Apache-2.0
"""`scale_and_translate`: resampling with any scale and offset."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import axis_of, to_float
from fastnn.ops.image._batches import one_of


def _linear(x: Tensor) -> Tensor:
    return raw.relu(raw.subtract(1.0, x))


def _cubic(x: Tensor) -> Tensor:
    """Keys's kernel with a = -1/2 (IEEE TASSP 29, 1981)."""

    def polynomial(*factors: float) -> Tensor:
        y = raw.multiply(x, factors[0])
        for f in factors[1:-1]:
            y = raw.multiply(raw.add(y, f), x)
        return raw.add(y, factors[-1])

    near, far = polynomial(1.5, -2.5, 0.0, 1.0), polynomial(-0.5, 2.5, -4.0, 2.0)
    y = raw.where(raw.less(x, 1.0), near, far)
    return raw.where(raw.less(x, 2.0), y, 0.0)


def _lanczos(x: Tensor, radius: float) -> Tensor:
    """sinc(x) sinc(x / radius) within the radius."""
    close = raw.less_equal(x, 1e-3)
    away = raw.multiply(raw.where(close, 1.0, x), math.pi)
    y = raw.multiply(raw.sin(away), raw.sin(raw.multiply(away, 1 / radius)))
    y = raw.divide(raw.multiply(y, radius), raw.square(away))
    return raw.where(raw.greater(x, radius), 0.0, raw.where(close, 1.0, y))


_KERNELS: dict[str, Any] = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _linear),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": lambda x: _lanczos(x, 3.0),
    "lanczos5": lambda x: _lanczos(x, 5.0),
}


def _weights(
    n: int, m: int, scale: Tensor, offset: Tensor, kernel: Any, antialias: bool
) -> Tensor:
    """(n, m): what each of n elements gives to each of m results."""
    step = raw.reciprocal(scale)
    places = Tensor((np.arange(m) + 0.5).astype(scale.dtype))
    place = raw.subtract(raw.multiply(raw.subtract(places, offset), step), 0.5)
    elements = Tensor(np.arange(n).astype(scale.dtype).reshape(n, 1))
    away = raw.abs(raw.subtract(raw.reshape(place, (1, m)), elements))
    if antialias:
        away = raw.divide(away, raw.maximum(step, 1.0))
    w = kernel(away)
    total = raw.sum(w, (0,), True)
    some = raw.greater(raw.abs(total), 1000 * float(np.finfo("float32").eps))
    within = raw.logical_and(
        raw.greater_equal(place, -0.5), raw.less_equal(place, n - 0.5)
    )
    some = raw.logical_and(some, raw.reshape(within, (1, m)))
    return raw.where(some, raw.divide(w, raw.where(some, total, 1.0)), 0.0)


def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Tensor:
    """images resampled: what is at x goes to x * scale + translation.

    Pixels are areas with centres at 1/2, 3/2, ...; what comes from outside is 0.

    Args:
        images: tensor of any rank.
        output_shape: the shape of the result: that of images but for `spatial_dims`.
        scale, translation: (len(spatial_dims),): one number per resampled axis.
        spatial_dims: the axes that are resampled.
        method: "linear" ("bilinear", "trilinear"), "cubic" ("bicubic", "tricubic"),
            "lanczos3" or "lanczos5".
        antialias: widen the kernel where scale < 1, so that every input counts.

    Returns:
        A float tensor of `output_shape`, differentiable in scale and translation too.

    Raises:
        ValueError: for a method that does not exist.
        ShapeError: for shapes that do not go together.
    """
    name = "scale_and_translate"
    one_of(name, "method", method, _KERNELS)
    x, scales, offsets = to_float(images), to_float(scale), to_float(translation)
    shape = tuple(int(n) for n in convert_to_tensor(output_shape)._concrete(name))
    axes = [axis_of(a, x.ndim, name) for a in spatial_dims]
    kept = all(
        i in axes or n == m
        for i, (n, m) in enumerate(zip(x.shape, shape, strict=False))
    )
    counts = {scales.shape, offsets.shape}
    if len(shape) != x.ndim or not kept or counts != {(len(axes),)}:
        raise ShapeError(
            f"[{name}] output_shape {shape} must be {x.shape} but for the axes {axes}, "
            f"with one scale and one translation for each of these; received "
            f"{scales.shape} and {offsets.shape}"
        )
    for i, axis in enumerate(axes):
        offset = raw.cast(offsets[i], scales.dtype)
        n, m = x.shape[axis], shape[axis]
        w = _weights(n, m, scales[i], offset, _KERNELS[method], bool(antialias))
        w = raw.cast(w, x.dtype)
        order = [d for d in range(x.ndim) if d != axis] + [axis]
        y = raw.matmul(raw.transpose(x, tuple(order)), w)
        x = raw.transpose(y, tuple(order.index(d) for d in range(x.ndim)))
    return x


__all__ = ["scale_and_translate"]
