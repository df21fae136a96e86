# SPDX-License-Identifier: Apache-2.0
"""Helpers around training: labels, sequences, seeds, names, registration."""

from __future__ import annotations

from fastnn._names import clear_session as clear_session
from fastnn._registry import CustomObjectScope as CustomObjectScope
from fastnn._registry import custom_object_scope as custom_object_scope
from fastnn._registry import get_custom_objects as get_custom_objects
from fastnn._registry import get_registered_name as get_registered_name
from fastnn._registry import get_registered_object as get_registered_object
from fastnn._registry import register_keras_serializable as register_keras_serializable
from fastnn.seeds import set_random_seed as set_random_seed
from fastnn.serialization import deserialize_keras_object as deserialize_keras_object
from fastnn.serialization import serialize_keras_object as serialize_keras_object
from fastnn.utils.arrays import normalize as normalize
from fastnn.utils.arrays import pad_sequences as pad_sequences
from fastnn.utils.arrays import to_categorical as to_categorical
from fastnn.utils.py_dataset import PyDataset as PyDataset
