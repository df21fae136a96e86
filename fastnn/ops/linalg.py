# SPDX-License-Identifier: Apache-2.0
"""Keras's `keras.ops.linalg`: those functions of fastnn.ops that are linear algebra."""

from __future__ import annotations

from fastnn.ops import _namespaces

__getattr__, __dir__, __all__ = _namespaces.attach(__name__)
