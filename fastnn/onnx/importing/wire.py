# SPDX-License-Identifier: Apache-2.0
"""A look at the bytes of an ONNX file before protobuf makes objects of them.

An empty node takes two bytes in a file and a thousand in memory, a weight without
elements 1,300, a number of one byte up to sixteen. So what all of them will take is
added up first, from the lengths of the messages alone; how deep they stand, too.
"""

from __future__ import annotations

import numpy as np

from fastnn.errors import ModelFileError

DEPTH = 24  # of messages in messages: graph, node, attribute, graph, ...
FREE = 40 << 20  # bytes of memory that the parts of any file may take,
SHARE = 2  # and one for so many of the file

# Bytes of memory that a message takes with what becomes of it, as measured: a node a
# call, a tensor a variable, a leaf a text.
_COSTS = {
    "graph": 2000,
    "node": 750,
    "tensor": 1100,
    "attribute": 250,
    "value": 400,
    "leaf": 130,
}
_ANY = 100  # any other message
_FIELD = 48  # a number, as it stands in the lists of an attribute
# (message, field) of packed numbers -> (bytes of one in the file, 0 where that varies;
# bytes of memory; of these free for a byte of the file: weights of 16-bit floats are
# int32_data of two and three bytes).
_PACKED = {
    ("tensor", 1): (0, _FIELD, 0),
    ("tensor", 5): (0, 8, 4),
    ("tensor", 7): (0, 16, 0),
    ("tensor", 11): (0, 16, 0),
    ("attribute", 7): (4, _FIELD, 0),
    ("attribute", 8): (0, _FIELD, 0),
}

# Message -> field -> message inside (onnx.proto). What is not here is data to skip.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "leaf", 14: "leaf", 20: "leaf", 25: "function"},
    "function": {7: "node", 9: "leaf", 11: "attribute", 12: "leaf"},
    "graph": {
        1: "node",
        5: "tensor",
        11: "value",
        12: "value",
        13: "value",
        14: "leaf",
        15: "leaf",
        16: "leaf",
    },
    "node": {1: "leaf", 2: "leaf", 5: "attribute", 9: "leaf"},
    "attribute": {
        5: "tensor",
        6: "graph",
        9: "leaf",
        10: "tensor",
        11: "graph",
        14: "type",
        15: "type",
        22: "leaf",
        23: "leaf",
    },
    "tensor": {6: "leaf", 13: "leaf", 16: "leaf"},
    "value": {2: "type", 4: "leaf"},
    "type": {1: "array", 4: "sequence", 5: "map", 8: "array", 9: "sequence"},
    "array": {2: "shape"},
    "shape": {1: "leaf"},
    "sequence": {1: "type"},
    "map": {2: "type"},
    "leaf": {},
}


def check_wire(data: bytes, path: str) -> None:
    """Adds up what the messages take.

    Raises:
        ModelFileError: for more than a file of that size may, for too deep nesting, and
            for bytes that are no messages.
    """
    view, most = memoryview(data), FREE + len(data) // SHARE
    cost, stack = 0, [(0, len(data), "model", 0)]
    while stack:
        at, end, kind, depth = stack.pop()
        if depth > DEPTH:
            raise ModelFileError(path, f"messages nested more than {DEPTH} deep.")
        inside = _INSIDE[kind]
        while at < end:
            key, at = _number(view, at, end, path)
            field, wire = key >> 3, key & 7
            cost += _FIELD
            if wire == 2:
                length, at = _number(view, at, end, path)
                if length > end - at:
                    raise ModelFileError(path, "no ONNX model: it ends too early.")
                inner = inside.get(field)
                if inner is not None:
                    cost += _COSTS.get(inner, _ANY)
                    if inner == "leaf":
                        cost += length
                    elif length:
                        stack.append((at, at + length, inner, depth + 1))
                elif (kind, field) in _PACKED:
                    width, each, free = _PACKED[kind, field]
                    part = view[at : at + length]
                    count = length // width if width else _varints(part)
                    cost += max(0, each * count - free * length)
                at += length
            elif wire == 0:
                _, at = _number(view, at, end, path)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise ModelFileError(path, "no ONNX model: no protobuf.")
            if cost > most:
                raise ModelFileError(
                    path,
                    f"the parts of its {len(data)} bytes would take more than {most} "
                    "bytes of memory.",
                )
        if at > end:
            raise ModelFileError(path, "no ONNX model: it ends too early.")


def _varints(part: memoryview) -> int:
    """How many numbers of one or more bytes: each ends with one below 128."""
    return int(np.count_nonzero(np.frombuffer(part, np.uint8) < 128))


def _number(view: memoryview, at: int, end: int, path: str) -> tuple[int, int]:
    """A varint and the place behind it."""
    value = shift = 0
    while at < end and shift < 70:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ModelFileError(path, "no ONNX model: no protobuf.")
