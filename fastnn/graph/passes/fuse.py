# SPDX-License-Identifier: Apache-2.0
"""Fusion: neighbours that one kernel does in one pass over memory.

1. conv + bias                       -> conv(bias)
2. linear or conv + activation       -> linear or conv(activation=...), where nobody
   else reads what the activation does: not where its gradient needs that
3. matmul(dy, w^T) + activation grad -> linear_grad_input(activation=...);
   conv_transpose the same           -> conv_grad_input(activation=...)
4. lstm and gru whose gates nobody reads -> their outputs only
5. softmax(z) beside a fused cross-entropy of z -> that op's second output
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.opset import Spec, get_op
from fastnn.opset.gemm import BY_OUTPUT, EPILOGUES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fastnn.graph.ir import Graph, Node, Value
    from fastnn.opset import OpDef

    Found = tuple[OpDef, list[Value], tuple[Any, ...], Node] | None

CROSS_ENTROPIES = ("softmax_cross_entropy", "sparse_softmax_cross_entropy")
# Their last attributes are the activation and its parameter.
CONVOLUTIONS = ("conv", "conv_transpose", "depthwise_conv")


def run(graph: Graph) -> None:
    for rule in (
        _softmax_of_cross_entropy,
        _bias,
        _activation,
        _activation_gradient,
        _outputs_only,
    ):
        before = len(graph.fusions)
        rule(graph)
        if len(graph.fusions) > before:
            graph.sort()


def _epilogue(name: str, attrs: tuple[Any, ...]) -> tuple[str, float]:
    """The activation `name` as attributes of a product."""
    if name == "gelu":
        return ("gelu_tanh" if attrs[0] else "gelu"), 1.0
    return name, attrs[0] if name in ("elu", "leaky_relu") else 1.0


def _softmax_of_cross_entropy(graph: Graph) -> None:
    probs = {
        n.inputs[0]: n.outputs[1] for n in graph.nodes if n.op.name in CROSS_ENTROPIES
    }
    mapping = {
        n.outputs[0]: probs[n.inputs[0]]
        for n in graph.nodes
        if n.op.name == "softmax" and n.inputs[0] in probs and n.attrs == (1,)
    }
    if not mapping:
        return
    graph.nodes = [n for n in graph.nodes if n.outputs[0] not in mapping]
    graph.fusions += ["softmax + cross_entropy"] * len(mapping)
    graph.replace(mapping)


def _replace(graph: Graph, fuse: Callable[[Node], Found]) -> None:
    """Puts one node in the place of two wherever `fuse` finds a pair.

    `fuse` returns the op, inputs and attributes of the new node and the lower of the
    two nodes, whose only reader is the upper; None where there is nothing to fuse.
    """
    pairs = [(i, node, fuse(node)) for i, node in enumerate(graph.nodes)]
    if not any(found for _, _, found in pairs):
        return
    users, roots = graph.consumers(), set(graph.roots())
    mapping: dict[Value, Value] = {}
    gone: set[Node] = set()
    for i, node, found in pairs:
        if found is None:
            continue
        value = found[3].outputs[0]
        if len(users.get(value, ())) != 1 or value in roots:
            continue
        op, inputs, attrs, below = found
        if below.region != node.region:
            continue
        out = node.outputs[0]
        fused = graph.make_node(
            op, inputs, attrs, [Spec(out.shape, out.dtype)], node.where
        )
        fused.region = node.region
        graph.nodes[i] = fused
        gone.add(below)
        graph.fusions.append(f"{below.op.name} + {node.op.name} -> {op.name}")
        mapping[out] = fused.outputs[0]
    graph.nodes = [n for n in graph.nodes if n not in gone]
    graph.replace(mapping)


def _bias(graph: Graph) -> None:
    _replace(graph, _find_bias)


def _find_bias(node: Node) -> Found:
    if node.op.name != "add":
        return None
    for z, b in (node.inputs, node.inputs[::-1]):
        below = z.node
        if below is None or below.op.name not in CONVOLUTIONS:
            continue
        if below.attrs[-2] != "linear" or below.inputs[2].shape != (0,):
            continue
        vector = (z.shape[-1],)
        if (
            b.node is not None
            and b.node.op.name == "reshape"
            and b.shape[-1:] == vector
        ):
            b = b.node.inputs[0]  # Keras adds the bias as (1, ..., 1, filters)
        if b.shape == vector and z.shape == node.outputs[0].shape:
            return below.op, [*below.inputs[:2], b], below.attrs, below
    return None


def _activation(graph: Graph) -> None:
    _replace(graph, _find_activation)


def _find_activation(node: Node) -> Found:
    name = node.op.name
    if name not in EPILOGUES[1:]:
        return None
    below = node.inputs[0].node
    if below is None or below.op.name not in ("linear", *CONVOLUTIONS):
        return None
    if below.attrs[-2] != "linear":
        return None
    attrs = (*below.attrs[:-2], *_epilogue(name, node.attrs))
    return below.op, list(below.inputs), attrs, below


def _activation_gradient(graph: Graph) -> None:
    _replace(graph, _find_gradient)


def _find_gradient(node: Node) -> Found:
    name = node.op.name.removesuffix("_grad")
    if name == node.op.name or name not in BY_OUTPUT:
        return None
    epilogue = _epilogue(name, node.attrs)
    dz, y = node.inputs
    below = dz.node
    if below is None:
        return None
    if below.op.name == "conv_transpose":
        dy, w, b = below.inputs
        if below.attrs[-2] != "linear" or b.shape != (0,) or y.shape != dz.shape:
            return None
        attrs = (*below.attrs[1:-2], *epilogue)
        return get_op("conv_grad_input"), [dy, w, y], attrs, below
    if below.op.name != "matmul" or len(dz.shape) != 2:
        return None
    swap = below.inputs[1].node
    if swap is None or swap.op.name != "transpose" or swap.attrs[0] != (1, 0):
        return None
    inputs = [below.inputs[0], swap.inputs[0], y]
    return get_op("linear_grad_input"), inputs, epilogue, below


def _outputs_only(graph: Graph) -> None:
    """What is kept for a way back that nobody goes is not written."""
    found = [i for i, n in enumerate(graph.nodes) if n.op.name in ("lstm", "gru")]
    if not found:
        return
    users, roots = graph.consumers(), set(graph.roots())
    mapping: dict[Value, Value] = {}
    for i in found:
        node = graph.nodes[i]
        if any(v in roots or v in users for v in node.outputs[1:]):
            continue
        out, name = node.outputs[0], f"{node.op.name}_outputs"
        spec = Spec(out.shape, out.dtype)
        lean = graph.make_node(
            get_op(name), node.inputs, node.attrs, [spec], node.where
        )
        lean.region = node.region
        graph.nodes[i] = lean
        graph.fusions.append(f"{node.op.name} -> {name}")
        mapping[out] = lean.outputs[0]
    graph.replace(mapping)
