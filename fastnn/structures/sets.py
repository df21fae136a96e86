# SPDX-License-Identifier: Apache-2.0
"""Functions of `tf.sets`: the last axis of a tensor holds sets.

A dense tensor or a SparseTensor; results are sparse, the elements of each set sorted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError, ShapeError
from fastnn.structures import _splits
from fastnn.structures.sparse import _flat, _unflat
from fastnn.structures.sparse_tensor import SparseTensor
from fastnn.structures.string_tensor import as_tensor, wrapped

__all__ = ["difference", "intersection", "size", "union"]


def _members(name: str, value: Any) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The set number of every element, the elements, and the shape of the sets."""
    if isinstance(value, SparseTensor):
        lead = value.shape[:-1]
        return _flat(value._index[:, :-1], lead), np.asarray(value.values), lead
    tensor = as_tensor(value)
    if tensor.dtype not in _ELEMENTS:
        raise DTypeError(
            f"[sets.{name}] elements are integers or strings, received {tensor.dtype}"
        )
    if not tensor.ndim:
        raise ShapeError(f"[sets.{name}] a scalar holds no set")
    array = np.asarray(tensor)
    ids = np.repeat(np.arange(math.prod(array.shape[:-1])), array.shape[-1])
    return ids, array.reshape(-1), array.shape[:-1]


_ELEMENTS = frozenset("int8 int16 int32 int64 uint8 uint16 string".split())


def _combined(
    name: str, a: Any, b: Any, combine: Callable[..., np.ndarray]
) -> SparseTensor:
    (ids_a, values_a, lead), (ids_b, values_b, other) = (
        _members(name, a),
        _members(name, b),
    )
    if lead != other:
        raise ShapeError(
            f"[sets.{name}] the axes before the last differ: {lead} and {other}"
        )
    if values_a.dtype != values_b.dtype:
        raise DTypeError(
            f"[sets.{name}] elements of {values_a.dtype} and {values_b.dtype}"
        )
    both = np.concatenate([values_a, values_b])
    elements, codes = np.unique(both, return_inverse=True)
    keys = np.concatenate([ids_a, ids_b]) * max(len(elements), 1) + codes
    found = combine(keys[: len(ids_a)], keys[len(ids_a) :])
    ids, codes = np.divmod(found, max(len(elements), 1))
    counts = np.bincount(ids, minlength=math.prod(lead))
    places = _splits.positions(_splits.from_lengths(counts))
    index = np.concatenate([_unflat(ids, lead), places[:, None]], 1)
    shape = (*lead, int(counts.max(initial=0)))
    return SparseTensor(index, wrapped(elements[codes]), shape)


def intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What is in both sets.

    Raises:
        ShapeError: when the axes before the last differ. DTypeError: for elements that
            are neither integers nor strings, or of two dtypes.
    """
    return _combined("intersection", a, b, np.intersect1d)


def union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What is in one of the sets or both; errors as of `intersection`."""
    return _combined("union", a, b, np.union1d)


def difference(
    a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True
) -> SparseTensor:
    """What is in a and not in b, or the reverse; errors as of `intersection`."""
    if not aminusb:
        a, b = b, a
    return _combined("difference", a, b, np.setdiff1d)


def size(a: Any, validate_indices: bool = True) -> Tensor:
    """The number of different elements of each set, int32."""
    ids, values, lead = _members("size", a)
    elements, codes = np.unique(values, return_inverse=True)
    keys = np.unique(ids * max(len(elements), 1) + codes)
    counts = np.bincount(keys // max(len(elements), 1), minlength=math.prod(lead))
    return Tensor(counts.astype(np.int32).reshape(lead))
