# SPDX-License-Identifier: Apache-2.0
"""Copies, concatenation, padding: one thread per element of the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import MAX_RANK, Launch, Operand, Task
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.axes import merged
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

_BITS = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}


def bits_type(dtype: str) -> str:
    """The unsigned type of the elements' size: copies do not look at values."""
    return _BITS[ITEMSIZE[dtype]]


def copy_launch(x: Operand, y: Operand) -> Launch:
    """From x into y, of the same shape; both may have any strides."""
    source, to = merged([x, y])
    body = f"copy<{bits_type(x.dtype)}>"
    blocks = blocks_for(y.size)
    return Launch("copy.cuh", body, (source,), (to,), (), blocks, THREADS)


@rule("copy")
def copy(call: Call) -> list[Task]:
    """One launch."""
    return [copy_launch(call.ins[0], call.outs[0])]


@rule("concatenate")
def concatenate(call: Call) -> list[Task]:
    """A copy of each input into its part of the output."""
    made: list[Task] = []
    y, axis = call.outs[0], call.attrs[0] % len(call.outs[0].shape)
    address = y.address
    for x in call.ins:
        if x.size:
            to = y._replace(address=address, shape=x.shape)
            made.append(copy_launch(x, to))
        address += x.shape[axis] * y.strides[axis] * ITEMSIZE[y.dtype]
    return made


@rule("pad")
def pad(call: Call) -> list[Task]:
    """Elements of the input where there are some, the value elsewhere."""
    low = next(
        v for a, v in zip(call.op.attrs, call.attrs, strict=True) if a.name == "low"
    )
    numbers = tuple(int(n) for n in low) + (0,) * (MAX_RANK - len(low))
    body = f"pad<{bits_type(call.outs[0].dtype)}>"
    blocks = blocks_for(call.outs[0].size)
    return [Launch("copy.cuh", body, call.ins, call.outs, numbers, blocks, THREADS)]
