# SPDX-License-Identifier: Apache-2.0
"""Layers by config."""

from __future__ import annotations

from typing import Any

from fastnn.layers.layer import Layer
from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    serialize_keras_object,
)

_TABLE = exported("keras.layers")


def serialize(layer: Layer) -> dict[str, Any]:
    """Describes a layer by plain data; see `deserialize`."""
    config: dict[str, Any] = serialize_keras_object(layer)
    return config


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Layer:
    """Makes a layer from what `serialize` returned.

    Args:
        config: dict with `class_name` and `config`.
        custom_objects: name -> class, for layers that are not registered.

    Raises:
        ValueError: when the config does not describe a layer.
    """
    layer = deserialize_keras_object(config, custom_objects, module_objects=_TABLE)
    if not isinstance(layer, Layer):
        raise ValueError(f"[layers.deserialize] {config!r} does not describe a layer.")
    return layer


__all__ = ["deserialize", "serialize"]
