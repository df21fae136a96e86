# SPDX-License-Identifier: Apache-2.0
"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn._switches import show
from fastnn.callbacks.callback import Callback, MonitorMixin


def _rate(model: Any) -> float:
    return float(model.optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
        schedule: `schedule(epoch, lr)` or `schedule(epoch)`, returns the new rate.
        verbose: 1 prints it.

    Example:
        >>> halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.1), "mse")
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=2, verbose=0, callbacks=[halve])
        >>> [round(rate, 4) for rate in history.history["learning_rate"]]
        [0.05, 0.025]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        try:
            rate = self.schedule(epoch, _rate(self.model))
        except TypeError:  # the older form takes the epoch only
            rate = self.schedule(epoch)
        try:
            rate = float(rate)
        except (TypeError, ValueError):
            raise ValueError(
                "[LearningRateScheduler] schedule must return a number, it returned "
                f"{rate!r} for epoch {epoch}."
            ) from None
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            show(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to "
                f"{rate}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = _rate(self.model)


class ReduceLROnPlateau(MonitorMixin, Callback):
    """Multiplies the learning rate by `factor` when a value stops improving.

    Args:
        monitor: name of the logged value.
        factor: below 1.
        patience: epochs without improvement to wait for.
        verbose: 1 prints each change.
        mode: `"min"`, `"max"`, or `"auto"`: by the name.
        min_delta: a change must be larger than this to count.
        cooldown: epochs to wait after a change before counting again.
        min_lr: smallest rate.

    Example:
        >>> halve = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(1e-30), "mse")
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=4, verbose=0, callbacks=[halve])
        >>> bool(history.history["learning_rate"][-1] == np.float32(5e-31))
        True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0.0 < factor < 1.0:
            raise ValueError(
                f"[ReduceLROnPlateau] factor must be between 0 and 1, got {factor!r}."
            )
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._set_mode(mode, "ReduceLROnPlateau")
        self._forget()

    def _forget(self) -> None:
        self.best = self._worst()
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._ask_model(self.model)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        rate = _rate(self.model)
        value = self._monitored(logs, "ReduceLROnPlateau")
        if logs is not None:
            logs["learning_rate"] = rate
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improved(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        new_rate = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new_rate
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose > 0:
            show(
                f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to "
                f"{new_rate}."
            )


__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]
