# SPDX-License-Identifier: Apache-2.0
"""Gathers, scatters, segment reductions, one-hot and indices.

An index out of range is an error, which in eager execution names the index and its
place. Inside a plan the kernel that meets it raises when the plan runs; nothing is read
or written outside an array.
"""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import integers, raw
from fastnn.autodiff.indexing import flat_index, known_values, take_axis
from fastnn.autodiff.scatters import (
    SCATTERS,
    index_tensor,
    rows_at,
    scattered,
    widened,
)
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import PlanError, ShapeError
from fastnn.ops._promote import axis_of
from fastnn.ops.arrays import moveaxis, shape_of
from fastnn.opset._dtypes import RANGE, is_float
from fastnn.opset._infer import broadcast_shapes


def _explained(name: str, indices: Tensor, x: Tensor, axis: int, run: Any) -> Tensor:
    """run(), and where that fails for an index the error says which, in eager mode."""
    try:
        return run()
    except ValueError:
        values = known_values(indices)
        if values is not None:
            flat_index(
                name, [values], [x.shape[axis]], axis
            )  # raises for the first one
        raise


# ---- gathers -----------------------------------------------------------------------


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of x at `indices` along an axis (of the flattened x when None)."""
    t, i = convert_to_tensor(x), index_tensor("take", indices)
    if axis is None:
        t, axis = raw.reshape(t, (t.size,)), 0
    a = axis_of(axis, t.ndim, "take")
    return _explained("take", i, t, a, lambda: take_axis(t, i, a))


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """x[..., indices[..., j], ...]: one index per result, other axes broadcast."""
    t, i = convert_to_tensor(x), index_tensor("take_along_axis", indices)
    if axis is None:
        t, i, axis = raw.reshape(t, (t.size,)), raw.reshape(i, (i.size,)), 0
    if t.ndim != i.ndim:
        raise ShapeError(
            f"[take_along_axis] x has shape {t.shape}, indices {i.shape}: they need "
            f"the same rank"
        )
    a = axis_of(axis, t.ndim, "take_along_axis")
    rows, j = moveaxis(t, a, -1), moveaxis(i, a, -1)
    lead = broadcast_shapes("take_along_axis", rows.shape[:-1], j.shape[:-1])
    n, m = rows.shape[-1], j.shape[-1]
    batch = _math.prod(lead)
    rows = raw.reshape(raw.broadcast_to(rows, (*lead, n)), (batch, n))
    j = raw.reshape(raw.broadcast_to(j, (*lead, m)), (batch, m))
    y = _explained("take_along_axis", i, t, a, lambda: raw.batch_take(rows, j))
    return moveaxis(raw.reshape(y, (*lead, m)), -1, a)


def get_item(x: Any, key: Any) -> Tensor:
    """x[key] as NumPy: slices, integers, None, ellipsis, index arrays, masks."""
    return convert_to_tensor(x)[key]


# ---- slices and updates ------------------------------------------------------------


def _starts(start_indices: Any) -> tuple[int, ...] | Tensor:
    """Numbers, or where they are not known yet an int32 tensor of them."""
    parts = (
        list(start_indices)
        if isinstance(start_indices, (list, tuple))
        else [start_indices]
    )
    values = [known_values(p) for p in parts]
    known = [v for v in values if v is not None]
    if len(known) == len(values):
        return tuple(int(i) for v in known for i in np.reshape(v, -1))
    tensors = [integers.cast(convert_to_tensor(p), "int32") for p in parts]
    flat = [raw.reshape(t, (t.size,)) for t in tensors]
    out = flat[0]
    for t in flat[1:]:
        out = raw.concatenate(out, t, 0)
    return out


def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The block of `shape` that begins at `start_indices`; -1: to the end of the axis.

    Starts that are tensors of a traced function are read when it runs.
    """
    t, starts = convert_to_tensor(inputs), _starts(start_indices)
    sizes = tuple(int(n) for n in shape)
    if isinstance(starts, Tensor):
        return raw.dynamic_slice(t, starts, sizes)
    if not len(starts) == len(sizes) == t.ndim:
        raise ShapeError(
            f"[slice] starts {starts} and shape {sizes} of an array of shape {t.shape}:"
            f" one of each per axis"
        )
    limits = zip(starts, sizes, t.shape, strict=True)
    sizes = tuple(n - s if size == -1 else size for s, size, n in limits)
    for d, (s, size, n) in enumerate(zip(starts, sizes, t.shape, strict=True)):
        if not 0 <= s <= s + size <= n:
            raise ShapeError(
                f"[slice] {size} elements from {s} on do not fit axis {d} of size {n}"
            )
    return raw.slice(
        t, tuple((s, s + n, 1) for s, n in zip(starts, sizes, strict=True))
    )


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """inputs with the block that begins at `start_indices` replaced by updates."""
    t = convert_to_tensor(inputs)
    u, starts = convert_to_tensor(updates, t.dtype), _starts(start_indices)
    if not isinstance(starts, Tensor):
        starts = Tensor(np.array(starts, "int32"))
    return raw.update_slice(t, starts, u) if t.ndim else u


def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """Zeros of `shape` with values added at indices (..., k), in ascending position."""
    v, full = convert_to_tensor(values), shape_of(shape)
    at, k = rows_at("scatter", indices, full)
    rows = _math.prod(full[:k])
    v = raw.broadcast_to(v, (*at.shape, *full[k:]))
    y = widened("scatter", lambda u: raw.take_grad(u, at, rows), v)
    return raw.reshape(y, full)


def scatter_update(
    inputs: Any, indices: Any, updates: Any, reduction: str | None = None
) -> Tensor:
    """inputs with updates at indices (..., k), in ascending position.

    reduction: None replaces (the last update of an element stays), "add", "max",
    "min" and "mul" merge with what is there.
    """
    if reduction not in SCATTERS:
        raise ValueError(
            f"[scatter_update] reduction must be None, add, max, min or mul, received "
            f"{reduction!r}"
        )
    t = convert_to_tensor(inputs)
    u = convert_to_tensor(updates, t.dtype)
    return scattered("scatter_update", t, indices, u, reduction)


# ---- segments ----------------------------------------------------------------------


def _segments(name: str, data: Tensor, ids: Any, num_segments: int | None) -> Any:
    """(row numbers, number of rows, number of segments); dropped ids get a last row."""
    i = index_tensor(name, ids)
    if i.ndim != 1 or not data.ndim or i.shape[0] != data.shape[0]:
        raise ShapeError(
            f"[{name}] needs one segment id per row of data, received ids {i.shape} "
            f"for data {data.shape}"
        )
    values = known_values(i)
    if values is None:
        if num_segments is None:
            raise PlanError(f"[{name}] needs num_segments inside a traced function")
        n = int(num_segments)
        outside = raw.logical_or(raw.less(i, 0), raw.greater_equal(i, n))
        return raw.where(outside, n, i), n + 1, n
    n = int(values.max(initial=-1)) + 1 if num_segments is None else int(num_segments)
    if values.size and values.max() >= n:
        at = int(np.argmax(values >= n))
        raise IndexError(
            f"[{name}] segment id {values[at]} at position {at} is out of range for "
            f"{n} segments"
        )
    if values.size and values.min() < 0:
        return Tensor(np.where(values < 0, n, values)), n + 1, n
    return i, n, n


def _segment(
    name: str, data: Any, ids: Any, num_segments: int | None, start: Any
) -> Tensor:
    t = convert_to_tensor(data)
    rows, count, n = _segments(f"segment_{name}", t, ids, num_segments)

    def run(x: Tensor) -> Tensor:
        if name == "sum":
            y = raw.take_grad(x, rows, count)
        else:
            first = start(t.dtype) if callable(start) else start
            empty = Tensor(np.asarray(first, x.dtype))
            empty = raw.broadcast_to(empty, (count, *x.shape[1:]))
            kind = "multiply" if name == "prod" else name
            y = raw.scatter_rows(empty, rows, x, kind)
        return y if count == n else y[:n]

    return widened(f"segment_{name}", run, t)


def _lowest(dtype: str) -> Any:
    return -np.inf if is_float(dtype) else RANGE[dtype][0]


def _highest(dtype: str) -> Any:
    return np.inf if is_float(dtype) else RANGE[dtype][1]


def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Sums of the rows of data that have the same id, in ascending position.

    Negative ids are dropped; an id >= num_segments is an error, inside a traced
    function it is dropped too. `sorted` changes nothing.
    """
    return _segment("sum", data, segment_ids, num_segments, 0)


def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Largest rows per id; -inf (the smallest integer) for an empty segment."""
    return _segment("max", data, segment_ids, num_segments, _lowest)


def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Smallest rows per id; inf (the largest integer) for an empty segment."""
    return _segment("min", data, segment_ids, num_segments, _highest)


def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Products of rows per id; 1 for an empty segment."""
    return _segment("prod", data, segment_ids, num_segments, 1)


# ---- one-hot and indices -----------------------------------------------------------


def one_hot(
    x: Any,
    num_classes: int,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
) -> Tensor:
    """1 at the class index, 0 elsewhere, along a new axis."""
    if sparse:
        raise ValueError("[one_hot] sparse tensors are not supported")
    t = convert_to_tensor(x)
    if t.dtype not in ("int32", "int64"):
        t = raw.cast(t, "int64")
    target = dtype or config.floatx()
    y = raw.one_hot(t, int(num_classes), target if target[0] == "f" else "float32")
    y = integers.cast(y, target)
    return y if axis in (-1, t.ndim) else moveaxis(y, -1, axis)


def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 for every class index in a row, 0 elsewhere: (batch, n) to (batch, classes).

    Indices out of range are ignored. `num_tokens` is an old name of `num_classes`.
    """
    if sparse:
        raise ValueError("[multi_hot] sparse tensors are not supported")
    classes = kwargs.pop("num_tokens", num_classes)
    if kwargs or classes is None:
        raise ValueError(
            f"[multi_hot] needs num_classes, received also {sorted(kwargs)}"
        )
    t, n = index_tensor("multi_hot", inputs), int(classes)
    target = dtype or config.floatx()
    if t.ndim > 2 or axis not in (-1, t.ndim - 1):
        hot = one_hot(t, n, axis)
        y = raw.max(hot, (1 if t.ndim > 1 else 0,), False)
        return integers.cast(y, target)
    rows = t if t.ndim == 2 else raw.reshape(t, (1, t.size))
    outside = raw.logical_or(raw.less(rows, 0), raw.greater_equal(rows, n))
    place = raw.where(outside, n, rows)
    ones = raw.broadcast_to(Tensor(np.ones((), "float32")), rows.shape)
    y = raw.minimum(raw.batch_take_grad(ones, place, n + 1), 1.0)[:, :n]
    y = integers.cast(y, target)
    return y if t.ndim == 2 else raw.reshape(y, (n,))


def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """The index along each axis of flat positions in C order."""
    i, sizes = index_tensor("unravel_index", indices), tuple(int(n) for n in shape)
    values = known_values(i)
    if values is not None:
        found = np.unravel_index(
            np.where(values < 0, values + _math.prod(sizes), values), sizes
        )
        return tuple(Tensor(np.asarray(v, i.dtype)) for v in found)
    out: list[Tensor] = []
    for n in reversed(sizes):
        out.insert(0, raw.mod(i, n))
        i = raw.floor_divide(i, n)
    return tuple(out)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The indices of elements that are not 0, one int32 tensor per axis.

    How many there are depends on the values: not inside a traced function.
    """
    array = convert_to_tensor(x)._concrete("nonzero()")
    return tuple(Tensor(i.astype("int32")) for i in np.nonzero(np.atleast_1d(array)))


__all__ = [
    *"get_item multi_hot nonzero one_hot scatter scatter_update segment_max".split(),
    *"segment_min segment_prod segment_sum slice slice_update take".split(),
    *"take_along_axis unravel_index".split(),
]
