# SPDX-License-Identifier: Apache-2.0
"""Data that a device has no room for: rows of the next steps go there as it computes.

The graph of an epoch gathers rows `data[order[cursor + i]]`. Where the data do not fit,
the device has a window of two halves in their place. The host gathers the rows of the
steps to come, in their order, into page-locked memory, from where they are copied on a
stream of their own into one half, while steps read the other; the order that the device
sees says where in the window a row is. The numbers are those of data that do fit.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastnn.graph.ir import INPUT, VARIABLE
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastnn.autodiff.tensor import Variable
    from fastnn.backends.cuda.protocol import Device, Mark, Memory
    from fastnn.graph.ir import Graph

RESIDENT_SHARE = 0.8  # of free memory that data may take
HALF_BYTES = 32 << 20  # of a half, unless a batch is more


class Gathered(NamedTuple):
    """The data that a graph reads by batches only.

    Attributes:
        columns: indices of the inputs.
        order: index of the input that says which rows.
        cursor: the variable with the position in the order.
        batch: rows of a step.
    """

    columns: tuple[int, ...]
    order: int
    cursor: Variable
    batch: int


def gathered(graph: Graph) -> Gathered | None:
    """None where rows are read in another way too, or in several orders."""
    nodes = [node for node in graph.nodes if node.op.name == "gather_rows"]
    columns: set[int] = set()
    ways = set()
    for node in nodes:
        data, order, cursor = node.inputs
        if (data.kind, order.kind, cursor.kind) != (INPUT, INPUT, VARIABLE):
            return None
        columns.add(data.payload)
        variable = cursor.payload
        ways.add((order.payload, id(variable), node.attrs[0]))
    if len(ways) != 1:
        return None
    ((order, _, batch),) = ways
    users = graph.consumers()
    inputs = [graph.inputs[i] for i in (*columns, order)]
    if any(v in graph.outputs for v in inputs) or any(
        user not in nodes for v in inputs for user in users.get(v, ())
    ):
        return None
    return Gathered(tuple(sorted(columns)), order, variable, batch)


def row_bytes(graph: Graph, column: int) -> int:
    """Bytes of a dense row of an input."""
    value = graph.inputs[column]
    return prod(value.shape[1:]) * ITEMSIZE[value.dtype]


class Feed:
    """The windows of a plan's data on a device.

    Args:
        graph: of one step.
        plan: what it gathers.
        device: where.

    Attributes:
        rows: of a half.
    """

    def __init__(self, graph: Graph, plan: Gathered, device: Device) -> None:
        self._graph, self._device = graph, device
        self.columns, self.order = plan.columns, plan.order
        self._cursor, self._batch = plan.cursor, plan.batch
        self._sizes = {i: row_bytes(graph, i) for i in plan.columns}
        most = HALF_BYTES // max(sum(self._sizes.values()), 1)
        self.rows = max(most // plan.batch, 1) * plan.batch
        self._locked: dict[int, np.ndarray] = {}  # page-locked, as the windows
        self._windows: dict[int, Memory] = {}
        self._order: np.ndarray | None = None
        self._data: dict[int, np.ndarray] = {}
        # When a half may be written: its steps have run, its copies have left.
        self._computed: list[Mark | None] = [None, None]
        self._sent: list[Mark | None] = [None, None]

    @classmethod
    def where_needed(cls, graph: Graph, device: Device) -> Feed | None:
        """A feed for data that do not fit beside what is there."""
        plan = gathered(graph)
        if plan is None:
            return None
        count = graph.inputs[plan.order].shape[0]
        whole = sum(row_bytes(graph, i) for i in plan.columns) * count
        if whole <= RESIDENT_SHARE * device.free():
            return None
        feed = cls(graph, plan, device)
        return feed if 2 * feed.rows <= count else None

    def window_bytes(self, column: int) -> int:
        """Of the memory in place of an input."""
        return 2 * self.rows * self._sizes[column]

    def attach(self, windows: dict[int, Memory], order: Memory) -> None:
        """Take these blocks; the order is written for good."""
        self._windows = windows
        count = self._graph.inputs[self.order].shape[0]
        self._device.upload(order, 0, np.arange(count) % (2 * self.rows))
        for i in self.columns:
            self._locked[i] = self._device.pinned(self.window_bytes(i))

    def take(self, index: int, array: np.ndarray) -> bool:
        """Whether an input is the feed's; then it is kept for the next runs."""
        if index == self.order:
            self._order = array
        elif index in self.columns:
            self._data[index] = self._rows(index, array)
        else:
            return False
        return True

    def _rows(self, index: int, array: np.ndarray) -> np.ndarray:
        """The rows of an input, each as one element where it lies in one piece."""
        value, strides = self._graph.inputs[index], self._graph.input_strides.get(index)
        if strides is not None:
            flat = array.reshape(-1).view(value.dtype)
            steps = [s * flat.itemsize for s in strides]
            return np.lib.stride_tricks.as_strided(flat, value.shape, steps)
        whole = np.dtype((np.void, max(self._sizes[index], 1)))
        return array.reshape(len(array), -1).view(whole).reshape(-1)

    def release(self) -> None:
        """Let go of the data."""
        self._order = None
        self._data.clear()

    def run(self, program: Callable[[int], None], steps: int) -> None:
        """So many steps from where the cursor is."""
        at = int(self._cursor._array.reshape(-1)[0])
        while steps:
            left = self.rows - at % self.rows
            count = min(steps, max(left // self._batch, 1))
            end = at + count * self._batch
            halves = [self._send(*part) for part in self._parts(at, end)]
            program(count)
            for half in halves:
                self._computed[half] = self._device.mark()
            at, steps = end, steps - count

    def _parts(self, at: int, end: int) -> Iterator[tuple[int, int]]:
        """Positions from `at` to `end`, half by half; none behind the last."""
        end = min(end, self._graph.inputs[self.order].shape[0])
        while at < end:
            stop = min(end, (at // self.rows + 1) * self.rows)
            yield at, stop
            at = stop

    def _send(self, at: int, stop: int) -> int:
        """Rows of these positions to their places in a half, which is returned."""
        assert self._order is not None
        half = at // self.rows % 2
        sent = self._sent[half]
        if sent is not None:
            sent.synchronize()
        after = self._computed[half] or self._device.mark()
        first = at % (2 * self.rows)
        rows = self._order[at:stop]
        for i, data in self._data.items():
            size = self._sizes[i]
            place = self._locked[i][first * size : (first + len(rows)) * size]
            if data.ndim == 1 and data.dtype.kind == "V":
                to = place.view(data.dtype)
                np.take(data, rows, axis=0, out=to, mode="clip")
            else:
                to = place.view(data.dtype).reshape(-1, *data.shape[1:])
                to[...] = data[rows]
            address = self._windows[i].address + first * size
            self._sent[half] = self._device.send(address, place, after)
        return half
