# SPDX-License-Identifier: Apache-2.0
"""Keras's `keras.ops.numpy`: those functions of fastnn.ops that NumPy has too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    def __getattr__(name: str) -> Any: ...  # put here by _namespaces.fill
