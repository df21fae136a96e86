# SPDX-License-Identifier: Apache-2.0
"""Names of Keras's `keras.utils` that other parts of fastnn define."""

from __future__ import annotations

from fastnn._names import clear_session
from fastnn._registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.backend import is_keras_tensor, standardize_dtype
from fastnn.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from fastnn.seeds import set_random_seed
from fastnn.serialization import deserialize_keras_object, serialize_keras_object
from fastnn.symbolic.node import get_source_inputs

__all__ = [
    "clear_session",
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "is_keras_tensor",
    "standardize_dtype",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "set_random_seed",
    "deserialize_keras_object",
    "serialize_keras_object",
    "get_source_inputs",
]
