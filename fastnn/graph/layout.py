# SPDX-License-Identifier: Apache-2.0
"""Where every value lives: storages, views into them, and what is updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastnn.graph.ir import CONST, INPUT, VARIABLE
from fastnn.opset import Spec, get_op
from fastnn.opset._dtypes import ITEMSIZE
from fastnn.opset._opdef import VIEW

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value

ARENA, CONSTS, VARIABLES, INPUTS = "arena", "consts", "variable", "input"


class Storage:
    """A block of memory that one or several values share."""

    __slots__ = ("home", "key", "nbytes", "offset", "values")

    def __init__(self, home: str, nbytes: int, key: int = 0) -> None:
        self.home = home
        self.nbytes = nbytes
        self.key = key  # index of the constant, variable or input
        self.offset = 0  # bytes inside its home, set by the memory pass
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
      * an op may overwrite an input (`OpDef.inplace`) that nobody else reads, that is
        dense and that does not outlive the step;
      * the new value of a variable is written straight into the variable when all
        readers of the old value come before it in traced order, else copied there at
        the end of the step.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.views: dict[Value, View] = {}
        self.storages: list[Storage] = []
        self.nodes: list[Node] = []
        self.commits: dict[int, Node] = {}
        self._variable_keys = {key: i for i, key in enumerate(graph.variables)}
        self._users = graph.consumers()
        self._position = {node: i for i, node in enumerate(graph.nodes)}
        self._fixed = set(graph.outputs)
        for i, (_, value) in enumerate(graph.variables.values()):
            self._place(value, self._storage(VARIABLES, value, i))
        for i, value in enumerate(graph.inputs):
            self._place(value, self._storage(INPUTS, value, i))
        self.consts: list[Value] = []
        donated = self._donations()
        # `_commit` still reads these after the last node.
        self._fixed |= {v for k, v in graph.updates.items() if donated.get(v) != k}
        for node in graph.nodes:
            self._add(node, donated)
        self._commit(donated)

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
            copy = self.graph.make_node(
                get_op("copy"), [x], (), [Spec(x.shape, x.dtype)], node.where
            )
            self._place(copy.outputs[0], self._storage(ARENA, x))
            self.nodes.append(copy)
            x = copy.outputs[0]
            view = self.views[x]
        offset, strides = view_of(node, x, view.strides)
        self._place(y, view.storage, view.offset + offset, strides)

    # -- in place --------------------------------------------------------------------

    def _may_overwrite(self, node: Node, old: Value, new: Value) -> bool:
        view = self.views[old]
        storage = view.storage
        return (
            storage.home == ARENA
            and (old.shape, old.dtype) == (new.shape, new.dtype)
            and is_dense(old.shape, view.strides)
            and storage.nbytes == old.size * ITEMSIZE[old.dtype]
            and node.inputs.count(old) == 1
            and not any(v in self._fixed for v in storage.values)
            and all(
                self._position[u] <= self._position[node]
                for v in storage.values
                for u in self._users.get(v, ())
            )
        )

    def _readers(self, value: Value) -> list[Node]:
        """Nodes that read the value or a view of it."""
        found: list[Node] = []
        for node in self._users.get(value, ()):
            if node.op.kind == VIEW:
                found.extend(self._readers(node.outputs[0]))
            else:
                found.append(node)
        return found

    def _donations(self) -> dict[Value, int]:
        """New values of variables that may be written straight into the variable."""
        donated: dict[Value, int] = {}
        for key, value in self.graph.updates.items():
            node = value.node
            if node is None or node.op.kind == VIEW or value in donated:
                continue
            if value in self._fixed:
                continue
            old = self.graph.variables[key][1]
            at = self._position[node]
            j = node.op.inplace[value.index] if node.op.inplace else -1
            allowed = j >= 0 and node.inputs[j] is old and node.inputs.count(old) == 1
            late = [
                r
                for r in self._readers(old)
                if self._position[r] > at or (r is node and not allowed)
            ]
            if old in self._fixed or late:
                continue
            donated[value] = key
        return donated

    def _commit(self, donated: dict[Value, int]) -> None:
        """Copies into the variables whose new value lives elsewhere."""
        self.committed: list[tuple[Node, Storage]] = []
        for key, value in self.graph.updates.items():
            if donated.get(value) == key:
                continue
            old = self.graph.variables[key][1]
            if value is old:
                continue
            self.view(value)
            node = self.graph.make_node(
                get_op("copy"), [value], (), [Spec(value.shape, value.dtype)]
            )
            self._place(node.outputs[0], self.views[old].storage)
            self.nodes.append(node)


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


__all__ = ["ARENA", "CONST", "INPUT", "VARIABLE", "Layout", "Storage", "View"]
