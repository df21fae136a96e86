# SPDX-License-Identifier: Apache-2.0
"""Metrics: classes that accumulate over batches, functions of single instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastnn._names import to_snake_case
from fastnn.losses import binary_crossentropy as binary_crossentropy
from fastnn.losses import binary_focal_crossentropy as binary_focal_crossentropy
from fastnn.losses import categorical_crossentropy as categorical_crossentropy
from fastnn.losses import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from fastnn.losses import categorical_hinge as categorical_hinge
from fastnn.losses import hinge as hinge
from fastnn.losses import huber as huber
from fastnn.losses import kl_divergence as kl_divergence
from fastnn.losses import log_cosh as log_cosh
from fastnn.losses import mean_absolute_error as mean_absolute_error
from fastnn.losses import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from fastnn.losses import mean_squared_error as mean_squared_error
from fastnn.losses import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from fastnn.losses import poisson as poisson
from fastnn.losses import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from fastnn.losses import squared_hinge as squared_hinge
from fastnn.metrics.accuracy import Accuracy as Accuracy
from fastnn.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from fastnn.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from fastnn.metrics.accuracy import (
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
)
from fastnn.metrics.accuracy import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from fastnn.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from fastnn.metrics.accuracy import binary_accuracy as binary_accuracy
from fastnn.metrics.accuracy import categorical_accuracy as categorical_accuracy
from fastnn.metrics.accuracy import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from fastnn.metrics.accuracy import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from fastnn.metrics.accuracy import (
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from fastnn.metrics.auc import AUC as AUC
from fastnn.metrics.base import Metric as Metric
from fastnn.metrics.confusion import FalseNegatives as FalseNegatives
from fastnn.metrics.confusion import FalsePositives as FalsePositives
from fastnn.metrics.confusion import Precision as Precision
from fastnn.metrics.confusion import PrecisionAtRecall as PrecisionAtRecall
from fastnn.metrics.confusion import Recall as Recall
from fastnn.metrics.confusion import RecallAtPrecision as RecallAtPrecision
from fastnn.metrics.confusion import (
    SensitivityAtSpecificity as SensitivityAtSpecificity,
)
from fastnn.metrics.confusion import (
    SpecificityAtSensitivity as SpecificityAtSensitivity,
)
from fastnn.metrics.confusion import TrueNegatives as TrueNegatives
from fastnn.metrics.confusion import TruePositives as TruePositives
from fastnn.metrics.fscore import F1Score as F1Score
from fastnn.metrics.fscore import FBetaScore as FBetaScore
from fastnn.metrics.iou import BinaryIoU as BinaryIoU
from fastnn.metrics.iou import IoU as IoU
from fastnn.metrics.iou import MeanIoU as MeanIoU
from fastnn.metrics.iou import OneHotIoU as OneHotIoU
from fastnn.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from fastnn.metrics.mean import Mean as Mean
from fastnn.metrics.mean import MeanMetricWrapper as MeanMetricWrapper
from fastnn.metrics.mean import Sum as Sum
from fastnn.metrics.probabilistic import BinaryCrossentropy as BinaryCrossentropy
from fastnn.metrics.probabilistic import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from fastnn.metrics.probabilistic import CategoricalHinge as CategoricalHinge
from fastnn.metrics.probabilistic import Hinge as Hinge
from fastnn.metrics.probabilistic import KLDivergence as KLDivergence
from fastnn.metrics.probabilistic import Poisson as Poisson
from fastnn.metrics.probabilistic import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from fastnn.metrics.probabilistic import SquaredHinge as SquaredHinge
from fastnn.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from fastnn.metrics.regression import CosineSimilarity as CosineSimilarity
from fastnn.metrics.regression import LogCoshError as LogCoshError
from fastnn.metrics.regression import MeanAbsoluteError as MeanAbsoluteError
from fastnn.metrics.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from fastnn.metrics.regression import MeanSquaredError as MeanSquaredError
from fastnn.metrics.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from fastnn.metrics.regression import PearsonCorrelation as PearsonCorrelation
from fastnn.metrics.regression import R2Score as R2Score
from fastnn.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from fastnn.metrics.regression import concordance_correlation as concordance_correlation
from fastnn.metrics.regression import pearson_correlation as pearson_correlation
from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    resolve,
    serialize_keras_object,
)

_TABLE = exported("keras.metrics")
# A name of a function that has a class stands for the class, as in Keras.
_TABLE |= {to_snake_case(k): v for k, v in _TABLE.items() if isinstance(v, type)}
for _short, _class in {
    "bce": BinaryCrossentropy,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}.items():
    _TABLE[_short] = _TABLE[_short.upper()] = _class


def serialize(metric: Any) -> Any:
    """The config dict of a metric function or object."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Any:
    """A metric by name, config, class or callable; None stays None."""
    return resolve(identifier, _TABLE, "metric")


def resolve_metric(
    identifier: Any,
    y_true_shape: Sequence[int | None] | None = None,
    y_pred_shape: Sequence[int | None] | None = None,
    loss: Any = None,
) -> Metric:
    """The Metric that one entry of `compile(metrics=...)` means for an output.

    `"accuracy"` and `"acc"` (and `"crossentropy"`, `"ce"`) become the binary, sparse or
    categorical one by the shapes of labels and predictions, or by the loss while these
    are unknown. The name the user gave is the name in the logs.

    Args:
        identifier: name, function, config, class or Metric.
        y_true_shape: shape of a batch of labels.
        y_pred_shape: shape of a batch of predictions.
        loss: loss of the output: name, function or Loss.
    """
    if isinstance(identifier, Metric):
        return identifier
    found: Any
    kinds: tuple[type[Metric], ...] | None = None
    if identifier in ("accuracy", "acc"):
        kinds = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)
    elif identifier in ("crossentropy", "ce"):
        kinds = (
            BinaryCrossentropy,
            SparseCategoricalCrossentropy,
            CategoricalCrossentropy,
        )
    if kinds is not None:
        found = kinds[_kind_of_labels(y_true_shape, y_pred_shape, loss)](
            name=identifier
        )
    else:
        found = get(identifier)
    if isinstance(found, Metric):
        if isinstance(identifier, str):
            found.name = identifier
        return found
    name = identifier if isinstance(identifier, str) else None
    return MeanMetricWrapper(found, name=name or getattr(found, "__name__", None))


def _kind_of_labels(
    y_true_shape: Sequence[int | None] | None,
    y_pred_shape: Sequence[int | None] | None,
    loss: Any,
) -> int:
    """0 for yes/no labels, 1 for class indices, 2 for one-hot labels."""
    if y_true_shape and y_pred_shape:
        if y_pred_shape[-1] == 1 or len(y_pred_shape) == 1:
            return 0
        sparse = len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1
        return 1 if sparse else 2
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None)
    name = to_snake_case(name or type(loss).__name__)
    if name.startswith("sparse_"):
        return 1
    return 2 if name.startswith("categorical_") else 0
