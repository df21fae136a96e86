# SPDX-License-Identifier: Apache-2.0
"""Names of Keras's `keras.models` that `fastnn.saving` defines."""

from __future__ import annotations

from fastnn.saving.api import load_model, model_from_json, save_model

__all__ = ["load_model", "model_from_json", "save_model"]
