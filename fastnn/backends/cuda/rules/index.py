# SPDX-License-Identifier: Apache-2.0
"""Gathers (a thread per element) and scatters (a block per row of the output)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Fault, Launch, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.copy import bits_type, copy_launch

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

_MERGE = ("ReplaceOp", "SumOp", "ProdOp", "MaxOp", "MinOp")


def _launch(
    call: Call,
    body: str,
    numbers: tuple[int, ...],
    sizes: tuple[int, ...],
    blocks: int = 0,
) -> list[Task]:
    """The kernel with the word that tells of an index out of range of `sizes`."""
    out = call.outs[0]
    fault = Fault(call.fault(), call.op.name, call.ins[1].shape, sizes)
    outs = (out, dense(fault.address, "int64", (1,)))
    blocks = blocks or blocks_for(out.size)
    return [Launch("index.cuh", body, call.ins, outs, numbers, blocks, THREADS, fault)]


@rule("take")
def take(call: Call) -> list[Task]:
    """Rows of x."""
    x, indices = call.ins
    body = f"take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(call, body, (prod(x.shape[1:]),), x.shape[:1])


@rule("batch_take")
def batch_take(call: Call) -> list[Task]:
    """Rows of each x[o]."""
    x, indices = call.ins
    body = f"batch_take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(call, body, (prod(x.shape[2:]),), x.shape[1:2])


@rule("gather_rows")
def gather_rows(call: Call) -> list[Task]:
    """The rows of a batch, converted."""
    (data, order, cursor), batch = call.ins, call.outs[0]
    types = (data, batch, order, cursor)
    body = f"gather_rows<{', '.join(o.c_type for o in types)}>"
    sizes = (data.shape[0], order.shape[0], batch.shape[0])
    return _launch(call, body, (prod(data.shape[1:]),), sizes)


@rule("dynamic_slice", "update_slice")
def slices(call: Call) -> list[Task]:
    """A block that begins where another tensor says."""
    body = f"{call.op.name}<{bits_type(call.outs[0].dtype)}, {call.ins[1].c_type}>"
    whole, block = call.ins[0].shape, call.outs[0].shape
    if call.op.name == "update_slice":
        block = call.ins[2].shape
    return _launch(call, body, (), (*block, *whole))


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
    if call.op.name == "scatter_rows":
        merge = call.op.attrs[0].choices.index(call.attrs[0])
        types.insert(0, _MERGE[merge])
        if not call.ins[1].size:  # nothing to merge; a shape of 0 cannot divide
            return [copy_launch(call.ins[0], y)]
    rows = prod(y.shape[:leading])
    body = f"{call.op.name}<{', '.join(types)}>"
    numbers = (prod(y.shape[leading:]),)
    sizes = y.shape[leading - 1 : leading]
    return _launch(call, body, numbers, sizes, min(rows, MAX_BLOCKS))
