# SPDX-License-Identifier: Apache-2.0
"""Convolution: an implicit matrix product for each direction, or an unfolded one."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import C_TYPES, Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, by_cudnn, rule, tiled, unfolded
from fastnn.backends.cuda.rules.conv_ways import CUDNN, TILED, UNFOLDED, way
from fastnn.backends.cuda.rules.gemm import activation_row, product
from fastnn.backends.cuda.rules.rows import dense_copy
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.rules import Call, Scratch

SPATIAL = 3
TILE = 64
CONV_THREADS = 256
_MIN_DEPTH = 256  # of a chunk of k: below, the sum over chunks costs more


def image(x: Operand) -> Operand:
    """(images, 3 spatial axes, channels)."""
    missing = SPATIAL + 2 - len(x.shape)
    shape = (x.shape[0], *(1,) * missing, *x.shape[1:])
    return x._replace(
        shape=shape, strides=(x.strides[0], *(0,) * missing, *x.strides[1:])
    )


def filters(w: Operand) -> Operand:
    """(3 spatial axes, inputs, outputs)."""
    missing = SPATIAL + 2 - len(w.shape)
    return w._replace(
        shape=(1,) * missing + w.shape, strides=(0,) * missing + w.strides
    )


def geometry(
    inner: Sequence[int],
    outer: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
) -> tuple[int, ...]:
    """The 18 numbers of csrc/cuda/geometry.cuh."""
    missing = SPATIAL - len(window)
    fields = ((inner, 1), (outer, 1), (window, 1), (strides, 1), (dilations, 1))
    numbers: list[int] = []
    for field, fill in (*fields, (pads[: len(window)], 0)):
        numbers += [*(fill,) * missing, *(int(n) for n in field)]
    return tuple(numbers)


def _numbers(
    x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], attrs: tuple
) -> tuple[int, ...]:
    """Geometry, groups, inputs and outputs of one, by the shapes of x, w and y."""
    strides, dilations, pads, groups = attrs
    places = geometry(x[1:-1], y[1:-1], w[:-2], strides, dilations, pads)
    return (*places, groups, w[-2], w[-1] // groups)


def _blocks(rows: int, columns: int, jobs: int) -> int:
    return min(-(-rows // TILE) * -(-columns // TILE) * jobs, MAX_BLOCKS)


def _biased(
    problem: str,
    call: Call,
    numbers: tuple[int, ...],
    activation: tuple[str, float],
) -> list[Task]:
    (x, w, bias), y = call.ins, call.outs[0]
    pixels, depth = prod(y.shape[:-1]), prod(w.shape[:-2]) * x.shape[-1]
    images = image(x), filters(w)
    chosen = way(problem, (x, w), numbers, pixels, depth)
    if chosen == CUDNN:
        factors = x, w
        return by_cudnn.biased(
            problem, factors, bias, y, numbers, activation, call.scratch
        )
    if chosen == TILED:
        return tiled.biased(problem, images, bias, y, numbers, activation, call.scratch)
    if chosen == UNFOLDED:
        sizes = (pixels, depth)
        rows, made = unfolded.rows_of(problem, *images, numbers, sizes, call.scratch)
        weights, more = _weights(problem, w, call.scratch)
        last = unfolded.biased(rows, weights, bias, y, activation, call.scratch)
        return [*made, *more, *last]
    row, alpha = activation_row(*activation)
    groups = numbers[18]
    columns = y.shape[-1] // groups
    return [
        Launch(
            "conv.cuh",
            f"conv_bias<{problem}, {row}, {y.c_type}>",
            (image(x), filters(w), bias),
            (y,),
            (*numbers, 1, *alpha),
            _blocks(prod(y.shape[:-1]), columns, groups),
            CONV_THREADS,
        )
    ]


def _weights(problem: str, w: Operand, scratch: Scratch) -> tuple[Operand, list[Task]]:
    """The right factor of unfolded rows."""
    if problem == "InputGradient":
        return unfolded.turned(w, scratch)
    made: list[Task] = []
    if not unfolded.is_dense(w):
        w, copied = dense_copy(w, scratch)
        made.append(copied)
    flat = dense(w.address, w.dtype, (prod(w.shape[:-1]), w.shape[-1]))
    return flat, made


@rule("conv")
def conv(call: Call) -> list[Task]:
    """The convolution with bias and activation."""
    numbers = _numbers(
        call.ins[0].shape, call.ins[1].shape, call.outs[0].shape, call.attrs[:4]
    )
    return _biased("Forward", call, numbers, call.attrs[4:6])


@rule("conv_transpose")
def conv_transpose(call: Call) -> list[Task]:
    """The input gradient of a convolution whose input has the output's shape."""
    numbers = _numbers(
        call.outs[0].shape, call.ins[1].shape, call.ins[0].shape, call.attrs[1:5]
    )
    return _biased("InputGradient", call, numbers, call.attrs[5:7])


@rule("conv_grad_input")
def conv_grad_input(call: Call) -> list[Task]:
    """The same, times the gradient of an activation."""
    dy, w, y = call.ins
    dx = call.outs[0]
    numbers = _numbers(dx.shape, w.shape, dy.shape, call.attrs[:4])
    pixels, depth = prod(dx.shape[:-1]), prod(w.shape[:-2]) * dy.shape[-1]
    images = image(dy), filters(w)
    chosen = way("InputGradient", (dy, w, y), numbers, pixels, depth)
    if chosen == CUDNN:
        activation = call.attrs[4:6]
        return by_cudnn.back((dy, w), y, dx, numbers, activation, call.scratch)
    if chosen == TILED:
        return tiled.back(images, y, dx, numbers, call.attrs[4:6], call.scratch)
    if chosen == UNFOLDED:
        sizes = (pixels, depth)
        rows, made = unfolded.rows_of(
            "InputGradient", *images, numbers, sizes, call.scratch
        )
        weights, more = unfolded.turned(w, call.scratch)
        last = unfolded.back(rows, weights, y, dx, call.attrs[4:6], call.scratch)
        return [*made, *more, *last]
    row, alpha = activation_row(call.attrs[4], call.attrs[5], "_grad")
    return [
        Launch(
            "conv.cuh",
            f"conv_input_gradient<{row}, {dx.c_type}>",
            (image(dy), filters(w), y),
            (dx,),
            (*numbers, 1, *alpha),
            _blocks(prod(dx.shape[:-1]), dx.shape[-1] // numbers[18], numbers[18]),
            CONV_THREADS,
        )
    ]


@rule("conv_grad_kernel")
def conv_grad_kernel(call: Call) -> list[Task]:
    """A long sum over pixels: chunks of it where tiles are few, then their sum."""
    x, dy = call.ins
    dw = call.outs[0]
    numbers = _numbers(x.shape, dw.shape, dy.shape, call.attrs[1:5])
    groups, inputs, outputs = numbers[18:21]
    depth = prod(dy.shape[:-1])
    rows = prod(dw.shape[:-2]) * inputs
    chosen = way("FilterGradient", (x, dy), numbers, depth, rows)
    if chosen == CUDNN:
        return by_cudnn.filter_gradient(x, dy, dw, numbers, call.scratch)
    if chosen == UNFOLDED:
        images, sizes = (image(x), filters(dw)), (depth, rows)
        left, made = unfolded.rows_of("Forward", *images, numbers, sizes, call.scratch)
        turned = left._replace(shape=left.shape[::-1], strides=left.strides[::-1])
        if not unfolded.is_dense(dy):
            dy, copied = dense_copy(dy, call.scratch)
            made.append(copied)
        right = dense(dy.address, dy.dtype, (depth, outputs))
        to = dense(dw.address, dw.dtype, (rows, outputs))
        return [*made, *product(turned, right, to, call.scratch)]
    tiles = _blocks(rows, outputs, groups)
    chunks = max(1, min(depth // _MIN_DEPTH, tiled.BUSY // tiles))
    if chosen == TILED:
        chunks = tiled.filter_chunks(x, dw, depth)
    written, to = dw.dtype, dw
    if chunks > 1:
        written = "float64" if dw.dtype == "float64" else "float32"
        size = chunks * dw.size
        to = dense(call.scratch(size * ITEMSIZE[written]), written, (chunks, dw.size))
    made = [
        tiled.filter_gradient((image(x), image(dy)), to, dw, numbers)
        if chosen == TILED
        else Launch(
            "conv.cuh",
            f"conv_filter_gradient<{x.c_type}, {C_TYPES[written]}>",
            (image(x), image(dy)),
            (to,),
            (*numbers, chunks),
            _blocks(rows, outputs, groups * chunks),
            CONV_THREADS,
        )
    ]
    if chunks > 1:
        made.append(sum_of_chunks(to, dw))
    return made


def sum_of_chunks(partial: Operand, y: Operand) -> Launch:
    """y = the sum of the rows of `partial`, in their order."""
    from fastnn.backends.cuda.rules import THREADS, blocks_for

    chunks, size = partial.shape
    turned = partial._replace(shape=(size, chunks), strides=(1, size))
    body = f"reduce_columns<SumOp, {partial.c_type}, {y.c_type}>"
    numbers = (1, size, chunks, 1)
    blocks = blocks_for(size)
    return Launch("reduce.cuh", body, (turned,), (y,), numbers, blocks, THREADS)
