# SPDX-License-Identifier: Apache-2.0
"""Pooling: a thread per element of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Task
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.conv import geometry, image

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

_GRADIENTS = ("max_pool_grad", "average_pool_grad")


@rule(
    "max_pool",
    "max_pool_with_index",
    "max_pool_grad",
    "max_pool_take",
    "average_pool",
    "average_pool_grad",
)
def pool(call: Call) -> list[Task]:
    """`name<dtype, type of indices>`; gradients have what windows slide over last."""
    window, strides, low, sizes = call.attrs
    inner, outer = call.ins[0].shape[1:-1], tuple(sizes)
    if call.op.name in _GRADIENTS:
        inner, outer = outer, inner
    numbers = geometry(inner, outer, window, strides, (1,) * len(window), low)
    types = [call.outs[0].c_type]
    if "index" in call.op.inputs:
        types.append(call.ins[1].c_type)
    elif len(call.outs) > 1:
        types.append(call.outs[1].c_type)
    body, y = f"{call.op.name}<{', '.join(types)}>", call.outs[0]
    operands = tuple(image(x) for x in call.ins)
    return [
        Launch(
            "pool.cuh", body, operands, call.outs, numbers, blocks_for(y.size), THREADS
        )
    ]
