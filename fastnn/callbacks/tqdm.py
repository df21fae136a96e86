# SPDX-License-Identifier: Apache-2.0
"""A progress bar made by tqdm, for scripts and notebooks that use tqdm elsewhere."""

from __future__ import annotations

from typing import Any

from fastnn.callbacks.callback import Callback


class TqdmCallback(Callback):
    """Shows the progress of fit, evaluate and predict with tqdm.

    `model.fit(..., verbose=0, callbacks=[TqdmCallback()])`: a bar of the epochs, and
    one of the batches of the epoch. Training keeps its full speed.

    Args:
        batches: show the bar of the batches too.
        tqdm_class: `tqdm.tqdm` or a class like it; by default `tqdm.auto.tqdm`.
        **kwargs: given to each bar, such as `ncols=80`.

    Raises:
        ImportError: without tqdm.
    """

    throttled = True

    def __init__(
        self, batches: bool = True, tqdm_class: Any = None, **kwargs: Any
    ) -> None:
        super().__init__()
        if tqdm_class is None:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError(
                    '[TqdmCallback] needs tqdm: pip install "fastnn-dl[tqdm]"'
                ) from None
            tqdm_class = tqdm
        self.batches = batches
        self._make = tqdm_class
        self._kwargs = kwargs
        self._epochs: Any = None
        self._bar: Any = None

    def _open(self, title: str) -> None:
        if self.batches:
            steps = self.params.get("steps")
            inner = self._epochs is not None
            self._bar = self._make(
                total=steps, desc=title, leave=not inner, **self._kwargs
            )

    def _advance(self, done: int, logs: Any) -> None:
        if self._bar is not None:
            self._bar.set_postfix(logs or {}, refresh=False)
            self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_train_begin(self, logs: Any = None) -> None:
        epochs = self.params.get("epochs")
        self._epochs = self._make(total=epochs, desc="training", **self._kwargs)

    def on_train_end(self, logs: Any = None) -> None:
        self._close()
        if self._epochs is not None:
            self._epochs.close()
            self._epochs = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epochs.update(epoch - self._epochs.n)
        self._open(f"epoch {epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._close()
        self._epochs.set_postfix(logs or {}, refresh=False)
        self._epochs.update(epoch + 1 - self._epochs.n)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(batch + 1, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if self._epochs is None:
            self._open("evaluation")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._epochs is None:
            self._advance(batch + 1, logs)

    def on_test_end(self, logs: Any = None) -> None:
        if self._epochs is None:
            self._close()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._open("prediction")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(batch + 1, None)

    def on_predict_end(self, logs: Any = None) -> None:
        self._close()


__all__ = ["TqdmCallback"]
