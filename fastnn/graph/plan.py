# SPDX-License-Identifier: Apache-2.0
"""From an optimized graph to the native plan that runs it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _core, _threadpools
from fastnn.autodiff._tape import encode_attrs
from fastnn.graph import memory
from fastnn.graph.chains import chain
from fastnn.graph.groups import group
from fastnn.graph.layout import ARENA, CONSTS, VARIABLES, Layout, Storage
from fastnn.graph.schedule import kernel_table, schedule
from fastnn.opset import Spec
from fastnn.opset._dtypes import CODES, ITEMSIZE, NAMES

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value
    from fastnn.graph.schedule import Chain, Step

# A second thread costs two or three barriers a step (~1 us each when its core is its
# own); below this much work a step it only gets in the way.
MIN_NS_PER_THREAD = 12_000.0


class Plan:
    """A native program over one arena.

    Slots: 0 the arena, 1 the constants, then variables, then inputs. Variables are
    updated in place; `bind` replaces what an input slot points to.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        layout = Layout(graph)
        max_threads = _core.num_threads()
        steps = group(chain(layout, schedule(layout, max_threads), max_threads))
        arena = memory.place(layout, steps)
        self._steps = steps
        self._layout = layout
        self._variables = [var for var, _ in graph.variables.values()]
        self._written = [key in graph.updates for key in graph.variables]
        self._native = _core.Plan(arena, max_threads)
        self._lock = threading.Lock()
        self._bound: dict[int, Any] = {}
        self._used: set[int] = set()  # slots that an instruction reads or writes
        consts = self._pack_constants(layout)
        self.cost = 0.0
        self._emit(steps)
        self.phases = max((s.phase for s in steps), default=-1) + 1
        if consts is not None:
            self._bind(1, consts)
        self._outputs = [self._output_view(v) for v in layout.outputs]
        _threadpools.offer()
        if self.threads() > 1:
            _core.prepare_threads(self.threads())  # the first step finds them awake

    # -- building --------------------------------------------------------------------

    def _pack_constants(self, layout: Layout) -> np.ndarray | None:
        offset = 0
        for value in layout.consts:
            storage = layout.views[value].storage
            storage.offset = offset
            offset += memory.padded(storage.nbytes)
        if not offset:
            return None
        packed = np.zeros(offset, np.uint8)
        for value in layout.consts:
            storage = layout.views[value].storage
            raw = np.ascontiguousarray(value.payload).reshape(-1).view(np.uint8)
            packed[storage.offset : storage.offset + raw.size] = raw
        return packed

    def _slot(self, storage: Storage) -> int:
        if storage.home == ARENA:
            return 0
        if storage.home == CONSTS:
            return 1
        first = 2 if storage.home == VARIABLES else 2 + len(self._variables)
        return first + storage.key

    def _operand(self, value: Value, shape: tuple[int, ...] | None = None) -> tuple:
        """(slot, byte offset, dtype code, shape, strides), broadcast to `shape`."""
        view = self._layout.views[value]
        dims, strides = value.shape, view.strides
        if shape is not None and dims != shape:
            lead = len(shape) - len(dims)
            strides = (0,) * lead + tuple(
                0 if n == 1 and m != 1 else s
                for n, m, s in zip(dims, shape[lead:], strides, strict=True)
            )
            dims = shape
        return (
            self._slot(view.storage),
            view.storage.offset + view.offset,
            CODES[value.dtype],
            list(dims),
            list(strides),
        )

    def _emit(self, steps: list[Step]) -> None:
        before: Step | None = None
        for step in steps:
            node, chain = step.node, step.chain
            out = node.outputs[0].shape
            inputs = [
                self._operand(v, node.op.operand_shape(v.shape, out))
                for v in node.inputs
            ]
            outputs = [self._operand(v) for v in node.outputs]
            head = chain is not None and (before is None or before.chain is not chain)
            if chain is not None:
                reads = kernel_table()[node.op.name]["reads"]
                inputs = [
                    self._sliced(operand, chain, letter == "r")
                    for operand, letter in zip(inputs, reads, strict=True)
                ]
                outputs = [self._sliced(operand, chain, True) for operand in outputs]
            self._used.update(operand[0] for operand in (*inputs, *outputs))
            self._native.add_instruction(
                node.op.name,
                inputs,
                outputs,
                encode_attrs(node.op, node.attrs),
                step.phase != (0 if before is None else before.phase),
                chain.block_rows if chain is not None and head else 0,
                chain is not None and not head,
            )
            before = step
            self.cost += node_cost(node)

    def _sliced(self, operand: tuple, chain: Chain, by_rows: bool) -> tuple:
        """The operand of one block: its rows, or this thread's block of the local."""
        slot, offset, code, shape, strides = operand
        if slot == 0 and offset == chain.local.offset:
            block = [chain.block_rows, *shape[1:]]
            return (slot, offset, code, block, strides, 0, chain.local.thread_step)
        step = strides[0] * ITEMSIZE[NAMES[code]] if by_rows and shape else 0
        return (*operand, step, 0)

    def _output_view(self, value: Value) -> Any:
        view = self._layout.view(value)
        if view.storage.home != ARENA:
            return value  # a variable, input or constant: read when asked
        base = self._native.arena_view(
            view.storage.offset, CODES["uint8"], [view.storage.nbytes]
        )
        flat = base.view(value.dtype)
        item = flat.itemsize
        return np.lib.stride_tricks.as_strided(
            flat[view.offset // item :],
            value.shape,
            [s * item for s in view.strides],
        )

    # -- running ---------------------------------------------------------------------

    def _bind(self, slot: int, array: np.ndarray) -> None:
        if self._bound.get(slot) is not array:
            if slot in self._used:
                self._native.bind(slot, array)
            self._bound[slot] = array

    def bind_input(self, index: int, array: np.ndarray) -> None:
        """Point input `index` to a C-contiguous array of its spec."""
        self._bind(2 + len(self._variables) + index, array)

    def release_inputs(self) -> None:
        """Let go of the arrays bound as inputs; the next run binds them again."""
        with self._lock:
            first = 2 + len(self._variables)
            for slot in [s for s in self._bound if s >= first]:
                if slot in self._used:
                    self._native.unbind(slot)
                del self._bound[slot]

    def threads(self) -> int:
        """How many threads a step is worth."""
        worth = int(self.cost / MIN_NS_PER_THREAD)
        return max(1, min(_core.num_threads(), worth))

    def run(self, inputs: list[np.ndarray] | None = None, steps: int = 1) -> list:
        """Bind, run `steps` times, and return copies of the outputs.

        Variables must not be touched by other threads meanwhile; the GIL is free.
        """
        with self._lock:
            self._bind_all(inputs)
            self._native.run(steps, self.threads())
            return [self._read(o) for o in self._outputs]

    def _bind_all(self, inputs: list[np.ndarray] | None) -> None:
        for i, array in enumerate(inputs or ()):
            self.bind_input(i, array)
        for i, var in enumerate(self._variables):
            self._bind(2 + i, var._buffer() if self._written[i] else var._array)

    def _read(self, output: Any) -> np.ndarray:
        if isinstance(output, np.ndarray):
            return output.copy()
        view = self._layout.views[output]
        memory = self._bound[self._slot(view.storage)].reshape(-1).view(np.uint8)
        flat = memory[view.storage.offset + view.offset :].view(output.dtype)
        strides = [s * flat.itemsize for s in view.strides]
        return np.lib.stride_tricks.as_strided(flat, output.shape, strides).copy()

    def profile(
        self, steps: int = 10, inputs: list[np.ndarray] | None = None
    ) -> list[tuple[str, float]]:
        """(op name, nanoseconds) of each instruction; variables advance as in run.

        A chain or group is timed at its first instruction. `inputs` as for `run`.
        """
        with self._lock:
            self._bind_all(inputs)
            times = self._native.run_profiled(steps, self.threads())
        return [(s.node.op.name, t) for s, t in zip(self._steps, times, strict=True)]

    def summary(self) -> str:
        """Instructions with shapes, places and phases, as text."""
        lines = [
            f"plan {self.graph.name}: {len(self._steps)} instructions, "
            f"{self.phases} phases, arena {self._native.arena_bytes} bytes"
        ]
        phase, chain = -1, None
        for step in self._steps:
            if step.phase != phase:
                phase = step.phase
                lines.append(f"-- phase {phase}")
            if step.chain is not None and step.chain is not chain:
                lines.append(f"-- chain, blocks of {step.chain.block_rows} rows")
            elif step.chain is None and chain is not None:
                lines.append("-- end of chain")
            chain = step.chain
            ins = ", ".join(self._describe(v) for v in step.node.inputs)
            outs = ", ".join(self._describe(v) for v in step.node.outputs)
            attrs = "".join(
                f" {a.name}={v}"
                for a, v in zip(step.node.op.attrs, step.node.attrs, strict=True)
                if a.kind != "static"
            )
            lines.append(f"{outs} = {step.node.op.name}({ins}){attrs}")
        return "\n".join(lines) + "\n"

    def _describe(self, value: Value) -> str:
        view = self._layout.views[value]
        storage = view.storage
        if storage.home == VARIABLES:
            place = f"@{self._variables[storage.key].path}"
        elif storage.home == ARENA:
            place = f"a{storage.offset + view.offset}"
        else:
            place = f"{storage.home}{storage.key}"
        return f"{place}{list(value.shape)}"


def node_cost(node: Node) -> float:
    """Work of a node in nanoseconds on one core, as its record estimates it."""
    cost = node.op.cost
    outs = [Spec(v.shape, v.dtype) for v in node.outputs]
    if callable(cost):
        return cost([Spec(v.shape, v.dtype) for v in node.inputs], outs, node.attrs)
    return cost * sum(v.size for v in node.outputs)
