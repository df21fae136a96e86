# SPDX-License-Identifier: Apache-2.0
"""Models in files: `.keras`, `.weights.h5` and `.h5`, written whole, read with care."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
