# SPDX-License-Identifier: Apache-2.0
"""Functions of `tf.ragged`: rows of different lengths."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.structures import _splits
from fastnn.structures.ragged_convert import as_ragged_or_tensor
from fastnn.structures.ragged_math import map_flat_values
from fastnn.structures.ragged_math import stack as _stack
from fastnn.structures.ragged_tensor import RaggedTensor, take_rows
from fastnn.structures.string_tensor import as_tensor
from fastnn.structures.string_tensor import constant as _constant

__all__ = [
    "boolean_mask",
    "constant",
    "map_flat_values",
    "range",
    "row_splits_to_segment_ids",
    "segment_ids_to_row_splits",
    "stack",
    "stack_dynamic_partitions",
]


def constant(
    pylist: Any,
    dtype: str | None = None,
    ragged_rank: int | None = None,
    inner_shape: Any = None,
    name: str | None = None,
    row_splits_dtype: str = "int64",
) -> Any:
    """A ragged tensor of nested lists; a tensor where they have one level.

    Args:
        pylist: lists of lists of numbers or strings; all leaves at one depth.
        dtype: of the values, chosen as by `tf.constant` when None.
        ragged_rank: number of ragged axes; one less than the depth when None.
        inner_shape: shape of the values behind the ragged axes.
        name: not used.
        row_splits_dtype: row splits are int64 whatever it is.

    Raises:
        ValueError: for leaves at different depths.
    """
    depth, leaf_depth = _depths(pylist)
    if leaf_depth is not None and leaf_depth != depth:
        raise ValueError("[ragged.constant] all scalars must stand at one depth")
    inner = () if inner_shape is None else tuple(np.atleast_1d(inner_shape).tolist())
    if ragged_rank is None:
        ragged_rank = max(depth - 1 - len(inner), 0)
    if ragged_rank == 0:
        return _constant(pylist, dtype, inner or None)
    if depth <= ragged_rank and leaf_depth is not None:
        raise ValueError(
            f"[ragged.constant] nested lists {depth} deep have less than {ragged_rank} "
            f"ragged axes"
        )
    levels, values = [], pylist
    for _ in builtins.range(ragged_rank):
        levels.append([len(row) for row in values])
        values = [item for row in values for item in row]
    if not values and dtype is None:
        dtype = "float32"
    flat = _constant(values, dtype)
    if not values and inner:
        flat = ops.reshape(flat, (0, *inner))
    elif inner and flat.shape[1:] != inner:
        flat = ops.reshape(flat, (len(values), *inner))
    return RaggedTensor.from_nested_row_lengths(flat, levels)


def _depths(value: Any) -> tuple[int, int | None]:
    """How deep lists are nested, and where scalars stand (None: there are none)."""
    if isinstance(value, np.ndarray):
        return (value.ndim, value.ndim if value.size else None)
    if not isinstance(value, (list, tuple)):
        return 0, 0
    found = [_depths(v) for v in value]
    scalars = {s + 1 for _, s in found if s is not None}
    if len(scalars) > 1:
        raise ValueError("[ragged.constant] all scalars must stand at one depth")
    return 1 + max((d for d, _ in found), default=0), scalars.pop() if scalars else None


def stack(values: Any, axis: int = 0, name: str | None = None) -> Any:
    """Tensors and ragged tensors of one rank along a new ragged axis."""
    if not isinstance(values, (list, tuple)):
        values = [values]
    return _stack(values, axis)


def range(
    starts: Any,
    limits: Any = None,
    deltas: Any = 1,
    dtype: str | None = None,
    name: str | None = None,
    row_splits_dtype: str = "int64",
) -> RaggedTensor:
    """Rows `starts[i], starts[i] + deltas[i], ...` below `limits[i]`; scalars serve
    all rows, and one argument alone is the limits.
    """
    if limits is None:
        starts, limits = 0, starts
    parts = [np.asarray(as_tensor(v)) for v in (starts, limits, deltas)]
    kind = np.result_type(*parts)
    starts, limits, deltas = np.broadcast_arrays(*np.atleast_1d(*parts))
    if starts.ndim > 1:
        raise ShapeError("[ragged.range] starts, limits and deltas are vectors")
    if (deltas == 0).any():
        raise ValueError("[ragged.range] deltas must not be 0")
    counts = np.maximum(np.ceil((limits - starts) / deltas), 0).astype(np.int64)
    values = _splits.ranges(starts.astype(kind), counts, deltas.astype(kind))
    return RaggedTensor(
        Tensor(values.astype(dtype or kind)), _splits.from_lengths(counts)
    )


def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Any:
    """The values where the mask is true; rows stay rows.

    The mask has the leading axes of data and may be ragged as well. A mask with one
    axis selects rows.
    """
    data, mask = as_ragged_or_tensor(data), as_ragged_or_tensor(mask)
    if not isinstance(mask, RaggedTensor):
        keep = np.asarray(mask)
        if keep.ndim == 1:
            return take_rows(data, np.flatnonzero(keep))
        mask = RaggedTensor.from_tensor(mask, ragged_rank=keep.ndim - 1)
    if not isinstance(data, RaggedTensor):
        data = RaggedTensor.from_tensor(data, ragged_rank=mask.ragged_rank)
    if not np.array_equal(data._splits, mask._splits):
        raise ShapeError("[ragged.boolean_mask] the mask has rows of other lengths")
    if isinstance(mask.values, RaggedTensor):
        return data.with_values(boolean_mask(data.values, mask.values))
    keep = np.asarray(mask.values)
    inner = take_rows(data.values, np.flatnonzero(keep))
    lengths = np.bincount(_splits.row_ids(data._splits)[keep], minlength=len(data))
    return RaggedTensor(inner, _splits.from_lengths(lengths))


def row_splits_to_segment_ids(
    splits: Any, name: str | None = None, out_type: str = "int64"
) -> Tensor:
    """The row of every value: [0, 3, 4] gives [0, 0, 0, 1]."""
    array = _splits.vector("row_splits_to_segment_ids", "splits", splits)
    return Tensor(_splits.row_ids(array).astype(out_type))


def segment_ids_to_row_splits(
    segment_ids: Any,
    num_segments: Any = None,
    out_type: str = "int64",
    name: str | None = None,
) -> Tensor:
    """Where the rows of values with these numbers end: [0, 0, 0, 1] gives [0, 3, 4]."""
    ids = _splits.vector("segment_ids_to_row_splits", "segment_ids", segment_ids)
    n = int(num_segments) if num_segments is not None else int(ids.max(initial=-1)) + 1
    counts = np.bincount(ids, minlength=n)
    return Tensor(_splits.from_lengths(counts).astype(out_type))


def stack_dynamic_partitions(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> RaggedTensor:
    """Row i holds the values of data whose partition is i, in their order."""
    data = as_ragged_or_tensor(data)
    ids = _splits.integers("stack_dynamic_partitions", "partitions", partitions)
    if ids.size and not (ids.min() >= 0 and ids.max() < num_partitions):
        raise ValueError(f"[stack_dynamic_partitions] {ids} not in 0..{num_partitions}")
    if ids.ndim > 1:
        data = ops.reshape(data, (math.prod(ids.shape), *data.shape[ids.ndim :]))
        ids = ids.reshape(-1)
    values = take_rows(data, np.argsort(ids, kind="stable"))
    counts = np.bincount(ids, minlength=int(num_partitions))
    return RaggedTensor(values, _splits.from_lengths(counts))
