# SPDX-License-Identifier: Apache-2.0
"""Data sets to learn with: downloaded once, checked by SHA-256, cached, read by NumPy.

Each module has `load_data`, which returns `(x_train, y_train), (x_test, y_test)` as
NumPy arrays. Files are kept in `FASTNN_HOME/datasets/<name>`; the default of
`FASTNN_HOME` is `fastnn` in the user's cache folder.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_MODULES = """boston_housing california_housing cifar10 cifar100 fashion_mnist imdb
    mnist reuters""".split()
_NAMES = {"read_csv": "fastnn.datasets._csv", "read_idx": "fastnn.datasets._idx"}

__all__ = sorted([*_MODULES, *_NAMES])


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _MODULES:
        module: ModuleType = import_module(f"fastnn.datasets.{name}")
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
