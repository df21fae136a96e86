# SPDX-License-Identifier: Apache-2.0
"""Patches of images and volumes, and images made of patches."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import Ints, per_axis, placement
from fastnn.ops._promote import to_float
from fastnn.ops.image._batches import back_to, close_images, one_of, open_images
from fastnn.ops.patches import coverage, united, windows


def _rank_of(name: str, size: Any) -> int:
    """2 or 3 spatial axes: as many as sizes, 2 for one number."""
    if isinstance(size, (tuple, list)):
        if len(size) in (2, 3):
            return len(size)
        raise ValueError(
            f"[{name}] size must have 2 numbers for images or 3 for volumes, received "
            f"{size!r}"
        )
    if not isinstance(size, (int, np.integer)):
        raise TypeError(
            f"[{name}] size must be an integer or a tuple of them, received {size!r}"
        )
    return 2


def _pads(
    name: str, sizes: Ints, window: Ints, strides: Ints, rates: Ints, padding: str
) -> tuple[Ints, Ints, Ints]:
    """Zeros before and after, and the number of windows."""
    low, out = placement(name, sizes, window, strides, rates, padding)
    axes = zip(out, strides, window, rates, sizes, low, strict=True)
    high = tuple(
        max((o - 1) * s + (w - 1) * r + 1 - n - p, 0) for o, s, w, r, n, p in axes
    )
    return low, high, out


def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images, each as the channels of one place.

    Args:
        images: (batch, height, width, channels) or one image, or channels first; with
            a size of three numbers volumes (batch, depth, height, width, channels).
        size: rows and columns of a patch, or one number for both.
        strides: distance between patches; None is `size`: they lie side by side.
        dilation_rate: distance between the pixels of a patch.
        padding: "valid" or "same" (zeros around).
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        (batch, rows, columns, product of size * channels) in the dtype of images, or
        channels first. The elements of a patch are in the order (row, column, channel).

    Raises:
        ShapeError: for other ranks, and patches larger than unpadded images.
        TypeError, ValueError: for a size that is neither.
    """
    name = "extract_patches"
    rank = _rank_of(name, size)
    return _extract(
        name, rank, images, size, strides, dilation_rate, padding, data_format
    )


def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes (batch, depth, height, width, channels)."""
    name = "extract_patches_3d"
    return _extract(
        name, 3, volumes, size, strides, dilation_rate, padding, data_format
    )


def _extract(
    name: str,
    rank: int,
    images: Any,
    size: Any,
    strides: Any,
    dilation_rate: Any,
    padding: str,
    data_format: str | None,
) -> Tensor:
    window = per_axis(name, "size", size, rank)
    steps = window if strides is None else per_axis(name, "strides", strides, rank)
    rates = per_axis(name, "dilation_rate", dilation_rate, rank)
    x, single, first = open_images(name, images, data_format, rank + 2)
    low, high, out = _pads(name, x.shape[1:-1], window, steps, rates, padding)
    if any((*low, *high)):
        zero = Tensor(np.zeros((), x.dtype))
        x = raw.pad(x, zero, (0, *low, 0), (0, *high, 0))
    y = windows(x, window, steps, rates)
    y = raw.reshape(y, (x.shape[0], *out, prod(window) * x.shape[-1]))
    return close_images(y, single, first)


def reconstruct_patches(
    patches: Any,
    size: Any,
    output_size: Any = None,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Images made of the patches that `extract_patches` gave (Keras 3.16).

    Args:
        patches: (batch, rows, columns, product of size * channels), or channels first.
        size: rows and columns of a patch; three numbers for volumes.
        output_size: height and width of the images; needed for padding "same", which
            patches do not show. None: as far as the patches reach.
        strides: distance between patches; None is `size`.
        padding: as given to `extract_patches`.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        reduction: "mean" or "sum" of the patches that cover a pixel. With "mean"
            the images come back, 0 where no patch was.

    Returns:
        (batch, *output_size, channels) in the dtype of patches, or channels first.

    Raises:
        ShapeError: where the sizes do not go together.
        ValueError: for padding "same" without output_size, or an unknown reduction.
    """
    name = "reconstruct_patches"
    one_of(name, "reduction", reduction, ("mean", "sum"))
    rank = _rank_of(name, size)
    window = per_axis(name, "size", size, rank)
    steps = window if strides is None else per_axis(name, "strides", strides, rank)
    x, single, first = open_images(name, patches, data_format, rank + 2)
    grid, ones = x.shape[1:-1], (1,) * rank
    if output_size is None:
        if str(padding).lower() != "valid":
            raise ValueError(f'[{name}] padding="same" needs output_size')
        output_size = tuple(
            (g - 1) * s + w for g, s, w in zip(grid, steps, window, strict=True)
        )
    sizes = per_axis(name, "output_size", output_size, rank)
    low, high, out = _pads(name, sizes, window, steps, ones, padding)
    if out != grid or x.shape[-1] % prod(window):
        raise ShapeError(
            f"[{name}] images of {sizes} have {out} patches with a multiple of "
            f"{prod(window)} elements, received patches of shape {x.shape}"
        )
    channels = x.shape[-1] // prod(window)
    wide = tuple(low[d] + sizes[d] + high[d] for d in range(rank))
    y = raw.reshape(x, (x.shape[0], *grid, *window, channels))
    y = united(y, wide, steps, ones)
    count = coverage(wide, window, steps) if reduction == "mean" else None
    if count is not None:
        f = to_float(y)
        share = Tensor((1 / np.maximum(count, 1)).astype(f.dtype))
        y = back_to(y.dtype, raw.multiply(f, share), rounded=True)
    inside = [slice(low[d], low[d] + sizes[d]) for d in range(rank)]
    return close_images(y[(slice(None), *inside)], single, first)


__all__ = ["extract_patches", "extract_patches_3d", "reconstruct_patches"]
