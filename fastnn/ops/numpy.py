# SPDX-License-Identifier: Apache-2.0
"""Keras's `keras.ops.numpy`: those functions of fastnn.ops that NumPy has too."""

from __future__ import annotations

from fastnn.ops import _namespaces

__getattr__, __dir__, __all__ = _namespaces.attach(__name__)
