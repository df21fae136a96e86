# SPDX-License-Identifier: Apache-2.0
"""Share of instances whose prediction is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import config, ops
from fastnn.errors import SPARSE_LABELS, ShapeError
from fastnn.losses.base import as_float
from fastnn.metrics.base import matching
from fastnn.metrics.mean import FunctionMetric
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.metrics"


def _hits(matches: Tensor) -> Tensor:
    return ops.cast(matches, config.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where `y_pred` equals `y_true`, else 0."""
    y_true, y_pred = matching("accuracy", y_true, y_pred)
    return _hits(ops.equal(y_true, y_pred))


@export(_MODULE)
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where `y_pred > threshold` agrees with the label 0 or 1."""
    y_true, y_pred = matching("binary_accuracy", y_true, y_pred)
    predicted = ops.cast(ops.greater(y_pred, threshold), y_true.dtype)
    return _hits(ops.equal(y_true, predicted))


@export(_MODULE)
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the label, one-hot `(..., classes)`."""
    y_true, y_pred = matching("categorical_accuracy", y_true, y_pred)
    return _hits(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


def class_indices(name: str, y_true: Any, y_pred: Tensor) -> Tensor:
    """Labels as int32 of the shape of `y_pred` without its last axis."""
    y_true = ops.convert_to_tensor(y_true)
    shape, expected = tuple(y_true.shape), tuple(y_pred.shape[:-1])
    if shape not in (expected, (*expected, 1)):
        raise ShapeError(
            SPARSE_LABELS.format(
                name=name,
                expected=expected,
                column=(*expected, 1),
                y_true=shape,
                y_pred=tuple(y_pred.shape),
                fix="",
            ).rstrip()
        )
    if shape != expected:
        y_true = ops.reshape(y_true, expected)
    return y_true if y_true.dtype == "int32" else ops.cast(y_true, "int32")


@export(_MODULE)
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the label, a class index."""
    y_pred = as_float(y_pred)
    y_true = class_indices("sparse_categorical_accuracy", y_true, y_pred)
    return _hits(ops.equal(y_true, ops.cast(ops.argmax(y_pred, axis=-1), "int32")))


def _within_top(y_true: Tensor, y_pred: Tensor, k: int) -> Tensor:
    """1 where fewer than `k` classes score higher than the label's."""
    chosen = ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype)
    score = ops.sum(ops.where(ops.greater(chosen, 0.0), y_pred, 0.0), axis=-1)
    higher = ops.greater(y_pred, ops.expand_dims(score, -1))
    rank = ops.sum(ops.cast(higher, "int32"), axis=-1)
    known = ops.greater(ops.max(chosen, axis=-1), 0.0)
    return _hits(ops.logical_and(known, ops.less(rank, k)))


@export(_MODULE)
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the one-hot label is among the `k` largest predictions (ties count)."""
    y_true, y_pred = matching("top_k_categorical_accuracy", y_true, y_pred)
    return _within_top(ops.cast(ops.argmax(y_true, axis=-1), "int32"), y_pred, k)


@export(_MODULE)
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 where the class index is among the `k` largest predictions (ties count).

    Args:
        y_true: class indices.
        y_pred: scores `(..., classes)`, or class indices from the best to the worst.
        k: how many predictions count.
        from_sorted_ids: `y_pred` holds indices.
    """
    if from_sorted_ids:
        ids = ops.convert_to_tensor(y_pred)
        labels = ops.cast(class_indices("top_k", y_true, ids), ids.dtype)
        best = ids[(..., slice(0, k))]
        return _hits(ops.any(ops.equal(ops.expand_dims(labels, -1), best), axis=-1))
    y_pred = as_float(y_pred)
    labels = class_indices("sparse_top_k_categorical_accuracy", y_true, y_pred)
    return _within_top(labels, y_pred, k)


@export(_MODULE)
class Accuracy(FunctionMetric):
    """Share of predictions equal to their labels."""

    _function = staticmethod(accuracy)
    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class BinaryAccuracy(FunctionMetric):
    """Share of yes/no labels predicted right at a threshold."""

    _function = staticmethod(binary_accuracy)
    _options = ("threshold",)
    _direction = "up"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: str | None = None,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(name, dtype, threshold=threshold)


@export(_MODULE)
class CategoricalAccuracy(FunctionMetric):
    """Share of one-hot labels predicted right."""

    _function = staticmethod(categorical_accuracy)
    _direction = "up"

    def __init__(
        self, name: str | None = "categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class SparseCategoricalAccuracy(FunctionMetric):
    """Share of class indices predicted right.

    Example:
        >>> metric = keras.metrics.SparseCategoricalAccuracy()
        >>> float(metric([0, 1], [[0.9, 0.1], [0.8, 0.2]]))
        0.5
    """

    _function = staticmethod(sparse_categorical_accuracy)
    _direction = "up"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class TopKCategoricalAccuracy(FunctionMetric):
    """Share of one-hot labels among the `k` best predictions."""

    _function = staticmethod(top_k_categorical_accuracy)
    _options = ("k",)
    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype, k=k)


@export(_MODULE)
class SparseTopKCategoricalAccuracy(FunctionMetric):
    """Share of class indices among the `k` best predictions."""

    _function = staticmethod(sparse_top_k_categorical_accuracy)
    _options = ("k", "from_sorted_ids")
    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name, dtype, k=k, from_sorted_ids=from_sorted_ids)
