# SPDX-License-Identifier: Apache-2.0
"""Pointwise ops: one thread per element, operands of the output's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Task
from fastnn.backends.cuda.rules import THREADS, blocks_for, family, plain
from fastnn.backends.cuda.rules.axes import merged

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call


@family("arithmetic", "elementary", "activation")
def pointwise(call: Call) -> list[Task]:
    """`pointwise<Row_name, type of the values>`."""
    values = call.ins[-1]  # where has its condition first
    numbers = plain(
        a.choices.index(v) if a.kind == "enum" else v
        for a, v in zip(call.op.attrs, call.attrs, strict=True)
    )
    *ins_, out = merged([*call.ins, *call.outs])
    return [
        Launch(
            "pointwise.cuh",
            f"pointwise<Row_{call.op.name}, {values.c_type}>",
            tuple(ins_),
            (out,),
            numbers,
            blocks_for(out.size),
            THREADS,
        )
    ]
