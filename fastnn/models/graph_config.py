# SPDX-License-Identifier: Apache-2.0
"""Functional models to and from plain data, in Keras 3's format."""

from __future__ import annotations

import inspect
from typing import Any

from fastnn import ops, tree
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import SerializationError
from fastnn.layers.input import InputLayer
from fastnn.serialization import (
    deserialize_keras_object,
    register_codec,
    serialize_keras_object,
)
from fastnn.symbolic.graph import Graph, Step
from fastnn.symbolic.operation import (
    FunctionOperation,
    check_sizes,
    is_operation_config,
    operation_from_config,
)
from fastnn.symbolic.tensor import KerasTensor, symbolic_leaves

Address = tuple[str, int, int]  # name of an operation, number of its call, of an output

register_codec(
    "__tensor__",
    Tensor,
    lambda t: {"value": t.numpy().tolist(), "dtype": t.dtype},
    lambda config: convert_to_tensor(config["value"], config["dtype"]),
)


def is_graph_config(config: dict[str, Any]) -> bool:
    """Whether a config lists layers with the calls between them."""
    return {"layers", "input_layers", "output_layers"} <= config.keys()


def takes_ends(cls: type) -> bool:
    """Whether a class is made as Model is: (inputs, outputs, name) or anything."""
    parameters = inspect.signature(cls).parameters.values()
    kinds = {p.kind for p in parameters}
    if {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds:
        return True
    return [p.name for p in parameters][:3] == ["inputs", "outputs", "name"]


# ---- writing -----------------------------------------------------------------------


def graph_config(model: Any) -> dict[str, Any]:
    """What `Model.get_config` returns for a functional model."""
    graph: Graph = model._graph
    addresses = _addresses(graph)
    layers = []
    for operation in graph.operations:
        steps = [step for step in graph.steps if step.operation is operation]
        steps.sort(key=lambda step: step.rank)
        layers.append(_operation_config(operation, steps, graph, addresses))
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": _ends(graph.inputs, graph, addresses),
        "output_layers": _ends(graph.outputs, graph, addresses),
    }


def _addresses(graph: Graph) -> dict[int, Address]:
    found: dict[int, Address] = {
        slot.index: (graph.specs[slot.index][2], 0, 0)
        for slot in tree.flatten(graph.inputs)
    }
    for slot, step, i in graph.addresses():
        found[slot] = (step.operation.name, step.rank, i)
    return found


def _operation_config(
    operation: Any, steps: list[Step], graph: Graph, addresses: dict[int, Address]
) -> dict[str, Any]:
    if isinstance(operation, FunctionOperation):
        options: dict[str, Any] = {}
        calls = []
        for step in steps:
            args, kwargs = step.arguments(graph.tensors)
            kwargs = {**operation.options, **kwargs}
            operands, named, options = operation.split(args, kwargs)
            calls.append((tuple(operands), named))
        config = operation.config_of_call(serialize_keras_object(options))
    else:
        config = serialize_keras_object(operation)
        calls = [step.arguments(graph.tensors) for step in steps]
    places = {id(t): addresses[i] for i, t in enumerate(graph.tensors)}
    nodes = [
        {"args": _written(args, places), "kwargs": _written(kwargs, places)}
        for args, kwargs in calls
    ]
    return {**config, "name": operation.name, "inbound_nodes": nodes}


def _written(arguments: Any, places: dict[int, Address]) -> Any:
    def write(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return serialize_keras_object(leaf)
        config = {
            "shape": leaf.shape,
            "dtype": leaf.dtype,
            "keras_history": list(places[id(leaf)]),
        }
        return {"class_name": "__keras_tensor__", "config": config}

    return tree.map_structure(write, arguments)


def _ends(slots: Any, graph: Graph, addresses: dict[int, Address]) -> Any:
    """Addresses of inputs or outputs; Keras counts a model's own ends as a call."""
    nested = {o.name for o in graph.operations if _is_functional(o)}

    def address(slot: Any) -> list[Any]:
        name, call, i = addresses[slot.index]
        return [name, call + (name in nested), i]

    return tree.map_structure(address, slots)


def _is_functional(operation: Any) -> bool:
    return getattr(operation, "_graph", None) is not None


# ---- reading -----------------------------------------------------------------------


def model_from_config(cls: type, config: dict[str, Any], custom_objects: Any) -> Any:
    """The model that `graph_config`, or Keras, described; with new weights.

    Raises:
        SerializationError: when calls refer to results that nothing makes.
    """
    rest = dict(config)
    operations: dict[str, Any] = {}
    results: dict[str, list[list[KerasTensor]]] = {}
    waiting: dict[str, list[Any]] = {}
    for data in rest.pop("layers"):
        name = data["name"]
        if is_operation_config(data):
            operation = operation_from_config(data)
        else:
            operation = deserialize_keras_object(data, custom_objects)
        operations[name] = operation
        results[name] = []
        if isinstance(operation, InputLayer):
            results[name].append([operation.output])
        waiting[name] = list(data.get("inbound_nodes", ()))
    while any(waiting.values()):
        made = sum(_call_ready(operations[n], waiting[n], results, n) for n in waiting)
        if not made:
            names = ", ".join(name for name, nodes in waiting.items() if nodes)
            raise SerializationError(
                f"[from_config] the calls of {names} need results that no layer of "
                "the config gives."
            )
    ends = [
        _revived_ends(rest.pop(key), results, operations)
        for key in ("input_layers", "output_layers")
    ]
    rest = {key: value for key, value in rest.items() if value is not None}
    return cls(inputs=ends[0], outputs=ends[1], **rest)


def _call_ready(
    operation: Any, nodes: list[Any], results: dict[str, Any], name: str
) -> int:
    """Makes the calls whose inputs exist; returns how many."""
    made = 0
    while nodes:
        try:
            args = _revived(nodes[0]["args"], results)
            kwargs = _revived(nodes[0]["kwargs"], results)
        except IndexError:  # made by a call that waits itself
            break
        if kwargs.get("mask", ...) is None:  # Keras writes it for every layer
            del kwargs["mask"]
        if _is_indexing(operation) and isinstance(args[1], list):
            args[1] = tuple(args[1])  # JSON has no tuples; a list would be an array
        if not symbolic_leaves(args, kwargs):  # it would be computed here, at any cost
            raise SerializationError(
                f"[from_config] a call of {name} takes no result of another layer."
            )
        if isinstance(operation, FunctionOperation):
            check_sizes(operation, args, kwargs)
        outputs = operation(*args, **kwargs)
        results[name].append(tree.flatten(outputs))
        nodes.pop(0)
        made += 1
    return made


def _is_indexing(operation: Any) -> bool:
    return (
        isinstance(operation, FunctionOperation) and operation.function is ops.get_item
    )


def _revived(node: Any, results: dict[str, Any]) -> Any:
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        name, call, i = node["config"]["keras_history"]
        return results[name][call][i]
    if isinstance(node, dict) and "class_name" not in node:
        return {key: _revived(value, results) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_revived(item, results) for item in node]
    return deserialize_keras_object(node)


def _revived_ends(node: Any, results: dict[str, Any], operations: Any) -> Any:
    if isinstance(node, (list, tuple)) and len(node) == 3 and isinstance(node[0], str):
        name, call, i = node
        return results[name][call - _is_functional(operations[name])][i]
    if isinstance(node, dict):
        return {key: _revived_ends(v, results, operations) for key, v in node.items()}
    return type(node)(_revived_ends(item, results, operations) for item in node)
