# SPDX-License-Identifier: Apache-2.0
"""Layers: building blocks that hold weights and compute on tensors."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
