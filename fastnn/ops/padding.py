# SPDX-License-Identifier: Apache-2.0
"""`pad` in all of NumPy's modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.ops._constants import constant
from fastnn.ops._promote import to_float
from fastnn.ops.arrays import concatenate
from fastnn.ops.indexing import take
from fastnn.opset._dtypes import is_float

_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")
_BY_VALUE = ("linear_ramp", "maximum", "mean", "minimum")
MODES = ("constant", "empty", *_BY_INDEX, *_BY_VALUE)


def _pairs(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """(before, after) per axis, spread as `numpy.pad` spreads them."""
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (rank, 2))
    except ValueError:
        pairs = None
    if pairs is None or pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ValueError(
            f"[pad] pad_width must be one non-negative integer, (before, after), or "
            f"such a pair for each of {rank} axes; received {pad_width!r}"
        )
    return [(int(a), int(b)) for a, b in pairs]


def _ramp(k: int, like: Tensor, axis: int) -> Tensor:
    """0, 1 / k, ..., (k - 1) / k along an axis."""
    shape = tuple(k if i == axis else 1 for i in range(like.ndim))

    def make() -> Any:
        return (np.arange(k) / max(k, 1)).astype(like.dtype).reshape(shape)

    return constant(shape, like.dtype, make)


def _by_value(t: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Padding with a statistic of the axis, or with ramps from 0 to its ends."""
    n = t.shape[axis]

    def part(start: int, stop: int) -> Tensor:
        cut: list[Any] = [(None, None, 1)] * t.ndim
        cut[axis] = (start, stop, 1)
        return raw.slice(t, tuple(cut))

    def repeated(x: Tensor, count: int) -> Tensor:
        return raw.broadcast_to(x, (*t.shape[:axis], count, *t.shape[axis + 1 :]))

    if mode == "linear_ramp":
        up, down = (_ramp(k, t, axis) for k in (before, after))
        front = raw.multiply(repeated(part(0, 1), before), up)
        back = raw.multiply(
            repeated(part(n - 1, n), after), raw.slice(down, _flip(t.ndim, axis))
        )
    else:
        reduce = {"maximum": raw.max, "minimum": raw.min, "mean": raw.sum}[mode]
        value = reduce(t, (axis,), True)
        if mode == "mean":
            value = raw.divide(value, float(n))
        front, back = repeated(value, before), repeated(value, after)
    return concatenate([front, t, back], axis)


def _flip(rank: int, axis: int) -> tuple[Any, ...]:
    return tuple((None, None, -1 if i == axis else 1) for i in range(rank))


def _places(n: int, before: int, after: int, mode: Any) -> Tensor:
    """Which of n elements stands where."""

    def make() -> Any:
        return np.pad(np.arange(n), (before, after), mode)

    return constant((before + n + after,), "int64", make)


def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Tensor:
    """x within a border.

    Args:
        x: tensor of any dtype and rank.
        pad_width: elements before and after: one integer, (before, after), or one such
            pair per axis.
        mode: "constant", "edge", "linear_ramp" (to 0), "maximum", "mean", "minimum",
            "reflect", "symmetric", "wrap" or "empty" (zeros here), as `numpy.pad`.
        constant_values: the number that mode "constant" pads with; 0 when None.
    """
    t = convert_to_tensor(x)
    pairs = _pairs(pad_width, t.ndim)
    if mode not in MODES:
        raise ValueError(
            f"[pad] mode must be one of {', '.join(MODES)}, received {mode!r}"
        )
    if constant_values is not None and mode != "constant":
        raise ValueError(
            f'[pad] constant_values belong to mode "constant", received mode {mode!r}'
        )
    if not any(a + b for a, b in pairs):
        return t
    if mode in ("constant", "empty"):
        value = 0 if constant_values is None else constant_values
        low, high = zip(*pairs, strict=True)
        return raw.pad(t, raw.cast(convert_to_tensor(value), t.dtype), low, high)
    if any(a + b and n == 0 for (a, b), n in zip(pairs, t.shape, strict=True)):
        raise ValueError(
            f"[pad] mode {mode!r} needs elements on padded axes of {t.shape}"
        )
    if mode in _BY_VALUE and not is_float(t.dtype):
        return raw.cast(pad(to_float(t), pad_width, mode), t.dtype)
    for axis, (before, after) in enumerate(pairs):
        if not before and not after:
            continue
        if mode in _BY_VALUE:
            t = _by_value(t, axis, before, after, mode)
        else:
            t = take(t, _places(t.shape[axis], before, after, mode), axis)
    return t


__all__ = ["pad"]
