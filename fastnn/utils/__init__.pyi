# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
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
from fastnn.utils.directory_datasets import (
    audio_dataset_from_directory as audio_dataset_from_directory,
)
from fastnn.utils.directory_datasets import (
    image_dataset_from_directory as image_dataset_from_directory,
)
from fastnn.utils.directory_datasets import (
    text_dataset_from_directory as text_dataset_from_directory,
)
from fastnn.utils.elsewhere import CustomObjectScope as CustomObjectScope
from fastnn.utils.elsewhere import clear_session as clear_session
from fastnn.utils.elsewhere import custom_object_scope as custom_object_scope
from fastnn.utils.elsewhere import deserialize_keras_object as deserialize_keras_object
from fastnn.utils.elsewhere import (
    disable_interactive_logging as disable_interactive_logging,
)
from fastnn.utils.elsewhere import (
    enable_interactive_logging as enable_interactive_logging,
)
from fastnn.utils.elsewhere import get_custom_objects as get_custom_objects
from fastnn.utils.elsewhere import get_registered_name as get_registered_name
from fastnn.utils.elsewhere import get_registered_object as get_registered_object
from fastnn.utils.elsewhere import get_source_inputs as get_source_inputs
from fastnn.utils.elsewhere import (
    is_interactive_logging_enabled as is_interactive_logging_enabled,
)
from fastnn.utils.elsewhere import is_keras_tensor as is_keras_tensor
from fastnn.utils.elsewhere import (
    register_keras_serializable as register_keras_serializable,
)
from fastnn.utils.elsewhere import serialize_keras_object as serialize_keras_object
from fastnn.utils.elsewhere import set_random_seed as set_random_seed
from fastnn.utils.elsewhere import standardize_dtype as standardize_dtype
from fastnn.utils.event_files import EventWriter as EventWriter
from fastnn.utils.files import get_file as get_file
from fastnn.utils.images import array_to_img as array_to_img
from fastnn.utils.images import img_to_array as img_to_array
from fastnn.utils.images import load_img as load_img
from fastnn.utils.images import save_img as save_img
from fastnn.utils.learning_rates import find_learning_rate as find_learning_rate
from fastnn.utils.model_plots import model_to_dot as model_to_dot
from fastnn.utils.model_plots import plot_model as plot_model
from fastnn.utils.plots import plot_confusion_matrix as plot_confusion_matrix
from fastnn.utils.plots import plot_history as plot_history
from fastnn.utils.progbar import Progbar as Progbar
from fastnn.utils.py_dataset import PyDataset as PyDataset
from fastnn.utils.py_dataset import Sequence as Sequence

__all__ = [
    "Config",
    "CustomObjectScope",
    "EventWriter",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "find_learning_rate",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_confusion_matrix",
    "plot_history",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
