# SPDX-License-Identifier: Apache-2.0
"""The Keras face of fastnn: `from fastnn import keras`. Names only, loaded on use.

`from fastnn.keras.layers import Dense` works as well: a script changes its import line
only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

_MODULES = {
    name: f"fastnn.{name}"
    for name in """activations applications backend callbacks config constraints
    datasets dtype_policies initializers layers legacy losses metrics mixed_precision
    models ops optimizers preprocessing random regularizers saving tree utils
    visualization wrappers""".split()
}
_NAMES = {
    "DTypePolicy": "fastnn.dtype_policies",
    "FloatDTypePolicy": "fastnn.dtype_policies",
    "Function": "fastnn.symbolic.function",
    "Initializer": "fastnn.initializers",
    "Input": "fastnn.layers",
    "InputSpec": "fastnn.layers",
    "KerasTensor": "fastnn.symbolic.tensor",
    "Layer": "fastnn.layers",
    "Loss": "fastnn.losses",
    "Metric": "fastnn.metrics",
    "Model": "fastnn.models",
    "Operation": "fastnn.symbolic.base",
    "Optimizer": "fastnn.optimizers",
    "Regularizer": "fastnn.regularizers",
    "RematScope": "fastnn.autodiff.remat",
    "Sequential": "fastnn.models",
    "StatelessScope": "fastnn.autodiff.stateless",
    "SymbolicScope": "fastnn.autodiff.scopes",
    "Variable": "fastnn.autodiff.tensor",
    "__version__": "fastnn",
    "device": "fastnn.autodiff.scopes",
    "name_scope": "fastnn._names",
    "remat": "fastnn.autodiff.remat",
    "version": "fastnn",
}

__all__ = sorted([*_MODULES, *_NAMES])


class _Alias:
    """Imports `fastnn.keras.<module>...` as the module `fastnn.<module>...` itself."""

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> ModuleSpec | None:
        if not name.startswith(f"{__name__}."):
            return None
        if name.split(".")[2] in _MODULES:
            return ModuleSpec(name, _Alias)  # type: ignore[arg-type]
        raise _no_module(name)

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """An empty module, which is replaced at once: the real one keeps its spec."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        own = module.__name__
        real = own.replace(__name__, "fastnn", 1)
        try:
            sys.modules[own] = import_module(real)
        except ModuleNotFoundError as error:
            if error.name != real:
                raise
            raise _no_module(own) from None


def _no_module(name: str) -> ModuleNotFoundError:
    from fastnn._absent import remark

    text = remark(name)
    # Under another name than asked for, or `from fastnn.keras import x` would hide it.
    missing = name.replace(__name__, "fastnn", 1) if text else name
    return ModuleNotFoundError(f"No module named {name!r}{text}", name=missing)


# First: the finder of files would load a module of fastnn a second time.
sys.meta_path.insert(0, _Alias)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    from fastnn._absent import not_there

    raise not_there("fastnn.keras", name)


def __dir__() -> list[str]:
    return list(__all__)
