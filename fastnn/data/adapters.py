# SPDX-License-Identifier: Apache-2.0
"""Arrays, generators and iterables as one thing: batches (x, y, sample_weight)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.data.arrays import check_lengths, is_arrays, to_arrays
from fastnn.data.weights import class_weight_to_sample_weights
from fastnn.errors import ShapeError
from fastnn.utils.batches import unpack_x_y_sample_weight

Batch = tuple[Any, Any, Any]


def _rows(value: Any, index: Any) -> Any:
    if value is None:
        return None
    return tree.map_structure(lambda a: None if a is None else a[index], value)


class ArrayData:
    """Data in memory.

    Attributes:
        x, y, sample_weight: arrays, structures of arrays, or None.
        num_samples: length of every first axis.
        by_class: whether the weights come from class_weight.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        num_samples: int,
        by_class: bool = False,
    ) -> None:
        self.x = x
        self.y = y
        self.sample_weight = sample_weight
        self.num_samples = num_samples
        self.by_class = by_class

    @property
    def arrays(self) -> Batch:
        """(x, y, sample_weight)."""
        return self.x, self.y, self.sample_weight

    def num_batches(self, batch_size: int) -> int:
        """Number of batches; the last one may be smaller."""
        return -(-self.num_samples // batch_size)

    def batches(
        self, batch_size: int, order: np.ndarray | None = None
    ) -> Iterator[Batch]:
        """Batches in an order (default: as stored, and then they are views)."""
        for start in range(0, self.num_samples, batch_size):
            index: Any = slice(start, start + batch_size)
            if order is not None:
                index = order[index]
            yield (
                _rows(self.x, index),
                _rows(self.y, index),
                _rows(self.sample_weight, index),
            )

    def split(self, fraction: float) -> tuple[ArrayData, ArrayData]:
        """The first rows, and the LAST `fraction` of the rows, as they are stored.

        Classes have weights in training only.

        Raises:
            ValueError: when one of the parts would be empty.
        """
        if not 0.0 < fraction < 1.0:
            raise ValueError(
                "[fit] validation_split must be between 0 and 1 (exclusive), "
                f"received {fraction!r}."
            )
        first = int(self.num_samples * (1.0 - fraction))
        if first == 0 or first == self.num_samples:
            raise ValueError(
                f"[fit] validation_split={fraction} of {self.num_samples} samples "
                f"leaves {first} for training and {self.num_samples - first} for "
                "validation; both parts need at least one."
            )
        last = self._part(slice(first, None))
        if self.by_class:
            last.sample_weight = None
        return self._part(slice(0, first)), last

    def _part(self, rows: slice) -> ArrayData:
        x, y, sample_weight = (_rows(value, rows) for value in self.arrays)
        count = len(range(*rows.indices(self.num_samples)))
        return ArrayData(x, y, sample_weight, count)


class StreamData:
    """Data that arrives batch by batch: a generator, an iterable or a sequence.

    Args:
        source: yields batches x, (x,), (x, y) or (x, y, sample_weight).
        class_weight: label -> weight, or None.
        where: name of the method, for messages.
        only_x: drop targets and weights unseen.
    """

    def __init__(
        self, source: Any, class_weight: Any, where: str, only_x: bool = False
    ) -> None:
        self.source = source
        self.class_weight = class_weight
        self.where = where
        self.only_x = only_x
        self._is_sequence = hasattr(source, "__getitem__") and (
            hasattr(source, "__len__") or hasattr(type(source), "num_batches")
        )
        if not self._is_sequence and not isinstance(source, Iterable):
            raise TypeError(
                f"[{where}] x must be an array, a list or dict of arrays, or an "
                f"iterable of batches; received {type(source).__name__}."
            )
        # An iterator is used up as it is read, everything else starts again.
        self.restarts = self._is_sequence or not isinstance(source, Iterator)
        self._first: list[Any] = []

    @property
    def length(self) -> int | None:
        """Batches per epoch, when the source knows."""
        if hasattr(type(self.source), "num_batches"):
            number: int | None = self.source.num_batches
            return number
        return len(self.source) if hasattr(self.source, "__len__") else None

    def peek(self) -> Batch:
        """The first batch, which `batches` will yield as well.

        Raises:
            ShapeError: when there is none.
        """
        if not self._first:
            raw = iter(self._items(peeking=True))
            first = next(raw, None)
            if first is None:
                raise ShapeError(f"[{self.where}] the data source yielded no batch.")
            self._first = [first]
        return self._convert(self._first[0])

    @property
    def can_shuffle(self) -> bool:
        """Whether `fit(shuffle=True)` changes the order of batches, as in Keras."""
        return hasattr(type(self.source), "num_batches") and self.length is not None

    def batches(self, order: Iterable[int] | None = None) -> Generator[Batch]:
        """Converted batches of one pass; an iterator goes on where it stopped.

        What `peek` looked at is not loaded again, but by a shuffled sequence and an
        iterable, which start anew.

        Args:
            order: numbers of the batches of a sequence; from first to last by default.
        """
        known, self._first = self._first, []
        if order is not None or (self.restarts and not self._is_sequence):
            known = []
        start = len(known)
        while known:
            yield self._convert(known.pop())
        items = self._items(order=order, start=start)
        try:
            for item in items:
                yield self._convert(item)
        finally:
            if self._is_sequence:
                items.close()

    def _items(
        self,
        peeking: bool = False,
        order: Iterable[int] | None = None,
        start: int = 0,
    ) -> Any:
        """One pass: of a sequence ahead of time, of anything else as it comes.

        A sequence without an order begins at batch `start`.

        A generator runs in the thread that trains, as in Keras: it may use whatever
        belongs to that thread.
        """
        source = self.source
        if not self._is_sequence:
            return source
        length = self.length
        indices = order
        if indices is None:
            indices = count(start) if length is None else range(start, length)
        workers = getattr(source, "workers", 1)
        if peeking or not workers:
            return (source[i] for i in indices)
        from fastnn.data.prefetch import AHEAD, prefetched

        processes = getattr(source, "use_multiprocessing", False)
        ahead = getattr(source, "max_queue_size", AHEAD)
        return prefetched(source, indices, workers, processes, ahead)

    def begin_epoch(self) -> None:
        """Tells a Keras-style sequence that an epoch begins."""
        if self._is_sequence and hasattr(self.source, "on_epoch_begin"):
            hook = self.source.on_epoch_begin
            hook()
            if not str(getattr(hook, "__module__", "")).startswith("fastnn."):
                self._first.clear()  # a hook of the user's may change the batches

    def end_epoch(self) -> None:
        """Tells a Keras-style sequence that an epoch is over."""
        if self._is_sequence and hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def _convert(self, item: Any) -> Batch:
        x, y, sample_weight = unpack_x_y_sample_weight(item)
        x = to_arrays(x, "x", self.where)
        if self.only_x:
            return x, None, None
        y = to_arrays(y, "y", self.where)
        sample_weight = to_arrays(sample_weight, "sample_weight", self.where)
        check_lengths({"x": x, "y": y, "sample_weight": sample_weight}, self.where)
        if self.class_weight is not None and sample_weight is None and y is not None:
            sample_weight = class_weight_to_sample_weights(y, self.class_weight)
        return x, y, sample_weight


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    where: str = "fit",
    only_x: bool = False,
) -> ArrayData | StreamData:
    """The source of batches that the arguments of fit, evaluate or predict describe.

    Args:
        x: array, list, tuple or dict of arrays, data frame, generator, iterable of
            batches, or sequence of batches.
        y: targets, None when x yields them.
        sample_weight: one weight per sample, or None.
        class_weight: label -> weight; ignored with a warning beside sample_weight.
        where: name of the method, for messages.
        only_x: drop the targets and weights that batches bring along.

    Raises:
        DTypeError, ShapeError, TypeError, ValueError: naming what was received.
    """
    if x is None:
        raise ValueError(f"[{where}] x is missing.")
    if isinstance(x, str | bytes):
        raise ValueError(f"[{where}] x must hold numbers, received {x!r}.")
    if not is_arrays(x):
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"[{where}] x is {type(x).__name__}, which yields targets and weights "
                "itself as (x, y, sample_weight): do not give y or sample_weight."
            )
        return StreamData(x, class_weight, where, only_x)
    x = to_arrays(x, "x", where)
    y = to_arrays(y, "y", where)
    sample_weight = to_arrays(sample_weight, "sample_weight", where)
    parts = {"x": x, "y": y, "sample_weight": sample_weight}
    given = {name: value for name, value in parts.items() if value is not None}
    num_samples = check_lengths(given, where)
    by_class = class_weight is not None and sample_weight is None
    if class_weight is not None:
        sample_weight = _weights_of_classes(y, sample_weight, class_weight, where)
    return ArrayData(x, y, sample_weight, num_samples, by_class)


def _weights_of_classes(
    y: Any, sample_weight: Any, class_weight: Any, where: str
) -> Any:
    if sample_weight is not None:
        import warnings

        warnings.warn(
            f"[{where}] sample_weight takes precedence: class_weight is not used.",
            UserWarning,
            stacklevel=4,
        )
        return sample_weight
    labels = tree.flatten(y)
    if len(labels) != 1 or not isinstance(labels[0], np.ndarray):
        raise ValueError(
            f"[{where}] class_weight needs one array of labels y; received "
            f"{type(y).__name__} of {len(labels)}. Give sample_weight per output."
        )
    return class_weight_to_sample_weights(labels[0], class_weight)
