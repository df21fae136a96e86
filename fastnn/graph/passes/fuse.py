# SPDX-License-Identifier: Apache-2.0
"""Fusion: neighbours that one kernel does in one pass over memory.

1. linear + activation               -> linear(activation=...)
2. matmul(dy, w^T) + activation grad -> linear_grad_input(activation=...)
3. softmax(z) beside a fused cross-entropy of z -> that op's second output
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.opset import Spec, get_op
from fastnn.opset.gemm import EPILOGUES

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value

CROSS_ENTROPIES = ("softmax_cross_entropy", "sparse_softmax_cross_entropy")
GRADIENTS = {f"{name}_grad": name for name in EPILOGUES[1:]}


def run(graph: Graph) -> None:
    for rule in (_softmax_of_cross_entropy, _activation, _activation_gradient):
        rule(graph)
        graph.sort()


def _plain(node: Node) -> bool:
    """elu is in the epilogue with its default alpha only."""
    return node.op.name not in ("elu", "elu_grad") or node.attrs == (1.0,)


def _sole_reader(graph: Graph, users: dict[Value, list[Node]], value: Value) -> bool:
    return len(users.get(value, ())) == 1 and value not in graph.roots()


def _softmax_of_cross_entropy(graph: Graph) -> None:
    probs = {
        n.inputs[0]: n.outputs[1] for n in graph.nodes if n.op.name in CROSS_ENTROPIES
    }
    mapping = {
        n.outputs[0]: probs[n.inputs[0]]
        for n in graph.nodes
        if n.op.name == "softmax" and n.inputs[0] in probs
    }
    graph.nodes = [n for n in graph.nodes if n.outputs[0] not in mapping]
    graph.replace(mapping)


def _activation(graph: Graph) -> None:
    users = graph.consumers()
    mapping: dict[Value, Value] = {}
    gone: set[Node] = set()
    for i, node in enumerate(graph.nodes):
        name = node.op.name
        if name not in EPILOGUES[1:] or not _plain(node):
            continue
        z = node.inputs[0]
        below = z.node
        if below is None or below.op.name != "linear" or below.attrs != ("linear",):
            continue
        if not _sole_reader(graph, users, z):
            continue
        fused = graph.make_node(
            below.op, below.inputs, (name,), [Spec(z.shape, z.dtype)], node.where
        )
        graph.nodes[i] = fused
        gone.add(below)
        mapping[node.outputs[0]] = fused.outputs[0]
    graph.nodes = [n for n in graph.nodes if n not in gone]
    graph.replace(mapping)


def _activation_gradient(graph: Graph) -> None:
    users = graph.consumers()
    mapping: dict[Value, Value] = {}
    gone: set[Node] = set()
    for i, node in enumerate(graph.nodes):
        name = GRADIENTS.get(node.op.name)
        if name is None or not _plain(node):
            continue
        dz, y = node.inputs
        product = dz.node
        if product is None or product.op.name != "matmul" or len(dz.shape) != 2:
            continue
        w = product.inputs[1].node
        if w is None or w.op.name != "transpose" or w.attrs[0] != (1, 0):
            continue
        if not _sole_reader(graph, users, dz):
            continue
        fused = graph.make_node(
            get_op("linear_grad_input"),
            [product.inputs[0], w.inputs[0], y],
            (name,),
            [Spec(dz.shape, dz.dtype)],
            node.where,
        )
        graph.nodes[i] = fused
        gone.add(product)
        mapping[node.outputs[0]] = fused.outputs[0]
    graph.nodes = [n for n in graph.nodes if n not in gone]
    graph.replace(mapping)
