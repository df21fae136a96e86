# SPDX-License-Identifier: Apache-2.0
"""fastnn: Keras-compatible deep learning on native kernels and compiled plans.

`import fastnn as keras` has Keras 3's top-level names; `from fastnn import keras, tf`
gives the two facades. Everything is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fastnn import activations as activations
    from fastnn import backend as backend
    from fastnn import callbacks as callbacks
    from fastnn import config as config
    from fastnn import constraints as constraints
    from fastnn import datasets as datasets
    from fastnn import dtype_policies as dtype_policies
    from fastnn import initializers as initializers
    from fastnn import keras as keras
    from fastnn import layers as layers
    from fastnn import losses as losses
    from fastnn import metrics as metrics
    from fastnn import mixed_precision as mixed_precision
    from fastnn import models as models
    from fastnn import onnx as onnx
    from fastnn import ops as ops
    from fastnn import optimizers as optimizers
    from fastnn import random as random
    from fastnn import regularizers as regularizers
    from fastnn import saving as saving
    from fastnn import tf as tf
    from fastnn import tree as tree
    from fastnn import utils as utils
    from fastnn._names import name_scope as name_scope
    from fastnn.autodiff.grad import GradientTape as GradientTape
    from fastnn.autodiff.grad import custom_gradient as custom_gradient
    from fastnn.autodiff.grad import grad as grad
    from fastnn.autodiff.grad import stop_gradient as stop_gradient
    from fastnn.autodiff.grad import value_and_grad as value_and_grad
    from fastnn.autodiff.interop import from_dlpack as from_dlpack
    from fastnn.autodiff.jacobians import hessian as hessian
    from fastnn.autodiff.remat import RematScope as RematScope
    from fastnn.autodiff.remat import remat as remat
    from fastnn.autodiff.scopes import SymbolicScope as SymbolicScope
    from fastnn.autodiff.scopes import device as device
    from fastnn.autodiff.stateless import StatelessScope as StatelessScope
    from fastnn.autodiff.tensor import Tensor as Tensor
    from fastnn.autodiff.tensor import Variable as Variable
    from fastnn.autodiff.tensor import convert_to_tensor as convert_to_tensor
    from fastnn.dtype_policies import DTypePolicy as DTypePolicy
    from fastnn.dtype_policies import FloatDTypePolicy as FloatDTypePolicy
    from fastnn.graph.compile import function as function
    from fastnn.graph.signatures import TensorSpec as TensorSpec
    from fastnn.initializers import Initializer as Initializer
    from fastnn.layers import Input as Input
    from fastnn.layers import InputSpec as InputSpec
    from fastnn.layers import Layer as Layer
    from fastnn.losses import Loss as Loss
    from fastnn.metrics import Metric as Metric
    from fastnn.models import Model as Model
    from fastnn.models import Sequential as Sequential
    from fastnn.optimizers import Optimizer as Optimizer
    from fastnn.random import SeedGenerator as SeedGenerator
    from fastnn.regularizers import Regularizer as Regularizer
    from fastnn.symbolic.base import Operation as Operation
    from fastnn.symbolic.function import Function as Function
    from fastnn.symbolic.tensor import KerasTensor as KerasTensor

_MODULES = frozenset(
    """activations backend callbacks classic config constraints datasets dtype_policies
    initializers keras layers losses metrics mixed_precision models onnx ops optimizers
    preprocessing random regularizers saving tf tree utils visualization
    wrappers""".split()
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
