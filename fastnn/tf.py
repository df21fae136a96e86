# SPDX-License-Identifier: Apache-2.0
"""The TensorFlow-style face of fastnn: `from fastnn import tf`. Names only.

Functions of `fastnn.ops` stand here under TensorFlow's names where they take the same
positional arguments (`structures/_names.py`), the others in `structures/functions.py`.
As in TensorFlow, tensors of two dtypes are refused (`structures/strict.py`).
"""

from __future__ import annotations

from importlib import import_module

from fastnn.structures._names import FUNCTIONS

_MODULES = {
    "autograph": "fastnn.graph.autograph",
    "errors": "fastnn.errors",
    "image": "fastnn.structures.images",
    "keras": "fastnn.keras",
    "linalg": "fastnn.ops.linalg",
    "math": "fastnn.structures.mathematics",
    "nn": "fastnn.structures.networks",
    "queue": "fastnn.structures.queue",
    "ragged": "fastnn.structures.ragged",
    "random": "fastnn.random",
    "sets": "fastnn.structures.sets",
    "sparse": "fastnn.structures.sparse",
    "strings": "fastnn.structures.strings",
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
    "TensorShape": "fastnn.structures.functions",
    "matmul": "fastnn.structures.strict",
    "where": "fastnn.structures.strict",
}
_NAMES |= dict.fromkeys(
    """add_n argmax argmin argsort boolean_mask cumsum gather gather_nd map_fn
    numpy_function pad py_function rank reverse shape size sort""".split(),
    "fastnn.structures.functions",
)
_DTYPES = frozenset(
    """bfloat16 bool float16 float32 float64 int8 int16 int32 int64 string uint8 uint16
    uint32 uint64""".split()
)

newaxis = None  # t[..., tf.newaxis]

__all__ = sorted([*_MODULES, *FUNCTIONS, *_NAMES, *_DTYPES, "__version__", "newaxis"])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in FUNCTIONS:
        return import_module("fastnn.structures.strict").function(name)
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _DTYPES:
        return name
    if name == "__version__":
        return import_module("fastnn").__version__
    raise AttributeError(f"module 'fastnn.tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
