# SPDX-License-Identifier: Apache-2.0
"""Functions of fastnn.ops on ragged tensors: elementwise, along rows, put together."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError, StructureError
from fastnn.opset import all_ops
from fastnn.opset._dtypes import is_float
from fastnn.structures import _splits
from fastnn.structures.ragged_convert import as_ragged_or_tensor, coordinates, ragged_of
from fastnn.structures.ragged_tensor import RaggedTensor, same_dtype, take_rows
from fastnn.structures.string_tensor import as_tensor

# ---- elementwise -------------------------------------------------------------------

# Composites that work element by element; records say it themselves.
_POINTWISE = frozenset(
    """bitwise_and bitwise_not bitwise_or bitwise_xor cast clip copy deg2rad equal
    full_like hard_sigmoid isfinite isinf isnan leaky_relu elu celu gelu log_sigmoid
    mish nan_to_num ones_like one_hot round silu swish true_divide where
    zeros_like""".split()
)


def is_pointwise(name: str) -> bool:
    op = all_ops().get(name)
    return name in _POINTWISE or (op is not None and op.broadcast == "all")


def elementwise(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """function of ragged and other arguments, which are broadcast to the ragged one.

    Raises:
        ShapeError: for ragged arguments with different rows, and tensors that do not
            broadcast to them.
    """
    given = [a for a in args if isinstance(a, RaggedTensor)]
    rank = max(a.ragged_rank for a in given)
    model = ragged_of(next(a for a in given if a.ragged_rank == rank), rank)
    flat = [_flat_of(a, model) for a in args]
    kwargs = {
        k: _flat_of(v, model) if isinstance(v, RaggedTensor) else v
        for k, v in kwargs.items()
    }
    return model.with_flat_values(function(*flat, **kwargs))


def _flat_of(value: Any, model: RaggedTensor) -> Any:
    """The elements of a value that stand beside the flat values of `model`."""
    if isinstance(value, RaggedTensor):
        value = ragged_of(value, model.ragged_rank)
        pairs = zip(value._levels, model._levels, strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            raise ShapeError(
                f"[RaggedTensor] the rows have different lengths: {value.shape} with "
                f"row_splits {[s.tolist() for s in value._levels]} beside "
                f"{[s.tolist() for s in model._levels]}"
            )
        return value.flat_values
    shape = getattr(value, "shape", None)
    if shape is None and isinstance(value, (list, tuple)):
        value = as_tensor(value)
        shape = value.shape
    return value if not shape else _spread(value, model)


def _spread(value: Any, model: RaggedTensor) -> Any:
    """A dense tensor broadcast to the flat values of `model`."""
    rank, lead = model.ndim, model.ragged_rank + 1
    shape = (1,) * (rank - len(value.shape)) + tuple(value.shape)
    if len(shape) > rank:
        raise ShapeError(
            f"[RaggedTensor] a tensor of shape {value.shape} has more axes than "
            f"{model.shape}"
        )
    index = coordinates(model)
    lengths = [np.array([len(model)]), *map(_splits.lengths_of, model._levels)]
    used = []
    for axis, n in enumerate(shape[:lead]):
        if n != 1 and (lengths[axis] != n).any():
            raise ShapeError(
                f"[RaggedTensor] a tensor of shape {value.shape} does not broadcast to "
                f"{model.shape} with lengths {lengths[axis].tolist()} along axis {axis}"
            )
        used.append(index[axis] if n != 1 else np.zeros_like(index[axis]))
    flat = ops.reshape(value, (math.prod(shape[:lead]), *shape[lead:]))
    at = np.zeros(0, np.int64)
    if used[0].size:
        at = np.ravel_multi_index(used, shape[:lead])
    return ops.take(flat, at, axis=0)


def map_flat_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """op applied to the flat values of the ragged arguments, with their partitions.

    Raises:
        ShapeError: for ragged arguments with different rows, or a result of another
            number of rows.
    """
    given = [a for a in (*args, *kwargs.values()) if isinstance(a, RaggedTensor)]
    if not given:
        return op(*args, **kwargs)
    model = given[0]

    def flat(value: Any) -> Any:
        return _flat_of(value, model) if isinstance(value, RaggedTensor) else value

    found = op(*map(flat, args), **{k: flat(v) for k, v in kwargs.items()})
    return model.with_flat_values(found)


# ---- along rows --------------------------------------------------------------------

_NEUTRAL = {"sum": 0, "prod": 1, "any": 0, "all": 1}


def _segment(name: str, data: Any, ids: np.ndarray, count: int) -> Any:
    """Reduction of the rows of data that have the same id."""
    if isinstance(data, RaggedTensor):
        lengths = _splits.lengths_of(data._splits)
        longest = np.zeros(count, np.int64)
        np.maximum.at(longest, ids, lengths)
        splits = _splits.from_lengths(longest)
        at = splits[:-1][np.repeat(ids, lengths)] + _splits.positions(data._splits)
        values = _segment(name, data.values, at, int(splits[-1]))
        return RaggedTensor(values, splits)
    if name in ("any", "all"):
        data = ops.cast(data, "int32")
    run = {"any": "max", "all": "min"}.get(name, name)
    found = getattr(ops, f"segment_{run}")(data, ids, count)
    empty = np.bincount(ids, minlength=count) == 0
    if not empty.any():
        return ops.cast(found, "bool") if name in ("any", "all") else found
    if name in ("any", "all"):
        fill = np.asarray(_NEUTRAL[name], "int32")
    elif name in ("max", "min"):
        fill = _limit(name, found.dtype)
    else:
        return found
    mask = empty.reshape(-1, *[1] * (found.ndim - 1))
    found = ops.where(mask, Tensor(fill), found)
    return ops.cast(found, "bool") if name in ("any", "all") else found


def _limit(name: str, dtype: str) -> np.ndarray:
    """The largest (or smallest) of no elements: the lowest (highest) finite number."""
    limits: Any = np.finfo if is_float(dtype) else np.iinfo
    limit = limits(dtype)
    return np.asarray(limit.min if name == "max" else limit.max, dtype)


def _reduce_axis(name: str, x: Any, axis: int) -> Any:
    if not isinstance(x, RaggedTensor):
        if name in ("max", "min") and not x.shape[axis]:
            shape = x.shape[:axis] + x.shape[axis + 1 :]
            fill = _limit(name, x.dtype)
            if is_float(x.dtype):  # of a dense axis, as TensorFlow
                fill = np.asarray(-np.inf if name == "max" else np.inf, x.dtype)
            return ops.broadcast_to(Tensor(fill), shape)
        return getattr(ops, name)(x, axis=axis)
    if axis == 0:
        longest = int(_splits.lengths_of(x._splits).max(initial=0))
        return _segment(name, x.values, _splits.positions(x._splits), longest)
    if axis == 1:
        return _segment(name, x.values, _splits.row_ids(x._splits), len(x))
    found = _reduce_axis(name, x.values, axis - 1)
    return RaggedTensor(found, x._splits, x._uniform)


def reduce(name: str, x: RaggedTensor, axis: Any = None, keepdims: bool = False) -> Any:
    """sum, prod, max, min, mean, any or all of the elements along axes."""
    if axis is None:
        found = getattr(ops, name)(x.flat_values)
        return ops.reshape(found, (1,) * x.ndim) if keepdims else found
    given = axis if isinstance(axis, (tuple, list)) else [axis]
    axes = sorted({a + x.ndim if a < 0 else a for a in map(int, given)}, reverse=True)
    if axes and not (axes[-1] >= 0 and axes[0] < x.ndim):
        raise ValueError(f"[{name}] axis {axis} is out of range for rank {x.ndim}")
    if name == "mean":
        counted = x.with_flat_values(ops.ones_like(x.flat_values))
        total = reduce("sum", x, axes, keepdims)
        return total / reduce("sum", counted, axes, keepdims)
    y: Any = x
    for a in axes:
        y = _reduce_axis(name, y, a)
    for a in reversed(axes) if keepdims else ():
        y = ops.expand_dims(y, a)
    return y


# ---- together ----------------------------------------------------------------------


def _same_rank(name: str, values: Any) -> list[Any]:
    parts = [as_ragged_or_tensor(v) for v in values]
    same_dtype(name, parts)
    ranks = {len(p.shape) for p in parts}
    if len(ranks) > 1:
        raise ShapeError(
            f"[{name}] expects one rank, received {[p.shape for p in parts]}"
        )
    ragged = [p.ragged_rank if isinstance(p, RaggedTensor) else 0 for p in parts]
    return [ragged_of(p, max(ragged)) for p in parts]


def concatenate(xs: Any, axis: int = 0) -> Any:
    """Values one after the other along an axis."""
    parts = _same_rank("concat", xs)
    rank = len(parts[0].shape)
    if not -rank <= axis < rank:
        raise ValueError(f"[concat] axis {axis} is out of range for rank {rank}")
    return _concat(parts, axis % rank)


def _concat(parts: list[Any], axis: int) -> Any:
    if not isinstance(parts[0], RaggedTensor):
        return ops.concatenate(parts, axis=axis)
    if axis == 0:
        lengths = np.concatenate([_splits.lengths_of(p._splits) for p in parts])
        uniform = {p._uniform for p in parts}
        return RaggedTensor(
            _concat([p.values for p in parts], 0),
            _splits.from_lengths(lengths),
            uniform.pop() if len(uniform) == 1 else None,
        )
    counts = {len(p) for p in parts}
    if len(counts) > 1:
        raise ShapeError(f"[concat] expects as many rows each, received {counts}")
    if axis == 1:
        n = counts.pop()
        order = np.arange(n * len(parts)).reshape(len(parts), n).T.reshape(-1)
        rows = take_rows(_concat(parts, 0), order)
        splits = rows._splits[:: len(parts)] if n else np.zeros(1, np.int64)
        return RaggedTensor(rows.values, np.ascontiguousarray(splits))
    if any(not np.array_equal(p._splits, parts[0]._splits) for p in parts):
        raise ShapeError("[concat] the rows along the axes before have other lengths")
    return parts[0].with_values(_concat([p.values for p in parts], axis - 1))


def expand_dims(x: RaggedTensor, axis: int) -> Any:
    """A new axis of length 1."""
    rank = x.ndim + 1
    if not -rank <= axis < rank:
        raise ValueError(f"[expand_dims] axis {axis} is out of range for rank {rank}")
    axis %= rank
    if axis == 0:
        return RaggedTensor.from_uniform_row_length(x, len(x), 1)
    if axis == 1:
        return RaggedTensor.from_uniform_row_length(x, 1, len(x))
    return x.with_values(ops.expand_dims(x.values, axis - 1))


def stack(x: Any, axis: int = 0) -> Any:
    """Values beside each other along a new axis; rows may differ in length.

    One value with an axis of its own becomes a ragged tensor too, scalars a tensor.
    """
    parts = [as_ragged_or_tensor(v) for v in x]
    rank = len(parts[0].shape)
    if rank == 0:
        return ops.stack(parts)
    if rank == 1 and axis in (0, -2):
        lengths = [len(p) for p in parts]
        return RaggedTensor.from_row_lengths(ops.concatenate(parts, axis=0), lengths)
    at = axis + rank + 1 if axis < 0 else axis
    parts = _same_rank("stack", parts)
    if not isinstance(parts[0], RaggedTensor):
        parts = [ragged_of(p, 1) for p in parts]
    return concatenate([expand_dims(p, at) for p in parts], at)


# ---- the functions of ops ----------------------------------------------------------


def _take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Rows by number: `indices` may be ragged, x may be ragged along axis 0."""
    if isinstance(indices, RaggedTensor):
        found = ops.take(x, indices.flat_values, axis=axis)
        return indices.with_flat_values(found)
    index = _splits.integers("take", "indices", indices)
    if not isinstance(x, RaggedTensor) or axis not in (0, None):
        raise StructureError("[take] takes whole rows of a ragged tensor: axis=0")
    if index.size and not (-len(x) <= index.min() and index.max() < len(x)):
        raise IndexError(f"[take] {index} has rows out of range for {len(x)} rows")
    rows = take_rows(x, np.where(index < 0, index + len(x), index).reshape(-1))
    for n in reversed(index.shape[1:]):
        rows = RaggedTensor.from_uniform_row_length(rows, n)
    return rows if index.ndim else rows[0]


_FUNCTIONS: dict[str, Any] = {
    "concatenate": concatenate,
    "stack": stack,
    "expand_dims": expand_dims,
    "take": _take,
    "ndim": lambda x: x.ndim,
    "shape": lambda x: x.shape,
    "size": lambda x: x.flat_values.size,
    "flip": lambda x, axis=None: x[
        (slice(None),) * (axis or 0) + (slice(None, None, -1),)
    ],
    "convert_to_tensor": lambda x, dtype=None, sparse=None, ragged=None: (
        x if dtype in (None, x.dtype) else ops.cast(x, dtype)
    ),
}
_REDUCTIONS = ("sum", "prod", "max", "min", "mean", "any", "all")


def call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A function of fastnn.ops that met a ragged tensor."""
    name = function.__name__
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](*args, **kwargs)
    if name in _REDUCTIONS:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
        x = bound.pop("x")
        chosen = {k: bound[k] for k in ("axis", "keepdims") if k in bound}
        return reduce(name, x, **chosen)
    if is_pointwise(name):
        if name in ("cast", "clip", "one_hot", "full_like"):
            return map_flat_values(function, *args, **kwargs)
        return elementwise(function, *args, **kwargs)
    raise StructureError(
        f"[{name}] takes no ragged tensors: use to_tensor(), or its flat_values"
    )
