# SPDX-License-Identifier: Apache-2.0
"""Random numbers: a thread per element, the CPU's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import Launch, Operand, Task
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch
    from fastnn.opset._opdef import OpDef


@rule("random_uniform", "random_normal", "truncated_normal", "dropout")
def draws(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """`name<dtype>`; attributes that are no numbers are in the output already."""
    pairs = zip(op.attrs, attrs, strict=True)
    numbers = tuple(float(v) for a, v in pairs if a.kind == "float")
    body = f"{op.name}<{outs[0].c_type}>"
    blocks = blocks_for(outs[0].size)
    return [Launch("random.cuh", body, ins, outs, numbers, blocks, THREADS)]
