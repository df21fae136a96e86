# SPDX-License-Identifier: Apache-2.0
"""Stops training when a value has stopped improving."""

from __future__ import annotations

from typing import Any

from fastnn._switches import show
from fastnn.callbacks.callback import Callback, MonitorMixin


class EarlyStopping(MonitorMixin, Callback):
    """Stops after `patience` epochs in a row without improvement.

    Args:
        monitor: name of the logged value.
        min_delta: a change must be larger than this to count.
        patience: epochs to wait.
        verbose: 1 says when training stops.
        mode: `"min"`, `"max"`, or `"auto"`: by the metric or the name; where neither
            tells, a ValueError asks for it.
        baseline: a value that must be beaten to count as improvement.
        restore_best_weights: give the model the weights of its best epoch when training
            ends, however it ends.
        start_from_epoch: epochs to skip before watching.

    Attributes:
        best: the best value; `best_epoch`: its epoch, counted from 0.
        stopped_epoch: the epoch at whose end training was stopped, 0 if it was not.

    Example:
        >>> stopping = keras.callbacks.EarlyStopping("loss", patience=2)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.0), "mse")
        >>> x = np.ones((8, 1))
        >>> len(model.fit(x, x, epochs=9, verbose=0, callbacks=[stopping]).epoch)
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.min_delta = min_delta
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._set_mode(mode, "EarlyStopping")
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self._worst()
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._ask_model(self.model)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self._monitored(logs, "EarlyStopping")
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self._improved(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improved(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            show(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                show(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)


__all__ = ["EarlyStopping"]
