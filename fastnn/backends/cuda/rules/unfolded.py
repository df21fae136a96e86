# SPDX-License-Identifier: Apache-2.0
"""Convolutions on tensor cores: windows unfolded into rows, then a library's product.

For 16-bit floats, and float32 where `config.set_float32_matmul_precision` lets it be
rounded. The rows cost bandwidth (a 3x3 window is written nine times), the product runs
at the rate of the tensor cores; the exact kernels of conv.cuh have neither.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn import config
from fastnn.backends.cuda.launches import Launch, Operand, Task, dense, dense_strides
from fastnn.backends.cuda.rules import THREADS, blocks_for
from fastnn.backends.cuda.rules.axes import merged
from fastnn.backends.cuda.rules.copy import copy_launch
from fastnn.backends.cuda.rules.gemm import (
    activation_row,
    finished,
    product,
    wide,
    zeros,
)
from fastnn.opset._dtypes import HALVES, ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch

MOST_BYTES = 2 << 30  # of unfolded rows; above, the exact kernels


def fits(x: Operand, numbers: tuple[int, ...], pixels: int, depth: int) -> bool:
    """Whether tensor cores may compute it, and the rows are no more than they may."""
    rounded = config.float32_matmul_precision() == "high" and x.dtype == "float32"
    small = pixels * depth * ITEMSIZE[x.dtype] <= MOST_BYTES
    return numbers[18] == 1 and small and (x.dtype in HALVES or rounded)


def is_dense(x: Operand) -> bool:
    """Whether elements lie one behind the other; axes of 1 may have any stride."""
    (flat,) = merged([x])
    return len(flat.shape) < 2 and flat.strides in ((), (1,))


def rows_of(
    problem: str,
    image: Operand,
    filters: Operand,
    numbers: tuple[int, ...],
    sizes: tuple[int, int],
    scratch: Scratch,
) -> tuple[Operand, list[Task]]:
    """(pixels, taps x channels) of an image, the left factor of the problem."""
    window, strides, pads = numbers[6:9], numbers[9:12], numbers[15:18]
    pointwise = prod(window) == prod(strides) == 1 and not any(pads)
    if pointwise and numbers[:3] == numbers[3:6] and is_dense(image):
        return dense(image.address, image.dtype, sizes), []
    unfolded = dense(scratch(prod(sizes) * ITEMSIZE[image.dtype]), image.dtype, sizes)
    return unfolded, [
        Launch(
            "conv.cuh",
            f"unfold<{problem}, {image.c_type}>",
            (image, filters),
            (unfolded,),
            (*numbers, 1),
            blocks_for(unfolded.size),
            THREADS,
        )
    ]


def biased(
    rows: Operand,
    weights: Operand,
    bias: Operand,
    y: Operand,
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """y = f(rows weights + bias); a bias of size 0 is none."""
    flat = dense(y.address, y.dtype, (rows.shape[0], weights.shape[1]))
    if not bias.size and activation[0] == "linear":
        return product(rows, weights, flat, scratch)
    z = wide(flat, scratch)
    made = product(rows, weights, z, scratch)
    return [*made, *finish_biased(z, bias, flat, activation, scratch)]


def finish_biased(
    z: Operand,
    bias: Operand,
    y: Operand,
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """y = f(z + bias), of matrices; a bias of size 0 is none."""
    made: list[Task] = []
    if not bias.size:
        zero = dense(scratch(ITEMSIZE[y.dtype]), y.dtype, (1,))
        made.append(zeros(zero))
        bias = zero._replace(shape=y.shape[1:], strides=(0,))
    row, alpha = activation_row(*activation)
    return [*made, finished("bias_then", row, z, bias, y, alpha)]


def back(
    rows: Operand,
    weights: Operand,
    y: Operand,
    dx: Operand,
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """dx = rows weights, times the gradient of an activation from its output y."""
    flat = dense(dx.address, dx.dtype, (rows.shape[0], weights.shape[1]))
    if activation[0] == "linear":
        return product(rows, weights, flat, scratch)
    u = wide(flat, scratch)
    made = product(rows, weights, u, scratch)
    return [*made, finish_back(u, y, dx, activation)]


def finish_back(
    u: Operand, y: Operand, dx: Operand, activation: tuple[str, float]
) -> Task:
    """dx = u, a matrix, times the gradient of an activation from its output y."""
    row, alpha = activation_row(*activation, "_grad")
    u = u._replace(shape=dx.shape, strides=dense_strides(dx.shape))
    return finished("gradient_then", row, u, y, dx, alpha)


def turned(w: Operand, scratch: Scratch) -> tuple[Operand, list[Task]]:
    """(taps x outputs, inputs) of filters (taps..., inputs, outputs)."""
    *taps, inputs, outputs = w.shape
    *steps, a, b = w.strides
    swapped = w._replace(shape=(*taps, outputs, inputs), strides=(*steps, b, a))
    if prod(taps) == 1:
        return swapped._replace(shape=(outputs, inputs), strides=(b, a)), []
    to = dense(scratch(w.nbytes), w.dtype, swapped.shape)
    flat = dense(to.address, w.dtype, (prod(taps) * outputs, inputs))
    return flat, [copy_launch(swapped, to)]
