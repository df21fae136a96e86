# SPDX-License-Identifier: Apache-2.0
"""Chains: a weight gradient and the update that consumes it, block by block.

dw = x^T dy is as large as the weights. Computed whole and then read by the optimizer it
goes through memory twice; computed some rows at a time, each block is updated while it
is in the cache and dw never exists (784 x 784, RMSprop: 2 of 7 passes over 2.5 MB
spared). Both kernels own the same rows, so there is no barrier between them and not a
bit changes.

Every block reads dy again. Blocks as large as it is amortise that: 784 x 128 x 784
with RMSprop takes 1.99 ms apart, 2.2 in blocks of 96 KB, 1.85 in those of 384; 784 x 32
x 300 with SGD 0.24, 0.195, 0.20. A dy beyond L2 is better read once: 2048 x 512 x 2048
with Adam takes 44 ms apart and 93 in blocks of 96 KB (one core of a Cascade Lake, least
of many).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.graph.layout import ARENA
from fastnn.graph.memory import padded
from fastnn.graph.schedule import Chain
from fastnn.opset._dtypes import ITEMSIZE
from fastnn.opset._opdef import UPDATE

if TYPE_CHECKING:
    from fastnn.graph.ir import Value
    from fastnn.graph.layout import Layout
    from fastnn.graph.schedule import Step

MIN_BYTES = 64 * 1024  # what is smaller stays in the cache by itself
LEAST_BLOCK, MOST_BLOCK = 96 * 1024, 384 * 1024  # beside dy in 1 MiB of L2
MAX_DY = 512 * 1024


def chain(layout: Layout, steps: list[Step], max_threads: int) -> list[Step]:
    """Put producers of large gradients right before their updates, in chains."""
    makers = {value: step for step in steps for value in step.node.outputs}
    readers: dict[Value, int] = {}
    for step in steps:
        for value in step.node.inputs:
            readers[value] = readers.get(value, 0) + 1
    order = list(steps)
    for update in steps:
        if update.node.op.kind != UPDATE:
            continue
        gradient = update.node.inputs[1]
        maker = makers.get(gradient)
        if maker is None or readers[gradient] != 1:
            continue
        if not _can_chain(layout, maker, update, gradient):
            continue
        row = gradient.shape[1] * ITEMSIZE[gradient.dtype]
        nbytes = min(max(_nbytes(maker.node.inputs[1]), LEAST_BLOCK), MOST_BLOCK)
        block = max(8, nbytes // row // 8 * 8)
        local = layout.views[gradient].storage
        local.thread_step = padded(block * row)
        local.nbytes = local.thread_step * max_threads
        maker.chain = update.chain = Chain(block, local)
        order.remove(maker)
        order.insert(order.index(update), maker)
    return order


def _can_chain(layout: Layout, maker: Step, update: Step, gradient: Value) -> bool:
    storage = layout.views[gradient].storage
    return (
        maker.node.op.name == "matmul"
        and maker.phase == update.phase
        and len(gradient.shape) == 2
        and storage.home == ARENA
        and storage.values == [gradient]
        and storage.nbytes >= MIN_BYTES
        and _nbytes(maker.node.inputs[1]) <= MAX_DY
        and gradient not in layout.outputs
    )


def _nbytes(value: Value) -> int:
    return value.size * ITEMSIZE[value.dtype]
