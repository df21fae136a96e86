# SPDX-License-Identifier: Apache-2.0
"""Depthwise and separable convolution with Keras's signatures."""

from __future__ import annotations

from typing import Any

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import (
    bias_of,
    channels_first,
    channels_last,
    is_channels_first,
    per_axis,
    placement,
)
from fastnn.ops._promote import promote, to_float


def _depthwise(
    name: str,
    x: Tensor,
    w: Tensor,
    bias: Any,
    strides: Any,
    padding: str,
    dilation_rate: Any,
) -> Tensor:
    """x with channels last."""
    rank = x.ndim - 2
    if not 1 <= rank <= 3 or w.ndim != x.ndim or w.shape[-2] != x.shape[-1]:
        raise ShapeError(
            f"[{name}] images {x.shape} and filter {w.shape} do not match: expected "
            f"(batch, 1 to 3 spatial axes, channels) and (spatial sizes, channels, "
            f"multiplier)"
        )
    moves = per_axis(name, "strides", strides, rank)
    dilation = per_axis(name, "dilation_rate", dilation_rate, rank)
    if max(moves) > 1 and max(dilation) > 1:
        raise ValueError(
            f"[{name}] strides {moves} and dilation_rate {dilation} cannot both be "
            f"greater than 1"
        )
    window = w.shape[:-2]
    low, out = placement(name, x.shape[1:-1], window, moves, dilation, padding)
    return raw.depthwise_conv(x, w, bias_of(x, bias), moves, dilation, low, out)


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Every channel convolved with filters of its own.

    Args:
        inputs: (batch, 1 to 3 spatial axes, channels), or channels second.
        kernel: (spatial sizes, channels, multiplier).
        strides: step of the window, one number or one per spatial axis.
        padding: "valid" (no padding) or "same" (ceil(size / stride) outputs).
        data_format: "channels_last" or "channels_first"; None is the configured one.
        dilation_rate: distance between the elements of the filter.

    Returns:
        Images with channels * multiplier channels; those of one input channel are
        neighbours.
    """
    return convolve_depthwise(
        inputs, kernel, None, strides, padding, data_format, dilation_rate
    )


def convolve_depthwise(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    """`depthwise_conv` plus a bias (channels * multiplier,), or None."""
    name = "depthwise_conv"
    x, w = promote(to_float(inputs), to_float(kernel))
    first = is_channels_first(name, data_format)
    x = channels_last(x) if first else x
    y = _depthwise(name, x, w, bias, strides, padding, dilation_rate)
    return channels_first(y) if first else y


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`depthwise_conv` and then a convolution of size 1 that mixes the channels.

    Args:
        inputs, depthwise_kernel, strides, padding, data_format, dilation_rate: see
            `depthwise_conv`.
        pointwise_kernel: (1, ..., 1, channels * multiplier, filters).

    Returns:
        Images with `filters` channels (arXiv:1610.02357).
    """
    return convolve_separable(
        inputs,
        depthwise_kernel,
        pointwise_kernel,
        None,
        strides,
        padding,
        data_format,
        dilation_rate,
    )


def convolve_separable(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    bias: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    """`separable_conv` plus a bias (filters,), or None."""
    name = "separable_conv"
    operands = (to_float(t) for t in (inputs, depthwise_kernel, pointwise_kernel))
    x, w, mix = promote(*operands)
    first = is_channels_first(name, data_format)
    x = channels_last(x) if first else x
    y = _depthwise(name, x, w, None, strides, padding, dilation_rate)
    if mix.ndim != x.ndim or mix.shape[:-1] != (*[1] * (x.ndim - 2), y.shape[-1]):
        raise ShapeError(
            f"[{name}] pointwise_kernel must be (1, ..., 1, {y.shape[-1]}, filters), "
            f"received {mix.shape}"
        )
    flat = raw.reshape(y, (_product(y.shape[:-1]), y.shape[-1]))
    matrix = raw.reshape(mix, mix.shape[-2:])
    if bias is None:
        mixed = raw.matmul(flat, matrix)
    else:
        mixed = raw.linear(flat, matrix, bias_of(flat, bias))
    y = raw.reshape(mixed, (*y.shape[:-1], mix.shape[-1]))
    return channels_first(y) if first else y


def _product(numbers: tuple[int, ...]) -> int:
    n = 1
    for m in numbers:
        n *= m
    return n


def local_response_normalization(
    x: Any,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Tensor:
    """x / (bias + alpha * s)^beta, s the squares of the channels around, added.

    Args:
        x: (..., channels); channels at most `depth_radius` away count.
        depth_radius, bias, alpha, beta: as in `tf.nn.local_response_normalization`.
            AlexNet has 5 channels around: radius 2, bias 2, alpha 1e-4, beta 0.75.
    """
    t = to_float(x)
    return raw.lrn(t, int(depth_radius), float(bias), float(alpha), float(beta))


__all__ = ["depthwise_conv", "local_response_normalization", "separable_conv"]
