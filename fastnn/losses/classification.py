# SPDX-License-Identifier: Apache-2.0
"""Margin losses (hinge, circle) and overlap losses (Dice, Tversky)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config, ops
from fastnn.losses.base import FunctionLoss, as_float, pair
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_LOSSES = "keras.losses"
_BOTH = ("keras.metrics", "keras.losses")

Axis = int | Sequence[int] | None


def _signs(y_true: Tensor) -> Tensor:
    """Labels as -1 and 1: a batch of only 0 and 1 is converted, others are kept."""
    zero_or_one = ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0))
    return ops.where(ops.all(zero_or_one), y_true * 2.0 - 1.0, y_true)


@export(*_BOTH)
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """`mean(max(1 - y_true * y_pred, 0))`, labels -1 or 1 (0 counts as -1)."""
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return ops.mean(ops.relu(1.0 - _signs(y_true) * y_pred), axis=-1)


@export(*_BOTH)
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """`mean(max(1 - y_true * y_pred, 0)**2)`, labels -1 or 1 (0 counts as -1)."""
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.relu(1.0 - _signs(y_true) * y_pred)), axis=-1)


@export(*_BOTH)
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """`max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)` over classes."""
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.relu(wrong - right + 1.0)


@export(_LOSSES)
def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Tensor:
    """`1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + epsilon)`.

    Args:
        y_true, y_pred: masks of the same shape.
        axis: axes of the sums; None sums over everything, batch included.
    """
    y_true, y_pred = pair("dice", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis) * 2.0
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - both / (total + config.epsilon())


@export(_LOSSES)
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None
) -> Tensor:
    """`1 - tp / (tp + alpha * missed + beta * false + epsilon)` (Salehi et al., 2017).

    `missed` sums `(1 - y_pred) * y_true` and `false` sums `y_pred * (1 - y_true)`, as
    Keras assigns `alpha` and `beta`; 0.5 each is the Dice loss.
    """
    y_true, y_pred = pair("tversky", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    false = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - both / (both + missed * alpha + false * beta + config.epsilon())


@export(_LOSSES)
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss of embeddings (Sun et al., 2020), one value per row of `y_pred`.

    Args:
        y_true: class indices, `(n,)`.
        y_pred: embeddings of length 1, `(n, d)`.
        ref_labels, ref_embeddings: what to compare with; None is the batch itself.
        remove_diagonal: do not compare row i with reference i.
        gamma: scale of the similarities.
        margin: relaxation, the smaller the stricter.
    """
    y_pred = as_float(y_pred)
    references = y_pred if ref_embeddings is None else as_float(ref_embeddings)
    labels = ops.reshape(ops.cast(y_true, "int64"), (-1, 1))
    others = labels if ref_labels is None else ops.cast(ref_labels, "int64")
    same = ops.equal(labels, ops.reshape(others, (1, -1)))
    distance = ops.relu(1.0 - ops.matmul(y_pred, ops.transpose(references)))
    mask = np.ones(tuple(same.shape), bool)
    if remove_diagonal:
        np.fill_diagonal(mask, False)
    compared = ops.convert_to_tensor(mask)
    near = ops.relu(distance + margin) * (margin - distance) * -gamma
    far = ops.relu(1.0 + margin - distance) * (1.0 - margin - distance) * gamma
    pull = _masked_logsumexp(near, ops.logical_and(same, compared))
    push = _masked_logsumexp(far, ops.logical_and(ops.logical_not(same), compared))
    return ops.softplus(pull + push)


def _masked_logsumexp(x: Tensor, mask: Tensor) -> Tensor:
    """`log(sum(exp(x)))` over the masked entries of each row, very low for none."""
    low = -1e30
    x = ops.where(mask, x, low)
    top = ops.max(x, axis=1, keepdims=True)
    total = ops.sum(ops.where(mask, ops.exp(x - top), 0.0), axis=1)
    return ops.log(ops.maximum(total, 1e-30)) + ops.reshape(top, (-1,))


@export(_LOSSES)
class Hinge(FunctionLoss):
    """`mean(max(1 - y_true * y_pred, 0))`."""

    _function = staticmethod(hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class SquaredHinge(FunctionLoss):
    """`mean(max(1 - y_true * y_pred, 0)**2)`."""

    _function = staticmethod(squared_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class CategoricalHinge(FunctionLoss):
    """`max(best wrong score - right score + 1, 0)`."""

    _function = staticmethod(categorical_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)


@export(_LOSSES)
class Dice(FunctionLoss):
    """Dice loss of masks; a scalar unless `axis` keeps some axes."""

    _function = staticmethod(dice)
    _options = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axis = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis


@export(_LOSSES)
class Tversky(FunctionLoss):
    """Tversky loss of masks; a scalar unless `axis` keeps some axes."""

    _function = staticmethod(tversky)
    _options = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axis = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis


@export(_LOSSES)
class Circle(FunctionLoss):
    """Circle loss of the batch against itself; rows without a loss do not count."""

    _function = staticmethod(circle)
    _options = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def _convert_labels(self, x: Any) -> Tensor:
        return ops.convert_to_tensor(x)

    def _mask(self, y_true: Any, values: Tensor) -> Tensor:
        return ops.greater(values, 0.0)
