# SPDX-License-Identifier: Apache-2.0
"""Run a graph node by node through eager `apply`: any backend, no plan.

The oracle of the passes: a graph must mean the same before and after each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastnn.autodiff._tape import apply
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.graph.ir import CONST, INPUT

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Value


def interpret(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """One step: returns the outputs and assigns the variables their new values."""
    known: dict[Value, Tensor] = {}

    def read(value: Value) -> Tensor:
        if value not in known:
            if value.kind == CONST:
                known[value] = Tensor(value.payload)
            elif value.kind == INPUT:
                known[value] = Tensor(inputs[value.payload])
            else:
                known[value] = Tensor(value.payload.numpy())
        return known[value]

    with init_scope():
        for var, value in graph.variables.values():
            assert value.payload is var
            read(value)
        for node in graph.nodes:
            results = apply(node.op, tuple(read(v) for v in node.inputs), node.attrs)
            if isinstance(results, Tensor):
                results = (results,)
            known.update(zip(node.outputs, results, strict=True))
        outputs = [np.array(read(v)._array) for v in graph.outputs]
        for key, value in graph.updates.items():
            graph.variables[key][0].assign(read(value))
    return outputs
