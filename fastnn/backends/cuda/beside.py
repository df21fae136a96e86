# SPDX-License-Identifier: Apache-2.0
"""Launches of one kernel that do not depend on each other, as one launch.

Each part has a row of blocks of its own (blockIdx.y) and is told its operands as alone,
so the bits are the same. The updates of six small variables are one launch instead of
six, and so are the gradients of their biases: what a captured step of a small network
takes is the number of its kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Operand, operands
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastnn.backends.cuda.launches import Task

    Span = tuple[int, int]

# Their functions share their work among the blocks of a row, however many there are.
HEADERS = ("copy.cuh", "gemm.cuh", "pointwise.cuh", "reduce.cuh", "update.cuh")
# More fill the device alone.
MOST_BLOCKS = 512
MOST_BYTES = 32_000  # of arguments; CUDA 12.1 and later take 32,764
NEAR = 48  # launches between


def merged(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, fewer of them, in an order that gives the same."""
    found: list[Task] = []
    touched: list[tuple[list[Span], list[Span]]] = []
    for task in tasks:
        spans = _spans(task)
        at = _partner(found, touched, task, spans)
        if at is None:
            found.append(task)
            touched.append(spans)
            continue
        place, moved = at
        first = found[place]
        assert isinstance(first, Launch)
        assert isinstance(task, Launch)
        both = first._replace(beside=(*first.beside, task))
        reads, writes = touched[place]
        whole = reads + spans[0], writes + spans[1]
        if moved:  # the earlier one waits for the later
            del found[place], touched[place]
            found.append(both)
            touched.append(whole)
        else:
            found[place], touched[place] = both, whole
    return found


def _partner(
    found: list[Task],
    touched: list[tuple[list[Span], list[Span]]],
    task: Task,
    spans: tuple[list[Span], list[Span]],
) -> tuple[int, bool] | None:
    """The latest launch that takes the task as a part, and whether it has to be moved
    to the task's place.
    """
    if not isinstance(task, Launch) or not _small(task):
        return None
    free = True  # of what lies between
    for place in range(len(found) - 1, max(len(found) - NEAR, 0) - 1, -1):
        other = found[place]
        if isinstance(other, Launch) and _fit(other, task):
            if _conflict(touched[place], spans):
                return None
            if free:
                return place, False
            between = touched[place + 1 :]
            if not any(_conflict(touched[place], b) for b in between):
                return place, True
        free = free and not _conflict(touched[place], spans)
    return None


def _small(task: Launch) -> bool:
    alone = task.fault or task.shared
    return task.header in HEADERS and task.blocks <= MOST_BLOCKS and not alone


def _fit(first: Launch, task: Launch) -> bool:
    """Whether they are one kernel, and its arguments are not too long."""
    if not _small(first) or first._replace(beside=()).symbol != task.symbol:
        return False
    parts = len(first.beside) + 2
    return parts * task.arguments().size <= MOST_BYTES


def _spans(task: Task) -> tuple[list[Span], list[Span]]:
    """Addresses that a task reads and those that it writes."""
    reads, writes = operands(task)
    return _of(reads), _of(writes)


def _of(given: Iterable[Operand]) -> list[Span]:
    found = []
    for x in given:
        if not x.size:
            continue
        steps = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
        item = ITEMSIZE[x.dtype]
        low = x.address + item * sum(min(s, 0) for s in steps)
        high = x.address + item * (1 + sum(max(s, 0) for s in steps))
        found.append((low, high))
    return found


def _conflict(
    a: tuple[list[Span], list[Span]], b: tuple[list[Span], list[Span]]
) -> bool:
    """Whether one writes what the other touches."""
    return _meet(a[1], b[0] + b[1]) or _meet(b[1], a[0])


def _meet(a: list[Span], b: list[Span]) -> bool:
    return any(p < s and r < q for p, q in a for r, s in b)
