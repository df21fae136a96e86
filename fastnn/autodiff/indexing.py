# SPDX-License-Identifier: Apache-2.0
"""`tensor[key]` and `a @ b` as compositions of ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.opset._dtypes import is_float

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


def getitem(x: Tensor, key: Any) -> Tensor:
    """NumPy indexing: slices, integers, ellipsis and newaxis are views; masks and
    index arrays gather.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if all(
        k is None
        or k is Ellipsis
        or (isinstance(k, (slice, int, np.integer)) and not isinstance(k, bool))
        for k in keys
    ):
        return _basic(x, _expand(keys, x.ndim))
    return _gather(x, keys)


def _expand(keys: tuple, rank: int) -> tuple:
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > rank:
        raise IndexError(f"[Tensor] {used} indices for a tensor of rank {rank}")
    rest = (slice(None),) * (rank - used)
    if Ellipsis in keys:
        i = keys.index(Ellipsis)
        return keys[:i] + rest + keys[i + 1 :]
    return keys + rest


def _basic(x: Tensor, keys: tuple) -> Tensor:
    slices: list[tuple] = []
    shape: list[int] = []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        n = x.shape[len(slices)]
        if isinstance(k, slice):
            entry = tuple(
                None if v is None else int(v) for v in (k.start, k.stop, k.step)
            )
            slices.append(entry)
            shape.append(len(range(*slice(*entry).indices(n))))
        else:
            i = int(k)
            if not -n <= i < n:
                raise IndexError(
                    f"[Tensor] index {i} is out of range for axis {len(slices)} of "
                    f"size {n}"
                )
            i %= n
            slices.append((i, i + 1, None))
    whole = all(s in ((None, None, None), (0, None, None)) for s in slices)
    y = x if whole else raw.slice(x, tuple(slices))
    return raw.reshape(y, tuple(shape)) if y.shape != tuple(shape) else y


def _gather(x: Tensor, keys: tuple) -> Tensor:
    from fastnn.autodiff.tensor import Tensor

    static = tuple(
        np.asarray(k._concrete("an index") if isinstance(k, Tensor) else k)
        if not (k is None or k is Ellipsis or isinstance(k, (slice, int)))
        else k
        for k in keys
    )
    positions = np.arange(x.size, dtype=np.int64).reshape(x.shape)[static]
    flat = raw.reshape(x, (x.size,))
    picked = raw.take(flat, Tensor(np.ascontiguousarray(positions.reshape(-1))))
    return raw.reshape(picked, positions.shape)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product with NumPy's rules for vectors: axes of size 1 come and go."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"[matmul] needs axes, received {a.shape} and {b.shape}")
    left = raw.reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    right = raw.reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    if is_float(a.dtype) and is_float(b.dtype):
        y = raw.matmul(left, right)
    else:
        from fastnn.autodiff import integers

        y = integers.matmul(left, right)
    shape = y.shape
    if a.ndim == 1:
        shape = (*shape[:-2], shape[-1])
    if b.ndim == 1:
        shape = shape[:-1]
    return raw.reshape(y, shape) if shape != y.shape else y
