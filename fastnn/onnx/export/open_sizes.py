# SPDX-License-Identifier: Apache-2.0
"""One program out of several traces of a call with different sizes for the open axes.

A trace has fixed shapes. What is the same number in all traces is that number; what is
not is an `Open`, which knows its value in each trace, and which the file has to compute
from the shapes of its inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastnn.graph.ir import CONST, INPUT, VARIABLE, Graph, Node, Value
from fastnn.opset import get_op

# Sizes of the open axes, a row per axis and a column per trace. They differ so that a
# number tells its axis, and are odd and even so that strided windows tell their pads.
SIZES = (
    (83, 89, 94),
    (101, 109, 118),
    (127, 138, 151),
    (163, 178, 199),
    (211, 229, 242),
    (257, 278, 293),
    (307, 331, 346),
    (379, 398, 421),
)
TRACES = len(SIZES[0])


class Open:
    """A number that depends on the open axes: its value in every trace."""

    __slots__ = ("values",)

    def __init__(self, values: Iterable[int]) -> None:
        self.values = tuple(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Open) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)

    def __repr__(self) -> str:
        return f"Open{self.values}"


class Differs(Exception):  # noqa: N818  (a sign between two functions, no error)
    """What stands in several traces cannot be one program."""


Size = int | Open


def merged(values: Sequence[Any]) -> Any:
    """What all traces have, with an Open for each integer that they have not."""
    first = values[0]
    if isinstance(first, tuple):
        if len({len(v) for v in values}) > 1:
            raise Differs("a structure whose length depends")
        return tuple(merged(parts) for parts in zip(*values, strict=True))
    if all(type(v) is type(first) and v == first for v in values):
        return first
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return Open(values)
    raise Differs(f"a value ({', '.join(map(str, values))}) that depends")


def is_open(value: Any) -> bool:
    """Whether there is an Open anywhere in an attribute or shape."""
    if isinstance(value, tuple):
        return any(map(is_open, value))
    return isinstance(value, Open)


def written(dtype: str) -> str:
    """The dtype that stands in the file: ONNX Runtime has few ops for bfloat16."""
    return "float32" if dtype == "bfloat16" else dtype


class Array:
    """A value of the program.

    Attributes:
        shape: sizes, some of them open.
        known: its elements, where they do not depend on the inputs.
        step: the step that computes it; None for inputs and known ones.
        name: of an input or variable.
    """

    __slots__ = ("dtype", "known", "name", "shape", "step")

    def __init__(
        self,
        shape: tuple[Size, ...],
        dtype: str,
        *,
        known: np.ndarray | None = None,
        step: Step | None = None,
        name: str = "",
    ) -> None:
        self.shape, self.dtype = shape, written(dtype)
        self.step, self.name = step, name
        self.known = None if known is None else known.astype(self.dtype, copy=False)

    @property
    def rank(self) -> int:
        return len(self.shape)


class Step:
    """An op of the program: `op(*inputs, **attrs)` gives `outputs`."""

    __slots__ = ("attrs", "inputs", "op", "outputs")

    def __init__(self, op: str, inputs: list[Array], attrs: dict[str, Any]) -> None:
        self.op, self.inputs, self.attrs = op, inputs, attrs
        self.outputs: list[Array] = []

    def giving(self, outputs: list[Array]) -> Step:
        """The step with these outputs."""
        self.outputs = outputs
        return self


class Program:
    """The steps that a call takes, in order."""

    def __init__(self) -> None:
        self.inputs: list[Array] = []
        self.outputs: list[Array] = []
        self.steps: list[Step] = []

    def readers(self) -> dict[Array, int]:
        """How many steps, or outputs, read each array."""
        found: dict[Array, int] = {}
        for array in [a for s in self.steps for a in s.inputs] + self.outputs:
            found[array] = found.get(array, 0) + 1
        return found


def program_of(graphs: list[Graph]) -> Program:
    """One program of traces that have the same steps.

    Raises:
        Differs: when they have not.
    """
    return _Merger(graphs).run()


class _Merger:
    def __init__(self, graphs: list[Graph]) -> None:
        self._graphs = graphs
        self._program = Program()
        self._arrays: dict[Value, Array] = {}  # by the value of the first trace
        self._twins: dict[Value, tuple[Value, ...]] = {}

    def run(self) -> Program:
        program, graphs = self._program, self._graphs
        if len({len(g.nodes) for g in graphs}) > 1:
            counts = ", ".join(str(len(g.nodes)) for g in graphs)
            raise Differs(f"steps whose number ({counts} in three traces) depends")
        for values in zip(*(g.inputs for g in graphs), strict=True):
            program.inputs.append(self._array(values))
        for nodes in zip(*(g.nodes for g in graphs), strict=True):
            self._step(nodes)
        for values in zip(*(g.outputs for g in graphs), strict=True):
            program.outputs.append(self._array(values))
        return program

    def _step(self, nodes: tuple[Node, ...]) -> None:
        first = nodes[0]
        if len({n.op.name for n in nodes}) > 1:
            raise Differs("steps whose kind depends")
        attrs = merged([n.attrs for n in nodes])
        names = [a.name for a in first.op.attrs]
        inputs = [self._array(v) for v in zip(*(n.inputs for n in nodes), strict=True)]
        step = Step(first.op.name, inputs, dict(zip(names, attrs, strict=True)))
        for values in zip(*(n.outputs for n in nodes), strict=True):
            array = Array(_shape(values), values[0].dtype, step=step)
            step.outputs.append(array)
            self._remember(values, array)
        if not _computed(step):
            self._program.steps.append(step)

    def _remember(self, values: tuple[Value, ...], array: Array) -> None:
        self._arrays[values[0]] = array
        self._twins[values[0]] = values

    def _array(self, values: tuple[Value, ...]) -> Array:
        first = values[0]
        if first in self._arrays:
            if self._twins[first] != values:
                raise Differs("steps whose kind depends")
            return self._arrays[first]
        if first.kind == INPUT:
            array = Array(_shape(values), first.dtype, name=f"input_{first.payload}")
        elif first.kind == VARIABLE:
            known = first.payload.numpy()
            array = Array(
                known.shape, first.dtype, known=known, name=first.payload.path
            )
        elif first.kind == CONST:
            array = self._constant(values)
        else:
            raise Differs("steps whose kind depends")
        self._remember(values, array)
        return array

    def _constant(self, values: tuple[Value, ...]) -> Array:
        shape, dtype = _shape(values), values[0].dtype
        found = [np.asarray(v.payload) for v in values]
        if not is_open(shape) and all(_equal(found[0], a) for a in found):
            return Array(shape, dtype, known=found[0])
        if all(a.size == 1 for a in found):
            number = Open(int(a.item()) for a in found)
            if all(a.item() == n for a, n in zip(found, number.values, strict=True)):
                return self._made("number", [], {"value": number}, shape, dtype)
        cores = [_core(a, shape) for a in found]
        if not all(_equal(cores[0], core) for core in cores):
            raise Differs("a constant whose elements depend")
        core = Array(cores[0].shape, dtype, known=cores[0])
        return self._made("broadcast_to", [core], {"shape": shape}, shape, dtype)

    def _made(self, op: str, inputs: Any, attrs: Any, shape: Any, dtype: str) -> Array:
        step = Step(op, inputs, attrs)
        step.outputs.append(Array(shape, dtype, step=step))
        self._program.steps.append(step)
        return step.outputs[0]


def _shape(values: tuple[Value, ...]) -> tuple[Size, ...]:
    shape: tuple[Size, ...] = merged([tuple(v.shape) for v in values])
    return shape


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _core(array: np.ndarray, shape: tuple[Size, ...]) -> np.ndarray:
    """The array with every open axis of size 1, along which it must not vary."""
    for axis, size in enumerate(shape):
        if isinstance(size, Open):
            one = array.take([0], axis)
            if not _equal(
                np.ascontiguousarray(np.broadcast_to(one, array.shape)), array
            ):
                raise Differs("a constant whose elements depend")
            array = one
    return array


def _computed(step: Step) -> bool:
    """Computes a step of known arrays (weights cut or joined) once and for all."""
    if any(a.known is None for a in step.inputs) or not step.inputs:
        return False
    record = get_op(step.op)
    if record.kind == "random" or is_open(tuple(step.attrs.values())):
        return False
    found = record.ref(*(a.known for a in step.inputs), *step.attrs.values())
    found = found if isinstance(found, tuple) else (found,)
    for array, value in zip(step.outputs, found, strict=True):
        array.known = np.asarray(value).astype(array.dtype)
        array.step = None
        if step.op in ("reshape", "transpose"):
            array.name = step.inputs[0].name
    return True
