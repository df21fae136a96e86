# SPDX-License-Identifier: Apache-2.0
"""Phases: which instructions run between two barriers, and in what order.

Threads own rows. An instruction may follow another without a barrier when each thread
reads only rows it wrote itself, or when the two touch different memory. Scheduling is
greedy: everything that can run before the next barrier does, so an MLP step has two
phases (gather to input gradients; weight gradients with their updates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.errors import BackendError, PlanError
from fastnn.graph.layout import storage_row_bytes

if TYPE_CHECKING:
    from fastnn.graph.ir import Node, Value
    from fastnn.graph.layout import Layout, Storage

ROWS, SERIAL = "rows", "serial"


class Access:
    """How an instruction touches one storage."""

    __slots__ = ("owner", "storage", "write")

    def __init__(self, storage: Storage, write: bool, owner: tuple | None) -> None:
        self.storage = storage
        self.write = write
        # (split, rows) when each part touches only its own share, else None.
        self.owner = owner


class Chain(NamedTuple):
    """Instructions that each thread runs block by block over its rows.

    `local` is what the first writes and the others read: it exists per thread and for
    one block only.
    """

    block_rows: int
    local: Storage


class Step:
    """A node with its accesses and the phase it runs in."""

    __slots__ = ("accesses", "after", "chain", "node", "phase")

    def __init__(self, node: Node, accesses: list[Access]) -> None:
        self.node = node
        self.accesses = accesses
        self.after: list[tuple[Step, bool]] = []  # (earlier step, needs a barrier)
        self.phase = -1
        self.chain: Chain | None = None


def kernel_table() -> dict[str, Any]:
    """The native kernel table by name; read once."""
    global _table
    if _table is None:
        from fastnn import _core

        _table = {row["name"]: row for row in _core.kernels()}
    return _table


_table: dict[str, Any] | None = None


def schedule(layout: Layout, max_threads: int) -> list[Step]:
    """Steps in execution order, phases set; right for up to `max_threads` threads."""
    steps = [Step(node, _accesses(layout, node, max_threads)) for node in layout.nodes]
    _link(steps)
    _link_regions(steps)
    return _phases(steps)


def _link_regions(steps: list[Step]) -> None:
    """Rematerialized blocks and their gradients one after the other: the first would
    else be computed again at once, and all of them at the same time.
    """
    regions: dict[int, list[Step]] = {}
    for step in steps:
        if step.node.region:
            regions.setdefault(step.node.region, []).append(step)
    before: list[Step] = []
    for _, members in sorted(regions.items()):
        for step in members:
            step.after += [(earlier, True) for earlier in before]
        before = members


def _accesses(layout: Layout, node: Node, max_threads: int) -> list[Access]:
    entry = kernel_table().get(node.op.name)
    if entry is None:
        raise BackendError(
            f"[function] {node.op.name} at {node.where} has no kernel on the cpu "
            f"backend, so this function cannot become a plan: run it eagerly"
        )
    split = entry["split"]
    rows = node.outputs[0].shape[0] if node.outputs[0].shape else 1
    if split == ROWS and rows < entry["min_rows"] * max_threads > entry["min_rows"]:
        split = "any"  # too few rows to own: csrc/kernels/kernel.hpp
    owner = (SERIAL, 0) if split == SERIAL else (ROWS, rows)
    found = []
    for letter, value in zip(entry["reads"], node.inputs, strict=True):
        by_rows = letter == "r" or (letter == "k" and keeps_rows(node))
        own = split == SERIAL or (
            split == ROWS and by_rows and _aligned(layout, node, value, rows)
        )
        storage = layout.view(value).storage
        found.append(Access(storage, False, owner if own else None))
    for value in node.outputs:
        own = split == SERIAL or (split == ROWS and (value.shape or (1,))[0] == rows)
        storage = layout.views[value].storage
        found.append(Access(storage, True, owner if own else None))
    return found


def keeps_rows(node: Node) -> bool:
    """A reduction that leaves the leading axis alone."""
    axes = node.attrs[0]
    return 0 not in axes if isinstance(axes, tuple) else axes != 0


def _aligned(layout: Layout, node: Node, value: Value, rows: int) -> bool:
    """Row i of the value lies in row i of its storage, for every i."""
    if rows == 1:
        return True
    shape = node.op.operand_shape(value.shape, node.outputs[0].shape)
    if not value.shape or value.shape[0] != rows or len(shape) != len(value.shape):
        return False  # repeated along the rows, or no rows at all
    view = layout.views[value]
    step = storage_row_bytes(view, value)
    return step > 0 and step * rows == view.storage.nbytes and view.offset < step


def _link(steps: list[Step]) -> None:
    """Read-after-write, write-after-read and write-after-write, in traced order."""
    writes: dict[Storage, tuple[Step, Access]] = {}
    reads: dict[Storage, list[tuple[Step, Access]]] = {}

    def depend(step: Step, access: Access, on: tuple[Step, Access]) -> None:
        earlier, other = on
        if earlier is step:
            return
        private = access.owner is not None and access.owner == other.owner
        step.after.append((earlier, not private))

    for step in steps:
        for access in step.accesses:
            if not access.write:
                last = writes.get(access.storage)
                if last is not None:
                    depend(step, access, last)
        for access in step.accesses:
            if access.write:
                last = writes.get(access.storage)
                if last is not None:
                    depend(step, access, last)
                for reader in reads.get(access.storage, ()):
                    depend(step, access, reader)
        for access in step.accesses:
            if access.write:
                writes[access.storage] = step, access
                reads[access.storage] = []
        for access in step.accesses:
            if not access.write:
                reads.setdefault(access.storage, []).append((step, access))


def _phases(steps: list[Step]) -> list[Step]:
    """Every step in the earliest phase that its dependencies allow.

    In traced order one round is enough; regions may depend on what was traced later.
    """
    rounds: dict[Step, int] = {}
    waiting, number = steps, 0
    while waiting:
        left = []
        for step in waiting:
            phase = 0
            for earlier, barrier in step.after:
                at = earlier.phase
                if at < 0:
                    left.append(step)
                    break
                at += barrier
                if at > phase:
                    phase = at
            else:
                step.phase = phase
                rounds[step] = number
        if len(left) == len(waiting):
            names = ", ".join(step.node.op.name for step in left[:5])
            raise PlanError(f"[plan] {len(left)} steps wait for each other: {names}")
        waiting, number = left, number + 1
    return sorted(steps, key=lambda step: (step.phase, rounds[step]))
