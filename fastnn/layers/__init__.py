# SPDX-License-Identifier: Apache-2.0
"""Layers: building blocks that hold weights and compute on tensors."""

from __future__ import annotations

from typing import Any

from fastnn._registry import exported
from fastnn.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout
from fastnn.layers.input import Input, InputLayer
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from fastnn.serialization import deserialize_keras_object, serialize_keras_object


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
    layer = deserialize_keras_object(
        config, custom_objects, module_objects=exported("keras.layers")
    )
    if not isinstance(layer, Layer):
        raise ValueError(f"[layers.deserialize] {config!r} does not describe a layer.")
    return layer


__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "ELU",
    "Flatten",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LeakyReLU",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Softmax",
    "deserialize",
    "serialize",
]
