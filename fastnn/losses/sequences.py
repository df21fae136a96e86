# SPDX-License-Identifier: Apache-2.0
"""Losses of sequences that are longer than their labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.losses.base import INDEX_FUNCTIONS, IndexLoss, as_float
from fastnn.serialization import export


@export("keras.losses")
def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """Connectionist temporal classification (Graves et al., ICML 2006).

    Args:
        y_true: class indices (batch, labels); class 0 is the blank, and ends the labels
            of shorter instances.
        y_pred: logits (batch, frames, classes), all frames of which count.

    Returns:
        (batch,): see `ops.ctc_loss`.

    Raises:
        ShapeError: for other ranks.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), as_float(y_pred)
    if len(y_true.shape) != 2 or len(y_pred.shape) != 3:
        raise ShapeError(
            f"[ctc] needs labels (batch, labels) and logits (batch, frames, classes), "
            f"received y_true {tuple(y_true.shape)} and y_pred {tuple(y_pred.shape)}"
        )
    labels = ops.cast(y_true, "int32")
    batch, frames = y_pred.shape[:2]
    every = Tensor(np.full(batch, frames, "int32"))
    count = ops.count_nonzero(labels, axis=1)
    return ops.ctc_loss(labels, y_pred, count, every)


INDEX_FUNCTIONS.append(ctc)


@export("keras.losses")
class CTC(IndexLoss):
    """`ctc` of class indices whose class 0 is the blank."""

    _function = staticmethod(ctc)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
