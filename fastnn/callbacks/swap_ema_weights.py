# SPDX-License-Identifier: Apache-2.0
"""Evaluates, and saves, with averages of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.callbacks.callback import Callback

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Puts the optimizer's averages into the model while it is evaluated.

    The optimizer keeps them with `use_ema=True` (Polyak averaging).

    Args:
        swap_on_epoch: swap at the end of each epoch, and back at the start of the next,
            so that callbacks that follow, such as ModelCheckpoint, see the averages.

    Raises:
        ValueError: when the optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not optimizer.use_ema:
            raise ValueError(
                "[SwapEMAWeights] the optimizer keeps no averages: "
                f"{type(optimizer).__name__}(..., use_ema=True)."
            )
        variables, averages = optimizer._trainable_variables, optimizer._averages
        return list(zip(variables, averages, strict=True))

    def _swap(self, into_model: bool) -> None:
        if self._swapped == into_model:
            return
        for variable, average in self._pairs():
            kept = np.array(variable.numpy())
            variable.assign(average.value)
            average.assign(kept)
        self._swapped = into_model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.swap_on_epoch:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1:  # `fit` puts the averages in for good
            for variable, average in self._pairs():
                average.assign(variable.value)

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)
