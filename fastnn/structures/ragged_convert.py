# SPDX-License-Identifier: Apache-2.0
"""Ragged tensors from and to dense and sparse ones, and their indexing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.structures import _splits
from fastnn.structures.ragged_tensor import RaggedTensor, take_rows
from fastnn.structures.string_tensor import StringTensor, as_tensor

# ---- from -------------------------------------------------------------------------


def from_tensor(tensor: Any, lengths: Any, padding: Any, ragged_rank: int) -> Any:
    """See RaggedTensor.from_tensor."""
    if not 0 < ragged_rank < tensor.ndim:
        raise ShapeError(
            f"[from_tensor] ragged_rank must lie in 1..{tensor.ndim - 1} for a tensor "
            f"of shape {tensor.shape}, received {ragged_rank}"
        )
    if lengths is not None and padding is not None:
        raise ValueError("[from_tensor] takes lengths or padding, not both")
    if isinstance(lengths, (list, tuple)) and lengths and np.ndim(lengths[0]) == 1:
        return _by_nested_lengths(tensor, lengths)
    if ragged_rank > 1:
        n, m = tensor.shape[:2]
        if lengths is not None:
            raise ShapeError("[from_tensor] lengths per level, or ragged_rank=1")
        merged = ops.reshape(tensor, (n * m, *tensor.shape[2:]))
        inner = from_tensor(merged, None, padding, ragged_rank - 1)
        return RaggedTensor.from_uniform_row_length(inner, m, n)
    return _one_level(tensor, lengths, padding)


def _one_level(tensor: Any, lengths: Any, padding: Any) -> RaggedTensor:
    n, m = tensor.shape[:2]
    flat = ops.reshape(tensor, (n * m, *tensor.shape[2:]))
    if padding is not None:
        filled = np.asarray(tensor) != np.asarray(as_tensor(padding, tensor.dtype))
        filled = np.asarray(filled, bool).any(tuple(range(2, tensor.ndim)))
        lengths = np.where(filled, np.arange(1, m + 1), 0).max(1, initial=0)
    if lengths is None:
        return RaggedTensor.from_uniform_row_length(flat, m, n)
    sizes = np.clip(_splits.vector("from_tensor", "lengths", lengths), 0, m)
    if len(sizes) != n:
        raise ShapeError(f"[from_tensor] {len(sizes)} lengths for {n} rows")
    keep = _splits.ranges(np.arange(n) * m, sizes)
    return RaggedTensor(take_rows(flat, keep), _splits.from_lengths(sizes))


def _by_nested_lengths(tensor: Any, lengths: Any) -> RaggedTensor:
    """The lengths of each level, from the outermost."""
    outer = _one_level(tensor, lengths[0], None)
    if len(lengths) == 1:
        return outer
    return outer.with_values(
        from_tensor(outer.values, lengths[1:], None, len(lengths) - 1)
    )


def from_sparse(st: Any) -> RaggedTensor:
    """See RaggedTensor.from_sparse."""
    index, shape = np.asarray(st.indices), st.shape
    if len(shape) != 2:
        raise ShapeError(
            f"[from_sparse] expects a sparse matrix, received shape {shape}"
        )
    lengths = np.bincount(index[:, 0], minlength=shape[0])
    splits = _splits.from_lengths(lengths)
    right = np.stack([_splits.row_ids(splits), _splits.positions(splits)], 1)
    if not np.array_equal(index, right):
        raise ShapeError(
            "[from_sparse] the values of a row must stand at 0, 1, 2, ... in order: "
            "this tensor has gaps or is not sorted (tf.sparse.reorder)"
        )
    return RaggedTensor(st.values, splits)


# ---- to ----------------------------------------------------------------------------


def coordinates(x: RaggedTensor) -> list[np.ndarray]:
    """Per ragged axis and the one before, the index of every flat value."""
    index: list[np.ndarray] = [np.arange(len(x))]
    for splits in x._levels:
        index = [i[_splits.row_ids(splits)] for i in index]
        index.append(_splits.positions(splits))
    return index


def to_tensor(x: RaggedTensor, default_value: Any, shape: Any) -> Any:
    """See RaggedTensor.to_tensor: a gather, where missing places take a last row."""
    flat = x.flat_values
    rank = x.ragged_rank + 1
    box = [int(n) for n in np.asarray(x.bounding_shape())]
    if shape is not None:
        if not isinstance(shape, (list, tuple)):
            shape = np.asarray(shape).tolist()
        if len(shape) != len(box):
            raise ShapeError(
                f"[to_tensor] shape {shape} has another rank than {x.shape}"
            )
        box = [
            b if s in (None, -1) else int(s) for b, s in zip(box, shape, strict=True)
        ]
        if box[rank:] != list(flat.shape[1:]):
            raise ShapeError(f"[to_tensor] cannot make {x.shape} a tensor of {shape}")
    lead, tail = tuple(box[:rank]), flat.shape[1:]
    index = coordinates(x)
    inside = np.ones(len(flat), bool)
    for i, n in zip(index, lead, strict=True):
        inside &= i < n
    source = np.full(math.prod(lead), len(flat), np.int64)
    if inside.any():
        kept = [i[inside] for i in index]
        source[np.ravel_multi_index(kept, lead)] = np.flatnonzero(inside)
    if default_value is None:
        default_value = b"" if x.dtype == "string" else 0
    default = as_tensor(default_value, x.dtype)
    padded = ops.concatenate([flat, ops.broadcast_to(default, (1, *tail))], axis=0)
    return ops.reshape(ops.take(padded, source, axis=0), (*lead, *tail))


def to_sparse(x: RaggedTensor) -> Any:
    """See RaggedTensor.to_sparse."""
    from fastnn.structures.sparse_tensor import SparseTensor

    flat, index = x.flat_values, coordinates(x)
    inner = [np.reshape(i, -1) for i in np.indices(flat.shape[1:])]
    count = math.prod(flat.shape[1:])
    columns = [np.repeat(i, count) for i in index]
    columns += [np.tile(i, len(flat)) for i in inner]
    return SparseTensor(
        np.stack(columns, 1), ops.reshape(flat, (flat.size,)), x.bounding_shape()
    )


def merge_dims(x: RaggedTensor, outer: int, inner: int) -> Any:
    """See RaggedTensor.merge_dims."""
    outer, inner = (axis + x.ndim if axis < 0 else axis for axis in (outer, inner))
    if not 0 <= outer <= inner < x.ndim:
        raise ValueError(
            f"[merge_dims] axes {outer}..{inner} of a ragged tensor of rank {x.ndim}"
        )
    if outer == inner:
        return x
    if outer > 1:
        return x.with_values(merged(x.values, outer - 1, inner - 1))
    if outer == 1:
        for _ in range(inner - 1):
            values, splits = x.values, x._splits
            if isinstance(values, RaggedTensor):
                x = RaggedTensor(values.values, values._splits[splits])
            else:
                n = values.shape[1]
                x = RaggedTensor(merged(values, 0, 1), splits * n)
        return x
    return merged(x.values, 0, inner - 1) if inner > 1 else x.values


def merged(values: Any, outer: int, inner: int) -> Any:
    """merge_dims of ragged or dense values."""
    if isinstance(values, RaggedTensor):
        return merge_dims(values, outer, inner)
    shape = values.shape
    return ops.reshape(
        values,
        (*shape[:outer], math.prod(shape[outer : inner + 1]), *shape[inner + 1 :]),
    )


# ---- indexing ----------------------------------------------------------------------


def getitem(x: Any, key: Any) -> Any:
    """x[key]: integers and slices; an integer only along axes that are not ragged."""
    keys = list(key) if isinstance(key, tuple) else [key]
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise IndexError(f"[RaggedTensor] {used} indices for {x.ndim} axes")
    for at, k in enumerate(keys):
        if k is Ellipsis:
            keys[at : at + 1] = [slice(None)] * (x.ndim - used)
            break
    return _rows(x, keys)


def _rows(x: Any, keys: list[Any]) -> Any:
    if not keys:
        return x
    if not isinstance(x, RaggedTensor):
        return x[tuple(keys)]
    first, rest = keys[0], keys[1:]
    if first is None:
        inner = _rows(x, rest)
        return ops.expand_dims(inner, 0)
    if isinstance(first, slice):
        at = slice(*(None if s is None else int(s) for s in _parts(first)))
        return _inside(take_rows(x, np.arange(len(x))[at]), rest)
    i = int(first)
    if not -len(x) <= i < len(x):
        raise IndexError(f"[RaggedTensor] row {i} is out of range for {len(x)} rows")
    a, b = x._splits[i % len(x)], x._splits[i % len(x) + 1]
    return _rows(x.values[int(a) : int(b)], rest)


def _parts(key: slice) -> tuple[Any, Any, Any]:
    return key.start, key.stop, key.step


def _inside(x: RaggedTensor, keys: list[Any]) -> Any:
    """The keys behind the first, within every row."""
    if not keys:
        return x
    first, rest = keys[0], keys[1:]
    if first is None:
        return ops.expand_dims(_inside(x, rest), 1)
    if not isinstance(first, slice):
        if x.uniform_row_length is None:
            raise ValueError(
                "[RaggedTensor] an integer cannot index a ragged axis, some rows may "
                "be shorter: take a slice, x[:, i : i + 1], or to_tensor() first"
            )
        n, i = x.uniform_row_length, int(first)
        if not -n <= i < n:
            raise IndexError(f"[RaggedTensor] index {i} is out of range for size {n}")
        return _rows(take_rows(x.values, x._splits[:-1] + i % n), [slice(None), *rest])
    index, splits = _splits.slice_rows(x._splits, first)
    whole = all(p is None for p in _parts(first))
    values = x.values if whole else take_rows(x.values, index)
    if isinstance(values, RaggedTensor):
        values = _inside(values, rest)
    elif rest:
        values = values[(slice(None), *rest)]
    uniform = None
    if x.uniform_row_length is not None:
        uniform = len(range(x.uniform_row_length)[first])
    return RaggedTensor(values, splits, uniform)


def ragged_of(value: Any, ragged_rank: int) -> Any:
    """A value with at least so many ragged axes: uniform ones become ragged."""
    if ragged_rank == 0:
        return value
    if not isinstance(value, RaggedTensor):
        if value.ndim <= ragged_rank:
            raise ShapeError(
                f"[RaggedTensor] a tensor of shape {value.shape} cannot have "
                f"{ragged_rank} ragged axes"
            )
        return from_tensor(value, None, None, ragged_rank)
    return value.with_values(ragged_of(value.values, ragged_rank - 1))


def as_ragged_or_tensor(value: Any) -> Any:
    """Ragged tensors as they are, nested lists of different lengths made ragged."""
    if isinstance(value, (RaggedTensor, Tensor, StringTensor)):
        return value
    from fastnn.structures.ragged import constant

    return constant(value) if isinstance(value, (list, tuple)) else as_tensor(value)
