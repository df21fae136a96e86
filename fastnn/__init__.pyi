# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn import activations as activations
from fastnn import applications as applications
from fastnn import backend as backend
from fastnn import callbacks as callbacks
from fastnn import classic as classic
from fastnn import config as config
from fastnn import constraints as constraints
from fastnn import datasets as datasets
from fastnn import dtype_policies as dtype_policies
from fastnn import initializers as initializers
from fastnn import keras as keras
from fastnn import layers as layers
from fastnn import legacy as legacy
from fastnn import losses as losses
from fastnn import metrics as metrics
from fastnn import mixed_precision as mixed_precision
from fastnn import models as models
from fastnn import onnx as onnx
from fastnn import ops as ops
from fastnn import optimizers as optimizers
from fastnn import preprocessing as preprocessing
from fastnn import random as random
from fastnn import regularizers as regularizers
from fastnn import saving as saving
from fastnn import tf as tf
from fastnn import tree as tree
from fastnn import utils as utils
from fastnn import visualization as visualization
from fastnn import wrappers as wrappers
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

__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "GradientTape",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Regularizer",
    "RematScope",
    "SeedGenerator",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Tensor",
    "TensorSpec",
    "Variable",
    "__version__",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "classic",
    "config",
    "constraints",
    "convert_to_tensor",
    "custom_gradient",
    "datasets",
    "device",
    "dtype_policies",
    "from_dlpack",
    "function",
    "grad",
    "hessian",
    "initializers",
    "keras",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "onnx",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "remat",
    "saving",
    "stop_gradient",
    "tf",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
    "wrappers",
]

__version__: str

def version() -> str: ...
