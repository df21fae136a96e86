# SPDX-License-Identifier: Apache-2.0
"""The Python array API's face of fastnn (2024.12): `x.__array_namespace__()`.

The functions of `fastnn.ops` under the standard's names. Keras's semantics come first:
`docs/array_api.md` lists what conforms, what differs and why.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

__array_api_version__ = "2024.12"

e, pi, inf, nan, newaxis = np.e, np.pi, np.inf, np.nan, None

# Standard name -> name in fastnn.ops, where they differ.
_OPS = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asarray": "convert_to_tensor",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "bitwise_not",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "concat": "concatenate",
    "permute_dims": "transpose",
    "pow": "power",
    "remainder": "mod",
}
_DTYPES = frozenset(
    """bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64""".split()
)


def astype(x: Any, dtype: str, copy: bool = True, device: Any = None) -> Any:
    """x in another dtype; tensors do not change, so `copy` makes no difference."""
    return import_module("fastnn.ops").cast(x, dtype)


def isdtype(dtype: str, kind: Any) -> bool:
    """Whether a dtype is one, or of a kind: "bool", "integral", "real floating"..."""
    return bool(np.isdtype(np.dtype(dtype), _numpy_kind(kind)))


def _numpy_kind(kind: Any) -> Any:
    if isinstance(kind, tuple):
        return tuple(_numpy_kind(k) for k in kind)
    return np.dtype(kind) if kind in _DTYPES - {"bool"} else kind


def finfo(type: Any) -> Any:
    """Limits of a float dtype, or of that of a tensor."""
    return np.finfo(getattr(type, "dtype", type))


def iinfo(type: Any) -> Any:
    """Limits of an integer dtype, or of that of a tensor."""
    return np.iinfo(getattr(type, "dtype", type))


def can_cast(from_: Any, to: str) -> bool:
    """Whether a dtype goes into another without loss."""
    return bool(np.can_cast(getattr(from_, "dtype", from_), to))


def result_type(*arrays_and_dtypes: Any) -> str:
    """Dtype of an op on all of these, by Keras's rules."""
    dtypes = [getattr(a, "dtype", a) for a in arrays_and_dtypes]
    found: str = import_module("fastnn.backend").result_type(*dtypes)
    return found


def matrix_transpose(x: Any) -> Any:
    """The last two axes exchanged."""
    return import_module("fastnn.ops").swapaxes(x, -2, -1)


def from_dlpack(x: Any, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor of another library's array."""
    found = import_module("fastnn.autodiff.interop").from_dlpack(x)
    return import_module("fastnn.ops").copy(found) if copy else found


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All with their common shape."""
    ops = import_module("fastnn.ops")
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return [ops.broadcast_to(a, shape) for a in arrays]


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums of products along an axis."""
    ops = import_module("fastnn.ops")
    return ops.sum(ops.multiply(x1, x2), axis=axis)


def positive(x: Any) -> Any:
    """x."""
    return import_module("fastnn.ops").convert_to_tensor(x)


def copysign(x1: Any, x2: Any) -> Any:
    """The magnitude of x1 with the sign of x2."""
    ops = import_module("fastnn.ops")
    size = ops.abs(x1)
    return ops.where(ops.signbit(x2), -size, size)


def cumulative_sum(
    x: Any, axis: int = 0, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running sums along an axis; `include_initial` puts a 0 before them."""
    ops = import_module("fastnn.ops")
    return _started(ops, ops.cumsum(x, axis, dtype), axis, ops.zeros, include_initial)


def cumulative_prod(
    x: Any, axis: int = 0, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Running products along an axis; `include_initial` puts a 1 before them."""
    ops = import_module("fastnn.ops")
    return _started(ops, ops.cumprod(x, axis, dtype), axis, ops.ones, include_initial)


def _started(ops: Any, y: Any, axis: int, make: Any, wanted: bool) -> Any:
    if not wanted:
        return y
    shape = [1 if i == axis % y.ndim else n for i, n in enumerate(y.shape)]
    return ops.concatenate([make(shape, y.dtype), y], axis)


def var(
    x: Any, axis: Any = None, correction: float = 0.0, keepdims: bool = False
) -> Any:
    """Squared deviations over axes, divided by their number less `correction`."""
    y = import_module("fastnn.ops").var(x, axis, keepdims)
    count = x.size / max(y.size, 1)
    return y if not correction else y * (count / (count - correction))


def std(
    x: Any, axis: Any = None, correction: float = 0.0, keepdims: bool = False
) -> Any:
    """Square root of `var`."""
    return import_module("fastnn.ops").sqrt(var(x, axis, correction, keepdims))


class Unique(NamedTuple):
    """What `unique_all` finds; the other functions have some of it."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    values: Any
    inverse_indices: Any


def unique_all(x: Any) -> Unique:
    """Distinct values in order: the first of each, which each element is, how many."""
    make = import_module("fastnn.ops").convert_to_tensor
    return Unique(*map(make, np.unique_all(np.asarray(x))))


def unique_counts(x: Any) -> UniqueCounts:
    """Distinct values in order, and how many of each."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> UniqueInverse:
    """Distinct values in order, and which of them each element is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Any:
    """Distinct values in order."""
    return unique_all(x).values


def __array_namespace_info__() -> _Info:  # noqa: N807
    """What there is: one device, the dtypes, no complex numbers."""
    return _Info()


class _Info:
    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True} | {
            "max dimensions": 8
        }

    def default_device(self) -> str:
        return "cpu"

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        from fastnn import config

        return {
            "real floating": config.floatx(),
            "complex floating": None,
            "integral": "int32",
            "indexing": "int32",
        }

    def devices(self) -> list[str]:
        return ["cpu"]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, str]:
        return {d: d for d in sorted(_DTYPES) if kind is None or isdtype(d, kind)}


def __getattr__(name: str) -> object:
    if name in _DTYPES:
        return name
    ops = import_module("fastnn.ops")
    found = getattr(ops, _OPS.get(name, name), None)
    if found is None:
        raise AttributeError(f"module 'fastnn.array_api' has no attribute {name!r}")
    return found


def __dir__() -> list[str]:
    own = [n for n in globals() if not n.startswith("_") and n not in ("Any", "np")]
    return sorted({*own, *_OPS, *_DTYPES, *import_module("fastnn.ops").__all__})
