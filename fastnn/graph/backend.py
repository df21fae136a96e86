# SPDX-License-Identifier: Apache-2.0
"""The plan of a graph for the backend that is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import config
from fastnn.graph.plan import Plan

if TYPE_CHECKING:
    from fastnn.graph.ir import Graph


def make_plan(graph: Graph, *, planned: bool = True) -> Any:
    """Native, on the GPU, or node by node where no plan can have it: one interface."""
    if not planned:
        from fastnn.graph.interpret import NodeByNode

        return NodeByNode(graph)
    if config.backend() != "cuda":
        return Plan(graph)
    from fastnn.backends.cuda.device import device
    from fastnn.graph.device_plan import DevicePlan

    return DevicePlan(graph, device(config.device_scope() or 0))
