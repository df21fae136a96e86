# SPDX-License-Identifier: Apache-2.0
"""Old spellings: `keras.optimizers.legacy.Adam` is `keras.optimizers.Adam`.

In Keras 3 these names only raise an error.
"""

from __future__ import annotations

from typing import Any

from fastnn import optimizers
from fastnn.errors import warn_renamed

NAMES = ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD")


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed(f"keras.optimizers.legacy.{name}", f"keras.optimizers.{name}")
    return getattr(optimizers, name)


def __dir__() -> list[str]:
    return list(NAMES)
