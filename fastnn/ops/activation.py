# SPDX-License-Identifier: Apache-2.0
"""Activations with Keras's signatures.

`softmax` and `sigmoid` remember what they were computed from (`Tensor._logits`), so
that a cross-entropy of their output uses the fused, stable form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.grad import stop_gradient
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._promote import as_dtype, axis_of, promote, to_float
from fastnn.ops.arrays import moveaxis


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    t = to_float(x)
    if negative_slope > 0:
        return raw.leaky_relu(t, float(negative_slope))
    # The gradient op reads the sign of the output, which a slope <= 0 hides.
    return raw.where(raw.greater(t, 0), t, raw.multiply(t, float(negative_slope)))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1) (arXiv:1511.07289)."""
    return raw.elu(to_float(x), float(alpha))


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x * Phi(x), by tanh when approximate (arXiv:1606.08415)."""
    return raw.gelu(to_float(x), bool(approximate))


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x)."""
    t = to_float(x)
    y = raw.sigmoid(t)
    y._logits = ("sigmoid", t)
    return y


def _along(fn: Any, x: Tensor, axis: int, name: str) -> Tensor:
    a = axis_of(axis, x.ndim, name)
    if a:
        return fn(x, a)
    return raw.reshape(fn(raw.reshape(x, (1, *x.shape)), 1), x.shape)


def softmax(x: Any, axis: int | None = -1) -> Tensor:
    """e^x / sum(e^x) along an axis (over all elements when None)."""
    t = to_float(x)
    if axis is None:
        return raw.reshape(raw.softmax(raw.reshape(t, (1, t.size)), 1), t.shape)
    y = _along(raw.softmax, t, axis, "softmax")
    if axis in (-1, t.ndim - 1) and t.ndim > 1:
        y._logits = ("softmax", t)
    return y


def log_softmax(x: Any, axis: int | None = -1) -> Tensor:
    """log(softmax(x)) without underflow."""
    t = to_float(x)
    if axis is None:
        return raw.reshape(raw.log_softmax(raw.reshape(t, (1, t.size)), 1), t.shape)
    return _along(raw.log_softmax, t, axis, "log_softmax")


def _between(t: Tensor, low: float, high: float) -> Tensor:
    return raw.minimum(raw.maximum(t, low), high)


def hard_tanh(x: Any) -> Tensor:
    """min(max(x, -1), 1)."""
    return _between(to_float(x), -1.0, 1.0)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """max(x, 0) + min(alpha (e^(x/alpha) - 1), 0) (arXiv:1704.07483)."""
    return raw.celu(to_float(x), float(alpha))


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    t = to_float(x)
    return raw.subtract(t, raw.tanh(t))


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by threshold, 0 within it."""
    t = to_float(x)
    above = raw.relu(raw.subtract(t, threshold))
    below = raw.relu(raw.subtract(raw.negative(t), threshold))
    return raw.subtract(above, below)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, else 0."""
    t = to_float(x)
    return raw.where(raw.greater(raw.abs(t), threshold), t, 0.0)


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where x > threshold, else default_value."""
    t = to_float(x)
    return raw.where(raw.greater(t, float(threshold)), t, float(default_value))


def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, (x + 1)^2 / 4 between, x from 1 on (arXiv:1602.02068's loss)."""
    t = to_float(x)
    bend = raw.multiply(raw.square(raw.add(t, 1.0)), 0.25)
    below = raw.where(raw.greater(t, -1.0), bend, 0.0)
    return raw.where(raw.less(t, 1.0), below, t)


def sparse_sigmoid(x: Any) -> Tensor:
    """min(max((x + 1) / 2, 0), 1)."""
    return _between(raw.multiply(raw.add(to_float(x), 1.0), 0.5), 0.0, 1.0)


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2 (arXiv:2112.11687)."""
    t = to_float(x)
    root = raw.sqrt(raw.add(raw.square(t), float(b)))
    return raw.multiply(raw.add(t, root), 0.5)


def glu(x: Any, axis: int = -1) -> Tensor:
    """First half times the sigmoid of the second half along an axis."""
    from fastnn.ops.arrays import split

    a, b = split(to_float(x), 2, axis)
    return raw.multiply(a, raw.sigmoid(b))


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """Euclidean projection of x on the simplex along an axis (arXiv:1602.02068).

    max(x - tau, 0) with the tau for which it sums to 1. Keras 3.15 adds up running
    sums for tau, so that its results sum to less where several are positive.
    """
    t = to_float(x)
    a = axis_of(axis, t.ndim, "sparsemax")
    n = t.shape[a]
    # A maximum of 0 changes nothing, and the 1 below is not rounded off.
    t = raw.subtract(t, stop_gradient(raw.max(t, (a,), True))) if n else t
    last = moveaxis(stop_gradient(t), a, -1)
    rows = raw.reshape(last, (t.size // max(n, 1), n))
    falling = raw.negative(raw.sort(raw.negative(rows)))
    place = constant((n,), t.dtype, lambda: np.arange(1, n + 1))
    excess = raw.subtract(raw.cumsum(falling, 1, False, False), 1.0)
    kept = raw.greater(raw.multiply(falling, place), excess)
    size = raw.sum(raw.cast(kept, t.dtype), (1,), True)
    least = raw.min(raw.where(kept, falling, np.inf), (1,), True)
    one = (*last.shape[:-1], 1)
    size, least = (moveaxis(raw.reshape(v, one), -1, a) for v in (size, least))
    support = raw.greater_equal(t, least)
    mass = raw.sum(raw.where(support, t, 0.0), (a,), True)
    tau = raw.divide(raw.subtract(mass, 1.0), size)
    return raw.relu(raw.subtract(t, tau))


def psnr(x1: Any, x2: Any, max_val: Any) -> Tensor:
    """Peak signal-to-noise ratio in decibels: 20 log10(max_val) - 10 log10(mse).

    Args:
        x1, x2: tensors of one shape.
        max_val: the largest value that a signal can have.

    Returns:
        A scalar; infinity for equal tensors.

    Raises:
        ShapeError: for shapes that differ.
    """
    from fastnn.ops.math import mean

    a, b = promote(x1, x2)
    if a.shape != b.shape:
        raise ShapeError(
            f"[psnr] needs tensors of one shape, received {a.shape} and {b.shape}"
        )
    a, b = to_float(a), to_float(b)
    peak = raw.log10(as_dtype(max_val, a.dtype))
    noise = raw.log10(mean(raw.square(raw.subtract(a, b))))
    return raw.subtract(raw.multiply(peak, 20.0), raw.multiply(noise, 10.0))


def swish(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return raw.silu(to_float(x))


def hard_swish(x: Any) -> Tensor:
    """x * relu6(x + 3) / 6."""
    return raw.hard_silu(to_float(x))


__all__ = [
    *"celu elu gelu glu hard_shrink hard_swish hard_tanh leaky_relu".split(),
    *"log_softmax psnr sigmoid soft_shrink softmax sparse_plus".split(),
    *"sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold".split(),
]
