# SPDX-License-Identifier: Apache-2.0
"""Reductions, products, and elementwise functions that do more than their op."""

from __future__ import annotations

import math as _math
from typing import Any

from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.ops._promote import axes_of, axis_of, promote, to_float
from fastnn.ops.pointwise import bools, floats, quick_pair
from fastnn.opset._dtypes import know


def logical_not(x: Any) -> Tensor:
    """Logical not, of bools or of anything compared with 0."""
    return raw.logical_not(*bools(x))


def divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2; integers divide as floats."""
    return raw.divide(*floats(x1, x2))


def power(x1: Any, x2: Any) -> Tensor:
    """x1 ** x2; of integers an integer (exact while below 2^53)."""
    return integers.power(*promote(x1, x2))


def round(x: Any, decimals: int = 0) -> Tensor:
    """x rounded to `decimals` decimals, halves to even."""
    t = to_float(x)
    if decimals == 0:
        return raw.round(t)
    factor = 10.0**decimals
    return raw.divide(raw.round(raw.multiply(t, factor)), factor)


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """min(max(x, x_min), x_max)."""
    t = convert_to_tensor(x)
    if x_min is not None:
        t = integers.call("maximum", *promote(t, x_min))
    return t if x_max is None else integers.call("minimum", *promote(t, x_max))


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where condition, else x2; without them the indices of true elements."""
    if x1 is None and x2 is None:
        from fastnn.ops.indexing import nonzero

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("[where] needs both x1 and x2, or neither")
    return integers.where(*bools(condition), *promote(x1, x2))


@quick_pair("matmul", least=2)
def matmul(x1: Any, x2: Any) -> Tensor:
    """Matrix product of the last two axes, others broadcast; vectors as in NumPy.

    Integers give integers (int8 gives int32) and wrap as in NumPy.
    """
    from fastnn.autodiff.indexing import matmul as of_tensors

    return of_tensors(*promote(x1, x2))


def squared_difference(x1: Any, x2: Any) -> Tensor:
    """(x1 - x2)^2."""
    return integers.call("square", integers.call("subtract", *promote(x1, x2)))


# ---- reductions --------------------------------------------------------------------


# From so many elements on, what leaves too few outputs to share out among threads is
# reduced in two stages. Chunks follow from the shape, so bits do not depend on threads.
TWO_STAGES = 1 << 18


def _reduce(name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    t = convert_to_tensor(x)
    return _staged(name, t, axes_of(axis, t.ndim, name), bool(keepdims))


def _staged(name: str, t: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """A reduction that may be taken in parts (not extrema: ties share gradients)."""
    if t.size < TWO_STAGES or 0 not in axes:
        return integers.reduce(name, t, axes, keepdims)
    kept = tuple(n for i, n in enumerate(t.shape) if i not in axes)
    if _math.prod(kept) >= 1024:
        return integers.reduce(name, t, axes, keepdims)
    if len(axes) > 1 and t.shape[0] >= 8:
        y = integers.reduce(name, t, axes[1:], True)
        return integers.reduce(name, y, axes, keepdims)
    chunks = next((n for n in (64, 48, 32, 24, 20, 16, 10, 8) if not t.shape[0] % n), 1)
    if chunks == 1:
        return integers.reduce(name, t, axes, keepdims)
    wide = raw.reshape(t, (chunks, t.shape[0] // chunks, *t.shape[1:]))
    y = integers.reduce(name, wide, (1, *[a + 1 for a in axes[1:]]), False)
    y = integers.reduce(name, y, (0,), False)
    ones = tuple(1 if i in axes else n for i, n in enumerate(t.shape))
    return raw.reshape(y, ones) if keepdims else y


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over axes; bools are counted, narrow integers widen to 32 bits."""
    return _reduce("sum", x, axis, keepdims)


def prod(
    x: Any, axis: Any = None, keepdims: bool = False, dtype: str | None = None
) -> Tensor:
    """Product over axes, in `dtype`; by default narrow integers widen to 32 bits."""
    t = convert_to_tensor(x)
    if dtype is None:
        return _reduce("prod", t, axis, keepdims)
    y = _reduce("prod", integers.cast(t, know(dtype)), axis, keepdims)
    return integers.cast(y, know(dtype))


def _nonempty(name: str, x: Tensor, axes: tuple[int, ...], initial: Any) -> None:
    if 0 in [x.shape[a] for a in axes] and initial is None:
        raise ValueError(f"[{name}] no elements to reduce in shape {x.shape}")


def _extremum(
    name: str, other: str, x: Any, axis: Any, keepdims: bool, initial: Any
) -> Tensor:
    t = convert_to_tensor(x)
    axes = axes_of(axis, t.ndim, name)
    _nonempty(name, t, axes, initial)
    y = integers.reduce(name, t, axes, bool(keepdims))
    return y if initial is None else integers.call(other, *promote(y, initial))


def max(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Tensor:
    """Largest element over axes, at least `initial`."""
    return _extremum("max", "maximum", x, axis, keepdims, initial)


def min(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Tensor:
    """Smallest element over axes, at most `initial`."""
    return _extremum("min", "minimum", x, axis, keepdims, initial)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over axes; integers give floatx()."""
    t = to_float(x)
    axes = axes_of(axis, t.ndim, "mean")
    count = 1
    for a in axes:
        count *= t.shape[a]
    return raw.divide(_staged("sum", t, axes, bool(keepdims)), float(count))


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean squared deviation from the mean over axes."""
    t = to_float(x)
    return raw.moments(t, axes_of(axis, t.ndim, "var"), bool(keepdims))[1]


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Square root of `var`."""
    return raw.sqrt(var(x, axis, keepdims))


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element over axes is true."""
    (t,) = bools(x)
    return _staged("any", t, axes_of(axis, t.ndim, "any"), bool(keepdims))


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over axes are true."""
    (t,) = bools(x)
    return _staged("all", t, axes_of(axis, t.ndim, "all"), bool(keepdims))


def _arg(name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    t = convert_to_tensor(x)
    if t.dtype == "uint64":
        t = integers.ordered(t)
    t = integers.cast(t, integers.wide_dtype(name, t.dtype))
    if axis is None:
        flat = getattr(raw, name)(raw.reshape(t, (t.size,)), 0, False)
        return raw.reshape(flat, (1,) * t.ndim) if keepdims else flat
    a = axis_of(axis, t.ndim, name)
    return getattr(raw, name)(t, a, bool(keepdims))


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Index of the first largest element, int32."""
    return _arg("argmax", x, axis, keepdims)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Index of the first smallest element, int32."""
    return _arg("argmin", x, axis, keepdims)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(e^x)) over axes, shifted by the maximum."""
    t = to_float(x)
    axes = axes_of(axis, t.ndim, "logsumexp")
    top = raw.max(t, axes, True)
    finite = raw.where(raw.isfinite(top), top, 0.0)
    total = raw.sum(raw.exp(raw.subtract(t, finite)), axes, True)
    y = raw.add(raw.log(total), finite)
    shape = tuple(n for i, n in enumerate(t.shape) if i not in axes)
    return y if keepdims else raw.reshape(y, shape)


def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """Number of elements that are not 0, int32."""
    return _reduce("sum", raw.cast(bools(x)[0], "int32"), axis, False)


def true_divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2; integers divide as floats."""
    return divide(x1, x2)


def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes."""
    return max(x, axis, keepdims)


def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes."""
    return min(x, axis, keepdims)


__all__ = [
    *"all amax amin any argmax argmin clip count_nonzero divide".split(),
    *"logical_not logsumexp matmul max mean min power prod".split(),
    *"round squared_difference std sum true_divide var where".split(),
]
