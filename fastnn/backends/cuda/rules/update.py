# SPDX-License-Identifier: Apache-2.0
"""Optimizer steps: one thread per weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Task
from fastnn.backends.cuda.rules import (
    MAX_BLOCKS,
    THREADS,
    blocks_for,
    family,
    plain,
    rule,
)
from fastnn.backends.cuda.rules.axes import merged

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

SQUARE_CHUNK = 4096  # elements of one of square_sums, as csrc/kernels/optim.cpp


@family("optim")
def update(call: Call) -> list[Task]:
    """`name<dtype of the weights>`; weights and slots with as few axes as they can."""
    body = f"{call.op.name}<{call.ins[0].c_type}>"
    numbers, blocks = plain(call.attrs), blocks_for(call.outs[0].size)
    shape = call.outs[0].shape
    alike = [i for i, x in enumerate(call.ins) if x.shape == shape]
    flat = merged([*(call.ins[i] for i in alike), *call.outs])
    ins = list(call.ins)
    for i, x in zip(alike, flat, strict=False):
        ins[i] = x
    outs = tuple(flat[len(alike) :])
    return [Launch("update.cuh", body, tuple(ins), outs, numbers, blocks, THREADS)]


@rule("square_sums")
def square_sums(call: Call) -> list[Task]:
    """A block per sum."""
    body = f"{call.op.name}<{call.ins[0].c_type}>"
    blocks = min(call.outs[0].size, MAX_BLOCKS)
    numbers = (SQUARE_CHUNK,)
    return [Launch("update.cuh", body, call.ins, call.outs, numbers, blocks, THREADS)]
