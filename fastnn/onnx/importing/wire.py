# SPDX-License-Identifier: Apache-2.0
"""A look at the bytes of an ONNX file before protobuf makes objects of them.

An empty node takes two bytes in a file and a hundred in memory. Only the lengths of the
messages are read here: how many there are, and how deep they stand.
"""

from __future__ import annotations

from fastnn.errors import ModelFileError

DEPTH = 24  # of messages in messages: graph, node, attribute, graph, ...
FREE = 100_000  # messages that any file may have
BYTES_EACH = 24  # what one takes at least, on average, beyond these

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
    """Counts messages.

    Raises:
        ModelFileError: for more than a file of that size has, for too deep nesting, and
            for bytes that are no messages.
    """
    view, most = memoryview(data), FREE + len(data) // BYTES_EACH
    count, stack = 0, [(0, len(data), "model", 0)]
    while stack:
        at, end, kind, depth = stack.pop()
        if depth > DEPTH:
            raise ModelFileError(path, f"messages nested more than {DEPTH} deep.")
        inside = _INSIDE[kind]
        while at < end:
            key, at = _number(view, at, end, path)
            field, wire = key >> 3, key & 7
            if wire == 2:
                length, at = _number(view, at, end, path)
                if length > end - at:
                    raise ModelFileError(path, "no ONNX model: it ends too early.")
                inner = inside.get(field)
                if inner is not None:
                    count += 1
                    if count > most:
                        raise ModelFileError(
                            path, f"more than {most} parts in {len(data)} bytes."
                        )
                    if inner != "leaf" and length:
                        stack.append((at, at + length, inner, depth + 1))
                at += length
            elif wire == 0:
                _, at = _number(view, at, end, path)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise ModelFileError(path, "no ONNX model: no protobuf.")
        if at > end:
            raise ModelFileError(path, "no ONNX model: it ends too early.")


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
