# SPDX-License-Identifier: Apache-2.0
"""Ops that ONNX itself defines by others: Attention, RotaryEmbedding, losses.

The definitions are those of the installed package onnx, not of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from fastnn.onnx.importing.table import Node, Reader, UnsupportedError, tensor
from fastnn.onnx.package import DTYPES, onnx_package

# Made of a GraphProto and the opsets its nodes are of: `Program`, which imports this.
Build = Callable[[Any, Any], Any]


def function_schema(op: str, version: int) -> Any:
    """What ONNX says of an op that it defines by others; None for all others."""
    defs = onnx_package().defs
    try:
        schema = defs.get_schema(op, version, "")
    except defs.SchemaError:
        return None
    given = schema.has_function or schema.has_context_dependent_function
    return schema if given and not schema.deprecated else None


def function_names(version: int) -> list[str]:
    """All such ops."""
    found = {s.name for s in onnx_package().defs.get_all_schemas() if not s.domain}
    return sorted(op for op in found if function_schema(op, version))


def function_reader(proto: Any, version: int, build: Build) -> Reader | None:
    """Reads a node by its definition; None where ONNX has none."""
    schema = function_schema(proto.op_type, version)
    if schema is None:
        return None
    kept = type(proto)()
    kept.CopyFrom(proto)
    programs: dict[Any, Any] = {}

    def read(node: Node, *inputs: Any) -> Any:
        values = [None if v is None else tensor(v) for v in inputs]
        key = tuple(None if v is None else (v.dtype, v.ndim) for v in values)
        program = programs.get(key)
        if program is None:
            body = _body(schema, kept, values)
            program = build(_graph(body, kept, schema), body.opset_import)
            programs[key] = program
        given = zip_longest(program.inputs, inputs[: len(program.inputs)])
        found = program.run({**program.constants, **dict(given)})
        by_name = dict(zip(program.outputs, found, strict=True))
        return tuple(map(by_name.get, (output.name for output in schema.outputs)))

    return read


def _body(schema: Any, proto: Any, values: list[Any]) -> Any:
    """The FunctionProto; some depend on the types of what is given."""
    if schema.has_function:
        return schema.function_body
    helper = onnx_package().helper
    types = []
    for value, name in zip_longest(values, proto.input):
        known = onnx_package().TypeProto()
        if name and value is not None:
            known = helper.make_tensor_type_proto(DTYPES[value.dtype], value.shape)
        types.append(known.SerializeToString())
    data = schema.get_context_dependent_function(proto.SerializeToString(), types)
    if not data:
        raise UnsupportedError(f"[onnx] {proto.op_type} with these inputs")
    return onnx_package().FunctionProto.FromString(data)


def _graph(body: Any, proto: Any, schema: Any) -> Any:
    """A definition as a graph, with the node's attributes in their places."""
    graph = onnx_package().GraphProto(name=body.name)
    for name in body.input:
        graph.input.add(name=name)
    made = {name for node in body.node for name in node.output} | set(body.input)
    for name in body.output:
        if name in made:  # outputs that the node does not ask for may be missing
            graph.output.add(name=name)
    defaults = [a.default_value for a in schema.attributes.values()]
    given = {a.name: a for a in defaults if a.type}
    given |= {a.name: a for a in (*body.attribute_proto, *proto.attribute)}
    for node in body.node:
        _bind(graph.node.add(), node, given)
    return graph


def _bind(new: Any, node: Any, given: dict[str, Any]) -> None:
    new.CopyFrom(node)
    del new.attribute[:]
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            value = given.get(attribute.ref_attr_name)
            if value is not None:  # else the op's own default
                bound = new.attribute.add()
                bound.CopyFrom(value)
                bound.name = attribute.name
            continue
        bound = new.attribute.add()
        bound.CopyFrom(attribute)
        if attribute.HasField("g"):
            del bound.g.node[:]
            for inner in attribute.g.node:
                _bind(bound.g.node.add(), inner, given)
