# SPDX-License-Identifier: Apache-2.0
"""Area under the ROC or precision-recall curve, from counts at fixed thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import config as _config
from fastnn import ops
from fastnn.metrics.base import ACCUMULATOR, Metric, safe_divide
from fastnn.metrics.confusion import confusion, even_thresholds, threshold_list
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "minoring", "majoring")
_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Values at each threshold but the last, and at the next one."""
    count = x.shape[0]
    return x[slice(0, count - 1)], x[slice(1, count)]


@export("keras.metrics")
class AUC(Metric):
    """Area under a curve of two ratios that move with the threshold.

    The area is a Riemann sum over fixed thresholds, so scores should be spread over
    [0, 1] and more thresholds are more exact.

    Args:
        num_thresholds: number of thresholds spread evenly over [0, 1], > 1.
        curve: `"ROC"` (recall against false positive rate), `"PR"` (precision against
            recall) or `"PRGAIN"`.
        summation_method: height between two thresholds: `"interpolation"` (the mean;
            for PR the interpolation of Davis and Goadrich, 2006), `"minoring"` (the
            lower) or `"majoring"` (the higher).
        name, dtype: see `Metric`.
        thresholds: thresholds to use instead, in [0, 1].
        multi_label: scores are `(batch, labels)`: one area per label, then their mean.
        num_labels: number of labels, if known before the first batch.
        label_weights: weights of the labels.
        from_logits: scores have not passed through sigmoid.

    Example:
        >>> float(keras.metrics.AUC()([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9]))
        1.0
    """

    _direction = "up"
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        if self.curve not in _CURVES:
            raise ValueError(f"[AUC] curve must be one of {_CURVES}, got {curve!r}.")
        if self.summation_method not in _SUMMATIONS:
            raise ValueError(
                f"[AUC] summation_method must be one of {_SUMMATIONS}, "
                f"got {summation_method!r}."
            )
        if num_labels and not multi_label:
            raise ValueError("[AUC] num_labels needs multi_label=True.")
        self._init_thresholds = thresholds
        if thresholds is not None:
            inner = sorted(threshold_list(thresholds))
        elif num_thresholds > 1:
            inner = even_thresholds(num_thresholds)[1:-1]
        else:
            raise ValueError(f"[AUC] num_thresholds must be > 1, got {num_thresholds}.")
        self.num_thresholds = len(inner) + 2
        # The ends lie outside [0, 1], so that all scores fall between them.
        margin = _config.epsilon()
        self.thresholds = [-margin, *inner, 1.0 + margin]
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self.from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build((self.num_thresholds,))
        elif num_labels:
            self._build((self.num_thresholds, num_labels))

    def _build(self, shape: tuple[int, ...]) -> None:
        for count in _COUNTS:
            setattr(
                self, count, self.add_variable(shape, dtype=ACCUMULATOR, name=count)
            )
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels and scores of the same shape."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self.multi_label and len(y_pred.shape) != 2:
            raise ValueError(
                "[AUC] multi_label needs scores (batch, labels), got shape "
                f"{tuple(y_pred.shape)}."
            )
        if not self._built:
            self._build((self.num_thresholds, y_pred.shape[1]))
        batch = confusion(
            self.name,
            y_true,
            ops.sigmoid(y_pred) if self.from_logits else y_pred,
            self.thresholds,
            sample_weight,
            by_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        for count in _COUNTS:
            getattr(self, count).assign_add(getattr(batch, count))

    def result(self) -> Tensor:
        if not self._built:
            return ops.cast(0.0, self.dtype)
        tp, fp, tn, fn = (getattr(self, count).value for count in _COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._interpolated_pr(tp, fp, fn)
        else:
            areas = self._riemann(*self._curve(tp, fp, tn, fn))
        total = ops.sum(areas, axis=0)
        if self.multi_label and self.label_weights is not None:
            weights = ops.convert_to_tensor(self.label_weights, dtype=ACCUMULATOR)
            total = safe_divide(ops.sum(total * weights), ops.sum(weights))
        elif self.multi_label:
            total = ops.mean(total)
        return ops.cast(total, self.dtype)

    def _curve(
        self, tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Abscissa and ordinate at each threshold."""
        recall = safe_divide(tp, tp + fn)
        if self.curve == "ROC":
            return safe_divide(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, safe_divide(tp, tp + fp)
        # Gains of Flach and Kull, 2015; without a true positive recall gain is 0 and
        # precision gain 1, and a negative recall gain counts as 0.
        ratio = safe_divide(tp + fn, tn + fp)
        none = ops.equal(tp, 0.0)
        recall_gain = ops.where(none, 0.0, 1.0 - ratio * safe_divide(fn, tp))
        precision_gain = ops.where(none, 1.0, 1.0 - ratio * safe_divide(fp, tp))
        return ops.relu(recall_gain), precision_gain

    def _riemann(self, x: Tensor, y: Tensor) -> Tensor:
        left, right = _pairs(y)
        if self.summation_method == "interpolation":
            heights = (left + right) * 0.5
        elif self.summation_method == "minoring":
            heights = ops.minimum(left, right)
        else:
            heights = ops.maximum(left, right)
        start, end = _pairs(x)
        return (start - end) * heights

    def _interpolated_pr(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        """Areas between thresholds, with true positives linear in the positives.

        With `tp = a + slope * p` between two thresholds, the precision `tp / p`
        integrates to `slope * (dtp + a * log(p_start / p_end)) / positives`.
        """
        tp_start, tp_end = _pairs(tp)
        p_start, p_end = _pairs(tp + fp)
        dtp = tp_start - tp_end
        slope = safe_divide(dtp, ops.relu(p_start - p_end))
        intercept = tp_end - slope * p_end
        both = ops.logical_and(ops.greater(p_start, 0.0), ops.greater(p_end, 0.0))
        ratio = ops.where(both, safe_divide(p_start, p_end), 1.0)
        positives = tp_end + _pairs(fn)[1]
        return safe_divide(slope * (dtp + intercept * ops.log(ratio)), positives)

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self._init_thresholds is not None:
            config["thresholds"] = self.thresholds[1:-1]
        return config
