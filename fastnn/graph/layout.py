# SPDX-License-Identifier: Apache-2.0
"""Where every value lives: storages, views into them, and what is updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastnn.graph.ir import CONST
from fastnn.opset import Spec, get_op
from fastnn.opset._dtypes import ITEMSIZE
from fastnn.opset._opdef import VIEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.graph.ir import Graph, Node, Value

ARENA, CONSTS, VARIABLES, INPUTS = "arena", "consts", "variable", "input"


class Storage:
    """A block of memory that one or several values share."""

    __slots__ = ("home", "key", "nbytes", "offset", "thread_step", "values")

    def __init__(self, home: str, nbytes: int, key: int = 0) -> None:
        self.home = home
        self.nbytes = nbytes
        self.key = key  # index of the constant, variable or input
        self.offset = 0  # bytes inside its home, set by the memory pass
        self.thread_step = 0  # bytes from one thread's copy to the next, in chains
        self.values: list[Value] = []


class View:
    """How a value lies in its storage: byte offset and strides in elements."""

    __slots__ = ("offset", "storage", "strides")

    def __init__(self, storage: Storage, offset: int, strides: tuple[int, ...]) -> None:
        self.storage = storage
        self.offset = offset
        self.strides = strides


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = dense_strides(shape)
    return all(
        n == 1 or a == b for n, a, b in zip(shape, strides, expected, strict=True)
    )


class Layout:
    """Assigns storages and views; `nodes` is the graph without its view nodes.

    Rules:
      * a view node's output lies in its input's storage (a reshape of strided memory
        gets a copy first);
      * an op may overwrite an input (`OpDef.inplace`) that nobody else reads, no other
        operand of the op views, that is dense and does not outlive the step;
      * the new value of a variable is written straight into the variable when all
        readers of the old value, through views too, come before it in traced order and
        the old value does not leave the step. Else it is copied there at the end;
      * what still reads an updated variable at the end (an output, or another
        variable's new value) is copied away before the first variable is written.

    Args:
        graph: optimized.
        overwrites: whether a node may write over an input in the arena at all.
    """

    def __init__(
        self, graph: Graph, overwrites: Callable[[Node], bool] = lambda node: True
    ) -> None:
        self.graph = graph
        self._overwrites = overwrites
        self.views: dict[Value, View] = {}
        self.storages: list[Storage] = []
        self.nodes: list[Node] = []
        self.consts: list[Value] = []
        self._users = graph.consumers()
        self._position = {node: i for i, node in enumerate(graph.nodes)}
        self._fixed = set(graph.outputs)
        for i, (_, value) in enumerate(graph.variables.values()):
            self._place(value, self._storage(VARIABLES, value, i))
        for i, value in enumerate(graph.inputs):
            strides = graph.input_strides.get(i)
            self._place(value, self._storage(INPUTS, value, i), strides=strides)
        donated = self._donations()
        # `_commit` still reads these after the last node.
        self._fixed |= {v for k, v in graph.updates.items() if donated.get(v) != k}
        for node in graph.nodes:
            self._add(node, donated)
        self.outputs = self._finish(donated)

    # -- placing ---------------------------------------------------------------------

    def _storage(self, home: str, value: Value, key: int = 0) -> Storage:
        storage = Storage(home, value.size * ITEMSIZE[value.dtype], key)
        self.storages.append(storage)
        return storage

    def _place(
        self,
        value: Value,
        storage: Storage,
        offset: int = 0,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        strides = dense_strides(value.shape) if strides is None else strides
        self.views[value] = View(storage, offset, strides)
        storage.values.append(value)

    def view(self, value: Value) -> View:
        if value.kind == CONST and value not in self.views:
            self._place(value, self._storage(CONSTS, value, len(self.consts)))
            self.consts.append(value)
        return self.views[value]

    def _add(self, node: Node, donated: dict[Value, int]) -> None:
        if node.op.kind == VIEW:
            self._add_view(node)
            return
        for value in node.inputs:
            self.view(value)
        for i, value in enumerate(node.outputs):
            key = donated.get(value)
            if key is not None:
                home = self.views[self.graph.variables[key][1]].storage
                self._place(value, home)
                continue
            j = node.op.inplace[i] if i < len(node.op.inplace) else -1
            if j >= 0 and self._may_overwrite(node, node.inputs[j], value):
                self._place(value, self.views[node.inputs[j]].storage)
            else:
                self._place(value, self._storage(ARENA, value))
        self.nodes.append(node)

    def _add_view(self, node: Node) -> None:
        x, y = node.inputs[0], node.outputs[0]
        view = self.view(x)
        if node.op.name == "reshape" and not is_dense(x.shape, view.strides):
            x = self._copy(x)
            view = self.views[x]
        offset, strides = view_of(node, x, view.strides)
        self._place(y, view.storage, view.offset + offset, strides)

    # -- in place --------------------------------------------------------------------

    def _may_overwrite(self, node: Node, old: Value, new: Value) -> bool:
        view = self.views[old]
        storage = view.storage
        return (
            self._overwrites(node)
            and storage.home == ARENA
            and (old.shape, old.dtype) == (new.shape, new.dtype)
            and is_dense(old.shape, view.strides)
            and storage.nbytes == old.size * ITEMSIZE[old.dtype]
            and sum(self.views[v].storage is storage for v in node.inputs) == 1
            and not any(v in self._fixed for v in storage.values)
            and all(
                self._position[u] <= self._position[node]
                for v in storage.values
                for u in self._users.get(v, ())
            )
        )

    def _aliases(self, value: Value) -> list[Value]:
        """The value and all views of it, views of views included."""
        found = [value]
        for alias in found:
            readers = self._users.get(alias, ())
            found += [n.outputs[0] for n in readers if n.op.kind == VIEW]
        return found

    def _donations(self) -> dict[Value, int]:
        """New values of variables that may be written straight into the variable."""
        donated: dict[Value, int] = {}
        updates = self.graph.updates
        leaving = self._fixed | set(updates.values())
        for key, value in updates.items():
            node = value.node
            if node is None or node.op.kind == VIEW or value in donated:
                continue
            old = self.graph.variables[key][1]
            aliases = self._aliases(old)
            if value in self._fixed or any(v in leaving for v in aliases):
                continue
            j = node.op.inplace[value.index] if node.op.inplace else -1
            over = sum(v in aliases for v in node.inputs)
            allowed = over == 0 or (over == 1 and j >= 0 and node.inputs[j] is old)
            late = any(
                self._position[reader] > self._position[node]
                for alias in aliases
                for reader in self._users.get(alias, ())
                if reader.op.kind != VIEW
            )
            if allowed and not late:
                donated[value] = key
        return donated

    def _copy(self, value: Value, storage: Storage | None = None) -> Value:
        """A copy of the value at this point, in a storage of its own or a given one."""
        self.view(value)
        spec = Spec(value.shape, value.dtype)
        node = self.graph.make_node(get_op("copy"), [value], (), [spec])
        copy = node.outputs[0]
        self._place(copy, storage or self._storage(ARENA, copy))
        self.nodes.append(node)
        return copy

    def _finish(self, donated: dict[Value, int]) -> list[Value]:
        """Saves what reads updated variables, then writes the others' new values.

        Returns:
            The outputs, copies where the output lay in a variable that changes.
        """
        variables = self.graph.variables
        pending = {
            key: value
            for key, value in self.graph.updates.items()
            if donated.get(value) != key and value is not variables[key][1]
        }
        changing = {self.views[variables[key][1]].storage for key in pending}

        def safe(value: Value) -> Value:
            return self._copy(value) if self.view(value).storage in changing else value

        outputs = [safe(value) for value in self.graph.outputs]
        pending = {key: safe(value) for key, value in pending.items()}
        for key, value in pending.items():
            self._copy(value, self.views[variables[key][1]].storage)
        return outputs


def view_of(
    node: Node, x: Value, strides: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """Byte offset and strides of a view op's output, found by asking its reference.

    NumPy applies the op to an array without memory of its own; only addresses are
    compared, nothing is read.
    """
    item = ITEMSIZE[x.dtype]
    if x.size == 0:
        return 0, dense_strides(node.outputs[0].shape)
    base = np.lib.stride_tricks.as_strided(
        np.empty(1, x.dtype), x.shape, [s * item for s in strides]
    )
    result = node.op.ref(base, *node.attrs)
    start = base.__array_interface__["data"][0]
    offset = result.__array_interface__["data"][0] - start
    if node.outputs[0].size == 0:
        return 0, dense_strides(node.outputs[0].shape)
    return offset, tuple(s // item for s in result.strides)


def storage_row_bytes(view: View, value: Value) -> int:
    """Bytes from one row of the value to the next."""
    return view.strides[0] * ITEMSIZE[value.dtype] if value.shape else 0
