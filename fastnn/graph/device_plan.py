# SPDX-License-Identifier: Apache-2.0
"""A graph as launches over one arena of device memory.

The interface is that of `graph.plan.Plan`. Dependencies are those of the CPU's schedule
for one thread; `device_groups` makes chains of pointwise steps and an order.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.autodiff.on_device import Resident, resident
from fastnn.backends.cuda import one_block, rules
from fastnn.backends.cuda.arrays import DeviceArray, broadcast
from fastnn.backends.cuda.faults import Faults
from fastnn.backends.cuda.launches import RELATIVE, Operand, described, placed
from fastnn.errors import BackendError
from fastnn.graph import memory
from fastnn.graph.device_groups import grouped, is_link
from fastnn.graph.feed import Feed
from fastnn.graph.layout import (
    ARENA,
    CONSTS,
    INPUTS,
    VARIABLES,
    Layout,
    Storage,
    dense_strides,
)
from fastnn.graph.schedule import schedule
from fastnn.opset._dtypes import know

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Variable
    from fastnn.backends.cuda.launches import Task
    from fastnn.backends.cuda.protocol import Device, Memory
    from fastnn.graph.ir import Graph, Value


class DevicePlan:
    """Steps of a graph on a device.

    Args:
        graph: optimized, without host ops.
        device: what runs the launches.

    Attributes:
        cycle: see `graph.plan.Plan`.
        groups: what each kernel computes, in order.
    """

    may_run_on = False

    def __init__(self, graph: Graph, device: Device) -> None:
        self.graph = graph
        self.cycle: tuple[Variable, int] | None = None
        self._device = device
        layout = self._layout = Layout(graph, lambda node: not is_link(node))
        self.groups = grouped(layout, schedule(layout, 1))
        steps = [step for group in self.groups for step in group.steps]
        self._variables = [var for var, _ in graph.variables.values()]
        self._residents: dict[int, Resident] = {}  # variables that a step uses
        self._written = [
            i for i, key in enumerate(graph.variables) if key in graph.updates
        ]
        self._lock = threading.Lock()
        self._lent: dict[int, np.ndarray] = {}  # inputs that lie on the device
        arena = memory.place(layout, steps)
        self._feed = Feed.where_needed(graph, device)
        self._places = self._allocate(self._home_sizes(layout, arena))
        if self._feed is not None:
            self._attach(self._feed)
        self._upload_constants(layout)
        self._faults = Faults(device, len(steps))
        self.tasks = self._tasks()
        self._faults.watch(self.tasks)
        homes = [m for (home, _), m in self._places.items() if home != INPUTS]
        self._run = one_block.program(
            device, self.tasks, [*homes, self._scratch]
        ) or device.program(self.tasks)

    # -- memory ----------------------------------------------------------------------

    def _home_sizes(self, layout: Layout, arena: int) -> dict[tuple[str, int], int]:
        """Bytes of each block: the arena, the constants, each variable and input."""
        offset = 0
        for value in layout.consts:
            storage = layout.views[value].storage
            storage.offset = offset
            offset += memory.padded(storage.nbytes)
        sizes = {(ARENA, 0): arena, (CONSTS, 0): offset}
        feed = self._feed
        for storage in layout.storages:
            if feed and storage.home == INPUTS and storage.key in feed.columns:
                sizes[storage.home, storage.key] = feed.window_bytes(storage.key)
            elif storage.home not in (ARENA, CONSTS):
                sizes[storage.home, storage.key] = max(
                    storage.nbytes, self._spanned(storage)
                )
        return sizes

    def _spanned(self, storage: Storage) -> int:
        """Bytes of an input with strides of its own."""
        if storage.home == VARIABLES:
            return 0
        strides = self.graph.input_strides.get(storage.key)
        if strides is None:
            return 0
        value = self.graph.inputs[storage.key]
        spans = zip(value.shape, strides, strict=True)
        item = np.dtype(know(value.dtype)).itemsize
        return int(1 + sum((n - 1) * s for n, s in spans)) * item

    def _allocate(self, sizes: dict[tuple[str, int], int]) -> dict[Any, Memory]:
        """A variable has its place already if another plan of the device uses it."""
        places = {}
        for (home, key), n in sizes.items():
            if home == VARIABLES:
                place = resident(self._variables[key], self._device)
                self._residents[key] = place
                places[home, key] = place.memory
            else:
                places[home, key] = self._device.allocate(max(n, 1))
        return places

    def _attach(self, feed: Feed) -> None:
        """Windows are dense, however the data lie."""
        windows = {i: self._places[INPUTS, i] for i in feed.columns}
        feed.attach(windows, self._places[INPUTS, feed.order])
        for i in feed.columns:
            value = self.graph.inputs[i]
            self._layout.views[value].strides = dense_strides(value.shape)

    def _upload_constants(self, layout: Layout) -> None:
        home = self._places[CONSTS, 0]
        for value in layout.consts:
            storage = layout.views[value].storage
            payload = np.ascontiguousarray(value.payload)
            self._device.upload(home, storage.offset, payload)

    def _home(self, storage: Storage) -> Memory:
        single = storage.home in (ARENA, CONSTS)
        return self._places[storage.home, 0 if single else storage.key]

    def _operand(self, value: Value, shape: tuple[int, ...] | None = None) -> Operand:
        """Where a value lies, broadcast to `shape`."""
        view = self._layout.views[value]
        home = self._home(view.storage)
        address = home.address + view.storage.offset + view.offset
        found = Operand(address, value.dtype, tuple(value.shape), tuple(view.strides))
        return found if shape is None else broadcast(found, shape)

    def _tasks(self) -> list[Task]:
        """All launches of one step. Scratch memory is used anew by each instruction."""
        made: list[Task] = []
        most = needed = 0

        def take(nbytes: int) -> int:
            nonlocal most, needed
            offset, needed = needed, needed + memory.padded(nbytes)
            most = max(most, needed)
            return RELATIVE + offset

        for group in self.groups:
            needed = 0
            if len(group.steps) > 1:
                made.append(group.launch(self._operand))
            else:
                made += self._node_tasks(group.nodes[0], take)
        self._scratch = self._device.allocate(max(most, 1))
        return [placed(task, self._scratch.address) for task in made]

    def _node_tasks(self, node: Any, take: rules.Scratch) -> list[Task]:
        out = node.outputs[0].shape
        ins = [
            self._operand(v, node.op.operand_shape(v.shape, out)) for v in node.inputs
        ]
        outs = [self._operand(v) for v in node.outputs]
        word = self._faults.word
        call = rules.Call(node.op, tuple(ins), tuple(outs), node.attrs, take, word)
        return rules.tasks(call)

    # -- running ---------------------------------------------------------------------

    @property
    def arena_bytes(self) -> int:
        """Size of the arena, where everything lives that a step computes."""
        return int(self._places[ARENA, 0].nbytes)

    def run(self, inputs: list[np.ndarray] | None = None, steps: int = 1) -> list:
        """Run `steps` times and fetch the outputs.

        Variables that the host has written since are uploaded first; those that a step
        writes stay on the device until the host asks.
        """
        with self._lock:
            for i, array in enumerate(inputs or ()):
                if self._feed is None or not self._feed.take(i, array):
                    self._upload_input(i, array)
            for i, place in self._residents.items():
                place.ready(self._variables[i])
            if self._feed is not None:
                self._feed.run(self._run, steps)
            else:
                self._run(steps)
            for i in self._written:
                self._residents[i].written()
            self._faults.check()
            return [self._read(v) for v in self._layout.outputs]

    def _upload_input(self, index: int, array: np.ndarray) -> None:
        """Once: an array does not change until `release_inputs`, as in a pass."""
        place = self._places.get((INPUTS, index))
        if place is not None and self._lent.get(index) is not array:
            self._device.upload(place, 0, array)
            self._lent[index] = array

    def _read(self, value: Value) -> np.ndarray:
        """A copy of an output, of which only the bytes that it spans are fetched."""
        home = self._home(self._layout.view(value).storage)
        return DeviceArray(self._device, home, self._operand(value)).download()

    def release_inputs(self) -> None:
        """Let go of the arrays of the last run; the next one uploads its own."""
        with self._lock:
            self._lent.clear()
            if self._feed is not None:
                self._feed.release()

    def summary(self, profile: bool = False, steps: int = 20) -> str:
        """The launches of a step, one per line.

        Raises:
            BackendError: `profile` is asked for: Nsight Systems shows what a GPU does.
        """
        del steps
        if profile:
            raise BackendError(
                "[plan] no times on the cuda backend: run it under `nsys profile`"
            )
        lines = [
            f"{self.graph.name}: {len(self.tasks)} launches, arena "
            f"{self.arena_bytes} bytes"
        ]
        for i, task in enumerate(self.tasks):
            lines.append(f"{i:4d} {described(task)}")
        return "".join(f"{line}\n" for line in lines)
