# SPDX-License-Identifier: Apache-2.0
"""Activations and their gradients go below poolings and views, to the op that absorbs
them.

After `pool(act(conv(x)))` the backward pass is act' times the scattered gradient, over
four times as many elements (2 x 2) as before the scatter. Where the gradient arrives, y
is the largest of its window, which the pooling returned:

    act_grad(max_pool_grad(g, index), y) = max_pool_grad(act_grad(g, pooled), index)
    act_grad(reshape(g), y) = reshape(act_grad(g, reshape(y)))

Then `fuse` puts it into the product or convolution that computed g. The bits stay: with
windows that overlap only ReLU moves, which multiplies by 0 and 1. Forwards, a dense
layer on sequences reshapes its product, and a convolution with channels first turns its
result:

    act(reshape(linear(x))) = reshape(act(linear(x)))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.graph.passes.fuse import CONVOLUTIONS
from fastnn.opset import Spec, get_op
from fastnn.opset.gemm import BY_OUTPUT, EPILOGUES

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node, Value

PRODUCTS = ("linear", *CONVOLUTIONS)
GRADIENTS = tuple(f"{name}_grad" for name in BY_OUTPUT)


def run(graph: Graph) -> None:
    """One step down at a time, until nothing moves."""
    while _move(graph):
        graph.sort()


def _move(graph: Graph) -> bool:
    users = graph.consumers()
    roots = set(graph.roots())
    for node in graph.nodes:
        view = node.inputs[0].node if node.op.name in EPILOGUES[1:] else None
        if view is not None and _above_product(node, view, users, roots):
            _swap(graph, node, view)
            return True
        if node.op.name not in GRADIENTS:
            continue
        dz, y = node.inputs
        below = dz.node
        if below is None or below.region != node.region:
            continue
        if len(users[dz]) != 1 or dz in roots or dz.shape != y.shape:
            continue
        smaller = _smaller(graph, node, below, y, users)
        if smaller is not None:
            _swap(graph, node, below, smaller)
            return True
    return False


def _smaller(
    graph: Graph, node: Node, below: Node, y: Value, users: dict[Value, list[Node]]
) -> Value | None:
    """What takes the place of y below `below`; None where they do not commute."""
    if below.op.name == "max_pool_grad":
        overlap = any(map(int.__gt__, below.attrs[0], below.attrs[1]))
        if overlap and node.op.name != "relu_grad":
            return None
        pool = below.inputs[1].node
        if pool is None or pool.op.name != "max_pool_with_index":
            return None
        return pool.outputs[0] if pool.inputs[0] is y else None
    if below.op.name != "reshape" or below.inputs[0].node is None:
        return None
    if below.inputs[0].node.op.name not in ("matmul", "max_pool_grad"):
        return None
    shape = below.inputs[0].shape
    for user in users[y]:
        if user.op.name == "reshape" and user.outputs[0].shape == shape:
            return user.outputs[0]
    return None


def _above_product(
    node: Node, view: Node, users: dict[Value, list[Node]], roots: set[Value]
) -> bool:
    """`node` is the one reader of a view of a product without an activation."""
    if view.op.name not in ("reshape", "transpose"):
        return False
    product = view.inputs[0].node
    if product is None or product.op.name not in PRODUCTS:
        return False
    chain = (view.inputs[0], view.outputs[0])
    alone = all(len(users[v]) == 1 and v not in roots for v in chain)
    regions = {node.region, view.region, product.region}
    return alone and len(regions) == 1 and product.attrs[-2] == "linear"


def _swap(graph: Graph, node: Node, below: Node, *y: Value) -> None:
    """`below` of the (gradient of the) activation in the place of the opposite."""
    g = below.inputs[0]
    inner = graph.make_node(
        node.op, [g, *y], node.attrs, [Spec(g.shape, g.dtype)], node.where
    )
    out = node.outputs[0]
    outer = graph.make_node(
        get_op(below.op.name),
        [inner.outputs[0], *below.inputs[1:]],
        below.attrs,
        [Spec(out.shape, out.dtype)],
        below.where,
    )
    inner.region = outer.region = node.region
    at = graph.nodes.index(node)
    graph.nodes[at : at + 1] = [inner, outer]
    graph.nodes.remove(below)
    graph.fusions.append(f"{node.op.name} below {below.op.name}")
    graph.replace({out: outer.outputs[0]})
