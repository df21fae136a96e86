# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.saving.api import load_model as load_model
from fastnn.saving.api import load_weights as load_weights
from fastnn.saving.api import save_model as save_model
from fastnn.saving.api import save_weights as save_weights
from fastnn.saving.elsewhere import CustomObjectScope as CustomObjectScope
from fastnn.saving.elsewhere import ModelFileError as ModelFileError
from fastnn.saving.elsewhere import custom_object_scope as custom_object_scope
from fastnn.saving.elsewhere import deserialize_keras_object as deserialize_keras_object
from fastnn.saving.elsewhere import get_custom_objects as get_custom_objects
from fastnn.saving.elsewhere import get_registered_name as get_registered_name
from fastnn.saving.elsewhere import get_registered_object as get_registered_object
from fastnn.saving.elsewhere import (
    register_keras_serializable as register_keras_serializable,
)
from fastnn.saving.elsewhere import serialize_keras_object as serialize_keras_object
from fastnn.saving.file_editor import KerasFileEditor as KerasFileEditor
from fastnn.saving.formats import load_arrays as load_arrays
from fastnn.saving.formats import save_arrays as save_arrays

__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "ModelFileError",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_arrays",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_arrays",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
