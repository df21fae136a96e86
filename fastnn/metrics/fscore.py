# SPDX-License-Identifier: Apache-2.0
"""Harmonic means of precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import config as _config
from fastnn import ops
from fastnn.losses.base import align_weights, as_tensor
from fastnn.metrics.base import ACCUMULATOR, Metric, matching, safe_divide
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable

_MODULE = "keras.metrics"


@export(_MODULE)
class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`.

    Args:
        average: None for one score per class, `"micro"` counts all classes together,
            `"macro"` is the mean of the scores, `"weighted"` their mean weighted with
            the number of positives.
        beta: weight of the recall, > 0.
        threshold: scores above it are positive; None makes the best one of each row
            positive.
        name, dtype: see `Metric`.
    """

    _direction = "up"
    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "[FBetaScore] average must be None, 'micro', 'macro' or 'weighted', "
                f"got {average!r}."
            )
        if not beta > 0.0:
            raise ValueError(f"[FBetaScore] beta must be > 0, got {beta!r}.")
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ValueError(f"[FBetaScore] threshold {threshold!r} is not in (0, 1].")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in ("true_positives", "false_positives", "false_negatives"):
            setattr(self, name, self.add_variable(shape, dtype=ACCUMULATOR, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch `(batch, classes)` of 0/1 labels and scores."""
        y_true, y_pred = matching(self.name, y_true, y_pred)
        if len(y_pred.shape) != 2:
            raise ValueError(
                f"[{self.name}] needs (batch, classes), got {tuple(y_pred.shape)}."
            )
        if not self._built:
            self._build(y_pred.shape[1])
        if self.threshold is None:
            best = ops.max(y_pred, axis=-1, keepdims=True)
            # A row of zeros has no best class.
            is_positive = ops.logical_and(
                ops.greater_equal(y_pred, best), ops.greater(ops.abs(y_pred), 1e-9)
            )
        else:
            is_positive = ops.greater(y_pred, self.threshold)
        found = ops.cast(is_positive, ACCUMULATOR)
        label = as_tensor(y_true, ACCUMULATOR)
        axis = None if self.average == "micro" else 0
        weights = as_tensor(
            1.0 if sample_weight is None else sample_weight, ACCUMULATOR
        )
        weights = align_weights(self.name, weights, found)
        self.true_positives.assign_add(ops.sum(found * label * weights, axis=axis))
        missed = (1.0 - found) * label * weights
        self.false_negatives.assign_add(ops.sum(missed, axis=axis))
        wrong = found * (1.0 - label) * weights
        self.false_positives.assign_add(ops.sum(wrong, axis=axis))

    def result(self) -> Tensor:
        if not self._built:
            return ops.cast(0.0, self.dtype)
        tp = self.true_positives.value
        positives = tp + self.false_negatives.value
        precision = safe_divide(tp, tp + self.false_positives.value)
        recall = safe_divide(tp, positives)
        square = self.beta * self.beta
        score = precision * recall * (1.0 + square)
        score = safe_divide(score, precision * square + recall)
        if self.average == "weighted":
            weights = positives / (ops.sum(positives) + _config.epsilon())
            score = ops.sum(score * weights)
        elif self.average == "macro":
            score = ops.mean(score)
        return ops.cast(score, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@export(_MODULE)
class F1Score(FBetaScore):
    """`2 * precision * recall / (precision + recall)`; arguments as `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
