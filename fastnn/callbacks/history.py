# SPDX-License-Identifier: Apache-2.0
"""The record of a training run that `fit` returns."""

from __future__ import annotations

from typing import Any

from fastnn.callbacks.callback import Callback


class History(Callback):
    """Collects the logs of each epoch.

    Attributes:
        epoch: numbers of the epochs that ran.
        history: name -> values, one per epoch (`val_` names: one per validation).
        params: arguments of the run: `verbose`, `epochs`, `steps`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, names: Any = None, ax: Any = None) -> Any:
        """Learning curves; see `fastnn.utils.plot_history`."""
        from fastnn.utils.plots import plot_history

        return plot_history(self, names, ax)


__all__ = ["History"]
