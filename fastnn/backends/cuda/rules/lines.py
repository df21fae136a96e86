# SPDX-License-Identifier: Apache-2.0
"""Running sums, recurrences, sums of neighbours, sorting."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import THREADS, blocks_for, plain, rule
from fastnn.backends.cuda.rules.norm import all_dense
from fastnn.backends.cuda.rules.rows import all_around
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call, Scratch

_CUMULATIVE = {"cumsum": "SumOp", "cumprod": "ProdOp"}
_UNSIGNED = {"int32": "uint32_t", "int64": "uint64_t"}  # integers wrap


@rule("cumsum", "cumprod", "linear_recurrence")
def cumulative(call: Call) -> list[Task]:
    """A thread per line."""
    operands, made = all_around(call)
    *inputs, y = operands
    stored = _UNSIGNED.get(y.dtype, y.c_type)
    body = f"{call.op.name}<{y.c_type}>"
    if call.op.name in _CUMULATIVE:
        body = f"cumulate<{_CUMULATIVE[call.op.name]}, {stored}>"
    numbers, blocks = plain(call.attrs[1:]), blocks_for(y.shape[0] * y.shape[2])
    made.append(
        Launch("lines.cuh", body, tuple(inputs), (y,), numbers, blocks, THREADS)
    )
    return made


@rule("window_sum", "lrn", "lrn_grad")
def neighbours(call: Call) -> list[Task]:
    """A thread per element."""
    operands, made = all_dense(call.ins, call.scratch)
    y = call.outs[0]
    radius, *more = call.attrs
    numbers = (int(radius), y.shape[-1], *(float(v) for v in more))
    body, blocks = f"{call.op.name}<{y.c_type}>", blocks_for(y.size)
    made.append(
        Launch("lines.cuh", body, tuple(operands), (y,), numbers, blocks, THREADS)
    )
    return made


def _sorted(
    x: Operand, scratch: Scratch, *, descending: bool
) -> tuple[list[Task], Operand, Operand]:
    """The launches that sort rows, where their keys and positions lie then."""
    n, rows = x.shape[-1], prod(x.shape[:-1])
    c_type, blocks = x.c_type, blocks_for(x.size)

    def pair() -> tuple[Operand, Operand]:
        keys = dense(scratch(x.size * ITEMSIZE[x.dtype]), x.dtype, (rows, n))
        return keys, dense(scratch(x.size * 4), "int32", (rows, n))

    at, to = pair(), pair()
    begin = f"sort_begin<{c_type}>"
    made: list[Task] = [
        Launch("sort.cuh", begin, (x,), at, (n, int(descending)), blocks, THREADS)
    ]
    width = 1
    while width < n:
        body, numbers = f"sort_merge<{c_type}>", (n, width)
        made.append(Launch("sort.cuh", body, at, to, numbers, blocks, THREADS))
        at, to, width = to, at, 2 * width
    return made, *at


def _take(source: Operand, y: Operand, *, descending: bool) -> Launch:
    numbers = (source.shape[1], y.shape[-1], int(descending))
    body, blocks = f"sort_end<{source.c_type}>", blocks_for(y.size)
    return Launch("sort.cuh", body, (source,), (y,), numbers, blocks, THREADS)


@rule("sort", "argsort", "top_k")
def sort(call: Call) -> list[Task]:
    """Merges of runs, twice as long each time."""
    descending = call.op.name == "top_k"
    made, keys, positions = _sorted(call.ins[0], call.scratch, descending=descending)
    results = {"sort": (keys,), "argsort": (positions,), "top_k": (keys, positions)}
    for source, y in zip(results[call.op.name], call.outs, strict=True):
        made.append(_take(source, y, descending=descending))
    return made


@rule("searchsorted")
def searchsorted(call: Call) -> list[Task]:
    """A binary search per value."""
    body = f"searchsorted<{call.ins[0].c_type}>"
    numbers, blocks = (int(call.attrs[0]),), blocks_for(call.outs[0].size)
    return [Launch("sort.cuh", body, call.ins, call.outs, numbers, blocks, THREADS)]
