# SPDX-License-Identifier: Apache-2.0
"""Runs an optimized graph: as a plan, or node by node where an op has no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config
from fastnn.graph.ir import host_node

if TYPE_CHECKING:
    from fastnn.graph.interpret import NodeByNode
    from fastnn.graph.ir import Graph


class Runner:
    """Calls of one graph. The plan is made by the first call that wants it.

    Args:
        graph: optimized; it stays as it is.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._plan: Any = None
        self._where: Any = None  # that the plan is for
        self._quick = False  # whether the plan may run on lent arrays
        self._stepwise: NodeByNode | None = None
        self._planned = host_node(graph) is None

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs for arrays of the inputs' specs, which are not kept."""
        if not self._planned or config.backend() == "reference":
            if self._stepwise is None:
                from fastnn.graph.interpret import NodeByNode

                self._stepwise = NodeByNode(self.graph)
            return self._stepwise.run(arrays)
        if self._plan is None or self._where != config.where():
            from fastnn.graph.backend import make_plan

            plan = make_plan(self.graph)
            self._quick = plan.may_run_on
            self._plan, self._where = plan, config.where()
        dense = [
            a if a.flags.c_contiguous else np.ascontiguousarray(a).reshape(a.shape)
            for a in arrays
        ]
        if self._quick:
            quick: list[np.ndarray] = self._plan.run_on(dense)
            return quick
        found: list[np.ndarray] = self._plan.run(dense)
        self._plan.release_inputs()
        return found
