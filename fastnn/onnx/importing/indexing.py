# SPDX-License-Identifier: Apache-2.0
"""Taking and putting elements by their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.shapes import affordable
from fastnn.onnx.importing.table import Node, host, reads, tensor


def _places(indices: Any, size: int) -> Any:
    """Indices counted from the front."""
    if not isinstance(indices, Tensor):
        indices = np.asarray(indices)
        return np.where(indices < 0, indices + size, indices)
    return ops.where(ops.less(indices, 0), indices + size, indices)


@reads("Gather", constants="1")
def _gather(node: Node, x: Any, indices: Any) -> Any:
    if isinstance(x, np.ndarray) and isinstance(indices, np.ndarray):
        return np.take(x, indices, axis=node.get("axis", 0))
    x, axis = tensor(x), node.get("axis", 0)
    return ops.take(x, tensor(_places(indices, x.shape[axis])), axis=axis)


@reads("GatherElements", constants="1")
def _gather_elements(node: Node, x: Any, indices: Any) -> Any:
    x, axis = tensor(x), node.get("axis", 0) % np.ndim(x)
    indices = tensor(_places(indices, x.shape[axis]))
    flat = _flat_places(x.shape, axis, indices)
    return ops.reshape(ops.take(ops.reshape(x, (-1,)), flat), indices.shape)


def _flat_places(shape: Any, axis: int, indices: Tensor) -> Tensor:
    """Places in the flat array of elements whose `axis` is at indices."""
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    rest = np.zeros(indices.shape, np.int64)
    for i, n in enumerate(indices.shape):
        if i != axis:
            steps = np.arange(n) * strides[i]
            rest += steps.reshape([-1 if k == i else 1 for k in range(len(shape))])
    wide = ops.cast(indices, "int64")
    return ops.add(wide * int(strides[axis]), tensor(rest))


@reads("GatherND", constants="1")
def _gather_nd(node: Node, x: Any, indices: Any) -> Any:
    x, indices, batch = tensor(x), tensor(indices), node.get("batch_dims", 0)
    depth = indices.shape[-1]
    flat, inner = _nd_places(x.shape, indices, batch, depth)
    count = int(np.prod(x.shape[: batch + depth], dtype=np.int64))
    rows = ops.reshape(x, (count, *inner))
    return ops.take(rows, flat, axis=0)


def _nd_places(shape: Any, indices: Any, batch: int, depth: int) -> Any:
    """Row numbers of the places in the last axis of indices, and what a row is."""
    sizes = shape[batch : batch + depth]
    strides = np.cumprod([1, *sizes[::-1]])[:-1][::-1].copy()
    indices = ops.cast(indices, "int64")
    below = ops.less(indices, tensor(np.zeros((), np.int64)))
    indices = ops.where(below, indices + tensor(np.array(sizes, np.int64)), indices)
    rows = ops.sum(indices * tensor(strides.astype(np.int64)), axis=-1)
    if batch:
        number = np.arange(int(np.prod(shape[:batch]))).reshape(shape[:batch])
        number = number * int(np.prod(sizes))
        number = number.reshape(shape[:batch] + (1,) * (rows.ndim - batch))
        rows = rows + tensor(number.astype(np.int64))
    return rows, tuple(shape[batch + depth :])


_REDUCTIONS = {
    "none": "update",
    "add": "add",
    "mul": "multiply",
    "max": "max",
    "min": "min",
}


def _scattered(x: Tensor, flat: Any, updates: Tensor, node: Node) -> Tensor:
    """Rows of x at flat places replaced by, or combined with, updates."""
    how = _REDUCTIONS[node.get("reduction", "none")]
    places = ops.cast(tensor(flat), "int64")
    return raw.scatter_rows(x, places, ops.cast(updates, x.dtype), how)


@reads("ScatterElements", "Scatter", constants="1")
def _scatter_elements(node: Node, x: Any, indices: Any, updates: Any) -> Any:
    x, updates, axis = tensor(x), tensor(updates), node.get("axis", 0) % np.ndim(x)
    indices = tensor(_places(indices, x.shape[axis]))
    flat = ops.reshape(_flat_places(x.shape, axis, indices), (-1,))
    found = _scattered(ops.reshape(x, (-1,)), flat, ops.reshape(updates, (-1,)), node)
    return ops.reshape(found, x.shape)


@reads("ScatterND", constants="1")
def _scatter_nd(node: Node, x: Any, indices: Any, updates: Any) -> Any:
    x, indices, updates = tensor(x), tensor(indices), tensor(updates)
    depth = indices.shape[-1]
    flat, inner = _nd_places(x.shape, indices, 0, depth)
    count = int(np.prod(x.shape[:depth], dtype=np.int64))
    rows = ops.reshape(x, (count, *inner))
    flat = ops.reshape(flat, (-1,))
    found = _scattered(rows, flat, ops.reshape(updates, (flat.shape[0], *inner)), node)
    return ops.reshape(found, x.shape)


@reads("OneHot", constants="1 2")
def _one_hot(node: Node, indices: Any, depth: Any, values: Any) -> Any:
    count = int(np.ravel(host(depth, node.op, "the depth"))[0])
    off, on = np.ravel(host(values, node.op, "the values"))
    indices = ops.cast(tensor(indices), "int64")
    indices = _places(indices, count)
    axis = node.get("axis", -1)
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    affordable((count, *indices.shape), node.op)
    shape = [1] * (indices.ndim + 1)
    shape[axis] = count
    classes = np.arange(count, dtype=np.int64).reshape(shape)
    hit = ops.equal(ops.expand_dims(indices, axis), tensor(classes))
    return ops.where(hit, tensor(np.asarray(on)), tensor(np.asarray(off)))


@reads("NonZero")
def _nonzero(node: Node, x: Any) -> Any:
    return np.array(np.nonzero(host(x, node.op)), np.int64)


@reads("Compress", constants="1")
def _compress(node: Node, x: Any, condition: Any) -> Any:
    places = np.nonzero(host(condition, node.op, "the condition"))[0]
    x, axis = tensor(x), node.get("axis")
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    return ops.take(x, places, axis=axis)


@reads("Unique")
def _unique(node: Node, x: Any) -> Any:
    x, axis = host(x, node.op), node.get("axis")
    found, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not node.get("sorted", 1):
        order = np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")
        found = np.take(found, order, axis=0 if axis is None else axis)
        first, counts, inverse = first[order], counts[order], rank[inverse]
    return found, *(v.astype(np.int64) for v in (first, inverse, counts))


@reads("ReverseSequence", constants="1")
def _reverse_sequence(node: Node, x: Any, lengths: Any) -> Any:
    x, lengths = tensor(x), host(lengths, node.op, "the lengths")
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    steps = np.arange(x.shape[time])
    line = lengths[:, None]
    places = np.where(steps < line, line - 1 - steps, steps)  # (batch, time)
    places = places if batch < time else places.T
    shape = [1] * x.ndim
    shape[time], shape[batch] = x.shape[time], x.shape[batch]
    places = np.broadcast_to(places.reshape(shape), x.shape)
    flat = _flat_places(x.shape, time, tensor(np.ascontiguousarray(places)))
    return ops.reshape(ops.take(ops.reshape(x, (-1,)), flat), x.shape)
