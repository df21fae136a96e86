# SPDX-License-Identifier: Apache-2.0
"""Normalization: sums of two values per channel, or a block per row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import C_TYPES, Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.axes import merged, moved_last
from fastnn.backends.cuda.rules.rows import dense_copy, row_threads
from fastnn.opset._dtypes import ITEMSIZE
from fastnn.opset.norm_rows import GRAD_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.rules import Call, Scratch

WARP = 32
_BUSY = 2048
_PER_THREAD = 32


def together(
    operands: Sequence[Operand], axes: tuple[int, ...]
) -> tuple[list[Operand], int]:
    """Operands of one shape with `axes` behind the others; how many stay in front."""
    shape = operands[0].shape
    kept = len(shape) - len(axes)
    turned = [moved_last(x, axes) for x in operands]
    heads = merged([_part(x, 0, kept) for x in turned])
    tails = merged([_part(x, kept, len(shape)) for x in turned])
    return [
        x._replace(shape=h.shape + t.shape, strides=h.strides + t.strides)
        for x, h, t in zip(turned, heads, tails, strict=True)
    ], len(heads[0].shape)


def _part(x: Operand, first: int, last: int) -> Operand:
    return x._replace(shape=x.shape[first:last], strides=x.strides[first:last])


def pair_sums(
    kind: str,
    wide: Sequence[Operand],
    vectors: Sequence[Operand],
    axes: tuple[int, ...],
    more: tuple[float, ...],
    scratch: Scratch,
) -> tuple[Launch, tuple[int, int, int, int]]:
    """Two sums over `axes` for each output, and the numbers that say how they lie."""
    operands, kept = together(wide, axes)
    x = operands[0]
    count = prod(wide[0].shape[a] for a in axes)
    outputs = wide[0].size // max(count, 1)
    columns = kept > 0 and outputs >= WARP and abs(x.strides[kept - 1]) == 1
    lines = -(-outputs // WARP) if columns else outputs
    per_chunk = _PER_THREAD * (THREADS // WARP if columns else THREADS)
    chunks = max(1, min(count // per_chunk, _BUSY // lines))
    numbers = (kept, outputs, count, chunks)
    computed = "float64" if x.dtype == "float64" else "float32"
    size = outputs * chunks * 2
    partial = dense(scratch(size * ITEMSIZE[computed]), computed, (size,))
    form = "columns" if columns else "rows"
    made = Launch(
        "norm.cuh",
        f"pair_{form}<{kind}, {x.c_type}>",
        (*operands, *vectors),
        (partial,),
        (*numbers, *more),
        min(lines * chunks, MAX_BLOCKS),
        THREADS,
    )
    return made, numbers


def statistics(
    x: Operand, axes: tuple[int, ...], outs: tuple[Operand, ...], scratch: Scratch
) -> list[Task]:
    """Mean and variance over `axes`."""
    sums, numbers = pair_sums("Moments", [x], (), axes, (), scratch)
    body = f"finish_moments<{x.c_type}>"
    ins = (sums.outs[0], sums.ins[0])
    blocks = blocks_for(numbers[1])
    return [sums, Launch("norm.cuh", body, ins, outs, numbers, blocks, THREADS)]


@rule("moments")
def moments(call: Call) -> list[Task]:
    """Mean and biased variance over axes."""
    return statistics(call.ins[0], call.attrs[0], call.outs, call.scratch)


def _channels(x: Operand, axis: int) -> tuple[int, int]:
    """Channels, and elements behind their axis."""
    return x.shape[axis], prod(x.shape[axis + 1 :])


def _apply(
    x: Operand,
    vectors: tuple[Operand, ...],
    y: Operand,
    axis: int,
    epsilon: float,
) -> Launch:
    numbers = (*_channels(x, axis), epsilon)
    body = f"batch_norm_apply<{x.c_type}>"
    ins = (x, *vectors)
    return Launch("norm.cuh", body, ins, (y,), numbers, blocks_for(y.size), THREADS)


@rule("batch_norm_apply")
def batch_norm_apply(call: Call) -> list[Task]:
    """With given statistics."""
    return [_apply(call.ins[0], call.ins[1:], call.outs[0], *call.attrs)]


def _others(x: Operand, axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(len(x.shape)) if a != axis)


@rule("batch_norm")
def batch_norm(call: Call) -> list[Task]:
    """Statistics, then an element each."""
    x, gamma, beta = call.ins
    y, mean, variance = call.outs
    axis, epsilon = call.attrs
    made = statistics(x, _others(x, axis), (mean, variance), call.scratch)
    made.append(_apply(x, (mean, variance, gamma, beta), y, axis, epsilon))
    return made


@rule("batch_norm_grad")
def batch_norm_grad(call: Call) -> list[Task]:
    """Both sums of a channel, then an element of dx each."""
    dy, x, gamma, mean, variance = call.ins
    dx, dgamma, dbeta = call.outs
    axis, epsilon = call.attrs
    axes = _others(x, axis)
    count = prod(x.shape[a] for a in axes)
    if not count:
        from fastnn.backends.cuda.rules.gemm import zeros

        return [zeros(dgamma), zeros(dbeta)]
    sums, numbers = pair_sums(
        "BatchGradients",
        [dy, x],
        (mean, variance),
        axes,
        (float(epsilon),),
        call.scratch,
    )
    finish = Launch(
        "norm.cuh",
        f"finish_sums<{x.c_type}>",
        (sums.outs[0],),
        (dgamma, dbeta),
        numbers,
        blocks_for(numbers[1]),
        THREADS,
    )
    last = Launch(
        "norm.cuh",
        f"batch_norm_dx<{x.c_type}>",
        (dy, x, gamma, mean, variance, dgamma, dbeta),
        (dx,),
        (*_channels(x, axis), float(epsilon), count),
        blocks_for(dx.size),
        THREADS,
    )
    return [sums, finish, last]


def all_dense(ins: Sequence[Operand], scratch: Scratch) -> tuple[list[Operand], list]:
    """Contiguous operands, with the copies that make them so."""
    made: list[Task] = []
    operands = []
    for x in ins:
        (flat,) = merged([x])
        if len(flat.shape) > 1 or (flat.strides and flat.strides[0] != 1):
            x, copied = dense_copy(x, scratch)
            made.append(copied)
        operands.append(x)
    return operands, made


def _rows(
    body: str,
    ins: Sequence[Operand],
    outs: Sequence[Operand],
    numbers: tuple[int | float, ...],
    jobs: int,
    n: int,
) -> Launch:
    dtype = C_TYPES[ins[0].dtype]
    return Launch(
        "norm_rows.cuh",
        f"{body}<{dtype}>",
        tuple(ins),
        tuple(outs),
        numbers,
        min(jobs, MAX_BLOCKS),
        row_threads(n),
    )


def _elements(
    body: str,
    ins: Sequence[Operand],
    outs: Sequence[Operand],
    numbers: tuple[int | float, ...],
) -> Launch:
    dtype, blocks = C_TYPES[ins[0].dtype], blocks_for(outs[0].size)
    full = f"{body}<{dtype}>"
    return Launch(
        "norm_rows.cuh", full, tuple(ins), tuple(outs), numbers, blocks, THREADS
    )


@rule("layer_norm")
def layer_norm(call: Call) -> list[Task]:
    """A block per row."""
    axis, epsilon, centered = call.attrs
    operands, made = all_dense(call.ins, call.scratch)
    rows, n = prod(call.ins[0].shape[:axis]), prod(call.ins[0].shape[axis:])
    numbers = (rows, n, float(epsilon), int(centered))
    return [*made, _rows("layer_norm", operands, call.outs, numbers, rows, n)]


@rule("layer_norm_grad")
def layer_norm_grad(call: Call) -> list[Task]:
    """Partial sums for the parameters, then (dx may lie on dy) a block per row."""
    axis, centered = call.attrs
    operands, made = all_dense(call.ins, call.scratch)
    dy, x, _, mean, r = operands
    rows, n = prod(x.shape[:axis]), prod(x.shape[axis:])
    if call.outs[1].size:
        numbers = (rows, n, GRAD_ROWS)
        parts = (dy, x, mean, r)
        made.append(_elements("layer_norm_parameters", parts, call.outs[1:], numbers))
    if rows:
        numbers = (rows, n, int(centered))
        made.append(_rows("layer_norm_dx", operands, call.outs[:1], numbers, rows, n))
    return made


@rule("unit_norm", "unit_norm_grad")
def unit_norm(call: Call) -> list[Task]:
    """A block per row."""
    operands, made = all_dense(call.ins, call.scratch)
    rows, n = prod(call.ins[0].shape[:-1]), call.ins[0].shape[-1]
    numbers = (rows, n, float(call.attrs[0]))
    return [*made, _rows(call.op.name, operands, call.outs, numbers, rows, n)]


def _groups(x: Operand, groups: int) -> tuple[int, int, int, int]:
    """Images, pixels, groups, channels of a group."""
    return x.shape[0], prod(x.shape[1:-1]), groups, x.shape[-1] // groups


@rule("group_norm")
def group_norm(call: Call) -> list[Task]:
    """A block per image and group."""
    groups, epsilon = call.attrs
    operands, made = all_dense(call.ins, call.scratch)
    shape = _groups(call.ins[0], groups)
    jobs, n = shape[0] * groups, shape[1] * shape[3]
    numbers = (*shape, float(epsilon))
    return [*made, _rows("group_norm", operands, call.outs, numbers, jobs, n)]


@rule("group_norm_grad")
def group_norm_grad(call: Call) -> list[Task]:
    """Sums over pixels for the parameters, then a block per image and group."""
    operands, made = all_dense(call.ins, call.scratch)
    dy, x, _, mean, r = operands
    shape = _groups(x, call.attrs[0])
    if call.outs[1].size:
        parts = (dy, x, mean, r)
        made.append(_elements("group_norm_parameters", parts, call.outs[1:], shape))
    jobs, n = shape[0] * shape[2], shape[1] * shape[3]
    if jobs:
        made.append(_rows("group_norm_dx", operands, call.outs[:1], shape, jobs, n))
    return made
