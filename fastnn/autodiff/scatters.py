# SPDX-License-Identifier: Apache-2.0
"""Writing to places of an array: what `ops.scatter_update` and variables share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.indexing import flat_index, getitem, known_values
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.opset._dtypes import is_float

# Name of the reduction -> how the kernel merges.
SCATTERS = {None: "update", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


def index_tensor(name: str, indices: Any) -> Tensor:
    """Indices as an int32 or int64 tensor."""
    i = convert_to_tensor(indices)
    if is_float(i.dtype) or i.dtype == "bool":
        raise TypeError(f"[{name}] indices must be integers, received {i.dtype}")
    return i if i.dtype in ("int32", "int64") else raw.cast(i, "int64")


def widened(name: str, run: Any, *tensors: Tensor) -> Tensor:
    """run of tensors in a dtype that has kernels, with a result in their own."""
    wide = integers.wide_dtype(name, tensors[0].dtype)
    return integers.cast(
        run(*[integers.cast(t, wide) for t in tensors]), tensors[0].dtype
    )


def rows_at(name: str, indices: Any, shape: tuple[int, ...]) -> tuple[Tensor, int]:
    """Row numbers of indices (..., k) into the first k axes, which are merged."""
    i = index_tensor(name, indices)
    k = i.shape[-1] if i.ndim else 0
    if not 0 < k <= len(shape):
        raise ShapeError(f"[{name}] indices of shape {i.shape} into shape {shape}")
    values = known_values(i)
    parts = [values[..., d] if values is not None else i[..., d] for d in range(k)]
    return flat_index(name, parts, list(shape[:k])), k


def scattered(
    name: str, x: Tensor, indices: Any, updates: Tensor, how: str | None
) -> Tensor:
    """x with updates (..., *rest) at indices (..., k), in ascending position."""
    at, k = rows_at(name, indices, x.shape)
    return _merged(name, x, at, updates, how, x.shape[k:])


def _merged(
    name: str,
    x: Tensor,
    at: Tensor,
    updates: Tensor,
    how: str | None,
    tail: tuple[int, ...],
) -> Tensor:
    shape = x.shape
    rows = math.prod(shape[: len(shape) - len(tail)])
    y = widened(
        name,
        lambda a, b: raw.scatter_rows(a, at, b, SCATTERS[how]),
        raw.reshape(x, (rows, *tail)),
        raw.broadcast_to(updates, (*at.shape, *tail)),
    )
    return raw.reshape(y, shape)


def with_part(x: Tensor, key: Any, value: Tensor) -> Tensor:
    """x with x[key] replaced by value, which broadcasts.

    The key takes from the positions of x what it takes from x, so every key that reads
    can write.

    Raises:
        ShapeError: when value does not broadcast to x[key].
    """
    positions = getitem(Tensor(np.arange(x.size).reshape(x.shape)), key)
    try:
        wide = raw.broadcast_to(value, positions.shape)
    except (ShapeError, ValueError):
        raise ShapeError(
            f"[Variable.assign] the slice has shape {positions.shape}, received "
            f"{value.shape}"
        ) from None
    return _merged("assign", x, positions, wide, None, ())
