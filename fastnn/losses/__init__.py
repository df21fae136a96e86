# SPDX-License-Identifier: Apache-2.0
"""Losses: classes with a reduction, and functions with one value per instance."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
