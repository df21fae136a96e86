# SPDX-License-Identifier: Apache-2.0
"""Blocks of images as channels and windows of images as columns, and their inverses."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._images import Ints, is_channels_first, per_axis
from fastnn.ops.einops import rearrange

# ---- windows -----------------------------------------------------------------------


def _flat_places(sizes: Ints, window: Ints, strides: Ints, dilation: Ints) -> Any:
    """Where the elements of all windows lie: (*windows, *window), in C order."""
    rank = len(sizes)
    place: Any = 0
    for d, (n, w, s, r) in enumerate(
        zip(sizes, window, strides, dilation, strict=True)
    ):
        count = (n - (w - 1) * r - 1) // s + 1
        along = np.arange(count)[:, None] * s + np.arange(w) * r
        shape = [1] * (2 * rank)
        shape[d], shape[rank + d] = along.shape
        place = place * n + along.reshape(shape)
    return place


def _places(
    batch: int, sizes: Ints, window: Ints, strides: Ints, dilation: Ints
) -> tuple[Tensor, Ints]:
    """(those of one for each of a batch, flat; the shape of those of one)."""
    spans = zip(sizes, window, strides, dilation, strict=True)
    counts = tuple((n - (w - 1) * r - 1) // s + 1 for n, w, s, r in spans)
    shape = (*counts, *window)

    def every() -> np.ndarray:
        flat = _flat_places(sizes, window, strides, dilation).reshape(1, -1)
        return np.broadcast_to(flat, (batch, flat.size))

    return constant((batch, prod(shape)), "int32", every), shape


def _side_by_side(window: Ints, strides: Ints, dilation: Ints) -> bool:
    return window == strides and set(dilation) == {1}


def _interleaved(rank: int) -> Ints:
    """(batch, o0, w0, o1, w1, ..., c) to (batch, o0, o1, ..., w0, w1, ..., c)."""
    odd, even = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    return (0, *odd, *even, 2 * rank + 1)


def windows(x: Tensor, window: Ints, strides: Ints, dilation: Ints) -> Tensor:
    """(batch, *sizes, channels) to (batch, *windows, *window, channels)."""
    sizes, rank = x.shape[1:-1], len(window)
    batch, channels = x.shape[0], x.shape[-1]
    if _side_by_side(window, strides, dilation):
        axes = list(zip(sizes, window, strict=True))
        whole = tuple((0, n // w * w, 1) for n, w in axes)
        if any(n % w for n, w in axes):
            x = raw.slice(x, ((None, None, 1), *whole, (None, None, 1)))
        pairs = [v for n, w in axes for v in (n // w, w)]
        y = raw.reshape(x, (batch, *pairs, channels))
        return raw.transpose(y, _interleaved(rank))
    places, shape = _places(batch, sizes, window, strides, dilation)
    rows = raw.reshape(x, (batch, prod(sizes), channels))
    y = raw.batch_take(rows, places)
    return raw.reshape(y, (batch, *shape, channels))


def united(y: Tensor, sizes: Ints, strides: Ints, dilation: Ints) -> Tensor:
    """(batch, *windows, *window, channels) added up where they lie in *sizes."""
    rank = len(sizes)
    window, batch, channels = y.shape[1 + rank : -1], y.shape[0], y.shape[-1]
    if _side_by_side(window, strides, dilation):
        order = _interleaved(rank)
        back = tuple(sorted(range(len(order)), key=order.__getitem__))
        covered = tuple(n // w * w for n, w in zip(sizes, window, strict=True))
        y = raw.reshape(raw.transpose(y, back), (batch, *covered, channels))
        if covered == sizes:
            return y
        rest = (n - c for n, c in zip(sizes, covered, strict=True))
        zero = Tensor(np.zeros((), y.dtype))
        return raw.pad(y, zero, (0,) * (rank + 2), (0, *rest, 0))
    places, shape = _places(batch, sizes, window, strides, dilation)
    wide = integers.cast(y, integers.wide_dtype("fold", y.dtype))
    rows = raw.reshape(wide, (batch, prod(shape), channels))
    total = raw.batch_take_grad(rows, places, prod(sizes))
    return raw.reshape(integers.cast(total, y.dtype), (batch, *sizes, channels))


def coverage(sizes: Ints, window: Ints, strides: Ints) -> np.ndarray | None:
    """In how many windows each element lies, (*sizes, 1); None where in one at most."""
    ones = (1,) * len(sizes)
    if all(s >= w for s, w in zip(strides, window, strict=True)):
        return None
    places = _flat_places(sizes, window, strides, ones)
    return np.bincount(places.ravel(), minlength=prod(sizes)).reshape(*sizes, 1)


def check_fit(name: str, sizes: Ints, window: Ints, dilation: Ints) -> None:
    """ShapeError where windows are larger than images."""
    span = tuple((w - 1) * r + 1 for w, r in zip(window, dilation, strict=True))
    if any(s > n for s, n in zip(span, sizes, strict=True)):
        raise ShapeError(
            f"[{name}] windows of {span} do not fit into images of {sizes}: use more "
            f"padding or a smaller window"
        )


def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Windows of images as columns (im2col), as `torch.nn.functional.unfold`.

    Args:
        x: (batch, channels, height, width).
        kernel_size: rows and columns of a window, or one number for both.
        dilation: distance between its elements.
        padding: zeros on both sides of each axis.
        stride: distance between windows.

    Returns:
        (batch, channels * rows * columns, windows).

    Raises:
        ShapeError: for another rank, and windows larger than the images.
    """
    name = "unfold"
    t = convert_to_tensor(x)
    if t.ndim != 4:
        raise ShapeError(
            f"[{name}] needs (batch, channels, height, width), received {t.shape}"
        )
    window, rates, steps = _options(name, kernel_size, dilation, stride)
    low = per_axis(name, "padding", padding, 2, least=0)
    if any(low):
        t = raw.pad(t, Tensor(np.zeros((), t.dtype)), (0, 0, *low), (0, 0, *low))
    batch, channels = t.shape[:2]
    check_fit(name, t.shape[2:], window, rates)
    y = windows(raw.transpose(t, (0, 2, 3, 1)), window, steps, rates)
    count = y.shape[1] * y.shape[2]
    y = raw.transpose(y, (0, 5, 3, 4, 1, 2))
    return raw.reshape(y, (batch, channels * prod(window), count))


def _options(name: str, kernel_size: Any, dilation: Any, stride: Any) -> Any:
    return (
        per_axis(name, "kernel_size", kernel_size, 2),
        per_axis(name, "dilation", dilation, 2),
        per_axis(name, "stride", stride, 2),
    )


def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns added up where `unfold` found them (col2im), as torch's `fold`.

    Args:
        x: (batch, channels * rows * columns, windows).
        output_size: height and width of the images, or one number for both.
        kernel_size, dilation, padding, stride: as given to `unfold`.

    Returns:
        (batch, channels, height, width).

    Raises:
        ShapeError: where x has another rank, or other sizes than `unfold` gives.
    """
    name = "fold"
    t = convert_to_tensor(x)
    window, rates, steps = _options(name, kernel_size, dilation, stride)
    size = per_axis(name, "output_size", output_size, 2)
    low = per_axis(name, "padding", padding, 2, least=0)
    wide = (size[0] + 2 * low[0], size[1] + 2 * low[1])
    check_fit(name, wide, window, rates)
    count = tuple(
        (n - (w - 1) * r - 1) // s + 1
        for n, w, r, s in zip(wide, window, rates, steps, strict=True)
    )
    if t.ndim != 3 or t.shape[1] % prod(window) or t.shape[2] != prod(count):
        raise ShapeError(
            f"[{name}] needs (batch, channels * {prod(window)}, {prod(count)}) for "
            f"images of {size}, received {t.shape}"
        )
    batch, channels = t.shape[0], t.shape[1] // prod(window)
    y = raw.reshape(t, (batch, channels, *window, *count))
    y = united(raw.transpose(y, (0, 4, 5, 2, 3, 1)), wide, steps, rates)
    y = raw.transpose(y, (0, 3, 1, 2))
    return y[:, :, low[0] : wide[0] - low[0], low[1] : wide[1] - low[1]]


# ---- blocks as channels ------------------------------------------------------------


def _blocks(name: str, x: Any, block_size: Any, data_format: str | None) -> Any:
    t = convert_to_tensor(x)
    if t.ndim != 4:
        raise ShapeError(f"[{name}] needs images of rank 4, received shape {t.shape}")
    (b,) = per_axis(name, "block_size", block_size, 1, least=0)
    if b < 2:
        raise ValueError(f"[{name}] block_size must be at least 2, received {b}")
    return t, b, is_channels_first(name, data_format)


def depth_to_space(
    x: Any, block_size: int, data_format: str | None = "channels_last"
) -> Tensor:
    """Channels spread over blocks of pixels (arXiv:1609.05158).

    Args:
        x: (batch, height, width, channels), or channels first.
        block_size: rows and columns b of a block.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        (batch, height * b, width * b, channels / b^2). With channels last the channels
        of a pixel are (row, column, channel), with channels first (channel, row,
        column).

    Raises:
        ShapeError: for other ranks, and channels that are no multiple of b^2.
        ValueError: for a block_size less than 2.
    """
    t, b, first = _blocks("depth_to_space", x, block_size, data_format)
    channels = t.shape[1 if first else 3]
    if channels % (b * b):
        raise ShapeError(
            f"[depth_to_space] {channels} channels are no multiple of {b}^2 = {b * b}"
        )
    pattern = (
        "n (c a b) h w -> n c (h a) (w b)"
        if first
        else "n h w (a b c) -> n (h a) (w b) c"
    )
    return rearrange(t, pattern, a=b, b=b, c=channels // (b * b))


def space_to_depth(
    x: Any, block_size: int, data_format: str | None = "channels_last"
) -> Tensor:
    """Blocks of pixels as channels: the inverse of `depth_to_space`.

    Args:
        x: (batch, height, width, channels), or channels first.
        block_size: rows and columns b of a block.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        (batch, height / b, width / b, channels * b^2), or channels first.

    Raises:
        ShapeError: for other ranks, and sizes that are no multiples of b.
        ValueError: for a block_size less than 2.
    """
    t, b, first = _blocks("space_to_depth", x, block_size, data_format)
    height, width = t.shape[2:] if first else t.shape[1:3]
    if height % b or width % b:
        raise ShapeError(
            f"[space_to_depth] images of {(height, width)} are no whole blocks of {b}"
        )
    pattern = (
        "n c (h a) (w b) -> n (c a b) h w"
        if first
        else "n (h a) (w b) c -> n h w (a b c)"
    )
    return rearrange(t, pattern, a=b, b=b, h=height // b, w=width // b)


__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]
