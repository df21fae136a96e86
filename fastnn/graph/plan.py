# SPDX-License-Identifier: Apache-2.0
"""From an optimized graph to the native plan that runs it."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _core, _threadpools
from fastnn.autodiff._launch import encode_attrs
from fastnn.errors import out_of_table
from fastnn.graph import memory
from fastnn.graph.chains import chain
from fastnn.graph.groups import group
from fastnn.graph.layout import ARENA, CONSTS, INPUTS, VARIABLES, Layout, Storage
from fastnn.graph.schedule import kernel_table, schedule
from fastnn.opset import Spec
from fastnn.opset._dtypes import CODES, ITEMSIZE, NAMES
from fastnn.opset._opdef import CONTRACT

if TYPE_CHECKING:
    from os import PathLike

    from fastnn.autodiff.tensor import Variable
    from fastnn.graph.ir import Graph, Node, Value
    from fastnn.graph.report import Profile
    from fastnn.graph.schedule import Chain, Step

# A second thread costs two or three barriers a step (~1 us each when its core is its
# own); below this much work a step it only gets in the way.
MIN_NS_PER_THREAD = 12_000.0
# A call of one step has to wake the others as well, who may have lost their core: 32
# rows of 784-300-100-10 take 165 us on one thread and took 170 to 300 on two.
MIN_NS_ONCE = 150_000.0
NS_PER_BYTE = 0.025  # one core reads weights from its second cache at 40 GB/s


class Plan:
    """A native program over one arena.

    Slots: 0 the arena, 1 the constants, then variables, then inputs. Variables are
    updated in place; `bind` replaces what an input slot points to.

    Attributes:
        cycle: (variable, n) when the variable must be zero again after n steps, as the
            position in the data; None when steps may go on for ever.
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
        # (slot, variable, whether a step writes it)
        self._places = [
            (2 + i, var, key in graph.updates)
            for i, (key, (var, _)) in enumerate(graph.variables.items())
        ]
        self._native = _core.Plan(arena, max_threads)
        self._lock = allocate_lock()
        self._bound: dict[int, Any] = {}
        self._used: set[int] = set()  # slots that an instruction reads or writes
        consts = self._pack_constants(layout)
        self.cost = 0.0
        self.cycle: tuple[Variable, int] | None = None
        self._emit(steps)
        self._worth = max(1, int(self.cost / MIN_NS_PER_THREAD))
        self._worth_once = max(1, int(self.cost / MIN_NS_ONCE))
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

    @property
    def arena_bytes(self) -> int:
        """Size of the arena, where everything lives that a step computes."""
        return int(self._native.arena_bytes)

    # -- running ---------------------------------------------------------------------

    def _bind(self, slot: int, array: np.ndarray) -> None:
        if self._bound.get(slot) is not array:
            if slot in self._used:
                self._native.bind(slot, array)
            self._bound[slot] = array

    def bind_input(self, index: int, array: np.ndarray) -> None:
        """Point input `index` to a C-contiguous array of its spec, or the memory that
        an array with its `input_strides` spans.
        """
        self._bind(2 + len(self._variables) + index, array)

    def release_inputs(self) -> None:
        """Let go of the arrays bound as inputs; the next run binds them again."""
        with self._lock:
            first = 2 + len(self._variables)
            self._unbind([s for s in self._bound if s >= first])

    def _unbind(self, slots: list[int]) -> None:
        for slot in slots:
            if slot in self._used:
                self._native.unbind(slot)
            del self._bound[slot]

    def threads(self, steps: int = 2) -> int:
        """How many threads a step is worth, as one of so many."""
        worth = self._worth if steps > 1 else self._worth_once
        return int(min(_core.num_threads(), worth))

    def run(self, inputs: list[np.ndarray] | None = None, steps: int = 1) -> list:
        """Bind, run `steps` times, and return copies of the outputs.

        Variables must not be touched by other threads meanwhile; the GIL is free.
        """
        with self._lock:
            self._bind_all(inputs)
            try:
                self._native.run(steps, self.threads(steps))
            except ValueError as error:
                raise self._explained(error) from None
            return [self._read(o) for o in self._outputs]

    def writes(self, variables: list[Variable]) -> bool:
        """Whether a step assigns to all of them."""
        written = {id(var) for _, var, changes in self._places if changes}
        return all(id(var) in written for var in variables)

    def run_on(self, arrays: list[np.ndarray]) -> list:
        """One step on C-contiguous arrays of the inputs' specs, which are not kept.

        What `run` and `release_inputs` do, in half the time, where `may_run_on` says
        so.
        """
        with self._lock:
            self._bind_variables()
            bound, first = self._bound, 2 + len(self._variables)
            for slot in range(first, first + len(arrays)):
                bound.pop(slot, None)
            try:
                self._native.run_on(first, arrays, self._worth_once, self._worth)
            except ValueError as error:
                raise self._explained(error) from None
            return [self._read(o) for o in self._outputs]

    def _explained(self, error: ValueError) -> Exception:
        """The error of a kernel, with the layer's name where an index is the reason."""
        end = "/embeddings"
        tables = {
            var.path.removesuffix(end).rpartition("/")[2]: var.shape[0]
            for var, _ in self.graph.variables.values()
            if var.path.endswith(end)
        }
        return out_of_table(error, tables)

    @property
    def may_run_on(self) -> bool:
        """Whether some instruction reads every input, and no output lies in one."""
        first = 2 + len(self._variables)
        if any(first + i not in self._used for i in range(len(self.graph.inputs))):
            return False
        return not any(
            self._layout.views[o].storage.home == INPUTS
            for o in self._outputs
            if not isinstance(o, np.ndarray)
        )

    def _bind_all(self, inputs: list[np.ndarray] | None) -> None:
        for i, array in enumerate(inputs or ()):
            self.bind_input(i, array)
        self._bind_variables()

    def _bind_variables(self) -> None:
        bound = self._bound
        for slot, var, written in self._places:
            array = var._array
            if written and var._shared:
                del array  # a reference more, and it would be copied
                array = var._buffer()
            elif written and var._remote is not None:
                var._remote.replaced()
            if bound.get(slot) is not array:
                self._bind(slot, array)

    def _read(self, output: Any) -> np.ndarray:
        if isinstance(output, np.ndarray):
            return output.copy()
        view = self._layout.views[output]
        memory = self._bound[self._slot(view.storage)].reshape(-1).view(np.uint8)
        flat = memory[view.storage.offset + view.offset :].view(output.dtype)
        strides = [s * flat.itemsize for s in view.strides]
        return np.lib.stride_tricks.as_strided(flat, output.shape, strides).copy()

    # -- inspecting ------------------------------------------------------------------

    def profile(
        self, steps: int = 20, inputs: list[np.ndarray] | None = None
    ) -> Profile:
        """Times steps, instruction by instruction; variables keep their values.

        Args:
            steps: how many, after one that warms up.
            inputs: as for `run`; what is not bound is taken as zeros.

        Returns:
            A Profile: `print` it, or read its `times`.
        """
        with self._lock:
            self._bind_all(inputs)
            first = 2 + len(self._variables)
            lent = []
            for i, value in enumerate(self.graph.inputs):
                if first + i not in self._bound:
                    lent.append(first + i)
                    self._bind(first + i, self._zeros(i, value))
            try:
                return self._timed(steps)
            finally:
                self._unbind(lent)

    def _zeros(self, index: int, value: Value) -> np.ndarray:
        strides = self.graph.input_strides.get(index)
        if strides is None:
            return np.zeros(value.shape, value.dtype)
        spans = zip(value.shape, strides, strict=True)
        return np.zeros(1 + sum((n - 1) * s for n, s in spans), value.dtype)

    def _timed(self, steps: int) -> Profile:
        from fastnn.graph.report import Profile

        written = [var._array for _, var, changes in self._places if changes]
        before = [array.copy() for array in written]
        cursor, cycle = self.cycle or (None, steps)
        runs = []
        try:
            for start in (-1, *range(0, steps, cycle)):
                if cursor is not None:
                    cursor._array.fill(0)
                count = 1 if start < 0 else min(cycle, steps - start)
                runs.append(self._native.run_timed(count, self.threads()))
        finally:
            for array, old in zip(written, before, strict=True):
                array[...] = old
        del runs[0]
        threads = min(len(times) for times, _ in runs)
        times = np.concatenate([t[:threads] for t, _ in runs], axis=1)
        return Profile(self, times, sum(count for _, count in runs))

    def summary(self, profile: bool = False, steps: int = 20) -> str:
        """Instructions with shapes, places and phases, as text.

        Args:
            profile: add the time of each instruction and the waiting at each barrier.
            steps: how many steps to time; see `profile`.
        """
        from fastnn.graph import report

        timed = self.profile(steps) if profile else None
        parts = report.header(self)
        if timed is not None:
            parts += report.totals(timed)
        return "".join(f"{line}\n" for line in (*parts, *report.lines(self, timed)))

    def listing(self) -> str:
        """The part of `summary` that is the same on every machine."""
        from fastnn.graph import report

        found = [report.title(self), *report.lines(self)]
        return "".join(f"{line}\n" for line in found)

    def chrome_trace(
        self,
        path: str | PathLike[str],
        steps: int = 3,
        inputs: list[np.ndarray] | None = None,
    ) -> None:
        """Writes timed steps for chrome://tracing or Perfetto; see `profile`."""
        self.profile(steps, inputs).chrome_trace(path)


def run_epochs(
    plans: list[tuple[Plan, int]],
    inputs: list[np.ndarray],
    seeds: list[int],
    shuffle: bool,
    cursor: Variable,
    states: list[Variable],
    found: np.ndarray,
) -> None:
    """Epochs of (plan, steps) one after the other, without Python between them.

    Args:
        plans: take the same inputs; the last of these is the order of the rows.
        inputs: see `Plan.run`.
        seeds: one per epoch, of its order.
        shuffle: False keeps the order that is given.
        cursor: int64 (1,), zero at the begin of an epoch.
        states: float64 numbers that the plans sum up, zero at the begin of an epoch.
        found: takes the states at the end of each epoch, float64 (epochs, states). The
            caller has them even when Ctrl-C comes as this returns.
    """
    with ExitStack() as locks:
        parts = []
        for plan, steps in plans:
            locks.enter_context(plan._lock)
            plan._bind_all(inputs)
            parts.append((plan._native, steps, plan.threads(steps)))
        arrays = [var._array for var in states]
        _core.run_epochs(
            parts, seeds, shuffle, inputs[-1], cursor._array, arrays, found
        )


def node_cost(node: Node) -> float:
    """Work of a node in nanoseconds on one core, as its record estimates it."""
    cost = node.op.cost
    outs = [Spec(v.shape, v.dtype) for v in node.outputs]
    if not callable(cost):
        return cost * sum(v.size for v in node.outputs)
    work = cost([Spec(v.shape, v.dtype) for v in node.inputs], outs, node.attrs)
    if node.op.kind == CONTRACT:  # of one row: the weights take longer to arrive
        operands = [*node.inputs, *node.outputs]
        most = max(v.size * ITEMSIZE[v.dtype] for v in operands)
        work = max(work, most * NS_PER_BYTE)
    return work
