# SPDX-License-Identifier: Apache-2.0
"""The Keras face of fastnn: `from fastnn import keras`. Names only, loaded on use."""

from __future__ import annotations

from importlib import import_module

_MODULES = {
    name: f"fastnn.{name}"
    for name in """activations callbacks config constraints datasets initializers layers
    losses metrics models ops optimizers random regularizers tree utils""".split()
}
_NAMES = {
    "Initializer": "fastnn.initializers",
    "Input": "fastnn.layers",
    "InputSpec": "fastnn.layers",
    "Layer": "fastnn.layers",
    "Loss": "fastnn.losses",
    "Metric": "fastnn.metrics",
    "Model": "fastnn.models",
    "Optimizer": "fastnn.optimizers",
    "Regularizer": "fastnn.regularizers",
    "Sequential": "fastnn.models",
    "Variable": "fastnn.autodiff.tensor",
    "__version__": "fastnn",
}

__all__ = sorted([*_MODULES, *_NAMES])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'fastnn.keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
