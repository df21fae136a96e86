# SPDX-License-Identifier: Apache-2.0
"""Models in files: `.keras`, `.weights.h5` and `.h5`, written whole, read with care."""

from __future__ import annotations

from fastnn._registry import CustomObjectScope as CustomObjectScope
from fastnn._registry import custom_object_scope as custom_object_scope
from fastnn._registry import get_custom_objects as get_custom_objects
from fastnn._registry import get_registered_name as get_registered_name
from fastnn._registry import get_registered_object as get_registered_object
from fastnn._registry import register_keras_serializable as register_keras_serializable
from fastnn.errors import ModelFileError as ModelFileError
from fastnn.saving.api import load_model as load_model
from fastnn.saving.api import load_weights as load_weights
from fastnn.saving.api import save_model as save_model
from fastnn.saving.api import save_weights as save_weights
from fastnn.serialization import deserialize_keras_object as deserialize_keras_object
from fastnn.serialization import serialize_keras_object as serialize_keras_object
