# SPDX-License-Identifier: Apache-2.0
"""What ops on images (batch, 1 to 3 spatial axes, channels) have in common."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float
from fastnn.opset._opdef import Spec

Ints = tuple[int, ...]


def spatial_rank(name: str, x: Spec) -> int:
    """Number of spatial axes of images; raises unless there are 1 to 3."""
    check_float(name, x.dtype)
    if not 3 <= len(x.shape) <= 5:
        raise ShapeError(
            f"[{name}] needs (batch, 1 to 3 spatial axes, channels), received {x.shape}"
        )
    return len(x.shape) - 2


def check_axes(name: str, rank: int, **values: Ints) -> None:
    """One number per spatial axis of every attribute."""
    for label, value in values.items():
        if len(value) != rank:
            raise ShapeError(
                f"[{name}] {label} needs {rank} numbers, one per spatial axis, "
                f"received {value}"
            )


@lru_cache(maxsize=512)
def same_or_valid(
    sizes: Ints, window: Ints, strides: Ints, dilation: Ints, padding: str
) -> tuple[Ints, Ints]:
    """Pads in front and output sizes, as TensorFlow defines 'same' and 'valid'."""
    low, out = [], []
    for n, w, s, d in zip(sizes, window, strides, dilation, strict=True):
        span = (w - 1) * d + 1
        if padding == "same":
            o = -(-n // s)
            low.append(max((o - 1) * s + span - n, 0) // 2)
        else:
            o = max((n - span) // s + 1, 0)
            low.append(0)
        out.append(o)
    return tuple(low), tuple(out)


# Kernels compute places with 64 bits; what is placed fits into 32.
LARGEST = 2**31 - 1


def check_reach(name: str, what: str, *numbers: int) -> None:
    """ShapeError where a size that a kernel computes with is beyond 2^31 - 1."""
    if max(numbers, default=0) > LARGEST:
        raise ShapeError(
            f"[{name}] {what} exceeds {LARGEST} (2^31 - 1) elements: choose smaller "
            f"windows, strides, dilations or pads"
        )


def check_extent(
    name: str, size: Ints, window: Ints, strides: Ints, dilation: Ints, pads: Ints
) -> None:
    """The window has elements, and 32 bits hold what a kernel computes with.

    `pads` are those in front of every axis, then those behind (or none of these).
    """
    if min(window) < 1:
        raise ShapeError(
            f"[{name}] a kernel of {window} has no elements: every size must be "
            f"positive"
        )
    check_reach(name, f"a stride of {strides}", *strides)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    what = f"the reach {reach} of a kernel of {window} dilated by {dilation}"
    check_reach(name, what, *reach, *dilation)
    padded = list(size)
    for i, n in enumerate(pads):
        padded[i % len(size)] += abs(n)
    what = f"the area of an image of {size} with pads {pads}"
    check_reach(name, what, prod(max(n, 1) for n in padded))


def sizes_of(x: Any) -> Ints:
    """The spatial sizes of a tensor, array or spec of images."""
    return tuple(x.shape[1:-1])


def check_bias(name: str, bias: Spec, channels: int) -> None:
    if bias.shape not in ((0,), (channels,)):
        raise ShapeError(
            f"[{name}] bias must be ({channels},), or (0,) for none, "
            f"received {bias.shape}"
        )


def no_bias(c: Any, like: Any) -> Any:
    """No bias."""
    return c.constant(np.zeros(0, like.dtype))


def bias_gradient(c: Any, dz: Any) -> Any:
    if not c.needs("b") or c.shape_of("b") == (0,):
        return None
    return c.op.sum(dz, tuple(range(len(dz.shape) - 1)), False)
