# SPDX-License-Identifier: Apache-2.0
"""Reductions that leave NaN out, averages, differences, correlation and distances."""

from __future__ import annotations

import math as _math
from typing import Any

from fastnn._allowance import check_parts
from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops import math
from fastnn.ops._promote import axes_of, axis_of, integer, promote, to_float
from fastnn.ops.arrays import flip
from fastnn.ops.convolution import conv
from fastnn.ops.spacing import wide_float
from fastnn.opset._dtypes import is_float

# ---- without NaN -------------------------------------------------------------------


def _without_nan(x: Any, value: float) -> Tensor:
    t = convert_to_tensor(x)
    return raw.where(raw.isnan(t), value, t) if is_float(t.dtype) else t


def _no_number(x: Any, axis: Any, keepdims: bool) -> Tensor | None:
    """Where all elements are NaN; None for what cannot be NaN."""
    t = convert_to_tensor(x)
    return math.all(raw.isnan(t), axis, keepdims) if is_float(t.dtype) else None


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`sum` with NaN counted as 0."""
    return math.sum(_without_nan(x, 0.0), axis, keepdims)


def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`prod` with NaN counted as 1."""
    return math.prod(_without_nan(x, 1.0), axis, keepdims)


def _nan_extremum(name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    least = -_math.inf if name == "max" else _math.inf
    y = getattr(math, name)(_without_nan(x, least), axis, keepdims)
    none = _no_number(x, axis, keepdims)
    return y if none is None else raw.where(none, _math.nan, y)


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Largest element that is not NaN; NaN where there is none."""
    return _nan_extremum("max", x, axis, keepdims)


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Smallest element that is not NaN; NaN where there is none."""
    return _nan_extremum("min", x, axis, keepdims)


def _nan_position(name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    least = -_math.inf if name == "argmax" else _math.inf
    t = _without_nan(x, least)
    if 0 in [t.shape[a] for a in axes_of(axis, t.ndim, f"nan{name}")]:
        raise ValueError(f"[nan{name}] no elements to reduce in shape {t.shape}")
    y = getattr(math, name)(t, axis, keepdims)
    none = _no_number(x, axis, keepdims)
    return y if none is None else raw.where(none, -1, y)


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first largest element that is not NaN, int32; -1 without any."""
    return _nan_position("argmax", x, axis, keepdims)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first smallest element that is not NaN, int32; -1 without any."""
    return _nan_position("argmin", x, axis, keepdims)


def _present_mean(t: Tensor, y: Tensor, axis: Any, keepdims: bool) -> Tensor:
    """Sum of y divided by the number of elements of t that are not NaN."""
    count = math.sum(raw.cast(raw.logical_not(raw.isnan(t)), t.dtype), axis, keepdims)
    return raw.divide(math.sum(y, axis, keepdims), count)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean of the elements that are not NaN; NaN where there is none."""
    t = to_float(x)
    return _present_mean(t, _without_nan(t, 0.0), axis, keepdims)


def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean squared deviation, of the elements that are not NaN, from their mean."""
    t = to_float(x)
    y = raw.subtract(t, nanmean(t, axis, True))
    y = raw.where(raw.isnan(t), 0.0, y)  # not where y is NaN: inf - inf stays
    return _present_mean(t, raw.square(y), axis, keepdims)


def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Square root of `nanvar`."""
    return raw.sqrt(nanvar(x, axis, keepdims))


# ---- averages, ranges, differences -------------------------------------------------


def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """sum(weights * x) / sum(weights) over axes, or the mean.

    Args:
        x: tensor; integers are averaged as floatx().
        axis: one axis, several, or None for all.
        weights: of x's shape, or a vector along the one axis.

    Raises:
        ShapeError: for weights of another shape.
    """
    if weights is None:
        return math.mean(x, axis)
    t, w = promote(x, weights)
    t, w = to_float(t), to_float(w)
    axes = axes_of(axis, t.ndim, "average")
    if w.shape != t.shape:
        if len(axes) != 1 or w.shape != (t.shape[axes[0]],):
            raise ShapeError(
                f"[average] weights must have x's shape {t.shape} or be a vector along "
                f"one axis, received {w.shape} with axis {axis}"
            )
        w = raw.reshape(w, (w.size, *(1,) * (t.ndim - 1 - axes[0])))
        w = raw.broadcast_to(w, t.shape)
    total = math.sum(raw.multiply(t, w), axes)
    return raw.divide(total, math.sum(w, axes))


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Largest minus smallest element over axes."""
    t = convert_to_tensor(x)
    low, high = (f(t, axis, keepdims) for f in (math.min, math.max))
    return integers.call("subtract", high, low)


def _neighbours(t: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    lead = (slice(None),) * axis
    return t[(*lead, slice(1, None))], t[(*lead, slice(None, -1))]


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis, n times; of bools whether they differ.

    Raises:
        ValueError: for a negative n.
    """
    t = convert_to_tensor(a)
    place = axis_of(axis, t.ndim, "diff")
    if integer("diff", "n", n) < 0:
        raise ValueError(f"[diff] n must not be negative, received {n}")
    rounds = min(n, t.shape[place])
    check_parts(rounds, "diff")
    for _ in range(rounds):
        after, before = _neighbours(t, place)
        if t.dtype == "bool":
            t = raw.logical_xor(after, before)
        else:
            t = integers.call("subtract", after, before)
    return t


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """Integral along an axis by the trapezoidal rule.

    x: places of y, a vector along the axis or an array of y's rank; else they are dx
    apart.
    """
    t = to_float(y)
    if x is not None:
        t, places = promote(t, x)
    place = axis_of(axis, t.ndim, "trapezoid")
    after, before = _neighbours(t, place)
    height = raw.multiply(raw.add(after, before), 0.5)
    if x is None:
        width = raw.cast(convert_to_tensor(dx), t.dtype)
    elif places.ndim == 1:
        width = diff(places)
        width = raw.reshape(width, (width.size, *(1,) * (t.ndim - 1 - place)))
    else:
        width = diff(places, axis=axis)
    return math.sum(raw.multiply(height, width), place)


# ---- correlation and distances -----------------------------------------------------


def corrcoef(x: Any) -> Tensor:
    """Pearson's correlation coefficients of the rows of x.

    Raises:
        ShapeError: for more than two axes.
    """
    t = wide_float(x)
    if t.ndim > 2:
        raise ShapeError(f"[corrcoef] needs rank 2 at most, received shape {t.shape}")
    rows = t if t.ndim == 2 else raw.reshape(t, (1, t.size))
    centred = raw.subtract(rows, math.mean(rows, 1, True))
    c = raw.matmul(centred, raw.transpose(centred, (1, 0)))
    spread = raw.sqrt(raw.diagonal(c, 0, 0, 1))
    y = raw.divide(raw.divide(c, spread), raw.reshape(spread, (spread.size, 1)))
    y = math.clip(y, -1.0, 1.0)
    return y if t.ndim == 2 else raw.reshape(y, ())


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """Sums of x1[n + k] * x2[n] over n for the shifts k, of two vectors, as floats.

    mode: "valid" for full overlap, "same" for the length of the longer one, "full".

    Raises:
        ValueError: for another mode or an empty vector.
        ShapeError: for anything but vectors.
    """
    if mode not in ("valid", "same", "full"):
        raise ValueError(
            f"[correlate] mode must be valid, same or full, received {mode!r}"
        )
    a, b = (wide_float(t) for t in promote(x1, x2))
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"[correlate] needs vectors, received {a.shape} and {b.shape}")
    if not a.size or not b.size:
        raise ValueError("[correlate] cannot correlate an empty vector")
    turned = a.size < b.size
    a, b = (b, a) if turned else (a, b)
    n = b.size
    low, high = {"valid": (0, 0), "same": (n // 2, n - n // 2 - 1)}.get(
        mode, (n - 1, n - 1)
    )
    zero = raw.cast(convert_to_tensor(0.0), a.dtype)
    wide = raw.pad(a, zero, (low,), (high,))
    wide = raw.reshape(wide, (1, wide.size, 1))
    y = conv(wide, raw.reshape(b, (n, 1, 1)), 1, "valid", "channels_last")
    y = raw.reshape(y, (y.size,))
    return flip(y) if turned else y


def cdist(x: Any, y: Any) -> Tensor:
    """Euclidean distances of all vectors in x (..., m, d) from all in y (..., n, d).

    Raises:
        ShapeError: for less than two axes or another last axis.
    """
    a, b = promote(x, y)
    a, b = to_float(a), to_float(b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            f"[cdist] needs vectors (..., m, d) and (..., n, d), received {a.shape} "
            f"and {b.shape}"
        )
    a = raw.reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    b = raw.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
    squares = math.sum(raw.square(raw.subtract(a, b)), -1)
    none = raw.equal(squares, 0.0)  # the slope of the distance is 0 there
    return raw.where(none, 0.0, raw.sqrt(raw.where(none, 1.0, squares)))


def gammainc(a: Any, x: Any) -> Tensor:
    """Regularized lower incomplete gamma function; needs SciPy.

    The integral of t^(a-1) e^-t from 0 to x, divided by gamma(a) (Abramowitz and
    Stegun 6.5.1). Differentiable with respect to both.
    """
    first, second = promote(a, x)
    return raw.gammainc(to_float(first), to_float(second), 0)


__all__ = [
    *"average cdist corrcoef correlate diff gammainc nanargmax nanargmin".split(),
    *"nanmax nanmean nanmin nanprod nanstd nansum nanvar ptp trapezoid".split(),
]
