# SPDX-License-Identifier: Apache-2.0
"""Metrics: classes that accumulate over batches, functions of single instances."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
