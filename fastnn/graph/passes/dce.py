# SPDX-License-Identifier: Apache-2.0
"""Dead code: nodes whose outputs nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph, Node


def run(graph: Graph) -> None:
    live: set[Node] = set()
    stack = [v.node for v in graph.roots() if v.node is not None]
    while stack:
        node = stack.pop()
        if node in live:
            continue
        live.add(node)
        stack.extend(v.node for v in node.inputs if v.node is not None)
    graph.nodes = [n for n in graph.nodes if n in live]
