# SPDX-License-Identifier: Apache-2.0
"""Gathers (a thread per element) and scatters (a block per row of the output)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.copy import bits_type, copy_launch

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call, Scratch

_MERGE = ("ReplaceOp", "SumOp", "ProdOp", "MaxOp", "MinOp")


def fault_word(scratch: Scratch) -> Operand:
    """Where a kernel says that an index was out of range."""
    return dense(scratch(8), "int64", (1,))


def _launch(
    body: str,
    ins: tuple[Operand, ...],
    out: Operand,
    numbers: tuple[int, ...],
    scratch: Scratch,
    blocks: int = 0,
) -> list[Task]:
    outs = (out, fault_word(scratch))
    blocks = blocks or blocks_for(out.size)
    return [Launch("index.cuh", body, ins, outs, numbers, blocks, THREADS)]


@rule("take")
def take(call: Call) -> list[Task]:
    """Rows of x."""
    x, indices = call.ins
    body = f"take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(body, call.ins, call.outs[0], (prod(x.shape[1:]),), call.scratch)


@rule("batch_take")
def batch_take(call: Call) -> list[Task]:
    """Rows of each x[o]."""
    x, indices = call.ins
    body = f"batch_take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(body, call.ins, call.outs[0], (prod(x.shape[2:]),), call.scratch)


@rule("gather_rows")
def gather_rows(call: Call) -> list[Task]:
    """The rows of a batch, converted."""
    types = (call.ins[0], call.outs[0], call.ins[1], call.ins[2])
    body = f"gather_rows<{', '.join(o.c_type for o in types)}>"
    return _launch(
        body, call.ins, call.outs[0], (prod(call.ins[0].shape[1:]),), call.scratch
    )


@rule("dynamic_slice", "update_slice")
def slices(call: Call) -> list[Task]:
    """A block that begins where another tensor says."""
    body = f"{call.op.name}<{bits_type(call.outs[0].dtype)}, {call.ins[1].c_type}>"
    return _launch(body, call.ins, call.outs[0], (), call.scratch)


@rule("one_hot")
def one_hot(call: Call) -> list[Task]:
    """A row of zeros with a one."""
    y = call.outs[0]
    body = f"one_hot<{y.c_type}, {call.ins[0].c_type}>"
    numbers = (y.shape[-1],)
    return [
        Launch("index.cuh", body, call.ins, (y,), numbers, blocks_for(y.size), THREADS)
    ]


@rule("take_grad", "batch_take_grad", "scatter_rows")
def scatter(call: Call) -> list[Task]:
    """Updates of rows, in their order."""
    y = call.outs[0]
    leading = 2 if call.op.name.startswith("batch") else 1
    types = [y.c_type, call.ins[1].c_type]
    made: list[Task] = []
    if call.op.name == "scatter_rows":
        merge = call.op.attrs[0].choices.index(call.attrs[0])
        types.insert(0, _MERGE[merge])
    if not call.ins[1].size:  # nothing to merge: a shape of 0 has no row to divide by
        made = [copy_launch(call.ins[0], y)] if call.op.name == "scatter_rows" else []
        if made:
            return made
    rows = prod(y.shape[:leading])
    body = f"{call.op.name}<{', '.join(types)}>"
    numbers = (prod(y.shape[leading:]),)
    return _launch(body, call.ins, y, numbers, call.scratch, min(rows, MAX_BLOCKS))
