# SPDX-License-Identifier: Apache-2.0
"""Layers: building blocks that hold weights and compute on tensors."""

from __future__ import annotations

from typing import Any

from fastnn._registry import exported
from fastnn.layers.activation import (
    ELU,
    Activation,
    LeakyReLU,
    PReLU,
    ReLU,
    RReLU,
    Softmax,
)
from fastnn.layers.adaptive_pooling import *  # noqa: F403  (its __all__ is explicit)
from fastnn.layers.adaptive_pooling import __all__ as _adaptive_pooling
from fastnn.layers.batch_normalization import BatchNormalization
from fastnn.layers.borders import *  # noqa: F403
from fastnn.layers.borders import __all__ as _borders
from fastnn.layers.conv import *  # noqa: F403
from fastnn.layers.conv import __all__ as _conv
from fastnn.layers.conv_transpose import *  # noqa: F403
from fastnn.layers.conv_transpose import __all__ as _conv_transpose
from fastnn.layers.dense import Dense
from fastnn.layers.depthwise_conv import *  # noqa: F403
from fastnn.layers.depthwise_conv import __all__ as _depthwise_conv
from fastnn.layers.dropout import Dropout
from fastnn.layers.embedding import Embedding
from fastnn.layers.functions import *  # noqa: F403
from fastnn.layers.functions import __all__ as _functions
from fastnn.layers.global_pooling import *  # noqa: F403
from fastnn.layers.global_pooling import __all__ as _global_pooling
from fastnn.layers.input import Input, InputLayer
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.layers.merging import *  # noqa: F403
from fastnn.layers.merging import __all__ as _merging
from fastnn.layers.noise import *  # noqa: F403
from fastnn.layers.noise import __all__ as _noise
from fastnn.layers.normalization import *  # noqa: F403
from fastnn.layers.normalization import __all__ as _normalization
from fastnn.layers.pooling import *  # noqa: F403
from fastnn.layers.pooling import __all__ as _pooling
from fastnn.layers.preprocessing import *  # noqa: F403
from fastnn.layers.preprocessing import __all__ as _preprocessing
from fastnn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from fastnn.layers.up_sampling import *  # noqa: F403
from fastnn.layers.up_sampling import __all__ as _up_sampling
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
    *_adaptive_pooling,
    *_borders,
    *_conv,
    *_conv_transpose,
    *_depthwise_conv,
    *_functions,
    *_global_pooling,
    *_merging,
    *_noise,
    *_normalization,
    *_pooling,
    *_preprocessing,
    *_up_sampling,
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LeakyReLU",
    "PReLU",
    "RReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Softmax",
    "deserialize",
    "serialize",
]
