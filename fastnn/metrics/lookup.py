# SPDX-License-Identifier: Apache-2.0
"""Metrics by name and config, and what a name means for an output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastnn import _lazy
from fastnn._names import to_snake_case
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import MeanMetricWrapper
from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    resolve,
    serialize_keras_object,
)

_MODULE = "keras.metrics"
# A name of a function that has a class stands for the class, as in Keras.
_SNAKE = {to_snake_case(n): n for n in _lazy.homes(_MODULE) if n[0].isupper()}
_SHORT = {
    "bce": "BinaryCrossentropy",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
}
_UPPER = {short.upper(): name for short, name in _SHORT.items()}
_TABLE = exported(_MODULE, {**_SNAKE, **_SHORT, **_UPPER})

# By what `_kind_of_labels` finds.
_ACCURACY = ("BinaryAccuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy")
_CROSSENTROPY = (
    "BinaryCrossentropy",
    "SparseCategoricalCrossentropy",
    "CategoricalCrossentropy",
)
_BY_LABELS = {
    "accuracy": _ACCURACY,
    "acc": _ACCURACY,
    "crossentropy": _CROSSENTROPY,
    "ce": _CROSSENTROPY,
}


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
    if isinstance(identifier, str) and identifier in _BY_LABELS:
        kind = _kind_of_labels(y_true_shape, y_pred_shape, loss)
        found = _TABLE[_BY_LABELS[identifier][kind]](name=identifier)
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


__all__ = ["deserialize", "get", "resolve_metric", "serialize"]
