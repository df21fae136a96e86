# SPDX-License-Identifier: Apache-2.0
"""Graph passes, each a function `run(graph)` that edits the graph in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph


def optimize(graph: Graph) -> Graph:
    """All passes in order; the graph is verified after each in debug mode."""
    from fastnn.graph import spec
    from fastnn.graph.passes import commute, dce, fold, fuse

    graph.history.append(("traced", len(graph.nodes)))
    for step in (fold, dce, commute, fuse, dce):
        step.run(graph)
        graph.history.append((step.__name__.rpartition(".")[2], len(graph.nodes)))
        if spec.CHECK:
            spec.verify(graph)
    return graph
