# SPDX-License-Identifier: Apache-2.0
"""Offsets in the arena: greedy by size at the lowest free place, phase by phase.

Lifetimes are counted in phases, not instructions: inside a phase threads run ahead of
each other, so memory freed by one instruction may still be read by a slower thread.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from fastnn.graph.layout import ARENA

if TYPE_CHECKING:
    from fastnn.graph.layout import Layout, Storage
    from fastnn.graph.schedule import Step

ALIGN = 64
PAGE = 4096


def lifetimes(layout: Layout, steps: list[Step]) -> dict[Storage, tuple[int, int]]:
    """First and last phase of every arena storage; outputs live to the end."""
    end = max((s.phase for s in steps), default=0)
    spans: dict[Storage, tuple[int, int]] = {}
    for step in steps:
        for access in step.accesses:
            if access.storage.home == ARENA:
                first, last = spans.get(access.storage, (step.phase, step.phase))
                spans[access.storage] = (
                    min(first, step.phase),
                    max(last, step.phase),
                )
    for value in layout.outputs:
        storage = layout.view(value).storage
        if storage.home == ARENA:
            spans[storage] = (spans[storage][0], end)
    return spans


def place(layout: Layout, steps: list[Step]) -> int:
    """Set the offset of every arena storage; returns the size of the arena."""
    spans = lifetimes(layout, steps)
    taken: list[tuple[int, int, int, int]] = []  # (begin, end, phases), by begin
    total = 0
    for storage in sorted(spans, key=lambda s: (-s.nbytes, spans[s])):
        first, last = spans[storage]
        size = padded(storage.nbytes)
        offset = 0
        beside = [(p, q) for p, q, a, b in taken if b >= first and a <= last]
        for begin, end in beside:
            if offset + size <= begin:
                break
            offset = max(offset, end)
        storage.offset = offset
        insort(taken, (offset, offset + size, first, last))
        total = max(total, offset + size)
    return total


def padded(nbytes: int) -> int:
    """Whole cache lines; blocks of a page and more are kept off the 4 KiB grid, since
    equal low address bits of loads and stores cost about 5 % (4 KiB aliasing).
    """
    size = -(-max(nbytes, 1) // ALIGN) * ALIGN
    return size + ALIGN if size >= PAGE and size % PAGE == 0 else size
