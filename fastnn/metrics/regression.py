# SPDX-License-Identifier: Apache-2.0
"""Errors and correlations of predicted numbers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastnn import config, losses, ops
from fastnn.losses.base import align_weights, as_tensor
from fastnn.losses.regression import unit
from fastnn.metrics.base import ACCUMULATOR, Metric, matching
from fastnn.metrics.mean import FunctionMetric, Mean
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable

_MODULE = "keras.metrics"


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Cosine of the angle between labels and predictions: 1 when parallel."""
    y_true, y_pred = matching("cosine_similarity", y_true, y_pred)
    return ops.sum(unit(y_true, axis) * unit(y_pred, axis), axis=axis)


@export(_MODULE)
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """`cov(y_true, y_pred) / (std(y_true) * std(y_pred))` along `axis`."""
    y_true, y_pred = matching("pearson_correlation", y_true, y_pred)
    a, b = _centred(y_true, axis), _centred(y_pred, axis)
    spread = ops.sqrt(
        ops.mean(ops.square(a), axis=axis) * ops.mean(ops.square(b), axis=axis)
    )
    return ops.mean(a * b, axis=axis) / spread


@export(_MODULE)
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """`2 * cov / (var(y_true) + var(y_pred) + (mean difference)**2)` along `axis`."""
    y_true, y_pred = matching("concordance_correlation", y_true, y_pred)
    a, b = _centred(y_true, axis), _centred(y_pred, axis)
    shift = ops.square(ops.mean(y_true, axis=axis) - ops.mean(y_pred, axis=axis))
    spread = ops.mean(ops.square(a), axis=axis) + ops.mean(ops.square(b), axis=axis)
    return ops.mean(a * b, axis=axis) * 2.0 / (spread + shift + config.epsilon())


def _centred(x: Tensor, axis: int) -> Tensor:
    return x - ops.mean(x, axis=axis, keepdims=True)


@export(_MODULE)
class MeanSquaredError(FunctionMetric):
    """Mean of `(y_true - y_pred)**2`."""

    _function = staticmethod(losses.mean_squared_error)
    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_error", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class MeanAbsoluteError(FunctionMetric):
    """Mean of `|y_true - y_pred|`."""

    _function = staticmethod(losses.mean_absolute_error)
    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_error", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of `100 * |y_true - y_pred| / |y_true|`."""

    _function = staticmethod(losses.mean_absolute_percentage_error)
    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of `(log(y_true + 1) - log(y_pred + 1))**2`."""

    _function = staticmethod(losses.mean_squared_logarithmic_error)
    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class RootMeanSquaredError(Mean):
    """Square root of the mean of `(y_true - y_pred)**2`."""

    _direction = "down"

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Adds a batch of labels and predictions of the same shape."""
        y_true, y_pred = matching(self.name, y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        return ops.sqrt(super().result())


@export(_MODULE)
class CosineSimilarity(FunctionMetric):
    """Mean cosine of the angle between labels and predictions along `axis`."""

    _function = staticmethod(cosine_similarity)
    _options = ("axis",)
    _direction = "up"

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype, axis=axis)


@export(_MODULE)
class LogCoshError(FunctionMetric):
    """Mean of `log(cosh(y_pred - y_true))`."""

    _function = staticmethod(losses.log_cosh)
    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(name, dtype)


@export(_MODULE)
class PearsonCorrelation(FunctionMetric):
    """Mean Pearson correlation along `axis`."""

    _function = staticmethod(pearson_correlation)
    _options = ("axis",)
    _direction = "up"

    def __init__(
        self,
        name: str | None = "pearson_correlation",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype, axis=axis)


@export(_MODULE)
class ConcordanceCorrelation(FunctionMetric):
    """Mean concordance correlation along `axis` (Lin, 1989)."""

    _function = staticmethod(concordance_correlation)
    _options = ("axis",)
    _direction = "up"

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype, axis=axis)


@export(_MODULE)
class R2Score(Metric):
    """`1 - sum((y_true - y_pred)**2) / sum((y_true - mean(y_true))**2)`.

    Args:
        class_aggregation: how outputs are merged: `"uniform_average"`,
            `"variance_weighted_average"`, or None for one score per output.
        num_regressors: number of inputs of the model, for the adjusted score; 0 gives
            the plain one.
        name, dtype: see `Metric`.
    """

    _direction = "up"
    sum: Variable
    squared_sum: Variable
    total_mse: Variable
    count: Variable
    num_samples: Variable

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if class_aggregation not in (
            None,
            "uniform_average",
            "variance_weighted_average",
        ):
            raise ValueError(
                f"[R2Score] unknown class_aggregation {class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ValueError(f"[R2Score] num_regressors {num_regressors} is negative.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self._built = False

    def _build(self, outputs: int) -> None:
        self.num_samples = self.add_variable(dtype=ACCUMULATOR, name="num_samples")
        for attribute in ("squared_sum", "sum", "total_mse", "count"):
            name = "residual" if attribute == "total_mse" else attribute
            variable = self.add_variable((outputs,), dtype=ACCUMULATOR, name=name)
            setattr(self, attribute, variable)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch `(batch, outputs)`; weights are one per instance or value."""
        y_true, y_pred = matching(self.name, y_true, y_pred)
        if len(y_pred.shape) != 2:
            raise ValueError(
                f"[R2Score] needs (batch, outputs), got shape {tuple(y_pred.shape)}."
            )
        if not self._built:
            self._build(y_pred.shape[1])
        y_true, y_pred = as_tensor(y_true, ACCUMULATOR), as_tensor(y_pred, ACCUMULATOR)
        weights = as_tensor(
            1.0 if sample_weight is None else sample_weight, ACCUMULATOR
        )
        weights = ops.broadcast_to(
            align_weights(self.name, weights, y_true), y_true.shape
        )
        self.sum.assign_add(ops.sum(y_true * weights, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.square(y_true) * weights, axis=0))
        error = ops.square(y_true - y_pred) * weights
        self.total_mse.assign_add(ops.sum(error, axis=0))
        self.count.assign_add(ops.sum(weights, axis=0))
        self.num_samples.assign_add(float(y_true.shape[0] * y_true.shape[1]))

    def result(self) -> Tensor:
        if not self._built:
            return ops.cast(0.0, self.dtype)
        total_sum = self.sum.value
        total = self.squared_sum.value - total_sum * (total_sum / self.count.value)
        scores = 1.0 - self.total_mse.value / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(total * scores) / ops.sum(total)
        return ops.cast(self._adjusted(scores), self.dtype)

    def _adjusted(self, scores: Tensor) -> Tensor:
        if not self.num_regressors:
            return scores
        freedom = float(self.num_samples.numpy()) - 1.0 - self.num_regressors
        if freedom <= 0.0:
            warnings.warn(
                "[R2Score] no more samples than regressors: the score is not adjusted.",
                stacklevel=3,
            )
            return scores
        return (scores - 1.0) * ((freedom + self.num_regressors) / freedom) + 1.0

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
