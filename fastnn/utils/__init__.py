# SPDX-License-Identifier: Apache-2.0
"""Helpers around training: labels, data sets, images, seeds, names, registration."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
