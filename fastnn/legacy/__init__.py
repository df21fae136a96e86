# SPDX-License-Identifier: Apache-2.0
"""What Keras 3 keeps of older Keras: `keras.legacy.saving`."""

from __future__ import annotations

from fastnn.legacy import saving as saving
