# SPDX-License-Identifier: Apache-2.0
"""Constant folding, no-ops and common subexpressions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.autodiff._tape import apply
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.graph.ir import CONST
from fastnn.opset import Spec, get_op
from fastnn.opset._opdef import RANDOM

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value

MAX_ELEMENTS = 16384  # larger constants stay computed: they would fill the plan


def run(graph: Graph) -> None:
    replaced: dict[Value, Value] = {}
    seen: dict[Any, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node.inputs = [replaced.get(v, v) for v in node.inputs]
        _simplify(node)
        _join_scales(graph, node)
        same = _no_op(node)
        if same is not None:
            replaced[node.outputs[0]] = same
            continue
        if _foldable(node):
            new = _evaluate(graph, node)
            replaced.update(zip(node.outputs, new, strict=True))
            continue
        key = _key(node)
        twin = seen.get(key)
        if twin is not None:
            replaced.update(zip(node.outputs, twin.outputs, strict=True))
            continue
        seen[key] = node
        nodes.append(node)
    graph.nodes = nodes
    graph.replace(replaced)


def _key(node: Node) -> Any:
    inputs: list[Any] = []
    for v in node.inputs:
        if v.kind == CONST and v.size <= 16:
            inputs.append((v.dtype, v.shape, v.payload.tobytes()))
        else:
            inputs.append(v)
    # The op and not its name: branches and loops are ops of their own, all of one name.
    return node.op, tuple(inputs), node.attrs, node.region


def _simplify(node: Node) -> None:
    """A reduction over axes of size 1 only renames axes."""
    x, y = node.inputs[0], node.outputs[0]
    if node.op.name in ("sum", "max", "min", "prod") and x.size == y.size > 0:
        node.op, node.attrs = get_op("reshape"), (y.shape,)


def _join_scales(graph: Graph, node: Node) -> None:
    """x * a * b with powers of two is x * (a b), to the bit: the mean of a batch of 32
    and its way back into a running total. Only while x * a stays in range, which it
    does for all x between 2^-90 and 2^90.
    """
    outer = _power_of_two(node)
    below = node.inputs[0].node
    if outer is None or below is None or below.region != node.region:
        return
    inner = _power_of_two(below)
    if inner is None or below.inputs[0].shape != node.outputs[0].shape:
        return
    value = node.inputs[1]
    joined = np.array(inner * outer, value.dtype).reshape(value.shape)
    node.op = get_op("multiply")
    spec = Spec(value.shape, value.dtype)
    node.inputs = [below.inputs[0], graph.add_const(joined, spec)]


def _power_of_two(node: Node) -> float | None:
    """The number that a node multiplies a float32 or float64 by, if it has one bit and
    is not extreme.
    """
    if node.op.name not in ("multiply", "divide") or node.inputs[1].kind != CONST:
        return None
    payload = node.inputs[1].payload
    if payload.size != 1 or node.inputs[1].dtype not in ("float32", "float64"):
        return None
    value = float(payload.reshape(())[()])
    if not 2.0**-30 <= abs(value) <= 2.0**30 or abs(math.frexp(value)[0]) != 0.5:
        return None
    return value if node.op.name == "multiply" else 1 / value


def _no_op(node: Node) -> Value | None:
    """The input that the node's output equals, if it does."""
    x, y = node.inputs[0], node.outputs[0]
    same = (x.shape, x.dtype) == (y.shape, y.dtype)
    if not same:
        if node.op.name in ("multiply", "add") and len(node.inputs) == 2:
            return _neutral(node)
        return None
    name = node.op.name
    if name in ("cast", "reshape", "broadcast_to", "copy"):
        return x
    if name == "transpose" and node.attrs[0] == tuple(range(len(x.shape))):
        return x
    return _neutral(node)


def _neutral(node: Node) -> Value | None:
    """x * 1, x / 1: exact for every x (x + 0 is not: -0.0)."""
    name = node.op.name
    if name not in ("multiply", "divide"):
        return None
    y = node.outputs[0]
    for i in (1, 0) if name == "multiply" else (1,):
        const, other = node.inputs[i], node.inputs[1 - i]
        if (
            const.kind == CONST
            and (other.shape, other.dtype) == (y.shape, y.dtype)
            and bool(np.all(const.payload == 1))
        ):
            return other
    return None


def _foldable(node: Node) -> bool:
    return (
        node.op.kind != RANDOM
        and node.op.name != "py_function"  # may do anything: it is called at every run
        and all(v.kind == CONST for v in node.inputs)
        and all(v.size <= MAX_ELEMENTS for v in node.outputs)
    )


def _evaluate(graph: Graph, node: Node) -> list[Value]:
    """Run the node now, with the kernel that would run it later: the same bits."""
    with init_scope():
        results = apply(
            node.op, tuple(Tensor(v.payload) for v in node.inputs), node.attrs
        )
    if isinstance(results, Tensor):
        results = (results,)
    return [
        graph.add_const(np.array(t._array, order="C"), Spec(t.shape, t.dtype))
        for t in results
    ]
