# SPDX-License-Identifier: Apache-2.0
"""The graph: values, nodes and the order they were traced in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.opset._opdef import HOST

if TYPE_CHECKING:
    import numpy as np

    from fastnn.autodiff.tensor import Variable
    from fastnn.opset import OpDef, Spec

NODE, INPUT, VARIABLE, CONST = "node", "input", "variable", "const"


class Value:
    """One array of the program.

    `kind` says where it comes from: an output of `node`, the `payload`-th input of the
    function, the value of variable `payload` when the step begins, or the constant
    array `payload`.
    """

    __slots__ = ("dtype", "graph", "index", "kind", "node", "payload", "shape")

    def __init__(
        self,
        graph: Graph,
        kind: str,
        spec: Spec,
        node: Node | None = None,
        index: int = 0,
        payload: Any = None,
    ) -> None:
        self.graph = graph
        self.kind = kind
        self.shape, self.dtype = spec
        self.node = node
        self.index = index
        self.payload = payload

    @property
    def size(self) -> int:
        n = 1
        for s in self.shape:
            n *= s
        return n


class Node:
    """An op applied to values.

    Attributes:
        where: the user's line, for errors.
        region: number of the rematerialized block, or of its gradient, that the node
            belongs to; 0 for none. Regions run one after the other.
    """

    __slots__ = ("attrs", "inputs", "op", "outputs", "region", "where")

    def __init__(
        self, op: OpDef, inputs: list[Value], attrs: tuple, where: str
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.outputs: list[Value] = []
        self.where = where
        self.region = 0


class Graph:
    """A traced function: inputs, variables, nodes in order, outputs and updates."""

    def __init__(self, name: str = "function") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        # In elements, of inputs that are not dense, by index.
        self.input_strides: dict[int, tuple[int, ...]] = {}
        self.variables: dict[int, tuple[Variable, Value]] = {}
        self.updates: dict[int, Value] = {}
        # What the passes did: how many nodes each left, and what was fused.
        self.history: list[tuple[str, int]] = []
        self.fusions: list[str] = []

    def add_input(self, spec: Spec) -> Value:
        value = Value(self, INPUT, spec, payload=len(self.inputs))
        self.inputs.append(value)
        return value

    def add_const(self, array: np.ndarray, spec: Spec) -> Value:
        return Value(self, CONST, spec, payload=array)

    def variable(self, var: Variable, spec: Spec) -> Value:
        """The value `var` has when the step begins."""
        entry = self.variables.get(id(var))
        if entry is None:
            entry = var, Value(self, VARIABLE, spec, payload=var)
            self.variables[id(var)] = entry
        return entry[1]

    def make_node(
        self,
        op: OpDef,
        inputs: list[Value],
        attrs: tuple,
        specs: list[Spec],
        where: str = "",
    ) -> Node:
        """A node with fresh outputs, not yet in the list."""
        node = Node(op, inputs, attrs, where)
        node.outputs = [
            Value(self, NODE, spec, node, i) for i, spec in enumerate(specs)
        ]
        return node

    def roots(self) -> list[Value]:
        """Values that must be computed: outputs and new values of variables."""
        return [*self.outputs, *self.updates.values()]

    def consumers(self) -> dict[Value, list[Node]]:
        users: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                users.setdefault(value, []).append(node)
        return users

    def replace(self, mapping: dict[Value, Value]) -> None:
        """Let everybody who reads a key read its replacement."""
        if not mapping:
            return

        def final(value: Value) -> Value:
            while value in mapping:
                value = mapping[value]
            return value

        for node in self.nodes:
            node.inputs = [final(v) for v in node.inputs]
        self.outputs = [final(v) for v in self.outputs]
        self.updates = {k: final(v) for k, v in self.updates.items()}

    def sort(self) -> None:
        """Restore topological order, keeping the traced order where it allows."""
        placed: set[Node] = set()
        order: list[Node] = []
        for root in self.nodes:
            stack = [root]
            while stack:
                node = stack[-1]
                waiting = [
                    v.node
                    for v in node.inputs
                    if v.node is not None and v.node not in placed
                ]
                if waiting:
                    stack.extend(waiting)
                    continue
                stack.pop()
                if node not in placed:
                    placed.add(node)
                    order.append(node)
        self.nodes = order

    def dump(self) -> str:
        """The program as text, one node a line; stable, for snapshots."""
        names: dict[Value, str] = {}

        def name(value: Value) -> str:
            if value not in names:
                if value.kind == CONST:
                    names[value] = f"const{list(value.shape)}:{value.dtype}"
                elif value.kind == VARIABLE:
                    names[value] = f"@{value.payload.path}"
                elif value.kind == INPUT:
                    names[value] = f"in{value.payload}"
                else:
                    names[value] = f"%{sum(n[0] == '%' for n in names.values())}"
            return names[value]

        lines = []
        for node in self.nodes:
            args = ", ".join(name(v) for v in node.inputs)
            attrs = "".join(
                f", {a.name}={v}"
                for a, v in zip(node.op.attrs, node.attrs, strict=True)
            )
            outs = ", ".join(
                f"{name(v)}:{v.dtype}{list(v.shape)}" for v in node.outputs
            )
            lines.append(f"{outs} = {node.op.name}({args}{attrs})")
        for key, value in self.updates.items():
            lines.append(f"@{self.variables[key][0].path} := {name(value)}")
        lines.append("return " + ", ".join(name(v) for v in self.outputs))
        return "\n".join(lines) + "\n"


def host_node(graph: Graph) -> Node | None:
    """The first node that no plan can contain."""
    return next((node for node in graph.nodes if node.op.kind == HOST), None)
