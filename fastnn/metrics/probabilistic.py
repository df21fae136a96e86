# SPDX-License-Identifier: Apache-2.0
"""Means of the cross-entropies, divergences and hinge losses."""

from __future__ import annotations

from typing import Any

from fastnn import losses, ops
from fastnn.losses.base import align_weights, as_tensor
from fastnn.metrics.mean import FunctionMetric
from fastnn.serialization import export

_MODULE = "keras.metrics"


@export(_MODULE)
class BinaryCrossentropy(FunctionMetric):
    """Mean binary cross-entropy, see `losses.binary_crossentropy`."""

    _function = staticmethod(losses.binary_crossentropy)
    _options = ("from_logits", "label_smoothing")
    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


@export(_MODULE)
class CategoricalCrossentropy(FunctionMetric):
    """Mean cross-entropy of one-hot labels, see `losses.categorical_crossentropy`."""

    _function = staticmethod(losses.categorical_crossentropy)
    _options = ("from_logits", "label_smoothing", "axis")
    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@export(_MODULE)
class SparseCategoricalCrossentropy(FunctionMetric):
    """Mean cross-entropy of class indices; those of `ignore_class` do not count."""

    _function = staticmethod(losses.sparse_categorical_crossentropy)
    _options = ("from_logits", "ignore_class", "axis")
    _direction = "down"
    ignore_class: int | None
    axis: int

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis
        )

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Adds a batch, see `losses.sparse_categorical_crossentropy`."""
        if self.ignore_class is not None:
            y_true = ops.convert_to_tensor(y_true)
            kept = ops.cast(ops.not_equal(y_true, self.ignore_class), self.dtype)
            if len(kept.shape) == len(y_pred.shape):
                kept = ops.squeeze(kept, self.axis)
            if sample_weight is not None:
                weights = as_tensor(sample_weight, self.dtype)
                kept = kept * align_weights(self.name, weights, kept)
            sample_weight = kept
        super().update_state(y_true, y_pred, sample_weight)


@export(_MODULE)
class KLDivergence(FunctionMetric):
    """Mean of `sum(y_true * log(y_true / y_pred))`."""

    _function = staticmethod(losses.kl_divergence)
    _direction = "down"

    def __init__(
        self, name: str | None = "kl_divergence", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class Poisson(FunctionMetric):
    """Mean of `y_pred - y_true * log(y_pred)`."""

    _function = staticmethod(losses.poisson)
    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class Hinge(FunctionMetric):
    """Mean of `max(1 - y_true * y_pred, 0)`."""

    _function = staticmethod(losses.hinge)
    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class SquaredHinge(FunctionMetric):
    """Mean of `max(1 - y_true * y_pred, 0)**2`."""

    _function = staticmethod(losses.squared_hinge)
    _direction = "down"

    def __init__(
        self, name: str | None = "squared_hinge", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class CategoricalHinge(FunctionMetric):
    """Mean of `max(best wrong score - right score + 1, 0)`."""

    _function = staticmethod(losses.categorical_hinge)
    _direction = "down"

    def __init__(
        self, name: str | None = "categorical_hinge", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)
