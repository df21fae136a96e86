# SPDX-License-Identifier: Apache-2.0
"""Convolutions with Keras's signatures, over 1 to 3 spatial axes."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import promote, to_float
from fastnn.opset._dtypes import is_float

Ints = tuple[int, ...]


def _per_axis(name: str, label: str, value: Any, rank: int) -> Ints:
    """One positive integer per spatial axis from an integer or a sequence."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    out = tuple(index(v) for v in values)
    if len(out) != rank or min(out) < 1:
        raise ValueError(
            f"[{name}] {label} must be a positive integer or {rank} of them, "
            f"received {value!r}"
        )
    return out


def _format(name: str, data_format: str | None) -> bool:
    """Whether the channels come first."""
    chosen = config.image_data_format() if data_format is None else data_format
    if chosen not in ("channels_last", "channels_first"):
        raise ValueError(
            f'[{name}] data_format must be "channels_last" or "channels_first", '
            f"received {data_format!r}"
        )
    return chosen == "channels_first"


def _operands(name: str, inputs: Any, kernel: Any) -> tuple[Tensor, Tensor, int]:
    x, w = promote(inputs, kernel)
    if not is_float(x.dtype):
        x, w = to_float(x), to_float(w)
    rank = x.ndim - 2
    if not 1 <= rank <= 3 or w.ndim != x.ndim:
        raise ShapeError(
            f"[{name}] needs inputs of rank 3 to 5 (batch, channels and 1 to 3 spatial "
            f"axes) and a kernel of the same rank, received {x.shape} and {w.shape}"
        )
    return x, w, rank


def _to_last(x: Tensor) -> Tensor:
    return raw.transpose(x, (0, *range(2, x.ndim), 1))


def _to_first(x: Tensor) -> Tensor:
    return raw.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def same_pads(size: Ints, kernel: Ints, strides: Ints, dilations: Ints) -> Ints:
    """Zeros before and behind every axis so that the output has ceil(size / stride)."""
    low, high = [], []
    for n, k, s, d in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        low.append(total // 2)
        high.append(total - total // 2)
    return (*low, *high)


def conv_pads(
    padding: str, size: Ints, kernel: Ints, strides: Ints, dilations: Ints
) -> Ints:
    """The pads of the record `conv` for "valid", "same" or "causal" (one axis)."""
    kind = str(padding).lower()
    if kind == "same":
        return same_pads(size, kernel, strides, dilations)
    if kind == "causal" and len(size) == 1:
        return ((kernel[0] - 1) * dilations[0], 0)
    if kind == "valid":
        return (0,) * (2 * len(size))
    raise ValueError(
        f'[conv] padding must be "valid" or "same", or "causal" with one spatial axis, '
        f"received {padding!r} with {len(size)}"
    )


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution (cross-correlation) over 1, 2 or 3 spatial axes.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) with
            `data_format="channels_first"`.
        kernel: (*size, channels / groups, filters): the number of groups follows.
        strides: step of the output, one integer or one per axis.
        padding: "valid", "same" (the output has ceil(spatial / stride)) or, with one
            spatial axis, "causal" (output t sees no input after t).
        data_format: None is `fastnn.config.image_data_format()`.
        dilation_rate: distance of the kernel's elements, one integer or one per axis.

    Returns:
        (batch, *output, filters), or channels first:
        y[o] = sum_k x[o * stride + k * dilation - pad] kernel[k].
    """
    x, w, rank = _operands("conv", inputs, kernel)
    first = _format("conv", data_format)
    steps = _per_axis("conv", "strides", strides, rank)
    rates = _per_axis("conv", "dilation_rate", dilation_rate, rank)
    if first:
        x = _to_last(x)
    pads = conv_pads(padding, x.shape[1:-1], w.shape[:-2], steps, rates)
    channels, inside = x.shape[-1], w.shape[-2]
    if not inside or channels % inside:
        raise ShapeError(
            f"[conv] {channels} input channels are no multiple of the kernel's "
            f"{inside} (kernel {w.shape}: *size, channels / groups, filters)"
        )
    none = Tensor(np.zeros(0, x.dtype))
    y = raw.conv(x, w, none, steps, rates, pads, channels // inside)
    return _to_first(y) if first else y


def transpose_shape(
    padding: str, size: int, kernel: int, stride: int, rate: int, extra: int | None
) -> tuple[int, int]:
    """Output size and low pad of the transposed convolution along one axis."""
    reach = (kernel - 1) * rate + 1
    if str(padding).lower() == "valid":
        more = max(reach, stride) - reach if extra is None else extra
        return (size - 1) * stride + reach + more, 0
    if str(padding).lower() != "same":
        raise ValueError(
            f'[conv_transpose] padding must be "valid" or "same", received {padding!r}'
        )
    # Keras fixes the zeros around the dilated input; the low pad is what they leave.
    total = stride + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    left = min(total // 2 + total % 2, reach - 1)
    return (size - 1) * stride + total - reach + 2, reach - 1 - left


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Transposed convolution: the input gradient of `conv`, used forwards.

    Args:
        inputs: (batch, *spatial, channels), or channels first.
        kernel: (*size, filters, channels): outputs before inputs.
        strides: factor by which the output is larger.
        padding: "valid" (size (n - 1) * stride + max(kernel, stride)) or "same"
            (n * stride), without `output_padding`.
        output_padding: added to (n - 1) * stride + kernel ("valid"), or to
            (n - 1) * stride + kernel % 2 ("same"); None, one integer or one per axis.
        data_format: None is `fastnn.config.image_data_format()`.
        dilation_rate: distance of the kernel's elements.

    Returns:
        (batch, *output, filters), or channels first.
    """
    name = "conv_transpose"
    x, w, rank = _operands(name, inputs, kernel)
    first = _format(name, data_format)
    steps = _per_axis(name, "strides", strides, rank)
    rates = _per_axis(name, "dilation_rate", dilation_rate, rank)
    given = output_padding
    extra = tuple(given) if isinstance(given, (tuple, list)) else (given,) * rank
    if first:
        x = _to_last(x)
    size, width = x.shape[1:-1], w.shape[:-2]
    if w.shape[-1] != x.shape[-1]:
        raise ShapeError(
            f"[{name}] kernel {w.shape} (*size, filters, channels) needs "
            f"{w.shape[-1]} input channels, received {x.shape[-1]}"
        )
    axes = [
        transpose_shape(padding, *values)
        for values in zip(size, width, steps, rates, extra, strict=True)
    ]
    shape = tuple(n for n, _ in axes)
    low = tuple(p for _, p in axes)
    high = tuple(
        (n - 1) * s + (k - 1) * d + 1 - out - p
        for n, k, s, d, out, p in zip(
            size, width, steps, rates, shape, low, strict=True
        )
    )
    none = Tensor(np.zeros(0, x.dtype))
    y = raw.conv_transpose(x, w, none, shape, steps, rates, low + high)
    return _to_first(y) if first else y


__all__ = ["conv", "conv_transpose"]
