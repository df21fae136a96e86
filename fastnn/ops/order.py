# SPDX-License-Identifier: Apache-2.0
"""Diagonals, triangles, rolls, flips and repeats; running sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._promote import axis_of, integer, promote
from fastnn.ops.arrays import concatenate, flip, ravel, swapaxes
from fastnn.ops.indexing import take

# ---- diagonals and triangles -------------------------------------------------------


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Elements i, i + offset of two axes, as the last axis."""
    t = convert_to_tensor(x)
    a, b = axis_of(axis1, t.ndim, "diagonal"), axis_of(axis2, t.ndim, "diagonal")
    if a == b:
        raise ValueError(f"[diagonal] axes {axis1} and {axis2} are the same")
    return raw.diagonal(t, int(offset), a, b)


def _on_diagonal(t: Tensor, k: int) -> Tensor:
    """A vector on the k-th diagonal of a square matrix of zeros."""
    side = t.size + abs(k)
    first = k if k >= 0 else -k * side
    place = constant((t.size,), "int64", lambda: first + np.arange(t.size) * (side + 1))
    wide = integers.cast(t, integers.wide_dtype("diag", t.dtype))
    y = integers.cast(raw.take_grad(wide, place, side * side), t.dtype)
    return raw.reshape(y, (side, side))


def diag(x: Any, k: int = 0) -> Tensor:
    """A vector as the k-th diagonal of a matrix, or the k-th diagonal of a matrix."""
    t = convert_to_tensor(x)
    if t.ndim == 1:
        return _on_diagonal(t, int(k))
    if t.ndim == 2:
        return diagonal(t, k)
    raise ShapeError(f"[diag] needs rank 1 or 2, received shape {t.shape}")


def diagflat(x: Any, k: int = 0) -> Tensor:
    """The flattened x as the k-th diagonal of a matrix."""
    return _on_diagonal(ravel(x), int(k))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of a diagonal; narrow integers widen to 32 bits."""
    y = diagonal(x, offset, axis1, axis2)
    return integers.reduce("sum", y, (y.ndim - 1,), False)


def tri(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """Ones on and below the k-th diagonal."""
    return Tensor(np.tri(N, M, k, dtype or config.floatx()))


def _triangle(name: str, x: Any, k: int, *, lower: bool) -> Tensor:
    t = convert_to_tensor(x)
    if t.ndim < 2:
        raise ShapeError(f"[{name}] needs matrices, received shape {t.shape}")
    rows, columns = t.shape[-2:]

    def kept() -> np.ndarray:
        below = np.tri(rows, columns, k if lower else k - 1, dtype=bool)
        return below if lower else ~below

    zero = Tensor(np.zeros((), t.dtype))
    return integers.where(constant((rows, columns), "bool", kept), t, zero)


def tril(x: Any, k: int = 0) -> Tensor:
    """x with zeros above the k-th diagonal of the last two axes."""
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, k: int = 0) -> Tensor:
    """x with zeros below the k-th diagonal of the last two axes."""
    return _triangle("triu", x, k, lower=False)


# ---- order -------------------------------------------------------------------------


def fliplr(x: Any) -> Tensor:
    """Reversed along the second axis."""
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """Reversed along the first axis."""
    return flip(x, 0)


def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned by k quarter turns from the first of two axes towards the second."""
    t = convert_to_tensor(array)
    a, b = axis_of(axes[0], t.ndim, "rot90"), axis_of(axes[1], t.ndim, "rot90")
    if len(axes) != 2 or a == b:
        raise ValueError(f"[rot90] needs two different axes, received {axes}")
    if k % 4 == 0:
        return t
    if k % 4 == 2:
        return flip(t, (a, b))
    return swapaxes(flip(t, b), a, b) if k % 4 == 1 else flip(swapaxes(t, a, b), b)


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Elements moved by `shift` places along axes, from the end to the start."""
    t = convert_to_tensor(x)
    if axis is None:
        return raw.reshape(roll(ravel(t), shift, 0), t.shape)
    moves, axes = (v.tolist() if hasattr(v, "tolist") else v for v in (shift, axis))
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    shifts = moves if isinstance(moves, (tuple, list)) else (moves,) * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(
            f"[roll] needs one shift, or one per axis: received shift={shift} and "
            f"axis={axis}"
        )
    for s, a in zip(shifts, axes, strict=True):
        d = axis_of(a, t.ndim, "roll")
        cut = integer("roll", "shift", s) % t.shape[d] if t.shape[d] else 0
        if cut:
            lead = (slice(None),) * d
            end, start = t[(*lead, slice(-cut, None))], t[(*lead, slice(None, -cut))]
            t = concatenate([end, start], d)
    return t


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Every element `repeats` times in a row along an axis (flattened when None)."""
    t = convert_to_tensor(x)
    if axis is None:
        t, axis = ravel(t), 0
    a = axis_of(axis, t.ndim, "repeat")
    counts = convert_to_tensor(repeats)._concrete("repeats").reshape(-1)
    if counts.size and counts.min() < 0:
        raise ValueError(f"[repeat] cannot repeat {counts.min()} times")
    if counts.size == 1:
        n = int(counts[0])
        lead, tail = t.shape[: a + 1], t.shape[a + 1 :]
        wide = raw.broadcast_to(raw.reshape(t, (*lead, 1, *tail)), (*lead, n, *tail))
        return raw.reshape(raw.copy(wide), (*lead[:-1], lead[-1] * n, *tail))
    if counts.size != t.shape[a]:
        raise ShapeError(
            f"[repeat] {counts.size} repeats for axis {a} of size {t.shape[a]}"
        )
    return take(t, np.repeat(np.arange(t.shape[a]), counts), a)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Vectors as coordinates of a grid, one array each ("ij": axes in their order)."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] indexing must be xy or ij, received {indexing!r}")
    vectors = [ravel(v) for v in x]
    shape = [v.size for v in vectors]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[:2] = [1, 0]
    grid = tuple(shape[i] for i in order)
    out = []
    for i, v in enumerate(vectors):
        place = [1] * len(grid)
        place[order.index(i)] = v.size
        out.append(raw.copy(raw.broadcast_to(raw.reshape(v, tuple(place)), grid)))
    return out


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 behind x1 along an axis, both flattened when None."""
    a, b = promote(x1, x2)
    return (
        concatenate([ravel(a), ravel(b)], 0)
        if axis is None
        else concatenate([a, b], axis)
    )


# ---- running sums and products -----------------------------------------------------


def _running(name: str, x: Any, axis: int | None, dtype: str | None) -> Tensor:
    t = convert_to_tensor(x)
    target = dtype or ("int32" if t.dtype == "bool" else t.dtype)
    if axis is None:
        t, axis = ravel(t), 0
    a = axis_of(axis, t.ndim, name)
    wide = integers.cast(t, integers.wide_dtype(name, target))
    return integers.cast(getattr(raw, name)(wide, a, False, False), target)


def cumsum(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Sums of the elements up to each along an axis (of the flattened x when None)."""
    return _running("cumsum", x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Products of the elements up to each along an axis (flattened when None)."""
    return _running("cumprod", x, axis, dtype)


def _without_nan(x: Any, value: float) -> Tensor:
    t = convert_to_tensor(x)
    return raw.where(raw.isnan(t), value, t) if t.dtype[0] == "f" else t


def nancumsum(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """`cumsum` with NaN counted as 0."""
    return cumsum(_without_nan(x, 0.0), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """`cumprod` with NaN counted as 1."""
    return cumprod(_without_nan(x, 1.0), axis, dtype)


__all__ = [
    *"append cumprod cumsum diag diagflat diagonal fliplr flipud meshgrid".split(),
    *"nancumprod nancumsum repeat roll rot90 trace tri tril triu".split(),
]
