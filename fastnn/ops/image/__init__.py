# SPDX-License-Identifier: Apache-2.0
"""`keras.ops.image`: (batch, height, width, channels), or one without a batch."""

from __future__ import annotations

from fastnn import _lazy
from fastnn.ops import _symbolic

__getattr__, __dir__, __all__ = _lazy.attach(__name__, _symbolic.aware)
