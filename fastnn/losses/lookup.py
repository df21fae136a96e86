# SPDX-License-Identifier: Apache-2.0
"""Losses by name and config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    resolve,
    serialize_keras_object,
)

_SHORT = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_KERAS_2 = {
    "huber_loss": "huber",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}
_UPPER = {short.upper(): name for short, name in _SHORT.items()}
_TABLE = exported("keras.losses", {**_SHORT, **_UPPER, **_KERAS_2})


def serialize(loss: Any) -> Any:
    """The config dict of a loss function or object."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that `serialize` described."""
    return deserialize_keras_object(name, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Any:
    """A loss by name (`"mse"`), config, class or callable; None stays None.

    A function's name gives the function, a class name an instance.
    """
    return resolve(identifier, _TABLE, "loss")


__all__ = ["deserialize", "get", "serialize"]
