# SPDX-License-Identifier: Apache-2.0
"""Keras's other name for `keras.legacy.saving`."""

from __future__ import annotations

from fastnn.legacy.saving import (
    deserialize_keras_object as deserialize_keras_object,
)
from fastnn.legacy.saving import serialize_keras_object as serialize_keras_object
