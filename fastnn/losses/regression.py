# SPDX-License-Identifier: Apache-2.0
"""Losses of predicted numbers: functions `(y_true, y_pred) -> one value per instance`.

`y_true` and `y_pred` have the same shape `(..., d)`; the mean runs over the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import config, ops
from fastnn.autodiff import raw
from fastnn.losses.base import FunctionLoss, pair
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_LOSSES = "keras.losses"
_BOTH = ("keras.metrics", "keras.losses")


@export(*_BOTH)
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """`mean((y_true - y_pred)**2)` over the last axis."""
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    rows = (-1, y_pred.shape[-1])
    if len(y_pred.shape) == 2:
        return raw.mean_squared_error(y_true, y_pred)
    flat = raw.mean_squared_error(ops.reshape(y_true, rows), ops.reshape(y_pred, rows))
    return ops.reshape(flat, y_pred.shape[:-1])


@export(*_BOTH)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """`mean(|y_true - y_pred|)` over the last axis."""
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@export(*_BOTH)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """`100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))` over the last axis."""
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    scale = ops.maximum(ops.abs(y_true), config.epsilon())
    return ops.mean(ops.abs((y_true - y_pred) / scale), axis=-1) * 100.0


@export(*_BOTH)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """`mean((log(y_true + 1) - log(y_pred + 1))**2)`, values below epsilon raised."""
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    true_log = ops.log1p(ops.maximum(y_true, config.epsilon()))
    pred_log = ops.log1p(ops.maximum(y_pred, config.epsilon()))
    return ops.mean(ops.square(true_log - pred_log), axis=-1)


@export(*_BOTH)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Mean of `e**2 / 2` where `|e| <= delta`, else `delta * |e| - delta**2 / 2`."""
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    small = ops.square(error) * 0.5
    large = error * delta - 0.5 * delta * delta
    return ops.mean(ops.where(ops.less_equal(error, delta), small, large), axis=-1)


@export(*_BOTH)
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """`mean(log(cosh(e)))`: `e**2 / 2` near 0, `|e| - log(2)` far from it."""
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


@export(_LOSSES)
def cosine_similarity(
    y_true: Any, y_pred: Any, axis: int | Sequence[int] = -1
) -> Tensor:
    """Negative cosine of the angle between labels and predictions: -1 when parallel."""
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -ops.sum(unit(y_true, axis) * unit(y_pred, axis), axis=axis)


def unit(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """Vectors along `axis` scaled to length 1; zero vectors stay zero."""
    square_sum = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square_sum, config.epsilon() ** 2))


@export(*_BOTH)
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """`sum(y_true * log(y_true / y_pred))`, both clipped to `[epsilon, 1]`."""
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    y_true = ops.clip(y_true, config.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, config.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@export(*_BOTH)
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """`mean(y_pred - y_true * log(y_pred + epsilon))` over the last axis."""
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


@export(_LOSSES)
class MeanSquaredError(FunctionLoss):
    """`mean((y_true - y_pred)**2)`.

    Example:
        >>> loss = keras.losses.MeanSquaredError()
        >>> float(loss([[1.0], [2.0]], [[1.0], [4.0]]))
        2.0
    """

    _function = staticmethod(mean_squared_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class MeanAbsoluteError(FunctionLoss):
    """`mean(|y_true - y_pred|)`.

    Example:
        >>> loss = keras.losses.MeanAbsoluteError()
        >>> float(loss([[1.0], [2.0]], [[1.0], [4.0]]))
        1.0
    """

    _function = staticmethod(mean_absolute_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class MeanAbsolutePercentageError(FunctionLoss):
    """`100 * mean(|y_true - y_pred| / |y_true|)`."""

    _function = staticmethod(mean_absolute_percentage_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class MeanSquaredLogarithmicError(FunctionLoss):
    """`mean((log(y_true + 1) - log(y_pred + 1))**2)`."""

    _function = staticmethod(mean_squared_logarithmic_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class Huber(FunctionLoss):
    """Quadratic for errors up to `delta`, linear beyond (Huber, 1964).

    Example:
        >>> loss = keras.losses.Huber(delta=1.0)
        >>> float(loss([[0.0], [0.0]], [[1.0], [3.0]]))  # 0.5 and 2.5
        1.5
    """

    _function = staticmethod(huber)
    _options = ("delta",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = delta


@export(_LOSSES)
class LogCosh(FunctionLoss):
    """`mean(log(cosh(y_pred - y_true)))`."""

    _function = staticmethod(log_cosh)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class CosineSimilarity(FunctionLoss):
    """Negative cosine of the angle between labels and predictions along `axis`."""

    _function = staticmethod(cosine_similarity)
    _options = ("axis",)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis


@export(_LOSSES)
class KLDivergence(FunctionLoss):
    """`sum(y_true * log(y_true / y_pred))` (Kullback and Leibler, 1951)."""

    _function = staticmethod(kl_divergence)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class Poisson(FunctionLoss):
    """`mean(y_pred - y_true * log(y_pred))`."""

    _function = staticmethod(poisson)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
