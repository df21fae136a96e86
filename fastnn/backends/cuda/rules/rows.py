# SPDX-License-Identifier: Apache-2.0
"""Softmax and losses: a block per row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Operand, Task
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.axes import merged

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call, Scratch

WARP = 32


def row_threads(n: int) -> int:
    """Threads of a block for a row of n elements."""
    return WARP if n <= 4 * WARP else THREADS


def around(x: Operand, axis: int) -> Operand | None:
    """The operand with axes (before, axis, behind); None where strides forbid it."""
    shape, strides = [], []
    rank = len(x.shape)
    for first, last in ((0, axis), (axis, axis + 1), (axis + 1, rank)):
        part = x._replace(shape=x.shape[first:last], strides=x.strides[first:last])
        (part,) = merged([part])
        if len(part.shape) > 1:
            return None
        shape.append(prod(part.shape))
        strides.append(part.strides[0] if part.strides else 0)
    return x._replace(shape=tuple(shape), strides=tuple(strides))


def dense_copy(x: Operand, scratch: Scratch) -> tuple[Operand, Launch]:
    """A contiguous copy in scratch memory, and the launch that makes it."""
    from fastnn.backends.cuda.launches import dense
    from fastnn.backends.cuda.rules.copy import copy_launch

    to = dense(scratch(x.nbytes), x.dtype, x.shape)
    return to, copy_launch(x, to)


def all_around(call: Call) -> tuple[list[Operand], list[Task]]:
    """Inputs and outputs around the axis of the first attribute, with the copies that
    those need whose other axes do not merge.
    """
    made: list[Task] = []
    operands = []
    axis = call.attrs[0] % len(call.outs[0].shape)
    for x in (*call.ins, *call.outs):
        whole = around(x, axis)
        if whole is None:
            x, copied = dense_copy(x, call.scratch)
            made.append(copied)
            whole = around(x, axis)
        assert whole is not None
        operands.append(whole)
    return operands, made


@rule("softmax", "softmax_grad", "log_softmax", "log_softmax_grad")
def softmax(call: Call) -> list[Task]:
    """Rows along any axis; operands whose other axes do not merge are copied first."""
    operands, made = all_around(call)
    *inputs, out = operands
    rows, n = out.shape[0] * out.shape[2], out.shape[1]
    made.append(
        Launch(
            "rows.cuh",
            f"{call.op.name}<{out.c_type}>",
            tuple(inputs),
            (out,),
            (),
            min(rows, MAX_BLOCKS),
            row_threads(n),
        )
    )
    return made


_BY_ELEMENT = ("sparse_softmax_cross_entropy_grad", "mean_squared_error_grad")


@rule(
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "sparse_softmax_cross_entropy",
    "sparse_softmax_cross_entropy_grad",
    "mean_squared_error",
    "mean_squared_error_grad",
)
def loss(call: Call) -> list[Task]:
    """A loss per row of two matrices, or a row of gradients per loss."""
    types = [call.outs[0].c_type]
    if call.op.name.startswith("sparse"):
        types.append(call.ins[-1].c_type)
    matrix = max((*call.ins, *call.outs), key=lambda o: len(o.shape))
    rows, n = matrix.shape
    elementwise = call.op.name in _BY_ELEMENT
    return [
        Launch(
            "rows.cuh",
            f"{call.op.name}<{', '.join(types)}>",
            call.ins,
            call.outs,
            (),
            blocks_for(rows * n) if elementwise else min(rows, MAX_BLOCKS),
            THREADS if elementwise else row_threads(n),
        )
    ]
