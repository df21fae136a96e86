# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn import errors as errors
from fastnn import keras as keras
from fastnn import random as random
from fastnn.autodiff.assignments import IndexedSlices as IndexedSlices
from fastnn.autodiff.grad import GradientTape as GradientTape
from fastnn.autodiff.grad import custom_gradient as custom_gradient
from fastnn.autodiff.grad import stop_gradient as stop_gradient
from fastnn.autodiff.tensor import Tensor as Tensor
from fastnn.autodiff.tensor import Variable as Variable
from fastnn.graph import autograph as autograph
from fastnn.graph.compile import function as function
from fastnn.graph.signatures import TensorSpec as TensorSpec
from fastnn.ops import abs as abs
from fastnn.ops import add as add
from fastnn.ops import all as reduce_all
from fastnn.ops import any as reduce_any
from fastnn.ops import arange as range
from fastnn.ops import arccos as acos
from fastnn.ops import arcsin as asin
from fastnn.ops import arctan as atan
from fastnn.ops import arctan2 as atan2
from fastnn.ops import broadcast_to as broadcast_to
from fastnn.ops import cast as cast
from fastnn.ops import ceil as ceil
from fastnn.ops import clip as clip_by_value
from fastnn.ops import concatenate as concat
from fastnn.ops import cond as cond
from fastnn.ops import copy as identity
from fastnn.ops import cos as cos
from fastnn.ops import cosh as cosh
from fastnn.ops import divide as divide
from fastnn.ops import einsum as einsum
from fastnn.ops import equal as equal
from fastnn.ops import erf as erf
from fastnn.ops import exp as exp
from fastnn.ops import expand_dims as expand_dims
from fastnn.ops import expm1 as expm1
from fastnn.ops import eye as eye
from fastnn.ops import floor as floor
from fastnn.ops import floor_divide as floordiv
from fastnn.ops import full as fill
from fastnn.ops import greater as greater
from fastnn.ops import greater_equal as greater_equal
from fastnn.ops import is_tensor as is_tensor
from fastnn.ops import isfinite as isfinite
from fastnn.ops import isinf as isinf
from fastnn.ops import isnan as isnan
from fastnn.ops import less as less
from fastnn.ops import less_equal as less_equal
from fastnn.ops import linalg as linalg
from fastnn.ops import linspace as linspace
from fastnn.ops import log1p as log1p
from fastnn.ops import logical_and as logical_and
from fastnn.ops import logical_not as logical_not
from fastnn.ops import logical_or as logical_or
from fastnn.ops import logical_xor as logical_xor
from fastnn.ops import logsumexp as reduce_logsumexp
from fastnn.ops import max as reduce_max
from fastnn.ops import maximum as maximum
from fastnn.ops import mean as reduce_mean
from fastnn.ops import min as reduce_min
from fastnn.ops import minimum as minimum
from fastnn.ops import mod as floormod
from fastnn.ops import mod as mod
from fastnn.ops import multiply as multiply
from fastnn.ops import negative as negative
from fastnn.ops import norm as norm
from fastnn.ops import not_equal as not_equal
from fastnn.ops import one_hot as one_hot
from fastnn.ops import ones as ones
from fastnn.ops import ones_like as ones_like
from fastnn.ops import power as pow
from fastnn.ops import prod as reduce_prod
from fastnn.ops import reciprocal as reciprocal
from fastnn.ops import repeat as repeat
from fastnn.ops import reshape as reshape
from fastnn.ops import roll as roll
from fastnn.ops import round as round
from fastnn.ops import rsqrt as rsqrt
from fastnn.ops import searchsorted as searchsorted
from fastnn.ops import sigmoid as sigmoid
from fastnn.ops import sign as sign
from fastnn.ops import sin as sin
from fastnn.ops import sinh as sinh
from fastnn.ops import softplus as softplus
from fastnn.ops import split as split
from fastnn.ops import sqrt as sqrt
from fastnn.ops import square as square
from fastnn.ops import squared_difference as squared_difference
from fastnn.ops import squeeze as squeeze
from fastnn.ops import stack as stack
from fastnn.ops import std as reduce_std
from fastnn.ops import subtract as subtract
from fastnn.ops import sum as reduce_sum
from fastnn.ops import switch as switch_case
from fastnn.ops import tan as tan
from fastnn.ops import tanh as tanh
from fastnn.ops import tensordot as tensordot
from fastnn.ops import tile as tile
from fastnn.ops import transpose as transpose
from fastnn.ops import true_divide as truediv
from fastnn.ops import unstack as unstack
from fastnn.ops import var as reduce_variance
from fastnn.ops import vectorized_map as vectorized_map
from fastnn.ops import while_loop as while_loop
from fastnn.ops import zeros as zeros
from fastnn.ops import zeros_like as zeros_like
from fastnn.structures import images as image
from fastnn.structures import mathematics as math
from fastnn.structures import networks as nn
from fastnn.structures import queue as queue
from fastnn.structures import ragged as ragged
from fastnn.structures import sets as sets
from fastnn.structures import sparse as sparse
from fastnn.structures import strings as strings
from fastnn.structures.functions import TensorShape as TensorShape
from fastnn.structures.functions import add_n as add_n
from fastnn.structures.functions import argmax as argmax
from fastnn.structures.functions import argmin as argmin
from fastnn.structures.functions import argsort as argsort
from fastnn.structures.functions import boolean_mask as boolean_mask
from fastnn.structures.functions import cumsum as cumsum
from fastnn.structures.functions import gather as gather
from fastnn.structures.functions import gather_nd as gather_nd
from fastnn.structures.functions import map_fn as map_fn
from fastnn.structures.functions import numpy_function as numpy_function
from fastnn.structures.functions import pad as pad
from fastnn.structures.functions import py_function as py_function
from fastnn.structures.functions import rank as rank
from fastnn.structures.functions import reverse as reverse
from fastnn.structures.functions import shape as shape
from fastnn.structures.functions import size as size
from fastnn.structures.functions import sort as sort
from fastnn.structures.ragged_tensor import RaggedTensor as RaggedTensor
from fastnn.structures.sparse_tensor import SparseTensor as SparseTensor
from fastnn.structures.strict import matmul as matmul
from fastnn.structures.strict import where as where
from fastnn.structures.string_tensor import constant as constant
from fastnn.structures.string_tensor import convert_to_tensor as convert_to_tensor
from fastnn.structures.tensor_array import TensorArray as TensorArray

__all__ = [
    "GradientTape",
    "IndexedSlices",
    "RaggedTensor",
    "SparseTensor",
    "Tensor",
    "TensorArray",
    "TensorShape",
    "TensorSpec",
    "Variable",
    "__version__",
    "abs",
    "acos",
    "add",
    "add_n",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "atan",
    "atan2",
    "autograph",
    "bfloat16",
    "bool",
    "boolean_mask",
    "broadcast_to",
    "cast",
    "ceil",
    "clip_by_value",
    "concat",
    "cond",
    "constant",
    "convert_to_tensor",
    "cos",
    "cosh",
    "cumsum",
    "custom_gradient",
    "divide",
    "einsum",
    "equal",
    "erf",
    "errors",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "fill",
    "float16",
    "float32",
    "float64",
    "floor",
    "floordiv",
    "floormod",
    "function",
    "gather",
    "gather_nd",
    "greater",
    "greater_equal",
    "identity",
    "image",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_tensor",
    "isfinite",
    "isinf",
    "isnan",
    "keras",
    "less",
    "less_equal",
    "linalg",
    "linspace",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "map_fn",
    "math",
    "matmul",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "newaxis",
    "nn",
    "norm",
    "not_equal",
    "numpy_function",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "pow",
    "py_function",
    "queue",
    "ragged",
    "random",
    "range",
    "rank",
    "reciprocal",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_std",
    "reduce_sum",
    "reduce_variance",
    "repeat",
    "reshape",
    "reverse",
    "roll",
    "round",
    "rsqrt",
    "searchsorted",
    "sets",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "size",
    "softplus",
    "sort",
    "sparse",
    "split",
    "sqrt",
    "square",
    "squared_difference",
    "squeeze",
    "stack",
    "stop_gradient",
    "string",
    "strings",
    "subtract",
    "switch_case",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "transpose",
    "truediv",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "unstack",
    "vectorized_map",
    "where",
    "while_loop",
    "zeros",
    "zeros_like",
]

__version__: str
newaxis: None
bfloat16: str
bool: str
float16: str
float32: str
float64: str
int16: str
int32: str
int64: str
int8: str
string: str
uint16: str
uint32: str
uint64: str
uint8: str
