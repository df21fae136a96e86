# SPDX-License-Identifier: Apache-2.0
"""The TensorFlow-style face of fastnn: `from fastnn import tf`. Names only.

A name is here when fastnn's function of that meaning takes the same positional
arguments; `tf.argmax`, whose default axis differs, is therefore absent.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = {
    "autograph": "fastnn.graph.autograph",
    "errors": "fastnn.errors",
    "keras": "fastnn.keras",
    "queue": "fastnn.structures.queue",
    "ragged": "fastnn.structures.ragged",
    "random": "fastnn.random",
    "sets": "fastnn.structures.sets",
    "sparse": "fastnn.structures.sparse",
    "strings": "fastnn.structures.strings",
}
_OPS = {
    name: name
    for name in """abs add broadcast_to cast ceil cos divide
    equal exp expand_dims expm1 eye floor greater greater_equal less less_equal
    linspace log log1p logical_and logical_not logical_or matmul maximum minimum
    multiply negative not_equal one_hot ones ones_like reshape round rsqrt
    sigmoid sign sin split sqrt square squeeze stack subtract tanh tile
    transpose where zeros zeros_like""".split()
}
_OPS |= {
    "clip_by_value": "clip",
    "concat": "concatenate",
    "cond": "cond",
    "fill": "full",
    "identity": "copy",
    "pow": "power",
    "range": "arange",
    "reduce_all": "all",
    "reduce_any": "any",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "while_loop": "while_loop",
}
_NAMES = {
    "GradientTape": "fastnn.autodiff.grad",
    "IndexedSlices": "fastnn.autodiff.assignments",
    "RaggedTensor": "fastnn.structures.ragged_tensor",
    "SparseTensor": "fastnn.structures.sparse_tensor",
    "Tensor": "fastnn.autodiff.tensor",
    "TensorArray": "fastnn.structures.tensor_array",
    "TensorSpec": "fastnn.graph.signatures",
    "Variable": "fastnn.autodiff.tensor",
    "constant": "fastnn.structures.string_tensor",
    "convert_to_tensor": "fastnn.structures.string_tensor",
    "custom_gradient": "fastnn.autodiff.grad",
    "function": "fastnn.graph.compile",
    "stop_gradient": "fastnn.autodiff.grad",
}
_DTYPES = frozenset(
    """bool float32 float64 int8 int16 int32 int64 string uint8 uint16 uint32
    uint64""".split()
)

newaxis = None  # t[..., tf.newaxis]

__all__ = sorted([*_MODULES, *_OPS, *_NAMES, *_DTYPES, "newaxis"])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _OPS:
        return getattr(import_module("fastnn.ops"), _OPS[name])
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _DTYPES:
        return name
    raise AttributeError(f"module 'fastnn.tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
