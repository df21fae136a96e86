# SPDX-License-Identifier: Apache-2.0
"""From what users call data to batches of arrays."""

from fastnn.data.adapters import (
    ArrayData,
    StreamData,
    adapt,
)
from fastnn.data.arrays import is_arrays
from fastnn.data.weights import class_weight_to_sample_weights
from fastnn.utils.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight

__all__ = [
    "ArrayData",
    "StreamData",
    "adapt",
    "class_weight_to_sample_weights",
    "is_arrays",
    "pack_x_y_sample_weight",
    "unpack_x_y_sample_weight",
]
