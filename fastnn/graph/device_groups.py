# SPDX-License-Identifier: Apache-2.0
"""Which steps of a graph a device runs as one kernel, and in which order.

A stream runs kernels one after the other, so all that matters is that each comes after
what it depends on. Pointwise steps of one shape are brought together where they may be
and become a chain, whose intermediate values are never stored.
"""

from __future__ import annotations

from heapq import heapify, heappush
from typing import TYPE_CHECKING

from fastnn.backends.cuda.chains import MOST_OPERANDS, Link, chain_launch
from fastnn.backends.cuda.rules.pointwise import FAMILIES
from fastnn.graph.layout import ARENA, is_dense
from fastnn.graph.schedule import kernel_table
from fastnn.opset._opdef import VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastnn.backends.cuda.launches import Launch, Operand
    from fastnn.graph.ir import Node, Value
    from fastnn.graph.layout import Layout, Storage
    from fastnn.graph.schedule import Step

MOST_LINKS = 32
NEAR = 8  # positions in traced order


class Group:
    """Steps that become one kernel, or one step of any kind.

    Attributes:
        nodes: what it computes, in order.
        reads: values that it takes from memory, of a chain.
        stores: values that it leaves in memory.
    """

    def __init__(self, layout: Layout, step: Step) -> None:
        self._layout = layout
        self.steps = [step]
        self.shape = step.node.outputs[0].shape
        self.chains = is_link(step.node)
        self._made: set[Value] = set(step.node.outputs)
        self.reads: list[Value] = list(dict.fromkeys(step.node.inputs))
        self.stores: list[Value] = list(step.node.outputs)

    @property
    def nodes(self) -> list[Node]:
        return [step.node for step in self.steps]

    def takes(self, step: Step) -> bool:
        """Whether a step may be the next link.

        An element of the output depends on that element of what the group has made and
        on memory that it does not write; it may write over what it has read at the
        same place.
        """
        node, views = step.node, self._layout.views
        if not self.chains or not is_link(node) or node.outputs[0].shape != self.shape:
            return False
        new = [v for v in node.inputs if v not in self._made and v not in self.reads]
        operands = len(self.reads) + len(new) + len(self.stores) + 1
        if operands > MOST_OPERANDS or len(self.steps) >= MOST_LINKS:
            return False
        written = {views[v].storage for v in self.stores}
        if any(views[v].storage in written for v in new):
            return False
        target = views[node.outputs[0]].storage
        return all(
            self._is_whole(v) for v in (*self.reads, *new) if views[v].storage is target
        )

    def _is_whole(self, value: Value) -> bool:
        """Whether element i of the group's shape is element i of the storage."""
        view = self._layout.views[value]
        return (
            value.shape == self.shape
            and view.offset == 0
            and is_dense(value.shape, view.strides)
        )

    def add(self, step: Step) -> None:
        """The step as the next link."""
        self.steps.append(step)
        node = step.node
        self.reads += [
            v
            for v in dict.fromkeys(node.inputs)
            if v not in self._made and v not in self.reads
        ]
        self._made.update(node.outputs)
        self.stores += node.outputs

    def keep(self, wanted: Callable[[Value, Group], bool]) -> None:
        """Leaves in memory only what somebody wants."""
        if len(self.steps) > 1:
            self.stores = [v for v in self.stores if wanted(v, self)]

    def storages(self) -> set[Storage]:
        """What the kernel touches."""
        views = self._layout.views
        return {views[v].storage for v in (*self.reads, *self.stores)}

    def launch(
        self, operand: Callable[[Value, tuple[int, ...] | None], Operand]
    ) -> Launch:
        """The kernel of a chain; `operand` says where values lie."""
        register = {v: k for k, v in enumerate(self.reads)}
        ins = [
            operand(v, node.op.operand_shape(v.shape, self.shape))
            for v, node in zip(self.reads, map(self._reader, self.reads), strict=True)
        ]
        links = []
        for node in self.nodes:
            sources = tuple(register[v] for v in node.inputs)
            out = node.outputs[0]
            links.append(Link(node.op, node.attrs, sources, out.dtype))
            register[out] = len(ins) + len(links) - 1
        outs = [(register[v] - len(ins), operand(v, None)) for v in self.stores]
        return chain_launch(ins, links, outs)

    def _reader(self, value: Value) -> Node:
        return next(node for node in self.nodes if value in node.inputs)


def is_link(node: Node) -> bool:
    """Whether a step may be part of a chain. It writes over nothing in the arena then:
    that would have to come after other readers, and nothing of a chain lies there.
    """
    name, out = node.op.name, node.outputs[0]
    if not out.size or len(node.outputs) > 1:
        return False
    return name in ("cast", "copy") or kernel_table()[name]["family"] in FAMILIES


def grouped(layout: Layout, steps: list[Step]) -> list[Group]:
    """The steps as groups in an order that a stream may run; phases are positions."""
    groups = _gathered(layout, steps)
    wanted = _wanted(layout, groups)
    for number, group in enumerate(groups):
        group.keep(wanted)
        if len(group.steps) > 1:
            touched = group.storages()
            for step in group.steps:
                step.accesses = [a for a in step.accesses if a.storage in touched]
        for step in group.steps:
            step.phase = number
    return groups


def _gathered(layout: Layout, steps: list[Step]) -> list[Group]:
    """Steps in an order of their dependencies: those that a group takes go first."""
    number = {step: i for i, step in enumerate(steps)}
    waits = {step: {earlier for earlier, _ in step.after} for step in steps}
    followers: dict[Step, list[Step]] = {step: [] for step in steps}
    for step, before in waits.items():
        for earlier in before:
            followers[earlier].append(step)
    left = {step: len(before) for step, before in waits.items()}
    ready = [number[step] for step in steps if not left[step]]
    heapify(ready)
    groups: list[Group] = []

    def done(step: Step) -> None:
        for follower in followers[step]:
            left[follower] -= 1
            if not left[follower]:
                heappush(ready, number[follower])

    while ready:
        step = _first(ready, steps)
        ready.remove(number[step])
        heapify(ready)
        group = Group(layout, step)
        groups.append(group)
        done(step)
        for following in _mates(group, ready, steps):
            ready.remove(number[following])
            heapify(ready)
            group.add(following)
            done(following)
    return groups


def _first(ready: list[int], steps: list[Step]) -> Step:
    """The next in traced order; before a chain what is smaller and near, which the
    chain may read: a bias that is cast, say.
    """
    first = steps[ready[0]]
    if not is_link(first.node):
        return first
    near = [steps[i] for i in ready if i - ready[0] <= NEAR]
    return min(
        (step for step in near if is_link(step.node)),
        key=lambda step: step.node.outputs[0].size,
    )


def _mates(group: Group, ready: list[int], steps: list[Step]) -> Iterator[Step]:
    """Steps that the group takes, as long as there are some."""
    while group.chains:
        found = next((i for i in sorted(ready) if group.takes(steps[i])), None)
        if found is None:
            return
        yield steps[found]


def _wanted(layout: Layout, groups: list[Group]) -> Callable[[Value, Group], bool]:
    """Whether somebody outside of its group reads a value."""
    viewed = {
        v for node in layout.graph.nodes if node.op.kind == VIEW for v in node.inputs
    }
    readers: dict[Value, set[int]] = {}
    for group in groups:
        for node in group.nodes:
            for value in node.inputs:
                readers.setdefault(value, set()).add(id(group))
    outputs = set(layout.outputs)

    def wanted(value: Value, group: Group) -> bool:
        return (
            value in outputs
            or value in viewed
            or layout.views[value].storage.home != ARENA
            or bool(readers.get(value, set()) - {id(group)})
        )

    return wanted
