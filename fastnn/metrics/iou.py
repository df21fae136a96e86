# SPDX-License-Identifier: Apache-2.0
"""Intersection over union of classes: `tp / (tp + fp + fn)`, by confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config as _config
from fastnn import ops
from fastnn.losses.base import align_weights, as_tensor
from fastnn.metrics.base import ACCUMULATOR, Metric
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.metrics"


@export(_MODULE)
class IoU(Metric):
    """Mean intersection over union of some classes; classes never met do not count.

    Args:
        num_classes: number of classes; labels outside are left out.
        target_class_ids: classes to average over.
        name, dtype: see `Metric`.
        ignore_class: label to leave out.
        sparse_y_true, sparse_y_pred: False when given one-hot or as scores.
        axis: axis of the classes when not sparse.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        # First, as it says whether there may be so many classes.
        self.total_cm = self.add_variable(
            (num_classes, num_classes), dtype=ACCUMULATOR, name="total_confusion_matrix"
        )
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"[IoU] target_class_ids {list(target_class_ids)} must be below "
                f"num_classes {num_classes}."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis

    def _indices(self, y: Any, sparse: bool) -> Tensor:
        y = ops.convert_to_tensor(y)
        return ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels and predictions of the same shape."""
        y_true = self._indices(y_true, self.sparse_y_true)
        y_pred = self._indices(y_pred, self.sparse_y_pred)
        weights = as_tensor(
            1.0 if sample_weight is None else sample_weight, ACCUMULATOR
        )
        weights = ops.broadcast_to(
            align_weights(self.name, weights, y_true), y_true.shape
        )
        if self.ignore_class is not None:
            kept = ops.not_equal(y_true, self.ignore_class)
            weights = ops.where(kept, weights, 0.0)
        rows, columns = (
            ops.one_hot(ops.reshape(y, (-1,)), self.num_classes, dtype=ACCUMULATOR)
            for y in (y_true, y_pred)
        )
        rows = rows * ops.reshape(weights, (-1, 1))
        self.total_cm.assign_add(ops.matmul(ops.transpose(rows), columns))

    def result(self) -> Tensor:
        matrix = self.total_cm.value
        diagonal = np.eye(self.num_classes)
        hits = ops.sum(matrix * ops.convert_to_tensor(diagonal), axis=0)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        wanted = np.zeros(self.num_classes, bool)
        wanted[self.target_class_ids] = True
        met = ops.logical_and(ops.greater(union, 1e-9), ops.convert_to_tensor(wanted))
        ratio = ops.where(met, hits / (union + _config.epsilon()), 0.0)
        count = ops.sum(ops.cast(met, ACCUMULATOR)) + _config.epsilon()
        return ops.cast(ops.sum(ratio) / count, _config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict[str, Any]:
        config = IoU.get_config(self)
        return {key: value for key, value in config.items() if key not in names}


@export(_MODULE)
class BinaryIoU(IoU):
    """Mean intersection over union of the classes `score < threshold` and the rest."""

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of 0/1 labels and scores of the same shape."""
        scores = ops.convert_to_tensor(y_pred)
        chosen = ops.cast(ops.greater_equal(scores, self.threshold), "int32")
        super().update_state(y_true, chosen, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


@export(_MODULE)
class MeanIoU(IoU):
    """Mean intersection over union of all classes; arguments as `IoU`.

    Example:
        >>> metric = keras.metrics.MeanIoU(num_classes=2)
        >>> round(float(metric([0, 0, 1, 1], [0, 1, 1, 1])), 4)  # of 1/2 and 2/3
        0.5833
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids")


@export(_MODULE)
class OneHotIoU(IoU):
    """`IoU` of one-hot labels; arguments as `IoU`."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            dtype,
            ignore_class,
            False,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true")


@export(_MODULE)
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels; arguments as `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids", "sparse_y_true")
