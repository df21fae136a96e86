# SPDX-License-Identifier: Apache-2.0
"""Gathers (a thread per element) and scatters (a block per row of the output)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.copy import bits_type, copy_launch

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch
    from fastnn.opset._opdef import OpDef

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
def take(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """Rows of x."""
    x, indices = ins
    body = f"take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(body, ins, outs[0], (prod(x.shape[1:]),), scratch)


@rule("batch_take")
def batch_take(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """Rows of each x[o]."""
    x, indices = ins
    body = f"batch_take<{bits_type(x.dtype)}, {indices.c_type}>"
    return _launch(body, ins, outs[0], (prod(x.shape[2:]),), scratch)


@rule("gather_rows")
def gather_rows(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """The rows of a batch, converted."""
    types = (ins[0], outs[0], ins[1], ins[2])
    body = f"gather_rows<{', '.join(o.c_type for o in types)}>"
    return _launch(body, ins, outs[0], (prod(ins[0].shape[1:]),), scratch)


@rule("dynamic_slice", "update_slice")
def slices(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """A block that begins where another tensor says."""
    body = f"{op.name}<{bits_type(outs[0].dtype)}, {ins[1].c_type}>"
    return _launch(body, ins, outs[0], (), scratch)


@rule("one_hot")
def one_hot(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """A row of zeros with a one."""
    y = outs[0]
    body = f"one_hot<{y.c_type}, {ins[0].c_type}>"
    numbers = (y.shape[-1],)
    return [Launch("index.cuh", body, ins, (y,), numbers, blocks_for(y.size), THREADS)]


@rule("take_grad", "batch_take_grad", "scatter_rows")
def scatter(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """Updates of rows, in their order."""
    y = outs[0]
    leading = 2 if op.name.startswith("batch") else 1
    types = [y.c_type, ins[1].c_type]
    made: list[Task] = []
    if op.name == "scatter_rows":
        merge = op.attrs[0].choices.index(attrs[0])
        types.insert(0, _MERGE[merge])
    if not ins[1].size:  # nothing to merge: a shape of 0 has no row to divide by
        made = [copy_launch(ins[0], y)] if op.name == "scatter_rows" else []
        if made:
            return made
    rows = prod(y.shape[:leading])
    body = f"{op.name}<{', '.join(types)}>"
    numbers = (prod(y.shape[leading:]),)
    return _launch(body, ins, y, numbers, scratch, min(rows, MAX_BLOCKS))
