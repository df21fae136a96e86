# SPDX-License-Identifier: Apache-2.0
"""Damage to the messages of ONNX files: sizes, names, ops, attributes, elements."""

from __future__ import annotations

import random
from typing import Any

import mutations as m
import onnx

from fastnn.onnx.importing.table import readers

_OPS = sorted(readers())
_SIZES = tuple(n for n in m.NUMBERS if isinstance(n, int) and -(2**63) <= n < 2**63)
_KINDS = (0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 14, 16, 17, 99)


def changed(data: bytes, draw: random.Random, seeds: list[bytes]) -> bytes:
    """A file with a few changes to what it says."""
    proto = onnx.ModelProto.FromString(data)
    other = onnx.ModelProto.FromString(draw.choice(seeds)).graph
    for _ in range(draw.choice((1, 1, 2, 3))):
        draw.choice(_CHANGES)(proto, draw, other)
    return proto.SerializeToString()


def _node(proto: Any, draw: random.Random) -> Any:
    if not proto.graph.node:
        proto.graph.node.add(op_type="Relu", input=["x"], output=["y"])
    return draw.choice(proto.graph.node)


def _tensor(proto: Any, draw: random.Random) -> Any:
    found = list(proto.graph.initializer)
    found += [a.t for n in proto.graph.node for a in n.attribute if a.HasField("t")]
    return draw.choice(found) if found else proto.graph.initializer.add(name="w")


def _op(proto: Any, draw: random.Random, _: Any) -> None:
    _node(proto, draw).op_type = draw.choice(_OPS)


def _names(proto: Any, draw: random.Random, _: Any) -> None:
    known = [name for node in proto.graph.node for name in (*node.input, *node.output)]
    known += ["", "x" * 99, *(t.name for t in proto.graph.initializer)]
    node = _node(proto, draw)
    names = draw.choice((node.input, node.input, node.output))
    kind = draw.randrange(3)
    if kind == 0 or not names:
        names.append(draw.choice(known))
    elif kind == 1:
        names[draw.randrange(len(names))] = draw.choice(known)
    else:
        del names[draw.randrange(len(names))]


def _attribute(proto: Any, draw: random.Random, other: Any) -> None:
    node = _node(proto, draw)
    if not node.attribute or draw.random() < 0.2:
        given = [a for n in other.node for a in n.attribute]
        if given:
            node.attribute.add().CopyFrom(draw.choice(given))
        return
    one = draw.choice(node.attribute)
    kind = draw.randrange(6)
    if kind == 0:
        one.i = draw.choice(_SIZES)
    elif kind == 1 and one.ints:
        one.ints[draw.randrange(len(one.ints))] = draw.choice(_SIZES)
    elif kind == 2:
        one.ints.extend(draw.choices(_SIZES, k=draw.choice((1, 9))))
    elif kind == 3:
        one.type = draw.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13))
    elif kind == 4:
        one.s = draw.choice(m.WORDS).encode()
    else:
        one.name = draw.choice(m.WORDS)


def _elements(proto: Any, draw: random.Random, _: Any) -> None:
    """Constants say shapes, axes and pads, so numbers are as bad as lengths."""
    tensor = _tensor(proto, draw)
    kind = draw.randrange(5)
    if kind == 0:
        tensor.data_type = draw.choice(_KINDS)
    elif kind == 1 and tensor.dims:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(_SIZES)
    elif kind == 2:
        tensor.dims.append(draw.choice(_SIZES))
    elif kind == 3 and tensor.data_type == 7 and len(tensor.raw_data) >= 8:
        raw = bytearray(tensor.raw_data)
        place = 8 * draw.randrange(len(raw) // 8)
        raw[place : place + 8] = draw.choice(_SIZES).to_bytes(8, "little", signed=True)
        tensor.raw_data = bytes(raw)
    else:
        tensor.raw_data = m.damaged(tensor.raw_data, draw, tensor.raw_data[::-1])


def _value(proto: Any, draw: random.Random, _: Any) -> None:
    values = [*proto.graph.input, *proto.graph.output]
    kind = draw.choice(values).type.tensor_type if values else None
    if kind is None:
        return
    if draw.random() < 0.3:
        kind.elem_type = draw.choice(_KINDS)
    elif kind.shape.dim:
        # Bounded: it is the caller who makes inputs as large as the file wants them.
        draw.choice(kind.shape.dim).dim_value = draw.choice((-1, 0, 1, 2, 7, 128))
    else:
        kind.shape.dim.add(dim_value=3)


def _node_list(proto: Any, draw: random.Random, other: Any) -> None:
    nodes, kind = proto.graph.node, draw.randrange(3)
    if kind == 0 and nodes:
        del nodes[draw.randrange(len(nodes))]
    elif kind == 1 and other.node:
        nodes.add().CopyFrom(draw.choice(other.node))
    else:
        listed = list(nodes)
        draw.shuffle(listed)
        del nodes[:]
        nodes.extend(listed)


def _header(proto: Any, draw: random.Random, _: Any) -> None:
    kind = draw.randrange(3)
    if kind == 0 and proto.opset_import:
        proto.opset_import[0].version = draw.choice((*range(6, 30), 10**9))
    elif kind == 1:
        proto.opset_import.add(domain=draw.choice(m.WORDS), version=1)
    else:
        tensor = _tensor(proto, draw)
        tensor.data_location = 1
        tensor.external_data.add(key="location", value=draw.choice(m.WORDS))


_CHANGES = (
    *(_op, _names, _names, _attribute, _attribute, _attribute),
    *(_elements, _elements, _elements, _value, _node_list, _header),
)
