# SPDX-License-Identifier: Apache-2.0
"""Callbacks: code that runs at fixed moments of fit, evaluate and predict."""

from __future__ import annotations

from fastnn import _lazy

__getattr__, __dir__, __all__ = _lazy.attach(__name__)
