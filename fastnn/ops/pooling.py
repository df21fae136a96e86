# SPDX-License-Identifier: Apache-2.0
"""Pooling with Keras's signatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff._tape import state
from fastnn.autodiff.indexing import known_values
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import (
    Ints,
    channels_first,
    channels_last,
    is_channels_first,
    per_axis,
    placement,
)
from fastnn.ops._promote import to_float
from fastnn.opset._dtypes import RANGE, is_float
from fastnn.opset.pool import longest_window


def _max(x: Tensor, *attrs: Ints) -> Tensor:
    if state().tapes:  # a gradient may follow: keep where each maximum was
        return raw.max_pool_with_index(x, *attrs)[0]
    return raw.max_pool(x, *attrs)


def _average(x: Tensor, *attrs: Ints) -> Tensor:
    return raw.average_pool(x, *attrs)


_KERNELS: dict[str, Any] = {"max_pool": _max, "average_pool": _average}


EXACT = 2**53  # so large are the integers that float64 has all of


def _exact_floats(name: str, x: Tensor) -> Tensor:
    """Integers as floats that tell all of them apart."""
    if is_float(x.dtype):
        return x
    low, high = RANGE.get(x.dtype, (0, 1))
    if max(-low, high) <= 2**24:
        return raw.cast(x, "float32")
    if max(-low, high) > EXACT:
        values = known_values(x)
        if values is None or (
            values.size and (values.max() > EXACT or values.min() < -EXACT)
        ):
            raise TypeError(
                f"[{name}] compares float64, which cannot tell all {x.dtype} beyond "
                f"2^53 apart: cast the inputs to int32 or float64 first"
            )
    return raw.cast(x, "float64")


def _images(name: str, inputs: Any) -> Tensor:
    x = to_float(inputs)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"[{name}] needs (batch, 1 to 3 spatial axes, channels), received {x.shape}"
        )
    return x


def _pool(
    name: str,
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
) -> Tensor:
    x = _images(name, inputs)
    first = is_channels_first(name, data_format)
    if isinstance(pool_size, np.ndarray):
        pool_size = pool_size.tolist()
    steps = pool_size if strides is None else strides
    if isinstance(pool_size, (tuple, list)) and len(pool_size) == x.ndim:
        return _tensorflow_pool(name, x, pool_size, steps, padding, first)
    if first:
        x = channels_last(x)
    rank = x.ndim - 2
    window = per_axis(name, "pool_size", pool_size, rank)
    moves = per_axis(name, "strides", steps, rank)
    low, out = placement(name, x.shape[1:-1], window, moves, (1,) * rank, padding)
    y = _KERNELS[name](x, window, moves, low, out)
    return channels_first(y) if first else y


def _tensorflow_pool(
    name: str, x: Tensor, pool_size: Any, strides: Any, padding: str, first: bool
) -> Tensor:
    """Windows with a size for every axis, as `tf.nn.max_pool` takes them.

    They slide over the spatial axes or over the channels, not over both.
    """
    window = per_axis(name, "pool_size", pool_size, x.ndim)
    moves = per_axis(name, "strides", strides, x.ndim)
    channel = 1 if first else x.ndim - 1
    spatial = tuple(i for i in range(1, x.ndim) if i != channel)
    size, step = (tuple(v[i] for i in spatial) for v in (window, moves))
    if window[0] != 1 or moves[0] != 1:
        raise ValueError(f"[{name}] cannot pool over the batch, received {pool_size}")
    if window[channel] == moves[channel] == 1:
        form = "channels_first" if first else "channels_last"
        return _pool(name, x, size, step, padding, form)
    if any(n != 1 for n in size + step):
        raise ValueError(
            f"[{name}] cannot pool over channels and spatial axes at once, received "
            f"{pool_size}: pool twice"
        )
    share = window[channel]
    if share != moves[channel] or x.shape[channel] % share:
        raise ShapeError(
            f"[{name}] over channels, the strides must equal the window and divide "
            f"the {x.shape[channel]} channels; received {share} and "
            f"{moves[channel]}"
        )
    if first:
        x = channels_last(x)
    # An image row becomes an image whose only spatial axis has the channels.
    lead, columns = x.shape[:-2], x.shape[-2]
    rows = raw.reshape(x, (_product(lead), columns, x.shape[-1]))
    shares = (x.shape[-1] // share,)
    turned = raw.transpose(rows, (0, 2, 1))
    y = _KERNELS[name](turned, (share,), (share,), (0,), shares)
    y = raw.reshape(raw.transpose(y, (0, 2, 1)), (*lead, columns, *shares))
    return channels_first(y) if first else y


def _product(numbers: Ints) -> int:
    n = 1
    for m in numbers:
        n *= m
    return n


def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Largest element of each window.

    Args:
        inputs: (batch, 1 to 3 spatial axes, channels), or channels second.
        pool_size: size of the window, one number or one per spatial axis; or one per
            axis of `inputs`, with which a window may lie across channels.
        strides: step of the window; `pool_size` when None.
        padding: "valid" (whole windows only) or "same" (ceil(size / stride) outputs).
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        Images with the same batch and channels. A NaN wins over all; the gradient goes
        to the first of equals.
    """
    x = convert_to_tensor(inputs)
    floats = _exact_floats("max_pool", x)
    y = _pool("max_pool", floats, pool_size, strides, padding, data_format)
    return y if y.dtype == x.dtype else raw.cast(y, x.dtype)


def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Mean of each window, padding not counted; arguments as `max_pool`."""
    return _pool("average_pool", inputs, pool_size, strides, padding, data_format)


def _adaptive(
    name: str, kernel: str, inputs: Any, output_size: Any, data_format: str | None
) -> Tensor:
    x = _images(name, inputs)
    first = is_channels_first(name, data_format)
    if first:
        x = channels_last(x)
    sizes, rank = x.shape[1:-1], x.ndim - 2
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
    given = tuple(given) * rank if len(given) == 1 else tuple(given)
    if len(given) == rank:  # None keeps the size of its axis
        given = tuple(n if m is None else m for n, m in zip(sizes, given, strict=True))
    out = per_axis(name, "output_size", given, rank)
    if 0 in sizes:
        raise ShapeError(f"[{name}] images of {sizes} have no elements")
    window = tuple(map(longest_window, sizes, out))
    none = (0,) * rank
    y = _KERNELS[kernel](x, window, none, none, out)
    return channels_first(y) if first else y


def adaptive_max_pool(
    inputs: Any, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Largest element of windows chosen so that `output_size` of them cover the image.

    Output o of m covers inputs floor(o n / m) to ceil((o + 1) n / m) of n (Keras,
    torch.nn.AdaptiveMaxPool2d).
    """
    name = "adaptive_max_pool"
    x = convert_to_tensor(inputs)
    floats = _exact_floats(name, x)
    y = _adaptive(name, "max_pool", floats, output_size, data_format)
    return y if y.dtype == x.dtype else raw.cast(y, x.dtype)


def adaptive_average_pool(
    inputs: Any, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Mean of the windows of `adaptive_max_pool`."""
    name = "adaptive_average_pool"
    return _adaptive(name, "average_pool", inputs, output_size, data_format)


__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]
