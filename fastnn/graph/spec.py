# SPDX-License-Identifier: Apache-2.0
"""Invariants of a graph, checked after each pass in tests and in debug mode."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastnn.graph.ir import NODE
from fastnn.opset import Spec

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Value

CHECK = os.environ.get("FASTNN_DEBUG", "") not in ("", "0")


def verify(graph: Graph) -> None:
    """Raise AssertionError unless the graph is well formed.

    Every value is defined before it is read, nodes have the arity of their records,
    output specs are those of the shape rule, updates keep the variable's spec.
    """
    defined: set[Value] = set()

    def check_defined(value: Value, reader: str) -> None:
        assert value.graph is graph, f"{reader} reads a value of another graph"
        if value.kind == NODE:
            assert value in defined, f"{reader} reads a value before it is computed"

    for node in graph.nodes:
        op = node.op
        assert len(node.inputs) == len(op.inputs), f"{op.name}: wrong number of inputs"
        assert len(node.attrs) == len(op.attrs), f"{op.name}: wrong attributes"
        for value in node.inputs:
            check_defined(value, op.name)
        specs = op.infer([Spec(v.shape, v.dtype) for v in node.inputs], node.attrs)
        found = [Spec(v.shape, v.dtype) for v in node.outputs]
        assert found == list(specs), f"{op.name}: outputs {found}, rule says {specs}"
        for i, value in enumerate(node.outputs):
            assert value.node is node, f"{op.name}: stray output"
            assert value.index == i, f"{op.name}: outputs out of order"
            defined.add(value)
    for key, value in graph.updates.items():
        var, old = graph.variables[key]
        check_defined(value, f"update of {var.path}")
        same = (value.shape, value.dtype) == (old.shape, old.dtype)
        assert same, f"update of {var.path} changes its spec"
    for value in graph.outputs:
        check_defined(value, "return")
