# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution: a thread per element."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import C_TYPES, Launch, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.conv import filters, geometry, image, sum_of_chunks
from fastnn.backends.cuda.rules.gemm import activation_row
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

_PIXELS = 64  # of a chunk of the filter gradient, at least
_THREADS_BUSY = MAX_BLOCKS * THREADS // 4


@rule("depthwise_conv")
def depthwise(call: Call) -> list[Task]:
    """The convolution with bias and activation."""
    x, w, bias = call.ins
    y = call.outs[0]
    strides, dilation, low, sizes = call.attrs[:4]
    places = geometry(x.shape[1:-1], sizes, w.shape[:-2], strides, dilation, low)
    row, alpha = activation_row(*call.attrs[4:6])
    numbers = (*places, w.shape[-1], 1, *alpha)
    body = f"depthwise<{row}, {y.c_type}>"
    operands, blocks = (image(x), filters(w), bias), blocks_for(y.size)
    return [Launch("depthwise.cuh", body, operands, (y,), numbers, blocks, THREADS)]


@rule("depthwise_conv_grad_input")
def depthwise_grad_input(call: Call) -> list[Task]:
    """A thread per element of dx."""
    dy, w = call.ins
    dx = call.outs[0]
    strides, dilation, low, sizes = call.attrs
    places = geometry(sizes, dy.shape[1:-1], w.shape[:-2], strides, dilation, low)
    numbers = (*places, w.shape[-1], 1)
    body = f"depthwise_input_gradient<{dx.c_type}>"
    operands, blocks = (image(dy), filters(w)), blocks_for(dx.size)
    return [Launch("depthwise.cuh", body, operands, (dx,), numbers, blocks, THREADS)]


@rule("depthwise_conv_grad_kernel")
def depthwise_grad_kernel(call: Call) -> list[Task]:
    """Chunks of pixels, then their sum."""
    x, dy = call.ins
    dw = call.outs[0]
    strides, dilation, low, sizes = call.attrs
    places = geometry(x.shape[1:-1], dy.shape[1:-1], sizes, strides, dilation, low)
    pixels = prod(dy.shape[:-1])
    chunks = max(1, min(pixels // _PIXELS, _THREADS_BUSY // dw.size))
    written, to = dw.dtype, dw
    if chunks > 1:
        written = "float64" if dw.dtype == "float64" else "float32"
        size = chunks * dw.size
        to = dense(call.scratch(size * ITEMSIZE[written]), written, (chunks, dw.size))
    body = f"depthwise_filter_gradient<{x.c_type}, {C_TYPES[written]}>"
    numbers = (*places, dw.shape[-1], chunks)
    operands, blocks = (image(x), image(dy)), blocks_for(dw.size * chunks)
    made: list[Task] = [
        Launch("depthwise.cuh", body, operands, (to,), numbers, blocks, THREADS)
    ]
    if chunks > 1:
        made.append(sum_of_chunks(to, dw))
    return made
