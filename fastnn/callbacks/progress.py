# SPDX-License-Identifier: Apache-2.0
"""ProgbarLogger: the progress of fit, evaluate and predict."""

from __future__ import annotations

from typing import Any

from fastnn._switches import output_stream
from fastnn.callbacks.callback import Callback
from fastnn.utils.progbar import Progbar

# Seconds between redraws: a terminal is slower than a small epoch.
_INTERVAL = 0.1


class ProgbarLogger(Callback):
    """Shows the progress of fit, evaluate and predict on the standard output.

    Each epoch gets its title, unless it is the only one, and a line with the time per
    step, the running means and the results of validation. Validation inside `fit` shows
    no bar of its own.
    """

    throttled = True

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progbar | None = None
        self._verbose = 1
        self._in_fit = False
        self._steps_done = 0

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._verbose = params.get("verbose", 1)

    def _start(self) -> None:
        self._steps_done = 0
        self._bar = Progbar(
            self.params.get("steps"),
            verbose=self._verbose,
            interval=_INTERVAL,
            stateful_metrics=(),
        )

    def _show(self, done: int, logs: Any, finalize: bool = False) -> None:
        bar = self._bar
        if bar is None:
            return
        self._steps_done = done
        values = logs or {}
        bar.stateful_metrics.update(values)  # logs are running means already
        bar.update(done, values, finalize=finalize)

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False
        self._bar = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        epochs, stream = self.params.get("epochs", "?"), output_stream()
        if self._verbose and epochs != 1 and stream is not None:
            stream.write(f"Epoch {epoch + 1}/{epochs}\n")
        self._start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._show(self._steps_done or 1, logs, finalize=True)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_fit:
            self._show(batch + 1, logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._show(self._steps_done or 1, logs, finalize=True)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch + 1, None)

    def on_predict_end(self, logs: Any = None) -> None:
        self._show(self._steps_done or 1, None, finalize=True)


__all__ = ["ProgbarLogger"]
