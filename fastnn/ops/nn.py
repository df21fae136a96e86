# SPDX-License-Identifier: Apache-2.0
"""Activations with Keras's signatures.

`softmax` and `sigmoid` remember what they were computed from (`Tensor._logits`), so
that a cross-entropy of their output uses the fused, stable form.
"""

from __future__ import annotations

from typing import Any

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.ops._promote import axes_of, to_float
from fastnn.ops.math import clip


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
    (a,) = axes_of(axis, x.ndim, name)
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


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return clip(to_float(x), 0.0, 6.0)


def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return raw.multiply(relu6(raw.add(to_float(x), 3.0)), 1 / 6)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x)."""
    t = to_float(x)
    return raw.multiply(t, hard_sigmoid(t))


def hard_tanh(x: Any) -> Tensor:
    """min(max(x, -1), 1)."""
    return clip(to_float(x), -1.0, 1.0)


def log_sigmoid(x: Any) -> Tensor:
    """-softplus(-x)."""
    return raw.negative(raw.softplus(raw.negative(to_float(x))))


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)) (arXiv:1908.08681)."""
    t = to_float(x)
    return raw.multiply(t, raw.tanh(raw.softplus(t)))


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """max(x, 0) + min(alpha (e^(x/alpha) - 1), 0) (arXiv:1704.07483)."""
    t = to_float(x)
    below = raw.multiply(raw.expm1(raw.divide(raw.minimum(t, 0.0), alpha)), alpha)
    return raw.add(raw.relu(t), below)


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


def swish(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return raw.silu(to_float(x))


hard_swish = hard_silu

__all__ = [
    *"celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish".split(),
    *"hard_tanh leaky_relu log_sigmoid log_softmax mish relu6 sigmoid".split(),
    *"soft_shrink softmax squareplus swish tanh_shrink threshold".split(),
]
