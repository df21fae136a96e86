# SPDX-License-Identifier: Apache-2.0
"""Counts of right and wrong yes/no predictions at thresholds, and their ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops
from fastnn._allowance import check_state
from fastnn.losses.base import align_weights, as_tensor
from fastnn.metrics.base import ACCUMULATOR, Metric, matching, safe_divide
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable

_MODULE = "keras.metrics"
_MINUS_INFINITY = -1e10
_THRESHOLD = 64  # bytes of each in lists, beside the counts

Thresholds = float | Sequence[float] | None


def threshold_list(thresholds: Thresholds, default: float = 0.5) -> list[float]:
    """Thresholds as a list, each in [0, 1].

    Raises:
        ValueError: for a threshold outside [0, 1].
    """
    if thresholds is None:
        return [default]
    values: list[float] = np.atleast_1d(np.asarray(thresholds, "float64")).tolist()
    wrong = [t for t in values if not 0.0 <= t <= 1.0]
    if wrong:
        raise ValueError(f"[metric] thresholds must be in [0, 1], got {wrong}.")
    return values


def even_thresholds(count: int) -> list[float]:
    """`count` thresholds evenly spread over [0, 1], ends included; [0.5] for one."""
    check_state(_THRESHOLD * count, f"a list of {count} thresholds")
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


class Confusion:
    """Weighted counts of one batch, one value per threshold (and label).

    `pp` and `pn` sum the predicted positives among positives and negatives; `p` and `n`
    are all positives and negatives.
    """

    def __init__(self, pp: Tensor, pn: Tensor, p: Tensor, n: Tensor) -> None:
        self.true_positives = pp
        self.false_positives = pn
        # Rounding of weighted sums must not leave a negative count.
        self.false_negatives = ops.relu(p - pp)
        self.true_negatives = ops.relu(n - pn)


def confusion(
    name: str,
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    by_label: bool = False,
    label_weights: Sequence[float] | None = None,
) -> Confusion:
    """Counts a batch.

    Args:
        name: of the metric, for errors.
        y_true: labels, nonzero is positive, `(...)` or `(..., labels)`.
        y_pred: scores of the same shape; positive is `score > threshold`.
        thresholds: T thresholds.
        sample_weight: weights of the leading axes.
        top_k: only the k best scores of the last axis can be positive.
        class_id: count this entry of the last axis only.
        by_label: keep the last axis apart: counts are `(T, labels)`, else `(T,)`.
        label_weights: weights of the last axis.
    """
    y_true, y_pred = matching(name, y_true, y_pred)
    weights = as_tensor(1.0 if sample_weight is None else sample_weight, ACCUMULATOR)
    weights = ops.broadcast_to(align_weights(name, weights, y_pred), y_pred.shape)
    if label_weights is not None:
        weights = weights * ops.convert_to_tensor(label_weights, dtype=ACCUMULATOR)
    if top_k is not None:
        y_pred = _only_top(y_pred, top_k)
    if class_id is not None:
        entry = (..., class_id)
        y_true, y_pred, weights = y_true[entry], y_pred[entry], weights[entry]
    columns = y_pred.shape[-1] if by_label else 1
    # (labels, rows): one row of scores per label.
    y_true, y_pred, weights = (
        ops.transpose(ops.reshape(x, (-1, columns)), (1, 0))
        for x in (y_true, y_pred, weights)
    )
    is_positive = ops.not_equal(y_true, 0.0)
    positive = ops.where(is_positive, weights, 0.0)
    negative = ops.where(is_positive, 0.0, weights)
    column = np.asarray(thresholds, "float64").reshape(-1, 1, 1)
    limits = ops.convert_to_tensor(column, dtype=y_pred.dtype)
    predicted = ops.cast(ops.greater(ops.expand_dims(y_pred, 0), limits), ACCUMULATOR)

    def count(w: Tensor) -> Tensor:
        sums = ops.sum(predicted * ops.expand_dims(w, 0), axis=-1)
        return sums if by_label else ops.reshape(sums, (-1,))

    return Confusion(
        count(positive),
        count(negative),
        ops.sum(positive, axis=-1),
        ops.sum(negative, axis=-1),
    )


def _only_top(y_pred: Tensor, k: int) -> Tensor:
    """Scores with all but the k best of each row (the first, in a tie) sunk."""
    size = y_pred.shape[-1]
    mine, other = ops.expand_dims(y_pred, -1), ops.expand_dims(y_pred, -2)
    earlier = ops.convert_to_tensor(np.tri(size, k=-1).astype(bool))
    tied = ops.logical_and(ops.equal(other, mine), earlier)
    before = ops.logical_or(ops.greater(other, mine), tied)
    rank = ops.sum(ops.cast(before, "int32"), axis=-1)
    return ops.where(ops.less(rank, k), y_pred, _MINUS_INFINITY)


class ConfusionMetric(Metric):
    """Accumulates some of the four counts at thresholds."""

    _counts: tuple[str, ...]
    # Those of `_counts` exist.
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None,
        dtype: str | None,
        *,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = list(thresholds)
        self.top_k = top_k
        self.class_id = class_id
        for count in self._counts:
            setattr(self, count, self._counter(count))

    def _counter(self, count: str) -> Any:
        shape = (len(self.thresholds),)
        return self.add_variable(shape, dtype=ACCUMULATOR, name=count)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; labels and scores have the same shape."""
        batch = confusion(
            self.name,
            y_true,
            y_pred,
            self.thresholds,
            sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
        )
        for count in self._counts:
            getattr(self, count).assign_add(getattr(batch, count))

    def _per_threshold(self, values: Tensor) -> Tensor:
        """One number for a single threshold, else one per threshold."""
        values = ops.cast(values, self.dtype)
        return ops.reshape(values, ()) if len(self.thresholds) == 1 else values


class _Count(ConfusionMetric):
    def __init__(
        self,
        thresholds: Thresholds = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(threshold_list(thresholds), name, dtype)
        self.init_thresholds = thresholds

    def _counter(self, count: str) -> Any:
        shape = (len(self.thresholds),)
        return self.add_variable(shape, dtype=ACCUMULATOR, name="accumulator")

    def result(self) -> Tensor:
        return self._per_threshold(getattr(self, self._counts[0]).value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


@export(_MODULE)
class TruePositives(_Count):
    """Positives with a score above each threshold (default 0.5)."""

    _counts = ("true_positives",)


@export(_MODULE)
class TrueNegatives(_Count):
    """Negatives with a score up to each threshold (default 0.5)."""

    _counts = ("true_negatives",)


@export(_MODULE)
class FalsePositives(_Count):
    """Negatives with a score above each threshold (default 0.5)."""

    _counts = ("false_positives",)


@export(_MODULE)
class FalseNegatives(_Count):
    """Positives with a score up to each threshold (default 0.5)."""

    _counts = ("false_negatives",)


class _Ratio(ConfusionMetric):
    """First count over the sum of both."""

    _direction = "up"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        default = 0.5 if top_k is None else _MINUS_INFINITY
        values = threshold_list(thresholds, default)
        super().__init__(values, name, dtype, top_k=top_k, class_id=class_id)
        self.init_thresholds = thresholds

    def result(self) -> Tensor:
        first, second = (getattr(self, count).value for count in self._counts)
        return self._per_threshold(safe_divide(first, first + second))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@export(_MODULE)
class Precision(_Ratio):
    """Share of predicted positives that are positive.

    Args:
        thresholds: one or several in [0, 1], default 0.5.
        top_k: count the k best scores of each row as positive instead.
        class_id: entry of the last axis to count, default all.
        name, dtype: see `Metric`.

    Example:
        >>> precision = keras.metrics.Precision()
        >>> float(precision([0, 1, 1], [1, 1, 0]))
        0.5
        >>> float(precision([1, 1], [1, 1]))  # 3 of 4 so far
        0.75
    """

    _counts = ("true_positives", "false_positives")


@export(_MODULE)
class Recall(_Ratio):
    """Share of positives that are predicted positive; arguments as `Precision`.

    Example:
        >>> float(keras.metrics.Recall()([0, 1, 1], [1, 1, 0]))
        0.5
    """

    _counts = ("true_positives", "false_negatives")


class _BestUnder(ConfusionMetric):
    """Largest value of one ratio among thresholds where another reaches a bound."""

    _direction = "up"
    _counts = (
        "true_positives",
        "false_positives",
        "true_negatives",
        "false_negatives",
    )
    _bound: str

    def __init__(
        self,
        bound: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: str | None,
    ) -> None:
        if not 0.0 <= bound <= 1.0:
            raise ValueError(f"[{self._bound}] must be in [0, 1], got {bound!r}.")
        if num_thresholds <= 0:
            raise ValueError(f"[num_thresholds] must be > 0, got {num_thresholds!r}.")
        values = even_thresholds(num_thresholds)
        super().__init__(values, name, dtype, class_id=class_id)
        self.num_thresholds = num_thresholds
        setattr(self, self._bound, bound)

    def _sensitivity(self) -> Tensor:
        found = self.true_positives.value
        return safe_divide(found, found + self.false_negatives.value)

    def _specificity(self) -> Tensor:
        found = self.true_negatives.value
        return safe_divide(found, found + self.false_positives.value)

    def _precision(self) -> Tensor:
        found = self.true_positives.value
        return safe_divide(found, found + self.false_positives.value)

    def _best(self, bounded: Tensor, wanted: Tensor) -> Tensor:
        allowed = ops.greater_equal(bounded, getattr(self, self._bound))
        return ops.cast(ops.max(ops.where(allowed, wanted, 0.0)), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            self._bound: getattr(self, self._bound),
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
        }


@export(_MODULE)
class SensitivityAtSpecificity(_BestUnder):
    """Best sensitivity (recall) where the specificity is at least the one given."""

    _bound = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        return self._best(self._specificity(), self._sensitivity())


@export(_MODULE)
class SpecificityAtSensitivity(_BestUnder):
    """Best specificity where the sensitivity (recall) is at least the one given."""

    _bound = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        return self._best(self._sensitivity(), self._specificity())


@export(_MODULE)
class PrecisionAtRecall(_BestUnder):
    """Best precision where the recall is at least the one given."""

    _bound = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        return self._best(self._sensitivity(), self._precision())


@export(_MODULE)
class RecallAtPrecision(_BestUnder):
    """Best recall where the precision is at least the one given."""

    _bound = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> Tensor:
        return self._best(self._precision(), self._sensitivity())
