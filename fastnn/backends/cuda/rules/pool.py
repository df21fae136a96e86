# SPDX-License-Identifier: Apache-2.0
"""Pooling: a thread per element of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import Launch, Operand, Task
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.conv import geometry, image

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch
    from fastnn.opset._opdef import OpDef

_GRADIENTS = ("max_pool_grad", "average_pool_grad")


@rule(
    "max_pool",
    "max_pool_with_index",
    "max_pool_grad",
    "max_pool_take",
    "average_pool",
    "average_pool_grad",
)
def pool(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """`name<dtype, type of indices>`; gradients have what windows slide over last."""
    window, strides, low, sizes = attrs
    inner, outer = ins[0].shape[1:-1], tuple(sizes)
    if op.name in _GRADIENTS:
        inner, outer = outer, inner
    numbers = geometry(inner, outer, window, strides, (1,) * len(window), low)
    types = [outs[0].c_type]
    if "index" in op.inputs:
        types.append(ins[1].c_type)
    elif len(outs) > 1:
        types.append(outs[1].c_type)
    body, y = f"{op.name}<{', '.join(types)}>", outs[0]
    operands = tuple(image(x) for x in ins)
    return [
        Launch("pool.cuh", body, operands, outs, numbers, blocks_for(y.size), THREADS)
    ]
