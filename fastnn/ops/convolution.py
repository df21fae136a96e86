# SPDX-License-Identifier: Apache-2.0
"""Convolutions with Keras's signatures, over 1 to 3 spatial axes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import (
    Ints,
    bias_of,
    channels_first,
    channels_last,
    is_channels_first,
    per_axis,
    placement,
)
from fastnn.ops._promote import promote, to_float
from fastnn.opset._dtypes import is_float


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


def conv_pads(
    padding: str, size: Ints, kernel: Ints, strides: Ints, dilations: Ints
) -> Ints:
    """The pads of the record `conv` for "valid", "same" or "causal" (one axis)."""
    kind = str(padding).lower()
    if kind == "causal" and len(size) == 1:
        return ((kernel[0] - 1) * dilations[0], 0)
    if kind not in ("valid", "same"):
        raise ValueError(
            f'[conv] padding must be "valid" or "same", or "causal" with one spatial '
            f"axis, received {padding!r} with {len(size)}"
        )
    return _conv_pads(kind, size, kernel, strides, dilations)


@lru_cache(maxsize=512)
def _conv_pads(
    kind: str, size: Ints, kernel: Ints, strides: Ints, dilations: Ints
) -> Ints:
    low, out = placement("conv", size, kernel, strides, dilations, kind)
    if kind == "valid":
        return (0,) * (2 * len(size))
    high = tuple(
        max((o - 1) * s + (k - 1) * d + 1 - n - p, 0)
        for o, s, k, d, n, p in zip(
            out, strides, kernel, dilations, size, low, strict=True
        )
    )
    return low + high


def _no_multiple(x: Tensor, w: Tensor, first: bool) -> ShapeError:
    channels, inside = x.shape[-1], w.shape[-2]
    hint, other = "", x.shape[-2] if first else x.shape[1]
    if inside and other and other % inside == 0:
        form = "channels_last" if first else "channels_first"
        hint = f': if the channels are the other {other}, pass data_format="{form}"'
    return ShapeError(
        f"[conv] {channels} input channels are no multiple of the kernel's {inside} "
        f"(kernel {w.shape}: *size, channels / groups, filters){hint}"
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
    return convolve(inputs, kernel, None, strides, padding, data_format, dilation_rate)


def convolve(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    """`conv` plus a bias (filters,), or None: one op, as layers want it."""
    x, w, rank = _operands("conv", inputs, kernel)
    first = is_channels_first("conv", data_format)
    steps = per_axis("conv", "strides", strides, rank)
    rates = per_axis("conv", "dilation_rate", dilation_rate, rank)
    if first:
        x = channels_last(x)
    channels, inside = x.shape[-1], w.shape[-2]
    if not inside or channels % inside:
        raise _no_multiple(x, w, first)
    pads = conv_pads(padding, x.shape[1:-1], w.shape[:-2], steps, rates)
    if inside == 1 < channels and w.shape[-1] % channels == 0:
        y = _one_channel_each(x, w, bias_of(x, bias), steps, rates, pads)
    else:
        y = raw.conv(x, w, bias_of(x, bias), steps, rates, pads, channels // inside)
    return channels_first(y) if first else y


def _one_channel_each(
    x: Tensor, w: Tensor, bias: Tensor, strides: Ints, dilations: Ints, pads: Ints
) -> Tensor:
    """As many groups as channels, as a depthwise convolution, which is the same.

    1x56x56x96 with windows of 7x7, on two threads: 20.9 ms -> 0.49.
    """
    window, filters = w.shape[:-2], w.shape[-1]
    rank = len(window)
    sizes = tuple(
        (n + low + high - (k - 1) * d - 1) // s + 1
        for n, k, s, d, low, high in zip(
            x.shape[1:-1],
            window,
            strides,
            dilations,
            pads[:rank],
            pads[rank:],
            strict=True,
        )
    )
    channels = x.shape[-1]
    w = raw.reshape(w, (*window, channels, filters // channels))
    return raw.depthwise_conv(x, w, bias, strides, dilations, pads[:rank], sizes)


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


def output_padding_of(name: str, value: Any, strides: Ints) -> tuple[int | None, ...]:
    """The output padding of every axis."""
    if value is None:
        return (None,) * len(strides)
    extra = per_axis(name, "output_padding", value, len(strides), least=0)
    if any(e >= s for e, s in zip(extra, strides, strict=True)):
        raise ValueError(
            f"[{name}] output_padding must be less than the strides {strides}, "
            f"received {value!r}"
        )
    return extra


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
            (n - 1) * stride + kernel % 2 ("same"); None, one integer or one per axis,
            from 0 on and less than the stride.
        data_format: None is `fastnn.config.image_data_format()`.
        dilation_rate: distance of the kernel's elements.

    Returns:
        (batch, *output, filters), or channels first.
    """
    return convolve_transpose(
        inputs,
        kernel,
        None,
        strides,
        padding,
        output_padding,
        data_format,
        dilation_rate,
    )


def convolve_transpose(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Any,
    padding: str,
    output_padding: Any,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    """`conv_transpose` plus a bias (filters,), or None."""
    name = "conv_transpose"
    x, w, rank = _operands(name, inputs, kernel)
    first = is_channels_first(name, data_format)
    steps = per_axis(name, "strides", strides, rank)
    rates = per_axis(name, "dilation_rate", dilation_rate, rank)
    extra = output_padding_of(name, output_padding, steps)
    if first:
        x = channels_last(x)
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
    b = bias_of(x, bias)
    y = raw.conv_transpose(x, w, b, shape, steps, rates, low + high)
    return channels_first(y) if first else y


__all__ = ["conv", "conv_transpose"]
