# SPDX-License-Identifier: Apache-2.0
"""Data sets made of arrays: two parts of one, and windows of a time series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.errors import ShapeError
from fastnn.utils.py_dataset import PyDataset


def _rows(data: Any, index: Any) -> Any:
    return tree.map_structure(lambda a: a[index], data)


class Samples:
    """Samples one by one: `len`, `[i]` and iteration; `batch(n)` for training.

    Args:
        data: array or structure of arrays of one length.
        order: numbers of the samples that belong to it.
    """

    def __init__(self, data: Any, order: np.ndarray) -> None:
        self._data = data
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"[Samples] {index} is none of {len(self)} samples")
        return _rows(self._data, self._order[index])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def batch(self, batch_size: int) -> PyDataset:
        """The samples in batches, the last of which may be smaller."""
        return _Batches(self._data, self._order, batch_size)

    def arrays(self) -> Any:
        """All samples as arrays of their own."""
        return _rows(self._data, self._order)


class _Batches(PyDataset):
    """Batches of rows."""

    def __init__(self, data: Any, order: np.ndarray, batch_size: int) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"[batch] needs a positive size, received {batch_size}")
        self._data = data
        self._order = order
        self._size = batch_size

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)

    def __getitem__(self, index: int) -> Any:
        start = index * self._size
        if not 0 <= start < len(self._order):
            raise IndexError(f"[batch] {index} is none of {len(self)} batches")
        return _rows(self._data, self._order[start : start + self._size])


# ---- two parts ---------------------------------------------------------------------


def _stacked(samples: list[Any]) -> Any:
    return tree.map_structure(lambda *parts: np.stack(parts), *samples)


def _joined(*parts: Any) -> np.ndarray:
    return np.concatenate([np.asarray(p) for p in parts])


def _gathered(dataset: Any) -> tuple[Any, int | None]:
    """All samples as arrays, and the size of its batches where it has such."""
    if hasattr(dataset, "__array__"):
        return np.asarray(dataset), None
    if isinstance(dataset, (list, tuple)):
        arrays = [np.asarray(a) for a in dataset]
        if not arrays or len({a.shape[:1] for a in arrays}) > 1:
            raise ShapeError(
                f"[split_dataset] needs arrays of one length, received shapes "
                f"{[a.shape for a in arrays]}"
            )
        return tuple(arrays), None
    if isinstance(dataset, dict):
        return {key: np.asarray(value) for key, value in dataset.items()}, None
    if isinstance(dataset, PyDataset):
        batches = list(dataset)
        if not batches:
            raise ValueError("[split_dataset] the data set is empty")
        size = len(tree.flatten(batches[0])[0])
        return tree.map_structure(_joined, *batches), size
    if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        samples = [dataset[i] for i in range(len(dataset))]
    elif hasattr(dataset, "__iter__"):
        samples = list(dataset)
    else:
        raise TypeError(
            f"[split_dataset] dataset must be an array, a list or tuple of arrays, a "
            f"PyDataset, or samples one by one; received {type(dataset).__name__}"
        )
    if not samples:
        raise ValueError("[split_dataset] the data set is empty")
    return _stacked([tree.map_structure(np.asarray, s) for s in samples]), None


def _share(side: str, size: Any, total: int) -> int | None:
    """A part's number of samples from a number or a fraction."""
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, float, np.integer)):
        raise TypeError(
            f"[split_dataset] {side}_size must be a number of samples, a fraction or "
            f"None, received {size!r}"
        )
    most: float = 1 if isinstance(size, float) else total
    if not 0 < size < most:
        raise ValueError(
            f"[split_dataset] {side}_size must be a fraction between 0 and 1 or a "
            f"number of samples from 1 to {total - 1}, received {size!r}"
        )
    return round(size * total) if isinstance(size, float) else int(size)


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    a, b = _share("left", left, total), _share("right", right, total)
    if a is None and b is None:
        raise ValueError("[split_dataset] give left_size, right_size or both")
    first = total - b if a is None else a  # type: ignore[operator]
    last = total - first if b is None else b
    if first + last > total or not first or not last:
        raise ValueError(
            f"[split_dataset] {total} samples cannot be split into {first} and {last} "
            f"(left_size={left!r}, right_size={right!r}): neither part may be empty"
        )
    return first, last


def split_dataset(
    dataset: Any,
    left_size: Any = None,
    right_size: Any = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Two parts of a data set, the first samples and the last ones.

    Args:
        dataset: array, list, tuple or dict of arrays of one length, PyDataset, or
            anything that gives samples one by one (also a data set of torch).
        left_size, right_size: a fraction of the samples, or their number; None is what
            the other part leaves.
        shuffle: split in random order.
        seed: of the shuffle.
        preferred_backend: Keras's choice of a library; it makes no difference here.

    Returns:
        Two parts of samples: `len(part)`, `part[i]`, `part.batch(32)`; two data sets
        with batches of the same size where a PyDataset was given.

    Raises:
        TypeError, ValueError: for sizes that are none, or leave a part empty.

    Example:
        >>> left, right = keras.utils.split_dataset(np.arange(10), left_size=0.8)
        >>> len(left), len(right)
        (8, 2)
    """
    del preferred_backend
    data, size = _gathered(dataset)
    total = len(tree.flatten(data)[0])
    left, right = _sizes(left_size, right_size, total)
    order = np.arange(total)
    if shuffle:
        order = np.random.default_rng(seed).permutation(total)
    parts = Samples(data, order[:left]), Samples(data, order[total - right :])
    return parts if size is None else tuple(p.batch(size) for p in parts)  # type: ignore[return-value]


# ---- windows of a time series ------------------------------------------------------


class _Windows(PyDataset):
    """Windows of a series, cut out when they are asked for."""

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray | None,
        starts: np.ndarray,
        offsets: np.ndarray,
        batch_size: int | None,
        order: np.random.RandomState | None,
    ) -> None:
        super().__init__()
        self._data = data
        self._targets = targets
        self._starts = starts
        self._offsets = offsets
        self._size = batch_size
        self._order = order

    def __len__(self) -> int:
        return -(-len(self._starts) // (self._size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"[timeseries] {index} is none of {len(self)} batches")
        if self._size is None:
            starts: Any = self._starts[index]
            x = self._data[starts + self._offsets]
        else:
            starts = self._starts[index * self._size : (index + 1) * self._size]
            x = self._data[starts[:, None] + self._offsets]
        return x if self._targets is None else (x, self._targets[starts])

    def on_epoch_end(self) -> None:
        """Another order for the next epoch, where it is shuffled."""
        if self._order is not None:
            self._order.shuffle(self._starts)


def _check_range(start: int | None, end: int | None, length: int) -> tuple[int, int]:
    first = 0 if start is None else start
    last = length if end is None else end
    if not 0 <= first < max(last, 1) or last > length:
        raise ValueError(
            f"[timeseries_dataset_from_array] start_index and end_index must be "
            f"0 <= start < end <= {length} (the length of data), received {start!r} "
            f"and {end!r}"
        )
    return first, last


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> PyDataset:
    """Windows of a time series, in batches.

    Window i has data[i * stride + k * rate] for k = 0 ... sequence_length - 1, and as
    target targets[i * stride].

    Args:
        data: array whose first axis is time.
        targets: array of a target per time step where windows begin, or None.
        sequence_length: time steps of a window.
        sequence_stride: distance between windows.
        sampling_rate: distance between the time steps of a window.
        batch_size: windows in a batch; None gives windows one by one.
        shuffle: random order, another one each epoch.
        seed: of the shuffle.
        start_index, end_index: the part of data and targets that is used.
        format: Keras's choice of a library, "tf" or "grain"; it makes no difference.

    Returns:
        PyDataset of batches x (windows, sequence_length, ...), or (x, targets).

    Raises:
        ValueError: for numbers that do not fit the data.
    """
    name = "timeseries_dataset_from_array"
    series = np.asarray(data)
    if format not in ("tf", "grain"):
        raise ValueError(f'[{name}] format must be "tf" or "grain", not {format!r}')
    for label, value in (
        ("sampling_rate", sampling_rate),
        ("sequence_stride", sequence_stride),
    ):
        if not 0 < value < len(series):
            raise ValueError(
                f"[{name}] {label} must be from 1 to {len(series) - 1}, less than the "
                f"length of data; received {value!r}"
            )
    first, last = _check_range(start_index, end_index, len(series))
    count = last - first - (sequence_length - 1) * sampling_rate
    goals = None if targets is None else np.asarray(targets)[first:last]
    count = count if goals is None else min(count, len(goals))
    starts = np.arange(0, max(count, 0), sequence_stride)
    order = np.random.RandomState(seed) if shuffle else None
    if order is not None:
        order.shuffle(starts)
    offsets = np.arange(sequence_length) * sampling_rate
    return _Windows(series[first:last], goals, starts, offsets, batch_size, order)


__all__ = ["split_dataset", "timeseries_dataset_from_array"]
