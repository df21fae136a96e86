# SPDX-License-Identifier: Apache-2.0
"""fastnn: Keras-compatible deep learning on native kernels and compiled plans.

`import fastnn as keras` has Keras 3's top-level names; `from fastnn import keras, tf`
gives the two facades. Everything is loaded on first use.
"""

from __future__ import annotations

__version__ = "0.1.0"

_MODULES = frozenset(
    """activations applications backend callbacks classic config constraints datasets
    dtype_policies initializers keras layers legacy losses metrics mixed_precision
    models onnx ops optimizers preprocessing random regularizers saving tf tree utils
    visualization wrappers""".split()
)
_NAMES = {
    "name_scope": "fastnn._names",
    "GradientTape": "fastnn.autodiff.grad",
    "custom_gradient": "fastnn.autodiff.grad",
    "grad": "fastnn.autodiff.grad",
    "stop_gradient": "fastnn.autodiff.grad",
    "value_and_grad": "fastnn.autodiff.grad",
    "from_dlpack": "fastnn.autodiff.interop",
    "hessian": "fastnn.autodiff.jacobians",
    "RematScope": "fastnn.autodiff.remat",
    "remat": "fastnn.autodiff.remat",
    "SymbolicScope": "fastnn.autodiff.scopes",
    "device": "fastnn.autodiff.scopes",
    "StatelessScope": "fastnn.autodiff.stateless",
    "Tensor": "fastnn.autodiff.tensor",
    "Variable": "fastnn.autodiff.tensor",
    "convert_to_tensor": "fastnn.autodiff.tensor",
    "DTypePolicy": "fastnn.dtype_policies",
    "FloatDTypePolicy": "fastnn.dtype_policies",
    "function": "fastnn.graph.compile",
    "TensorSpec": "fastnn.graph.signatures",
    "Initializer": "fastnn.initializers",
    "Input": "fastnn.layers",
    "InputSpec": "fastnn.layers",
    "Layer": "fastnn.layers",
    "Loss": "fastnn.losses",
    "Metric": "fastnn.metrics",
    "Model": "fastnn.models",
    "Sequential": "fastnn.models",
    "Optimizer": "fastnn.optimizers",
    "SeedGenerator": "fastnn.random",
    "Regularizer": "fastnn.regularizers",
    "Operation": "fastnn.symbolic.base",
    "Function": "fastnn.symbolic.function",
    "KerasTensor": "fastnn.symbolic.tensor",
}

__all__ = ["__version__", *sorted(_MODULES), *sorted([*_NAMES, "version"])]


def version() -> str:
    """The version of fastnn, as `__version__`."""
    return __version__


def __getattr__(name: str) -> object:
    from fastnn._lazy import load_module

    if name in _MODULES:
        return load_module(f"fastnn.{name}")
    module = _NAMES.get(name)
    if module is None:
        from fastnn._absent import not_there

        raise not_there("fastnn", name)
    value = getattr(load_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


# The native library loads with the package: its absence should be found here.
from fastnn import _core as _core  # noqa: E402
from fastnn import _threadpools  # noqa: E402

_threadpools.offer()
