# SPDX-License-Identifier: Apache-2.0
"""Reductions over axes: a block or a thread per output, long ones in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import C_TYPES, Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.axes import merged, moved_last
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call
    from fastnn.opset._opdef import OpDef

_OPS = {
    "sum": "SumOp",
    "prod": "ProdOp",
    "max": "MaxOp",
    "min": "MinOp",
    "any": "AnyOp",
    "all": "AllOp",
    "argmax": "MaxOp",
    "argmin": "MinOp",
}
# Sums and products of integers wrap: they are computed on the unsigned type.
_UNSIGNED = {"int32": "uint32", "int64": "uint64", "bool": "uint8"}
_PARTIAL = {"bfloat16": "float32", "float16": "float32"}

# A thread takes as many elements before a chunk more is worth its second launch.
_PER_THREAD = 32
_BUSY = 2048  # blocks that keep a large device busy


def kept_first(x: Operand, axes: tuple[int, ...]) -> tuple[Operand, int, int, int]:
    """The input with its kept axes first, their number, outputs, elements of each."""
    kept = [d for d in range(len(x.shape)) if d not in axes]
    count = outputs = 1
    for d, n in enumerate(x.shape):
        if d in axes:
            count *= n
        else:
            outputs *= n
    y = moved_last(x, axes)
    head = y._replace(shape=y.shape[: len(kept)], strides=y.strides[: len(kept)])
    tail = y._replace(shape=y.shape[len(kept) :], strides=y.strides[len(kept) :])
    (head,), (tail,) = merged([head]), merged([tail])
    whole = y._replace(
        shape=head.shape + tail.shape, strides=head.strides + tail.strides
    )
    return whole, len(head.shape), outputs, count


@rule("sum", "prod", "max", "min", "any", "all")
def reduce(call: Call) -> list[Task]:
    """`reduce_rows` or `reduce_columns`, and once more for the chunks."""
    x, kept, outputs, count = kept_first(call.ins[0], call.attrs[0])
    stored = x.dtype
    if call.op.name in ("sum", "prod", "any", "all"):
        stored = _UNSIGNED.get(stored, stored)
    columns = count <= THREADS // 4 or (
        outputs >= THREADS and kept > 0 and abs(x.strides[kept - 1]) == 1
    )
    lines = blocks_for(outputs) if columns else min(outputs, _BUSY)
    wanted = count // (_PER_THREAD if columns else _PER_THREAD * THREADS)
    chunks = max(1, min(wanted, _BUSY // lines))
    partial = stored if chunks == 1 else _PARTIAL.get(stored, stored)
    to = call.outs[0]
    if chunks > 1:
        size = outputs * chunks
        to = dense(call.scratch(size * ITEMSIZE[partial]), partial, (outputs, chunks))
    made = _launch(
        call.op, x, to, stored, partial, (kept, outputs, count, chunks), columns
    )
    if chunks == 1:
        return [made]
    last = (1, outputs, chunks, 1)
    return [made, _launch(call.op, to, call.outs[0], partial, stored, last, False)]


def _launch(
    op: OpDef,
    x: Operand,
    y: Operand,
    stored: str,
    written: str,
    numbers: tuple[int, ...],
    columns: bool,
) -> Launch:
    jobs = numbers[1] * numbers[3]
    form = "columns" if columns else "rows"
    return Launch(
        "reduce.cuh",
        f"reduce_{form}<{_OPS[op.name]}, {C_TYPES[stored]}, {C_TYPES[written]}>",
        (x,),
        (y,),
        numbers,
        blocks_for(jobs) if columns else min(jobs, MAX_BLOCKS),
        THREADS,
    )


@rule("argmax", "argmin")
def arg_reduce(call: Call) -> list[Task]:
    """`arg_rows`: a block per output."""
    x, kept, outputs, count = kept_first(call.ins[0], (call.attrs[0],))
    return [
        Launch(
            "reduce.cuh",
            f"arg_rows<{_OPS[call.op.name]}, {x.c_type}>",
            (x,),
            (call.outs[0],),
            (kept, outputs, count, 1),
            min(outputs, MAX_BLOCKS),
            THREADS,
        )
    ]
