# SPDX-License-Identifier: Apache-2.0
"""Callback: what a user can hook into training, evaluation and prediction."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.errors import warn_user

# Attributes that `fit` sets.
_GIVEN = frozenset({"params", "_model"})


class Callback:
    """Base class: override the hooks you need.

    Hooks get `logs`, a dict of floats. Batch hooks are only called when a callback
    overrides one: without them, a whole epoch runs natively.

    Attributes:
        params: dict with `verbose`, `epochs` and `steps`.
        model: the model that is trained; set `model.stop_training = True` to stop.
        throttled: True when batch hooks need not see every batch: they are then called
            at most every 50 ms, and training keeps its full speed.
        runs_last: True when hooks run after those of all other callbacks.
    """

    throttled = False
    runs_last = False

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model this callback is attached to."""
        return getattr(self, "_model", None)  # __init__ of a subclass may not call ours

    def set_params(self, params: dict[str, Any]) -> None:
        """Receives `params` before anything else."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives the model before anything else."""
        self._model = model

    def _is_idle(self, hook: str) -> bool:
        """Whether a hook that the class defines does nothing, as the arguments are."""
        return False

    # -- what BackupAndRestore keeps ---------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """What the callback has to remember when training is resumed.

        All attributes that are numbers, texts, arrays, or lists, tuples and dicts of
        such. A callback with other memories extends it, and `set_state`.
        """
        from fastnn.saving.training_state import is_plain

        own = vars(self).items()
        return {k: v for k, v in own if k not in _GIVEN and is_plain(v)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up what `get_state` gave, after `on_train_begin`."""
        vars(self).update(state)

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """After the last epoch; `logs` are those of that epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation; `logs` has `val_` values too."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The same as `on_train_batch_begin`, its older name."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """The same as `on_train_batch_end`, its older name."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a training batch, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a training batch; `logs` are running means over the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Before evaluation, also that of the validation data in `fit`."""

    def on_test_end(self, logs: Any = None) -> None:
        """After evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of evaluation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of prediction; `logs["outputs"]` holds what it gave."""


def overrides(callback: Callback, *hooks: str) -> bool:
    """Whether the callback, or its class, defines one of the hooks itself."""
    cls = type(callback)
    return any(
        hook in vars(callback)
        or (
            getattr(cls, hook) is not getattr(Callback, hook)
            and not callback._is_idle(hook)
        )
        for hook in hooks
    )


class SaveFrequency(Callback):
    """Counts batches for callbacks that save after each epoch, or some batches.

    Subclasses define `_save(epoch, batch, logs)`; `batch` is None after an epoch.
    """

    save_freq: Any

    def _set_save_freq(self, save_freq: Any, where: str) -> None:
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool)
        if save_freq != "epoch" and not (is_count and save_freq > 0):
            raise ValueError(
                f"[{where}] save_freq must be 'epoch' or a number of batches, received "
                f"{save_freq!r}."
            )
        self.save_freq = save_freq
        self._epoch = 0
        self._batches = 0  # since the last save

    def _is_idle(self, hook: str) -> bool:
        own = getattr(type(self), hook).__module__.startswith("fastnn.")
        return bool(own and self.save_freq == "epoch")

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})


class MonitorMixin:
    """Comparison of a monitored value, shared by callbacks that watch one."""

    monitor: str
    mode: str
    min_delta: float

    # Endings of names that tell the direction; a metric may know it itself. Others are
    # not guessed: a Brier score falls, an F score grows.
    _GROWING = ("acc", "accuracy", "auc", "precision", "recall")
    _FALLING = ("loss", "error", "mae", "mse")

    def _set_mode(self, mode: str, where: str) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"[{where}] mode must be 'auto', 'min' or 'max', received {mode!r}."
            )
        self._auto = mode == "auto"
        self._known = self.monitor.endswith(self._GROWING + self._FALLING)
        if self._auto:
            mode = "max" if self.monitor.endswith(self._GROWING) else "min"
        self.mode = mode
        self.min_delta = abs(self.min_delta)

    def _ask_model(self, model: Any) -> None:
        """With mode "auto", the monitored metric itself knows where it should go."""
        if not self._auto:
            return
        name = self.monitor.removeprefix("val_")
        for metric in model.metrics:
            if metric.name == name and metric._direction is not None:
                self.mode = "max" if metric._direction == "up" else "min"
                self._known = True

    @property
    def monitor_op(self) -> Any:
        """`ops.less` or `ops.greater`; None while the direction is not known."""
        if self._auto and not self._known:
            return None
        return ops.less if self.mode == "min" else ops.greater

    def _worst(self) -> float:
        return float("inf") if self.mode == "min" else float("-inf")

    def _improved(self, value: float, reference: float) -> bool:
        """True when `value` beats `reference` by more than `min_delta`."""
        if self.mode == "min":
            return value < reference - self.min_delta
        return value > reference + self.min_delta

    def _monitored(self, logs: Any, where: str) -> float | None:
        if self._auto and not self._known:
            raise ValueError(
                f"[{where}] whether {self.monitor!r} should grow or fall is not known: "
                f'give mode="max" or mode="min". Logged are {", ".join(logs or ())}.'
            )
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn_user(
                f"[{where}] {self.monitor!r} is not among the logged values "
                f"({', '.join(logs or {}) or 'none'}); give validation data, or "
                "another monitor."
            )
        return value


__all__ = ["Callback"]
