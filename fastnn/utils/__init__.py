# SPDX-License-Identifier: Apache-2.0
"""Helpers around training: labels, data sets, images, seeds, names, registration."""

from __future__ import annotations

from fastnn._names import clear_session as clear_session
from fastnn._registry import CustomObjectScope as CustomObjectScope
from fastnn._registry import custom_object_scope as custom_object_scope
from fastnn._registry import get_custom_objects as get_custom_objects
from fastnn._registry import get_registered_name as get_registered_name
from fastnn._registry import get_registered_object as get_registered_object
from fastnn._registry import register_keras_serializable as register_keras_serializable
from fastnn.backend import is_keras_tensor as is_keras_tensor
from fastnn.backend import standardize_dtype as standardize_dtype
from fastnn.config import disable_interactive_logging as disable_interactive_logging
from fastnn.config import enable_interactive_logging as enable_interactive_logging
from fastnn.config import (
    is_interactive_logging_enabled as is_interactive_logging_enabled,
)
from fastnn.seeds import set_random_seed as set_random_seed
from fastnn.serialization import deserialize_keras_object as deserialize_keras_object
from fastnn.serialization import serialize_keras_object as serialize_keras_object
from fastnn.symbolic.node import get_source_inputs as get_source_inputs
from fastnn.utils.arrays import normalize as normalize
from fastnn.utils.arrays import pad_sequences as pad_sequences
from fastnn.utils.arrays import to_categorical as to_categorical
from fastnn.utils.batches import pack_x_y_sample_weight as pack_x_y_sample_weight
from fastnn.utils.batches import unpack_x_y_sample_weight as unpack_x_y_sample_weight
from fastnn.utils.config import Config as Config
from fastnn.utils.datasets import split_dataset as split_dataset
from fastnn.utils.datasets import (
    timeseries_dataset_from_array as timeseries_dataset_from_array,
)
from fastnn.utils.images import array_to_img as array_to_img
from fastnn.utils.images import img_to_array as img_to_array
from fastnn.utils.images import load_img as load_img
from fastnn.utils.images import save_img as save_img
from fastnn.utils.progbar import Progbar as Progbar
from fastnn.utils.py_dataset import PyDataset as PyDataset

Sequence = PyDataset  # its name in Keras 2
