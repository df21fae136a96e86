# SPDX-License-Identifier: Apache-2.0
"""Sums and weighted means over all instances seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.losses.base import align_weights, as_tensor, same_rank
from fastnn.metrics.base import ACCUMULATOR, Metric, quotient
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.metrics"


def per_instance(
    values: Any, sample_weight: Any, reduce: Callable[..., Tensor], dtype: str
) -> tuple[Tensor, Tensor | None]:
    """Weighted values and weights with all axes but the first reduced.

    Weights stand for the leading axes of `values`; the axes they do not have are
    reduced before weighting.
    """
    values = as_tensor(values, dtype)
    weights = None
    if sample_weight is not None:
        weights = as_tensor(sample_weight, dtype)
        while len(weights.shape) > max(1, len(values.shape)) and weights.shape[-1] == 1:
            weights = ops.reshape(weights, weights.shape[:-1])
        rank = len(weights.shape)
        if 0 < rank < len(values.shape):
            values = reduce(values, axis=tuple(range(rank, len(values.shape))))
        weights = align_weights("sample_weight", weights, values)
        if tuple(weights.shape) != tuple(values.shape):
            weights = ops.broadcast_to(weights, values.shape)
        values = values * weights
        if len(weights.shape) > 1:
            weights = reduce(weights, axis=tuple(range(1, len(weights.shape))))
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, weights


def _masked(mask: Any, sample_weight: Any, dtype: str) -> Tensor:
    """The weights where the mask is True, else 0."""
    kept = ops.cast(mask, dtype)
    if sample_weight is None:
        return kept
    weights = as_tensor(sample_weight, dtype)
    if len(weights.shape) <= len(kept.shape):
        return kept * align_weights("sample_weight", weights, kept)
    return align_weights("mask", kept, weights) * weights


@export(_MODULE)
class Sum(Metric):
    """Weighted sum of all values."""

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(dtype=ACCUMULATOR, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values of any shape.

        Args:
            values: numbers to add.
            sample_weight: weights of the leading axes.
        """
        values, _ = per_instance(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.cast(ops.sum(values), ACCUMULATOR))

    def result(self) -> Tensor:
        return ops.cast(self.total.value, self.dtype)


@export(_MODULE)
class Mean(Metric):
    """Weighted mean `sum(w * v) / sum(w)` over the instances of all batches.

    Example:
        >>> mean = keras.metrics.Mean()
        >>> mean.update_state([1.0, 2.0])
        >>> mean.update_state(6.0)
        >>> float(mean.result())
        3.0
    """

    def __init__(self, name: str | None = "mean", dtype: str | None = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(dtype=ACCUMULATOR, name="total")
        self.count = self.add_variable(dtype=ACCUMULATOR, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Args:
            values: `(batch, ...)`, each instance counts by its mean; or one number.
            sample_weight: weights of the leading axes.
        """
        values, weights = per_instance(values, sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.cast(ops.sum(values), ACCUMULATOR))
        if weights is None:
            self.count.assign_add(float(values.shape[0] if values.shape else 1))
        else:
            self.count.assign_add(ops.cast(ops.sum(weights), ACCUMULATOR))

    def result(self) -> Tensor:
        return quotient(self.total, self.count, self.dtype)


@export(_MODULE)
class MeanMetricWrapper(Mean):
    """Mean of a function `fn(y_true, y_pred, **kwargs)` of the labels and predictions.

    Args:
        fn: gives one value per instance.
        name: default the name of the class.
        dtype: dtype of the result.
        **kwargs: passed to `fn` at each call.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Adds a batch.

        Args:
            y_true: labels, `(batch, ...)`.
            y_pred: predictions, `(batch, ...)`.
            sample_weight: weights of the leading axes.

        Places that the mask of `y_pred` leaves out count nothing.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        given = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        values = self._fn(*self._arranged(*given), **self._fn_kwargs)
        if mask is not None:
            sample_weight = _masked(mask, sample_weight, self.dtype)
        super().update_state(values, sample_weight)

    def _arranged(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """What the function is called with."""
        return y_true, y_pred

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fn": serialize_keras_object(self._fn),
            **serialize_keras_object(self._fn_kwargs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))


class FunctionMetric(MeanMetricWrapper):
    """Mean of a function of this package; its options are fields of the config."""

    _function: Callable[..., Any]
    _options: tuple[str, ...] = ()

    def __init__(
        self, name: str | None = None, dtype: str | None = None, **options: Any
    ) -> None:
        super().__init__(type(self)._function, name, dtype, **options)
        for option in self._options:
            setattr(self, option, options[option])

    def _arranged(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        return same_rank(y_true, y_pred)  # as the functions of Keras do

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}
