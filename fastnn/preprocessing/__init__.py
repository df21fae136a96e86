# SPDX-License-Identifier: Apache-2.0
"""Keras's older place of functions that live in fastnn.utils."""

from __future__ import annotations

from fastnn.preprocessing import image as image
from fastnn.preprocessing import sequence as sequence
from fastnn.utils.datasets import (
    timeseries_dataset_from_array as timeseries_dataset_from_array,
)
from fastnn.utils.directory_datasets import (
    image_dataset_from_directory as image_dataset_from_directory,
)
from fastnn.utils.directory_datasets import (
    text_dataset_from_directory as text_dataset_from_directory,
)
