# SPDX-License-Identifier: Apache-2.0
"""What a plan consists of and what its steps cost, as text and as a Chrome trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.graph.layout import ARENA, CONSTS, INPUTS, VARIABLES
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from os import PathLike

    from fastnn.graph.ir import Node, Value
    from fastnn.graph.plan import Plan
    from fastnn.graph.schedule import Step

_BY_INDEX = ("gather_rows", "take")  # of their first input they read what they return


class Profile:
    """What a timed run saw.

    Attributes:
        times: int64 (threads, steps, instructions + 1, 3) nanoseconds: when a thread
            arrived at an instruction, began it (later, where it met the others first)
            and had done it. The last entry of a step is the barrier to the next. A
            chain or group is timed at its first instruction; the others have zeros.
        allocations: blocks of memory that were taken from the system meanwhile.
    """

    def __init__(self, plan: Plan, times: np.ndarray, allocations: int) -> None:
        self.plan = plan
        self.times = times
        self.allocations = allocations

    @property
    def threads(self) -> int:
        return int(self.times.shape[0])

    @property
    def steps(self) -> int:
        return int(self.times.shape[1])

    def work(self) -> np.ndarray:
        """Mean nanoseconds at work, float64 (threads, instructions + 1)."""
        return np.mean(self.times[..., 2] - self.times[..., 1], axis=1)

    def waits(self) -> np.ndarray:
        """Mean nanoseconds waiting before each instruction, and for the next step,
        float64 (threads, instructions + 1).
        """
        return np.mean(self.times[..., 1] - self.times[..., 0], axis=1)

    def step_ns(self) -> float:
        """Mean nanoseconds of a whole step, on the first thread."""
        first = self.times[0]
        return float(np.mean(first[:, -1, 2] - first[:, 0, 0]))

    def __iter__(self) -> Any:
        """(op name, nanoseconds at work on the first thread) of each instruction."""
        work = self.work()[0]
        names = [step.node.op.name for step in self.plan._steps]
        return iter([(n, float(t)) for n, t in zip(names, work[:-1], strict=True)])

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (*totals(self), *lines(self.plan, self)))

    def chrome_trace(self, path: str | PathLike[str]) -> None:
        """Writes the run for chrome://tracing or Perfetto: a lane per thread."""
        Path(path).write_text(json.dumps(_trace(self)))


def totals(profile: Profile) -> list[str]:
    """A step's time, and how much of it is waiting."""
    waits = profile.waits().sum(axis=1)
    work = profile.work().sum(axis=1)
    found = [
        f"{profile.steps} steps timed, {profile.step_ns() / 1e3:.2f} us each, "
        f"{profile.allocations} allocations"
    ]
    found += [
        f"thread {i}: {w / 1e3:.2f} us at work, {b / 1e3:.2f} us at barriers"
        for i, (w, b) in enumerate(zip(work, waits, strict=True))
    ]
    return found


def header(plan: Plan) -> list[str]:
    """Size, threads, memory, and what the passes did."""
    read, written = (sum(n) for n in zip(*map(_traffic, _nodes(plan)), strict=True))
    barriers = sum(row["barrier"] for row in plan._native.instructions())
    homes = {
        home: sum(s.nbytes for s in plan._layout.storages if s.home == home)
        for home in (CONSTS, VARIABLES, INPUTS)
    }
    lines = [
        title(plan),
        f"threads {plan.threads()}, estimated work {plan.cost / 1e3:.1f} us a step, "
        f"{barriers} barriers inside a step and one after it",
        f"bytes: arena {plan.arena_bytes}, constants {homes[CONSTS]}, "
        f"variables {homes[VARIABLES]}, inputs {homes[INPUTS]}; "
        f"a step reads {read} and writes {written}",
    ]
    history = plan.graph.history
    if history:
        lines.append("nodes: " + ", ".join(f"{name} {n}" for name, n in history))
    counts: dict[str, int] = {}
    for fusion in plan.graph.fusions:
        counts[fusion] = counts.get(fusion, 0) + 1
    if counts:
        lines.append("fused: " + ", ".join(f"{n} x {f}" for f, n in counts.items()))
    return lines


def title(plan: Plan) -> str:
    return (
        f"plan {plan.graph.name}: {len(plan._steps)} instructions, "
        f"{plan.phases} phases, arena {plan.arena_bytes} bytes"
    )


def lines(plan: Plan, profile: Profile | None = None) -> list[str]:
    """The instructions in order, phase by phase, with their times if profiled."""
    found = []
    phase, chain = -1, None
    work = None if profile is None else profile.work()[0]
    for i, step in enumerate(plan._steps):
        if step.phase != phase:
            phase = step.phase
            waited = "" if profile is None else _waited(profile, i, phase)
            found.append(f"-- phase {phase}{waited}")
        if step.chain is not None and step.chain is not chain:
            found.append(f"-- chain, blocks of {step.chain.block_rows} rows")
        elif step.chain is None and chain is not None:
            found.append("-- end of chain")
        chain = step.chain
        text = instruction(plan, step)
        if work is not None:
            before = f"{work[i] / 1e3:9.3f} us" if work[i] else "(with above)"
            text = f"{before}  {text}"
        found.append(text)
    if profile is not None:
        found.append(f"-- next step{_waited(profile, -1, 1)}")
    return found


def _waited(profile: Profile, index: int, phase: int) -> str:
    if phase == 0 or profile.threads == 1:
        return ""
    waits = ", ".join(f"{w / 1e3:.3f}" for w in profile.waits()[:, index])
    return f": barrier, threads waited {waits} us"


def instruction(plan: Plan, step: Step) -> str:
    """One instruction: `outputs = op(inputs) attributes`."""
    node = step.node
    ins = ", ".join(_operand(plan, v) for v in node.inputs)
    outs = ", ".join(_operand(plan, v) for v in node.outputs)
    attrs = "".join(
        f" {a.name}={v}"
        for a, v in zip(node.op.attrs, node.attrs, strict=True)
        if a.kind != "static"
    )
    return f"{outs} = {node.op.name}({ins}){attrs}"


def _operand(plan: Plan, value: Value) -> str:
    view = plan._layout.views[value]
    storage = view.storage
    if storage.home == VARIABLES:
        place = f"@{plan._variables[storage.key].path}"
    elif storage.home == ARENA:
        place = f"a{storage.offset + view.offset}"
    else:
        place = f"{storage.home}{storage.key}"
    return f"{place}{list(value.shape)}"


def _nodes(plan: Plan) -> list[Node]:
    return [step.node for step in plan._steps]


def _traffic(node: Node) -> tuple[int, int]:
    """Bytes that an instruction reads and writes."""
    written = sum(v.size * ITEMSIZE[v.dtype] for v in node.outputs)
    read = 0
    for i, v in enumerate(node.inputs):
        some = i == 0 and node.op.name in _BY_INDEX
        read += (node.outputs[0].size if some else v.size) * ITEMSIZE[v.dtype]
    return read, written


def _trace(profile: Profile) -> dict[str, Any]:
    plan, times = profile.plan, profile.times
    start = int(times[:, 0, 0, 0].min())
    names = [_trace_name(plan, i) for i in range(len(plan._steps))]
    texts = [instruction(plan, step) for step in plan._steps]
    events: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": plan.graph.name}}
    ]

    def event(name: str, kind: str, thread: int, span: Any, args: Any) -> None:
        begin, end = (int(t) - start for t in span)
        times = {"ts": begin / 1e3, "dur": (end - begin) / 1e3}
        lane = {"ph": "X", "pid": 1, "tid": thread}
        events.append({"name": name, "cat": kind, **lane, **times, "args": args})

    for thread, steps in enumerate(times):
        args = {"name": f"thread {thread}"}
        events.append(
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": args}
        )
        for number, entries in enumerate(steps):
            for i, at in enumerate(entries):
                where = {"step": number}
                if at[1] > at[0]:
                    event("barrier", "barrier", thread, at[:2], where)
                if i < len(names) and at[2] > 0:
                    about = {**where, "phase": plan._steps[i].phase, "is": texts[i]}
                    event(names[i], "instruction", thread, at[1:], about)
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _trace_name(plan: Plan, index: int) -> str:
    """The op; all ops of a chain."""
    steps, step = plan._steps, plan._steps[index]
    if step.chain is None:
        return step.node.op.name
    members = [s.node.op.name for s in steps if s.chain is step.chain]
    return " + ".join(members)
