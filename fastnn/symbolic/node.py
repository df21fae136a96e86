# SPDX-License-Identifier: Apache-2.0
"""Nodes: the record that an operation was called on symbolic tensors."""

from __future__ import annotations

from typing import Any

from fastnn import tree
from fastnn.symbolic.tensor import History, KerasTensor, symbolic_leaves


class Node:
    """One call of a layer or operation.

    Attributes:
        operation: what was called.
        args, kwargs: what it was called with.
        input_tensors, output_tensors: the symbolic tensors in and out, flat.
    """

    __slots__ = ("args", "input_tensors", "kwargs", "operation", "output_tensors")

    def __init__(
        self,
        operation: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outputs: list[KerasTensor],
    ) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        plain = self.is_plain
        self.input_tensors = [args[0]] if plain else symbolic_leaves(args, kwargs)
        self.output_tensors = outputs

    @property
    def is_plain(self) -> bool:
        """Whether it was called with one symbolic tensor and nothing else."""
        args = self.args
        return len(args) == 1 and isinstance(args[0], KerasTensor) and not self.kwargs

    @property
    def is_input(self) -> bool:
        """Whether it declares an input: nothing symbolic goes in."""
        return not self.input_tensors

    @property
    def parent_nodes(self) -> list[Node]:
        """The calls that made the inputs."""
        found = (node_of(tensor) for tensor in self.input_tensors)
        return [node for node in found if node is not None]


def node_of(tensor: KerasTensor) -> Node | None:
    """The call that made a tensor; None for one that was made by hand."""
    history = tensor._keras_history
    if history is None:
        return None
    node: Node = history.operation._inbound_nodes[history.node_index]
    return node


def get_source_inputs(tensor: Any) -> Any:
    """A list of the inputs from which a symbolic tensor is made, itself where nothing
    made it; anything else as it is.
    """
    if not isinstance(tensor, KerasTensor):
        return tensor
    found: dict[int, KerasTensor] = {}
    waiting, seen = [tensor], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        node = node_of(current)
        if node is None:
            found[id(current)] = current
        elif node.is_input:
            found |= {id(t): t for t in node.output_tensors}
        else:
            waiting += reversed(node.input_tensors)
    return list(found.values())


def record(
    operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any
) -> Any:
    """Notes that `operation(*args, **kwargs)` gives `outputs`, which it returns."""
    tensors = tree.flatten(outputs)
    for tensor in tensors:
        if not isinstance(tensor, KerasTensor):
            raise TypeError(
                f"[{operation.name}] the outputs of a call on symbolic tensors must be "
                f"symbolic tensors, received {tensor!r}."
                + " Is a `return` missing?"
                * (tensor is None)
            )
    nodes = operation._inbound_nodes
    node = Node(operation, args, kwargs, tensors)
    if all(tensor.record_history for tensor in node.input_tensors):
        for i, tensor in enumerate(tensors):
            tensor._keras_history = History(operation, len(nodes), i)
        nodes.append(node)
    return outputs


class Calls:
    """The nodes of an operation; a copy or a pickle of the operation has none."""

    __slots__ = ("nodes",)

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def __reduce__(self) -> Any:
        return Calls, ()


class CallsMixin:
    """What layers and operations have in common: they remember symbolic calls."""

    name: str
    _calls: Calls

    @property
    def _inbound_nodes(self) -> list[Node]:
        return self._calls.nodes

    @property
    def input(self) -> Any:
        """Symbolic input (or list of inputs) of the first symbolic call."""
        return _single(self._first_call("input").input_tensors)

    @property
    def output(self) -> Any:
        """Symbolic output (or list of outputs) of the first symbolic call."""
        return _single(self._first_call("output").output_tensors)

    def _first_call(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"[{what}] '{self.name}' was never called on a symbolic tensor, so it "
                f"has no {what}: call it on keras.Input(...), or put it into a model "
                "with an Input."
            )
        return self._inbound_nodes[0]


def _single(tensors: list[KerasTensor]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors
