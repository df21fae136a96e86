# SPDX-License-Identifier: Apache-2.0
"""A plan as a graph of TensorBoard: a node per instruction, with its time."""

from __future__ import annotations

from typing import Any

from fastnn.utils.event_files import blob, integer


def _shape(sizes: tuple[int, ...]) -> bytes:
    return b"".join(blob(2, integer(1, size)) for size in sizes)


def _shapes(values: list[Any]) -> bytes:
    """The attribute in which TensorBoard looks for the sizes of tensors."""
    listed = b"".join(blob(7, _shape(value.shape)) for value in values)
    return blob(5, blob(1, "_output_shapes") + blob(2, blob(1, listed)))


def _node(name: str, op: str, inputs: list[str], outputs: list[Any]) -> bytes:
    fields = blob(1, name) + blob(2, op)
    fields += b"".join(blob(3, source) for source in inputs)
    return blob(1, fields + _shapes(outputs))


def instruction_names(plan: Any) -> list[str]:
    """`phase_1/linear`, `phase_1/linear_1`, ...: unique names of the instructions."""
    seen: dict[str, int] = {}
    names = []
    for step in plan._steps:
        name = f"phase_{step.phase}/{step.node.op.name}"
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.append(f"{name}_{count}" if count else name)
    return names


def graph_def(plan: Any) -> bytes:
    """The GraphDef of a plan: instructions, and what they read from outside.

    What an instruction reads before another has written it in the same step, as
    weights, is a node of its own.
    """
    makers: dict[Any, str] = {}
    inside = {step.node for step in plan._steps}
    nodes = []
    for step, name in zip(plan._steps, instruction_names(plan), strict=True):
        node = step.node
        inputs = []
        for operand in node.inputs:
            value = operand
            while value.node is not None and value.node not in inside:
                value = value.node.inputs[0]  # a view has no instruction
            if value not in makers:
                makers[value], op = _root(plan, value, len(makers))
                nodes.append(_node(makers[value], op, [], [value]))
            inputs.append(makers[value])
        nodes.append(_node(name, node.op.name, inputs, node.outputs))
        for i, value in enumerate(node.outputs):
            makers[value] = f"{name}:{i}" if i else name
    return b"".join(nodes) + blob(4, integer(1, 22))


def _root(plan: Any, value: Any, number: int) -> tuple[str, str]:
    """(name, op) of a value that no instruction made."""
    storage = plan._layout.views[value].storage
    if storage.home == "variable":
        return f"variables/{plan._variables[storage.key].path}", "VariableV2"
    return f"{storage.home}/{number}", "Placeholder"


def run_metadata(plan: Any, profile: Any) -> bytes:
    """The RunMetadata of a profile: when each instruction ran in its last step."""
    devices = b""
    names = instruction_names(plan)
    for thread, steps in enumerate(profile.times):
        last = steps[-1]
        stats = b""
        for name, (_, begin, end) in zip(names, last, strict=False):
            if end <= 0:  # timed with the instruction above
                continue
            length = max(int(end - begin) // 1000, 1)
            stats += blob(
                2,
                blob(1, name)
                + integer(2, int(begin) // 1000)
                + integer(4, length)
                + integer(5, length)
                + integer(14, 0)
                + integer(15, int(end - begin)),
            )
        devices += blob(1, blob(1, f"/device:CPU:0/thread:{thread}") + stats)
    return blob(1, devices)
