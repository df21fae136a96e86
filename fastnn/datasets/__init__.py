# SPDX-License-Identifier: Apache-2.0
"""Data sets to learn with: downloaded once, checked by SHA-256, cached, read by NumPy.

Each module has `load_data`, which returns `(x_train, y_train), (x_test, y_test)` as
NumPy arrays. Files are kept in `FASTNN_HOME/datasets/<name>`; the default of
`FASTNN_HOME` is `fastnn` in the user's cache folder.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = """boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist
    read_csv read_idx reuters""".split()


def __getattr__(name: str) -> object:
    if name == "read_csv":
        return import_module("fastnn.datasets._csv").read_csv
    if name == "read_idx":
        return import_module("fastnn.datasets._idx").read_idx
    if name in __all__:
        module: ModuleType = import_module(f"fastnn.datasets.{name}")
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
