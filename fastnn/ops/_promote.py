# SPDX-License-Identifier: Apache-2.0
"""Mixed operands to tensors of one dtype, as Keras's `result_type`."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.opset._dtypes import (
    INTEGERS,
    RANGE,
    beside_numbers,
    is_float,
    result_type,
)


def _weak(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and not hasattr(value, "dtype")


def _alike(values: tuple[Any, ...]) -> bool:
    """Whether all are tensors of one dtype, as they nearly always are."""
    dtype = None
    for value in values:
        if not isinstance(value, Tensor) or value.dtype != (dtype or value.dtype):
            return False
        dtype = value.dtype
    return True


def promote(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of the common dtype; Python numbers are weak and follow the tensors."""
    if _alike(values):
        return values
    tensors = [None if _weak(v) else convert_to_tensor(v) for v in values]
    dtypes = [t.dtype for t in tensors if t is not None]
    if not dtypes:
        dtype = _dtype_of_numbers(values)
        return tuple(convert_to_tensor(v, dtype) for v in values)
    dtype = dtypes[0]
    if any(d != dtype for d in dtypes):
        dtype = result_type(*dtypes, floatx=config.floatx())
    numbers = [v for v, t in zip(values, tensors, strict=True) if t is None]
    dtype = beside_numbers(dtype, numbers, config.floatx())
    out = []
    for value, t in zip(values, tensors, strict=True):
        if t is None:
            out.append(convert_to_tensor(value, dtype))
        else:
            out.append(t if t.dtype == dtype else raw.cast(t, dtype))
    return tuple(out)


def _dtype_of_numbers(values: tuple[Any, ...]) -> str:
    """Dtype of an op on Python numbers alone."""
    if any(isinstance(v, float) for v in values):
        return config.floatx()
    if all(isinstance(v, bool) for v in values):
        return "bool"
    low, high = RANGE["int32"]
    return "int32" if all(low <= v <= high for v in values) else "int64"


def as_dtype(x: Any, dtype: str) -> Tensor:
    """x as a tensor of a float dtype; Python numbers without a detour."""
    t = convert_to_tensor(x, dtype) if _weak(x) else convert_to_tensor(x)
    return t if t.dtype == dtype else raw.cast(t, dtype)


def to_float(x: Any) -> Tensor:
    """x as it is if it is floating, else cast to floatx()."""
    t = convert_to_tensor(x)
    return t if is_float(t.dtype) else raw.cast(t, config.floatx())


def is_integer(dtype: str) -> bool:
    return dtype in INTEGERS


def integer(name: str, label: str, value: Any) -> int:
    """An integer of Python or NumPy.

    Raises:
        TypeError: for anything else, floats too.
    """
    try:
        return index(value)
    except TypeError:
        raise TypeError(
            f"[{name}] {label} must be an integer, received {value!r}"
        ) from None


def axis_of(axis: Any, rank: int, name: str) -> int:
    """One canonical axis; errors as of `axes_of`."""
    (a,) = axes_of(integer(name, "axis", axis), rank, name)
    return a


def axes_of(axis: Any, rank: int, name: str) -> tuple[int, ...]:
    """Canonical axes: sorted, non-negative; None is all of them.

    Raises:
        ValueError: for an axis outside -rank..rank-1 or given twice.
    """
    if axis is None:
        return tuple(range(rank))
    values = axis.tolist() if isinstance(axis, np.ndarray) else axis
    given = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    out = set()
    for a in given:
        i = integer(name, "axis", a)
        if not -rank <= i < rank:
            raise ValueError(f"[{name}] axis {i} is out of range for rank {rank}")
        out.add(i % rank)
    if len(out) != len(given):
        raise ValueError(f"[{name}] axis {axis} names an axis twice")
    return tuple(sorted(out))
