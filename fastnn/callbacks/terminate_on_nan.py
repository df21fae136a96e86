# SPDX-License-Identifier: Apache-2.0
"""Stops training when the loss is no number any more."""

from __future__ import annotations

import math
from typing import Any

from fastnn._switches import show
from fastnn.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Stops training in the batch whose loss is NaN or infinite.

    Args:
        raise_error: raise RuntimeError instead of stopping quietly.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"Batch {batch}: Invalid loss, terminating training"
        if self.raise_error:
            raise RuntimeError(f"[TerminateOnNaN] {message} (loss {loss}).")
        show(message)
        self.model.stop_training = True


__all__ = ["TerminateOnNaN"]
