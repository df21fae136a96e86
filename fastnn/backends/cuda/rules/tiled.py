# SPDX-License-Identifier: Apache-2.0
"""Convolutions in tiles, without unfolded rows: the kernels of conv_tiled.cuh."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn import config
from fastnn.backends.cuda.launches import C_TYPES, Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, unfolded
from fastnn.backends.cuda.rules.gemm import activation_row, wide
from fastnn.opset._dtypes import HALVES, ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.rules import Scratch

ROWS = 128  # of a tile
THREADS = 256
CHUNK = 16  # bytes that a thread copies at once
STEP = 64  # bytes of k in a tile
BUSY = 264  # two blocks for each multiprocessor of a large device
MIN_STEPS = 8  # of a chunk of k: below, the sum over chunks costs more
FUSED = ("linear", "relu")  # others come after, in a kernel of their own
NO_BIAS = Operand(0, "float32", (0,), (1,))


def fits(operands: Sequence[Operand], numbers: tuple[int, ...]) -> bool:
    """Whether the kernels can read these operands."""
    groups, inputs, outputs = numbers[18:21]
    dtype = operands[0].dtype
    if groups != 1 or dtype not in (*HALVES, "float32"):
        return False
    whole = CHUNK // ITEMSIZE[dtype]
    return not (inputs % whole or outputs % whole) and all(
        unfolded.is_dense(x) and x.address % CHUNK == 0 for x in operands
    )


def _tile(dtype: str, columns: int) -> tuple[str, int, int]:
    """Template arguments, the columns of a tile, and the k of a step."""
    rounded = config.float32_matmul_precision() == "high"
    math = "TensorCores" if dtype in HALVES or rounded else "Exactly"
    # 16-bit floats: 128 columns read the left factor half as often.
    wide_tile = dtype in HALVES and columns > 64
    across = 128 if wide_tile else 64
    kind = f"{math}, {C_TYPES[dtype]}, {across}"
    return kind, across, STEP // ITEMSIZE[dtype]


def _blocks(rows: int, columns: int, across: int) -> int:
    return -(-rows // ROWS) * -(-columns // across)


def biased(
    problem: str,
    images: tuple[Operand, Operand],
    bias: Operand,
    y: Operand,
    numbers: tuple[int, ...],
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """y = f(product + bias); a bias of size 0 is none."""
    if activation[0] in FUSED:
        return [_product(problem, images, bias, y, numbers, activation[0])]
    flat = dense(y.address, y.dtype, (prod(y.shape[:-1]), y.shape[-1]))
    z = wide(flat, scratch)
    made: list[Task] = [_product(problem, images, NO_BIAS, z, numbers, "linear")]
    return [*made, *unfolded.finish_biased(z, bias, flat, activation, scratch)]


def _product(
    problem: str,
    images: tuple[Operand, Operand],
    bias: Operand,
    y: Operand,
    numbers: tuple[int, ...],
    activation: str,
) -> Launch:
    rows, columns = prod(y.shape[:-1]), y.shape[-1]
    kind, across, _ = _tile(images[0].dtype, columns)
    row, _ = activation_row(activation, 0.0)
    return Launch(
        "conv_tiled.cuh",
        f"conv_tiled<Tiled{problem}, {kind}, {row}, {y.c_type}>",
        (*images, bias),
        (y,),
        (*numbers, 1),
        min(_blocks(rows, columns, across), MAX_BLOCKS),
        THREADS,
    )


def back(
    images: tuple[Operand, Operand],
    y: Operand,
    dx: Operand,
    numbers: tuple[int, ...],
    activation: tuple[str, float],
    scratch: Scratch,
) -> list[Task]:
    """The input gradient, times the gradient of an activation from its output y."""
    if activation[0] == "linear":
        return [_product("InputGradient", images, NO_BIAS, dx, numbers, "linear")]
    if activation[0] not in FUSED:
        flat = dense(dx.address, dx.dtype, (prod(dx.shape[:-1]), dx.shape[-1]))
        u = wide(flat, scratch)
        product = _product("InputGradient", images, NO_BIAS, u, numbers, "linear")
        return [product, unfolded.finish_back(u, y, dx, activation)]
    kind, across, _ = _tile(dx.dtype, dx.shape[-1])
    row, _ = activation_row(*activation, "_grad")
    blocks = _blocks(prod(dx.shape[:-1]), dx.shape[-1], across)
    return [
        Launch(
            "conv_tiled.cuh",
            f"conv_tiled_back<{kind}, {row}>",
            (*images, y),
            (dx,),
            (*numbers, 1),
            min(blocks, MAX_BLOCKS),
            THREADS,
        )
    ]


def filter_chunks(x: Operand, dw: Operand, depth: int) -> int:
    """Into how many parts the sum over pixels is cut, where tiles are few."""
    _, across, step = _tile(x.dtype, dw.shape[-1])
    tiles = _blocks(prod(dw.shape[:-1]), dw.shape[-1], across)
    return max(1, min(-(-depth // step) // MIN_STEPS, BUSY // tiles))


def filter_gradient(
    images: tuple[Operand, Operand], to: Operand, dw: Operand, numbers: tuple[int, ...]
) -> Launch:
    """Partial sums (chunks, filter), or the filter of one chunk."""
    chunks = to.shape[0] if to is not dw else 1
    kind, across, _ = _tile(dw.dtype, dw.shape[-1])
    blocks = _blocks(prod(dw.shape[:-1]), dw.shape[-1], across) * chunks
    return Launch(
        "conv_tiled.cuh",
        f"conv_tiled_filter<{kind}, {to.c_type}>",
        images,
        (to,),
        (*numbers, chunks),
        min(blocks, MAX_BLOCKS),
        THREADS,
    )
