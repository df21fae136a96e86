# SPDX-License-Identifier: Apache-2.0
"""Saves the model, or its weights, while it is trained."""

from __future__ import annotations

import os
from typing import Any

from fastnn._switches import show
from fastnn.callbacks.callback import MonitorMixin, SaveFrequency

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorMixin, SaveFrequency):
    """Saves after each epoch, or after some batches; all, or only the best so far.

    Every file appears whole: a kill in the middle of a save leaves the one before.

    Args:
        filepath: name of the file, in which `{epoch}` (from 1), `{batch}` and the names
            of logged values stand for themselves: `"{epoch:02d}-{val_loss:.2f}.keras"`.
            Ends with `.weights.h5` when only weights are saved, else with `.keras` or
            `.h5`.
        monitor: name of the value that says which model is better.
        verbose: 1 says what is saved.
        save_best_only: save only when `monitor` has improved.
        save_weights_only: save the weights (with the optimizer), not the whole model.
        mode: `"min"`, `"max"`, or `"auto"`: as the monitored metric wants it.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: value that must be beaten first.

    Raises:
        ValueError: for another ending, mode or `save_freq`.
        KeyError: in `fit`, when the name asks for a value that is not logged.

    Attributes:
        best: the best value so far, None before the first.

    Example:
        >>> import tempfile, pathlib
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     best = pathlib.Path(folder) / "best.keras"
        ...     save = keras.callbacks.ModelCheckpoint(best, "loss", 0, True)
        ...     history = model.fit(x, x, epochs=2, verbose=0, callbacks=[save])
        ...     again = keras.models.load_model(best)
        >>> again.count_params()
        2
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath = os.fspath(filepath)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self._set_save_freq(save_freq, "ModelCheckpoint")
        self.min_delta = 0.0
        self.best = initial_value_threshold
        self._set_mode(mode, "ModelCheckpoint")
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"[ModelCheckpoint] with save_weights_only={save_weights_only} the "
                f"path must end with {' or '.join(endings)}, received "
                f"{self.filepath!r}."
            )

    def on_train_begin(self, logs: Any = None) -> None:
        self._ask_model(self.model)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        path = self._path(epoch, batch, logs)
        if not self._is_wanted(epoch, path, logs):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        values = dict(logs)
        if batch is not None:
            values.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(epoch=epoch + 1, **values)
        except KeyError as error:
            raise KeyError(
                f"[ModelCheckpoint] the path {self.filepath!r} asks for {error}; known "
                f"are epoch, {', '.join(values)}."
            ) from None

    def _is_wanted(self, epoch: int, path: str, logs: dict[str, Any]) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        value = self._monitored(logs, "ModelCheckpoint")
        if value is None:
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if self.best is None or self._improved(value, self.best):
            self.best = value
            self._say(
                epoch,
                f"{self.monitor} improved from {before} to {value:.5f}, saving model "
                f"to {path}",
            )
            return True
        self._say(epoch, f"{self.monitor} did not improve from {before}")
        return False

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            show(f"\nEpoch {epoch + 1}: {text}")
