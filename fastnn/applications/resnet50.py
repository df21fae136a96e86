# SPDX-License-Identifier: Apache-2.0
"""ResNet50 under the name of its own module."""

from __future__ import annotations

from fastnn.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
