# SPDX-License-Identifier: Apache-2.0
"""The queues of `tf.queue`: between threads, of tuples of tensors.

`enqueue` waits for room and `dequeue` for elements; `close` ends both. Calls that take
or give several elements are served one after the other: their elements stay together.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from threading import Condition, Lock
from typing import Any

import numpy as np

from fastnn import ops, seeds
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import CancelledError, DTypeError, OutOfRangeError, ShapeError
from fastnn.structures.string_tensor import as_tensor, wrapped

__all__ = [
    "FIFOQueue",
    "PaddingFIFOQueue",
    "PriorityQueue",
    "QueueBase",
    "RandomShuffleQueue",
]

Element = tuple[Any, ...]


class QueueBase:
    """What the four queues share; they differ in `_put`, `_take`, `_ready`, `_unput`.

    Args:
        dtypes: of the parts of an element, or of its only one.
        shapes: of the parts, None where any shape may come.
        names: of the parts: elements are then dicts.
        capacity: number of elements it holds; negative for no bound.
    """

    _reserve = 0  # elements that stay in an open queue, for the sake of mixing

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any, names: Any, name: str | None
    ) -> None:
        self._capacity = int(capacity) if int(capacity) >= 0 else None
        self._dtypes = [dtypes] if isinstance(dtypes, str) else list(dtypes)
        self._shapes = _shapes(shapes, len(self._dtypes))
        self._names = [names] if isinstance(names, str) else names
        if self._names is not None and len(self._names) != len(self._dtypes):
            raise ValueError(f"[queue] {len(self._dtypes)} dtypes for names {names}")
        self._name = name
        self._changed = Condition()
        self._turns = {"put": Lock(), "take": Lock()}
        self._closed = self._cancelled = False
        self._putting = 0  # calls that had begun when the queue was closed
        self._items: Any = deque()

    # -- what differs ----------------------------------------------------------------

    def _put(self, element: Element) -> None:
        self._items.append(element)

    def _take(self) -> Element:
        return self._items.popleft()

    def _unput(self, elements: list[Element]) -> None:
        """Put back what was taken for a call that cannot be served."""
        self._items.extendleft(reversed(elements))

    def _batched(self, parts: Sequence[Any], dtype: str) -> Any:
        return ops.stack(list(parts), axis=0)

    # -- elements --------------------------------------------------------------------

    def _parts(self, vals: Any, batch: bool) -> list[Any]:
        """The parts of one element or of many, checked."""
        if self._names is not None:
            if not isinstance(vals, dict) or set(vals) != set(self._names):
                raise ValueError(
                    f"[queue] expects a dict of {self._names}, received {vals!r}"
                )
            vals = [vals[n] for n in self._names]
        elif not isinstance(vals, (list, tuple)):
            vals = [vals]  # a list always holds the parts
        if len(vals) != len(self._dtypes):
            raise ValueError(
                f"[queue] an element has {len(self._dtypes)} parts, got {len(vals)}"
            )
        return [self._part(i, v, batch) for i, v in enumerate(vals)]

    def _part(self, i: int, value: Any, batch: bool) -> Any:
        wanted = self._dtypes[i]
        numbers = isinstance(value, (bool, int, float, list, tuple))
        part = as_tensor(value, wanted if numbers else None)
        if part.dtype != wanted:
            raise DTypeError(f"[queue] part {i} is {wanted}, received {part.dtype}")
        shape = part.shape[1:] if batch else part.shape
        if batch and not part.ndim:
            raise ShapeError(f"[enqueue_many] part {i} is a scalar")
        if self._shapes is not None and not _fits(shape, self._shapes[i]):
            raise ShapeError(
                f"[queue] part {i} has shape {self._shapes[i]}, received {shape}"
            )
        return part

    def _given(self, parts: list[Any]) -> Any:
        if self._names is not None:
            return dict(zip(self._names, parts, strict=True))
        return parts[0] if len(parts) == 1 else parts

    # -- in --------------------------------------------------------------------------

    def enqueue(self, vals: Any, name: str | None = None) -> None:
        """Add an element; waits while the queue is full.

        Raises:
            CancelledError: when the queue is closed.
            DTypeError, ShapeError, ValueError: for parts unlike the queue's.
        """
        self._add([tuple(self._parts(vals, False))])

    def enqueue_many(self, vals: Any, name: str | None = None) -> None:
        """Add the slices of the parts along their first axis, in their order."""
        parts = self._parts(vals, True)
        if len({len(p) for p in parts}) > 1:
            raise ShapeError(
                f"[enqueue_many] parts differ along axis 0: {[p.shape for p in parts]}"
            )
        self._add(list(zip(*parts, strict=True)))

    def _add(self, elements: list[Element]) -> None:
        with self._changed:
            self._refuse_closed()
            self._putting += 1
        try:
            with self._turns["put"]:
                for element in elements:
                    with self._changed:
                        self._changed.wait_for(lambda: self._room() or self._cancelled)
                        if self._cancelled:
                            self._refuse_closed()
                        self._put(element)
                        self._changed.notify_all()
        finally:
            with self._changed:
                self._putting -= 1
                self._changed.notify_all()

    def _room(self) -> bool:
        return self._capacity is None or len(self._items) < self._capacity

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CancelledError(f"[{type(self).__name__}] {self._name} is closed")

    # -- out -------------------------------------------------------------------------

    def dequeue(self, name: str | None = None) -> Any:
        """The next element; waits while there is none.

        Returns:
            Its only part, a list of its parts, or a dict where the queue has names.

        Raises:
            OutOfRangeError: when the queue is closed and empty.
        """
        (element,) = self._remove(1, False)
        return self._given(list(element))

    def dequeue_many(self, n: int, name: str | None = None) -> Any:
        """The next n elements, their parts stacked.

        Raises:
            OutOfRangeError: when the queue is closed and holds fewer, which stay.
            ValueError: for a queue that does not know its shapes.
        """
        return self._stacked(self._remove(int(n), False))

    def dequeue_up_to(self, n: int, name: str | None = None) -> Any:
        """The next n elements, or what a closed queue still has; at least one."""
        return self._stacked(self._remove(int(n), True))

    def _stacked(self, elements: list[Element]) -> Any:
        if self._shapes is None:
            raise ValueError(
                f"[{type(self).__name__}] needs `shapes` to stack elements"
            )
        if not elements:
            return self._given(
                [wrapped(np.zeros((0, *(n or 0 for n in s)), _numpy(d)))
                 for s, d in zip(self._shapes, self._dtypes, strict=True)]
            )  # fmt: skip
        columns = zip(*elements, strict=True)
        return self._given(
            [self._batched(c, d) for c, d in zip(columns, self._dtypes, strict=True)]
        )

    def _ready(self) -> bool:
        """Whether an element may be taken."""
        done = self._closed and not self._putting
        return len(self._items) > (0 if done else self._reserve)

    def _remove(self, n: int, fewer: bool) -> list[Element]:
        if self._shapes is None and (fewer or n != 1) and n:
            raise ValueError(
                f"[{type(self).__name__}] needs `shapes` to stack elements"
            )
        taken: list[Element] = []
        with self._turns["take"], self._changed:
            while len(taken) < n:
                self._changed.wait_for(
                    lambda: self._ready() or (self._closed and not self._putting)
                )
                if not self._ready():
                    break
                taken.append(self._take())
                self._changed.notify_all()
            if len(taken) < n and not (fewer and taken):
                self._unput(taken)
                raise OutOfRangeError(
                    f"[{type(self).__name__}] {self._name} is closed and has "
                    f"insufficient elements (requested {n}, current size {len(taken)})"
                )
        return taken

    # -- state -----------------------------------------------------------------------

    def close(
        self, cancel_pending_enqueues: bool = False, name: str | None = None
    ) -> None:
        """No more elements: later `enqueue` calls fail, `dequeue` empties the queue.

        Args:
            cancel_pending_enqueues: whether calls that wait for room fail, too.
            name: not used.
        """
        with self._changed:
            self._closed = True
            self._cancelled |= cancel_pending_enqueues
            self._changed.notify_all()

    def is_closed(self, name: str | None = None) -> Tensor:
        return Tensor(np.asarray(self._closed))

    def size(self, name: str | None = None) -> Tensor:
        return Tensor(np.asarray(len(self._items), np.int32))

    @property
    def dtypes(self) -> list[str]:
        return list(self._dtypes)

    @property
    def shapes(self) -> list[Any]:
        return (
            [None] * len(self._dtypes) if self._shapes is None else list(self._shapes)
        )

    @property
    def names(self) -> list[str] | None:
        return self._names

    @property
    def name(self) -> str | None:
        return self._name

    def __repr__(self) -> str:
        return (
            f"<tf.queue.{type(self).__name__} '{self._name}' size={len(self._items)}, "
            f"capacity={self._capacity}, dtypes={self._dtypes}>"
        )


def _shapes(shapes: Any, parts: int) -> list[tuple[int | None, ...]] | None:
    if shapes is None:
        return None
    given = list(shapes)
    if parts == 1 and not (given and isinstance(given[0], (list, tuple))):
        given = [given]
    if len(given) != parts:
        raise ValueError(f"[queue] {parts} dtypes for shapes {shapes}")
    return [tuple(s) for s in given]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        w in (None, n) for n, w in zip(shape, wanted, strict=True)
    )


def _numpy(dtype: str) -> str:
    return "object" if dtype == "string" else dtype


class FIFOQueue(QueueBase):
    """First in, first out. Arguments of all queues: see QueueBase."""

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "fifo_queue",
    ) -> None:
        super().__init__(capacity, dtypes, shapes, names, name)
        if self._shapes is not None and any(None in s for s in self._shapes):
            raise ValueError("[FIFOQueue] shapes with None: use a PaddingFIFOQueue")


class RandomShuffleQueue(QueueBase):
    """Elements come out in random order; `min_after_dequeue` stay to mix with.

    Without a seed the order follows from `set_random_seed`.
    """

    def __init__(
        self,
        capacity: int,
        min_after_dequeue: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        seed: int | None = None,
        shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ) -> None:
        super().__init__(capacity, dtypes, shapes, names, name)
        if self._capacity is not None and not 0 <= min_after_dequeue < self._capacity:
            raise ValueError(
                f"[RandomShuffleQueue] min_after_dequeue must lie in "
                f"0..{capacity - 1}, received {min_after_dequeue}"
            )
        self._reserve = int(min_after_dequeue)
        self._random = random.Random(seeds.make_seed(seed))
        self._items = []

    def _take(self) -> Element:
        i = self._random.randrange(len(self._items))
        self._items[i], self._items[-1] = self._items[-1], self._items[i]
        return self._items.pop()

    def _unput(self, elements: list[Element]) -> None:
        self._items += elements


class PaddingFIFOQueue(QueueBase):
    """First in, first out; `dequeue_many` fills up axes whose size is None in `shapes`
    with zeros (strings: empty ones) to the largest.
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ) -> None:
        super().__init__(capacity, dtypes, shapes, names, name)

    def _batched(self, parts: Sequence[Any], dtype: str) -> Any:
        if len({p.shape for p in parts}) == 1:
            return super()._batched(parts, dtype)
        box = np.array([p.shape for p in parts]).max(0)
        rows = np.full(
            (len(parts), *box), b"" if dtype == "string" else 0, _numpy(dtype)
        )
        for row, part in zip(rows, parts, strict=True):
            row[tuple(slice(n) for n in part.shape)] = np.asarray(part)
        return wrapped(rows)


class PriorityQueue(QueueBase):
    """The element of the lowest priority comes first; equal ones in their order.

    An element is (int64 priority, part, ...); `types` and `shapes` do not name the
    priority.
    """

    def __init__(
        self,
        capacity: int,
        types: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "priority_queue",
    ) -> None:
        types = [types] if isinstance(types, str) else list(types)
        if shapes is not None:
            shapes = [(), *(_shapes(shapes, len(types)) or [])]
        super().__init__(capacity, ["int64", *types], shapes, names, name)
        self._items = []
        self._count: Callable[[], int] = count().__next__

    def _put(self, element: Element) -> None:
        heapq.heappush(self._items, (int(element[0]), self._count(), element))

    def _take(self) -> Element:
        return heapq.heappop(self._items)[2]

    def _unput(self, elements: list[Element]) -> None:
        for number, element in enumerate(elements, -len(elements)):
            heapq.heappush(self._items, (int(element[0]), number, element))
