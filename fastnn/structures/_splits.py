# SPDX-License-Identifier: Apache-2.0
"""Row partitions: splits, lengths and row numbers as NumPy arrays.

Splits s of n rows have n + 1 entries: row i is the values s[i] to s[i + 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff.indexing import known_values
from fastnn.errors import DTypeError, PlanError, ShapeError


class Rebuild:
    """Makes a structure of its tensors; equal for structures of one description."""

    def __init__(self, key: tuple[Any, ...], make: Callable[..., Any]) -> None:
        self.key = key
        self._make = make

    def __call__(self, *tensors: Any) -> Any:
        return self._make(*tensors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rebuild) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def parts_of(values: Any) -> tuple[tuple[Any, ...], Rebuild]:
    """The tensors of values, which may be a tensor themselves."""
    if hasattr(values, "__fastnn_parts__"):
        found: tuple[tuple[Any, ...], Rebuild] = values.__fastnn_parts__()
        return found
    return (values,), Rebuild((), lambda tensor: tensor)


def integers(name: str, label: str, value: Any) -> np.ndarray:
    """Integers that are known when a function is traced, as an int64 array."""
    array = known_values(value)
    if array is None:
        raise PlanError(
            f"[{name}] {label} is a value of the function being traced, but shapes "
            f"follow from it: compute it outside, or run eagerly (run_eagerly=True)"
        )
    if array.size and array.dtype.kind not in "iu":
        raise DTypeError(f"[{name}] {label} must be integers, received {array.dtype}")
    return array.astype(np.int64)


def vector(name: str, label: str, value: Any) -> np.ndarray:
    array = integers(name, label, value)
    if array.ndim != 1:
        raise ShapeError(
            f"[{name}] {label} must have one axis, received shape {array.shape}"
        )
    return array


def from_lengths(lengths: np.ndarray) -> np.ndarray:
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits


def lengths_of(splits: np.ndarray) -> np.ndarray:
    return np.diff(splits)


def row_ids(splits: np.ndarray) -> np.ndarray:
    """The row of every value."""
    return np.repeat(np.arange(len(splits) - 1), np.diff(splits))


def positions(splits: np.ndarray) -> np.ndarray:
    """The place of every value in its row."""
    return np.arange(splits[-1]) - np.repeat(splits[:-1], np.diff(splits))


def ranges(starts: np.ndarray, lengths: np.ndarray, steps: Any = 1) -> np.ndarray:
    """start, start + step, ... of each length, one after the other."""
    splits = from_lengths(lengths)
    step = np.repeat(np.broadcast_to(steps, lengths.shape), lengths)
    return np.repeat(starts, lengths) + positions(splits) * step


def checked(name: str, splits: np.ndarray, count: int) -> np.ndarray:
    """Splits that cover `count` values.

    Raises:
        ValueError: when they do not begin with 0, fall, or end elsewhere.
    """
    if not len(splits) or splits[0] != 0:
        raise ShapeError(f"[{name}] row_splits must begin with 0, received {splits}")
    if (np.diff(splits) < 0).any():
        raise ShapeError(f"[{name}] rows have no negative length, received {splits}")
    if splits[-1] != count:
        raise ShapeError(f"[{name}] rows end at {splits[-1]}, there are {count} values")
    return splits


def slice_rows(splits: np.ndarray, key: slice) -> tuple[np.ndarray, np.ndarray]:
    """Value numbers and splits of `row[key]` for every row, as Python slices lists."""
    n = np.diff(splits)
    step = 1 if key.step is None else int(key.step)
    if step == 0:
        raise ValueError("[RaggedTensor] slice step cannot be zero")
    low, high = (0, n) if step > 0 else (-1, n - 1)

    def place(at: Any, default: Any) -> Any:
        if at is None:
            return default
        at = int(at)
        return np.clip(at + n if at < 0 else at, low, high)

    start = place(key.start, 0 if step > 0 else n - 1) + 0 * n
    stop = place(key.stop, n if step > 0 else -1) + 0 * n
    count = np.maximum((stop - start + step - (1 if step > 0 else -1)) // step, 0)
    return ranges(splits[:-1] + start, count, step), from_lengths(count)
