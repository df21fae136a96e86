# SPDX-License-Identifier: Apache-2.0
"""Resizing: rows, then columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import C_TYPES, Launch, Task, dense
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.norm import all_dense
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call


@rule("resize", "resize_grad")
def resize(call: Call) -> list[Task]:
    """Two launches; between them float32 for 16-bit images, rounded once."""
    method, antialias, _ = call.attrs
    chosen = call.op.attrs[0].choices.index(method), int(antialias)
    (x,), made = all_dense(call.ins, call.scratch)
    y = call.outs[0]
    gradient = call.op.name.endswith("grad")
    form = "resize_axis_grad" if gradient else "resize_axis"
    images, height, width, channels = x.shape
    rows, columns = y.shape[1:3]
    between = "float64" if x.dtype == "float64" else "float32"
    size = images * rows * width * channels
    half = dense(
        call.scratch(size * ITEMSIZE[between]),
        between,
        (images, rows, width * channels),
    )
    flat = dense(x.address, x.dtype, (images, height, width * channels))
    sizes = ((height, rows), (width, columns))
    operands = (
        (flat, half),
        (
            dense(half.address, between, (images * rows, width, channels)),
            dense(y.address, y.dtype, (images * rows, columns, channels)),
        ),
    )
    for (n, m), (source, to) in zip(sizes, operands, strict=True):
        forward = (m, n) if gradient else (n, m)
        body = f"{form}<{source.c_type}, {C_TYPES[to.dtype]}>"
        numbers, blocks = (*chosen, *forward), blocks_for(to.size)
        made.append(
            Launch("resize.cuh", body, (source,), (to,), numbers, blocks, THREADS)
        )
    return made
