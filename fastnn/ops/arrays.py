# SPDX-License-Identifier: Apache-2.0
"""Creation, shapes and joins."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff._memory import zeros as zeroed
from fastnn.autodiff.tensor import Tensor
from fastnn.autodiff.tensor import convert_to_tensor as _tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant, filled
from fastnn.ops._promote import axes_of, axis_of, integer, promote
from fastnn.opset._dtypes import know

# ---- creation and conversion -------------------------------------------------------


def convert_to_tensor(
    x: Any, dtype: str | None = None, sparse: Any = None, ragged: Any = None
) -> Tensor:
    """A tensor of x: Python floats become `floatx()`, ints int32, arrays keep."""
    if sparse or ragged:
        raise ValueError("[convert_to_tensor] sparse and ragged tensors do not exist")
    return _tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """The values as a NumPy array."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor with values; a symbolic one is none."""
    return isinstance(x, Tensor)


def cast(x: Any, dtype: str) -> Tensor:
    """x with elements of `dtype`."""
    t = _tensor(x)
    return t if t.dtype == dtype else raw.cast(t, str(np.dtype(know(dtype))))


def shape(x: Any) -> tuple[int, ...]:
    """Shape as a tuple; static, since fastnn traces with known shapes."""
    return _tensor(x).shape


def ndim(x: Any) -> int:
    """How many axes x has."""
    return _tensor(x).ndim


def size(x: Any) -> int:
    """How many values x holds."""
    return _tensor(x).size


def dtype(x: Any) -> str:
    """Name of the dtype: "float32"."""
    return _tensor(x).dtype


def view(x: Any, dtype: str | None = None) -> Tensor:
    """The same bytes read as another dtype, in a copy; the last axis grows or shrinks.

    There is no gradient unless the dtype stays.

    Raises:
        ShapeError: when the last axis is no whole number of elements of `dtype`.
    """
    t = _tensor(x)
    return t if dtype in (None, t.dtype) else raw.bitcast(t, dtype)


def copy(x: Any) -> Tensor:
    """The same values in contiguous memory of their own."""
    return raw.copy(_tensor(x))


def full(shape: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """A tensor filled with a number."""
    return Tensor(np.full(shape_of(shape), fill_value, know(dtype or config.floatx())))


def array(x: Any, dtype: str | None = None) -> Tensor:
    """A tensor of x, as `convert_to_tensor`."""
    return _tensor(x) if dtype is None else cast(x, dtype)


def empty(shape: Any, dtype: str | None = None) -> Tensor:
    """A tensor of no particular values: zeros."""
    return zeros(shape, dtype)


def empty_like(x: Any, dtype: str | None = None) -> Tensor:
    """A tensor of x's shape and no particular values: zeros."""
    return full_like(x, 0, dtype)


def zeros(shape: Any, dtype: str | None = None) -> Tensor:
    """Zeros of a shape; `floatx()` where no dtype is given."""
    return Tensor(zeroed(shape_of(shape), know(dtype or config.floatx())))


def ones(shape: Any, dtype: str | None = None) -> Tensor:
    """Ones of a shape; `floatx()` where no dtype is given."""
    return full(shape, 1, dtype)


def full_like(x: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """A tensor filled with `fill_value`, of x's shape and, if none is given, dtype."""
    t = _tensor(x)
    return filled(t.shape, fill_value, know(dtype or t.dtype))


def zeros_like(x: Any, dtype: str | None = None) -> Tensor:
    """Zeros of x's shape and, if none is given, dtype."""
    t = _tensor(x)
    kind = know(dtype or t.dtype)
    return constant(t.shape, kind, lambda: zeroed(t.shape, kind))


def ones_like(x: Any, dtype: str | None = None) -> Tensor:
    """Ones of x's shape and, if none is given, dtype."""
    return full_like(x, 1, dtype)


def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: str | None = None
) -> Tensor:
    """Evenly spaced numbers: int32 for integers, floatx() for floats."""
    array = np.arange(start) if stop is None else np.arange(start, stop, step)
    if dtype is None:
        dtype = config.floatx() if array.dtype.kind == "f" else "int32"
    return Tensor(array.astype(know(dtype)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """Ones on the k-th diagonal."""
    return Tensor(np.eye(N, M, k, dtype or config.floatx()))


def identity(n: int, dtype: str | None = None) -> Tensor:
    """The n x n matrix of ones on the diagonal, zeros elsewhere."""
    return eye(n, dtype=dtype)


# ---- shapes ------------------------------------------------------------------------


def shape_of(value: Any) -> tuple[int, ...]:
    """A shape from one size or from all."""
    if isinstance(value, (tuple, list)):  # `ndim` makes an array of it first
        return tuple([int(n) for n in value])
    return (int(value),) if np.ndim(value) == 0 else tuple(int(n) for n in value)


def reshape(x: Any, newshape: Any) -> Tensor:
    """Same elements under another shape; one size may be -1."""
    t = _tensor(x)
    new = shape_of(newshape)
    if -1 in new:
        rest = 1
        for n in new:
            rest *= n if n != -1 else 1
        if new.count(-1) > 1 or rest == 0 or t.size % rest:
            raise ShapeError(f"[reshape] cannot make {new} from {t.shape}")
        new = tuple(t.size // rest if n == -1 else n for n in new)
    return raw.reshape(t, new)


def ravel(x: Any) -> Tensor:
    """The values of x along one axis, in rows' order."""
    return reshape(x, (-1,)) if _tensor(x).size else reshape(x, (0,))


def expand_dims(x: Any, axis: Any) -> Tensor:
    """New axes of size 1 at the positions `axis` of the result."""
    t = _tensor(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    new = axes_of(axis, t.ndim + count, "expand_dims")
    sizes = iter(t.shape)
    return raw.reshape(
        t, tuple(1 if i in new else next(sizes) for i in range(t.ndim + count))
    )


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without axes of size 1 (all of them, or those named)."""
    t = _tensor(x)
    if axis is None:
        return raw.reshape(t, tuple(n for n in t.shape if n != 1))
    gone = axes_of(axis, t.ndim, "squeeze")
    if any(t.shape[a] != 1 for a in gone):
        raise ShapeError(f"[squeeze] axis {axis} of {t.shape} is not of size 1")
    return raw.reshape(t, tuple(n for i, n in enumerate(t.shape) if i not in gone))


_REVERSED = [tuple(range(rank - 1, -1, -1)) for rank in range(65)]  # NumPy's most


def transpose(x: Any, axes: Any = None) -> Tensor:
    """Axes permuted; reversed when `axes` is None."""
    t = _tensor(x)
    if axes is None:
        return raw.transpose(t, _REVERSED[t.ndim])
    perm = tuple([int(a) % t.ndim for a in axes])
    if sorted(perm) != list(range(t.ndim)):
        raise ValueError(f"[transpose] {axes} is no permutation of {t.ndim} axes")
    return raw.transpose(t, perm)


def moveaxis(x: Any, source: int, destination: int) -> Tensor:
    """x with its `source` axes at the places `destination`; others keep their order."""
    t = _tensor(x)
    order = [i for i in range(t.ndim) if i != source % t.ndim]
    order.insert(destination % t.ndim, source % t.ndim)
    return raw.transpose(t, tuple(order))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    t = _tensor(x)
    order = list(range(t.ndim))
    a, b = axis1 % t.ndim, axis2 % t.ndim
    order[a], order[b] = order[b], order[a]
    return raw.transpose(t, tuple(order))


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """x repeated along axes of size 1, and new ones in front, to a shape."""
    return raw.broadcast_to(_tensor(x), shape_of(shape))


# ---- joins -------------------------------------------------------------------------


def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """Tensors joined along an axis."""
    tensors = promote(*xs)
    a = axis_of(axis, tensors[0].ndim, "concatenate")
    while len(tensors) > 1:  # in pairs, so that many parts are not copied many times
        ends = tensors[len(tensors) & ~1 :]
        pairs = zip(tensors[::2], tensors[1::2], strict=False)
        tensors = (*(raw.concatenate(p, q, a) for p, q in pairs), *ends)
    return tensors[0]


def stack(x: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return concatenate([expand_dims(t, axis) for t in x], axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Pieces along an axis: equal ones, or cut at the given indices."""
    t = _tensor(x)
    a = axis_of(axis, t.ndim, "split")
    n = t.shape[a]
    if np.ndim(indices_or_sections) == 0:
        parts = integer("split", "indices_or_sections", indices_or_sections)
        if parts < 1 or n % parts:
            raise ShapeError(f"[split] {n} is not {parts} equal parts")
        cuts = [n // parts * i for i in range(1, parts)]
    else:
        cuts = [int(i) for i in indices_or_sections]
    edges = [0, *cuts, n]
    lead = (slice(None),) * a
    return [t[(*lead, slice(p, q))] for p, q in pairwise(edges)]


def tile(x: Any, repeats: Any) -> Tensor:
    """x repeated along each axis."""
    t = _tensor(x)
    reps = shape_of(repeats)
    rank = max(t.ndim, len(reps))
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - t.ndim) + t.shape
    mixed = tuple(v for n in shape for v in (1, n))
    wide = tuple(v for r, n in zip(reps, shape, strict=True) for v in (r, n))
    spread = raw.broadcast_to(raw.reshape(t, mixed), wide)
    out = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return raw.reshape(raw.copy(spread), out)


def flip(x: Any, axis: Any = None) -> Tensor:
    """Reversed order along axes."""
    t = _tensor(x)
    axes = axes_of(axis, t.ndim, "flip")
    return t[tuple(slice(None, None, -1 if i in axes else 1) for i in range(t.ndim))]


__all__ = [
    *"arange array broadcast_to cast concatenate convert_to_numpy".split(),
    *"convert_to_tensor copy dtype empty empty_like expand_dims eye flip full".split(),
    *"full_like identity is_tensor moveaxis ndim ones ones_like ravel".split(),
    *"reshape shape size split squeeze stack swapaxes tile transpose view".split(),
    *"zeros zeros_like".split(),
]
