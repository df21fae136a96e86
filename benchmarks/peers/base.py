# SPDX-License-Identifier: Apache-2.0
"""What a peer must do. The worker process calls these methods and times them."""

from __future__ import annotations

import numpy as np

from benchmarks.workloads import Workload


class Peer:
    """One framework on one workload.

    Every loss is Keras's epoch loss: the mean over the epoch's batches of the batch
    loss *before* its update, sum over the batch divided by its size.
    """

    workload: Workload
    weights: list[np.ndarray]
    x: np.ndarray
    y: np.ndarray

    def setup(
        self,
        workload: Workload,
        weights: list[np.ndarray],
        x: np.ndarray,
        y: np.ndarray,
    ) -> None:
        """Build and compile the model, prepare the arrays; nothing is trained yet.

        Raises:
            NotEquivalent: the workload cannot be expressed exactly.
        """
        self.workload, self.weights, self.x, self.y = workload, weights, x, y
        self.build()

    def build(self) -> None:
        """Make the model from `self.workload`, then `reset` it."""
        raise NotImplementedError

    def reset(self) -> None:
        """Back to the initial weights and an untouched optimizer; keeps what was
        compiled. Called before each timed run, so that all of them do the same work
        and none drifts into denormal numbers after a hundred epochs."""
        raise NotImplementedError

    def step_losses(self, steps: int) -> list[float]:
        """Train on batches 0..steps-1 in order, one at a time; their losses."""
        raise NotImplementedError

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        """Train whole epochs; returns after the last update is complete."""
        raise NotImplementedError

    def predict(self, x: np.ndarray) -> np.ndarray:
        """NumPy in, NumPy out, the way a user would ask for one answer."""
        raise NotImplementedError

    def tune(self) -> str:
        """Choose the peer's own knobs by trying them; says what was chosen."""
        return ""

    def versions(self) -> dict[str, str]:
        """Versions and build facts for the machine sheet."""
        raise NotImplementedError
