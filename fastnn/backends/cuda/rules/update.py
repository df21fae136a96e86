# SPDX-License-Identifier: Apache-2.0
"""Optimizer steps: one thread per weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import Launch, Operand, Task
from fastnn.backends.cuda.rules import (
    MAX_BLOCKS,
    THREADS,
    blocks_for,
    family,
    plain,
    rule,
)

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch
    from fastnn.opset._opdef import OpDef

SQUARE_CHUNK = 4096  # elements of one of square_sums, as csrc/kernels/optim.cpp


@family("optim")
def update(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """`name<dtype of the weights>`."""
    body = f"{op.name}<{ins[0].c_type}>"
    numbers, blocks = plain(attrs), blocks_for(outs[0].size)
    return [Launch("update.cuh", body, ins, outs, numbers, blocks, THREADS)]


@rule("square_sums")
def square_sums(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """A block per sum."""
    body = f"{op.name}<{ins[0].c_type}>"
    blocks = min(outs[0].size, MAX_BLOCKS)
    numbers = (SQUARE_CHUNK,)
    return [Launch("update.cuh", body, ins, outs, numbers, blocks, THREADS)]
