# SPDX-License-Identifier: Apache-2.0
"""Run a graph node by node through eager `apply`: any backend, any op, no plan.

The oracle of the passes: a graph must mean the same before and after each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.autodiff._tape import apply
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.graph.ir import CONST, INPUT
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value


def interpret(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """One step: returns the outputs and assigns the variables their new values."""
    return NodeByNode(graph).run(inputs)


class NodeByNode:
    """Steps of a graph with the interface of a Plan, for ops that have no kernel.

    Branches and loops among the nodes run their own graphs as plans. A result is let go
    of as soon as no node reads it any more.
    """

    may_run_on = False
    cycle: Any = None  # see Plan

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        kept = {*graph.outputs, *graph.updates.values()}
        kept.update(value for _, value in graph.variables.values())
        steps: list[tuple[Node, list[Value]]] = []
        for node in reversed(graph.nodes):
            over = {v for v in (*node.inputs, *node.outputs) if v not in kept}
            kept |= over
            steps.append((node, list(over)))
        self._steps = steps[::-1]

    @property
    def arena_bytes(self) -> int:
        """No more than this is alive at once."""
        values = (v for node in self.graph.nodes for v in node.outputs)
        return sum(v.size * ITEMSIZE[v.dtype] for v in values)

    def run(self, inputs: list[np.ndarray], steps: int = 1) -> list[np.ndarray]:
        """Run `steps` times; returns the outputs of the last."""
        found: list[np.ndarray] = []
        with init_scope():
            for _ in range(steps):
                found = self._step(inputs)
        return found

    def release_inputs(self) -> None:
        """Nothing: none is kept."""

    def _step(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        graph = self.graph
        known: dict[Value, Tensor] = {
            value: Tensor(var._exported("a step"))
            for var, value in graph.variables.values()
        }

        def read(value: Value) -> Tensor:
            if value not in known:
                known[value] = Tensor(self._given(value, inputs))
            return known[value]

        for node, over in self._steps:
            results = apply(node.op, tuple(map(read, node.inputs)), node.attrs)
            if isinstance(results, Tensor):
                results = (results,)
            known.update(zip(node.outputs, results, strict=True))
            for value in over:
                known.pop(value, None)
        outputs = [np.array(read(v)._array) for v in graph.outputs]
        for key, value in graph.updates.items():
            graph.variables[key][0].assign(read(value))
        return outputs

    def _given(self, value: Value, inputs: list[np.ndarray]) -> Any:
        """The array of a constant or an input, as the graph sees it."""
        assert value.kind in (CONST, INPUT), value
        if value.kind == CONST:
            return value.payload
        array = inputs[value.payload]
        strides = self.graph.input_strides.get(value.payload)
        if strides is None:
            return array
        steps = [s * array.itemsize for s in strides]
        return np.lib.stride_tricks.as_strided(array, value.shape, steps)
