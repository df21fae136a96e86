# SPDX-License-Identifier: Apache-2.0
"""Whether the rows of a program's inputs are worked on apart from each other.

Then many batches may run as one: a program of 1024 rows gives what 32 programs of 32
rows give, to the bit, because no kernel's sums depend on how many rows there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.graph.ir import CONST, INPUT, NODE
from fastnn.graph.layout import dense_strides, view_of
from fastnn.graph.schedule import ROWS, keeps_rows, kernel_table
from fastnn.opset._opdef import POINTWISE, RANDOM, VIEW

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value


def rows_are_apart(few: Graph, many: Graph) -> bool:
    """Whether `many` does to each of its rows what `few` does to its.

    Args:
        few, many: one function, traced and optimized for inputs that differ in the
            number of rows only, two or more.
    """
    counts = [{v.shape[0] if v.shape else 0 for v in g.inputs} for g in (few, many)]
    if any(len(c) != 1 for c in counts) or few.updates or many.updates:
        return False
    return _same_but_rows(few, many, counts[0].pop(), counts[1].pop()) and _apart(many)


# -- the same program for another number of rows ---------------------------------------


def _same_but_rows(few: Graph, many: Graph, m: int, n: int) -> bool:
    """What follows from the number of rows in Python (`x / x.shape[0]`) differs."""
    if len(few.nodes) != len(many.nodes) or len(few.outputs) != len(many.outputs):
        return False
    twins: dict[Value, Value] = {}
    for a, b in zip(few.nodes, many.nodes, strict=True):
        if a.op is not b.op or len(a.inputs) != len(b.inputs):
            return False
        if not _same_attr(a.attrs, b.attrs, m, n):
            return False
        pairs = zip(a.inputs, b.inputs, strict=True)
        if not all(_twins(v, w, twins) for v, w in pairs):
            return False
        twins.update(zip(a.outputs, b.outputs, strict=True))
    return all(
        _twins(v, w, twins) for v, w in zip(few.outputs, many.outputs, strict=True)
    )


def _same_attr(a: Any, b: Any, m: int, n: int) -> bool:
    """Equal, but for a multiple of the number of rows where a shape begins."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        if a and b and type(a[0]) is type(b[0]) is int and a[0] * n == b[0] * m:
            a, b = a[1:], b[1:]
        return len(a) == len(b) and all(
            _same_attr(x, y, m, n) for x, y in zip(a, b, strict=True)
        )
    return type(a) is type(b) and (a == b or a is b)


def _twins(a: Value, b: Value, twins: dict[Value, Value]) -> bool:
    if a.kind != b.kind:
        return False
    if a.kind == NODE:
        return twins.get(a) is b
    if a.kind == CONST:
        return a.payload.dtype == b.payload.dtype and np.array_equal(
            a.payload, b.payload
        )
    return a.payload is b.payload if a.kind != INPUT else a.payload == b.payload


# -- rows that do not meet -------------------------------------------------------------


def _apart(graph: Graph) -> bool:
    """A value is `split` when its i-th share of the leading axis follows from row i of
    the inputs; a share may be several rows, as behind reshape(x, (batch * time, n)).
    """
    rows = graph.inputs[0].shape[0]
    split = set(graph.inputs)
    for node in graph.nodes:
        if not any(v in split for v in node.inputs):
            if node.op.kind == RANDOM:
                return False
            continue
        if not _keeps_apart(node, split, rows):
            return False
        split.update(node.outputs)
    return all(v in split for v in graph.outputs)


def _keeps_apart(node: Node, split: set[Value], rows: int) -> bool:
    lengths = {v.shape[0] if v.shape else 0 for v in node.outputs}
    length = lengths.pop()
    if lengths or length == 0 or length % rows:
        return False
    if node.op.name == "reshape":
        return True  # a share is a run of memory, whatever its shape
    if any(v.shape[0] != length for v in node.inputs if v in split):
        return False
    if node.op.kind == VIEW:
        return _view_keeps_rows(node)
    if node.op.kind == POINTWISE:
        rank = len(node.outputs[0].shape)
        return all(
            len(v.shape) == rank
            if v in split
            else len(v.shape) < rank or v.shape[0] == 1
            for v in node.inputs
        )
    rule = _RULES.get(node.op.name, _reads_own_rows)
    return node.op.kind != RANDOM and rule(node, [v in split for v in node.inputs])


def _reads_own_rows(node: Node, split: list[bool]) -> bool:
    """By the kernel's own word: see KernelEntry::reads."""
    entry = kernel_table().get(node.op.name)
    if entry is None or entry["split"] != ROWS:
        return False
    return all(
        letter == "r" or (letter == "k" and keeps_rows(node))
        if own
        else letter == "a" or value.size == 0
        for letter, value, own in zip(entry["reads"], node.inputs, split, strict=True)
    )


def _concatenated(node: Node, split: list[bool]) -> bool:
    return all(split) and node.attrs[0] != 0


def _padded(node: Node, split: list[bool]) -> bool:
    low, high = node.attrs
    return split == [True, False] and low[0] == high[0] == 0


def _taken(node: Node, split: list[bool]) -> bool:
    """An embedding: what is split are the indices."""
    return split == [False, True]


def _multiplied(node: Node, split: list[bool]) -> bool:
    rank = len(node.outputs[0].shape)
    if rank > 2 and all(split):
        return all(len(v.shape) == rank for v in node.inputs)
    return _reads_own_rows(node, split)


# Kernels that may read anything, though each row of what they write follows from one.
_RULES = {
    "concatenate": _concatenated,
    "pad": _padded,
    "take": _taken,
    "matmul": _multiplied,
}


def _view_keeps_rows(node: Node) -> bool:
    x = node.inputs[0]
    if x.size == 0:
        return False
    strides = dense_strides(x.shape)
    offset, found = view_of(node, x, strides)
    shape = node.outputs[0].shape
    last = sum((n - 1) * s for n, s in zip(shape[1:], found[1:], strict=True))
    inside = offset // np.dtype(x.dtype).itemsize + last < strides[0]
    return inside and found[0] == strides[0] and min(found, default=0) >= 0
