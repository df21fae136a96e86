# SPDX-License-Identifier: Apache-2.0
"""What the normalizations share: reference, checks, gradient of the gradient.

All but unit norm are y = xhat gamma + beta with xhat = (x - mean) r, r a reciprocal
deviation; they differ in what shares a mean.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import Attr, Spec, Tol

EPSILON = Attr("epsilon", "float")
AXIS = Attr("axis", "int")
TOL = Tol(8e-6, 2e-14, 8e-6)


def size(shape: Any) -> int:
    return prod(shape)


def check_floats(name: str, specs: list[Spec]) -> None:
    check_float(name, check_same_dtype(name, [s.dtype for s in specs]))


def check_shape(name: str, label: str, spec: Spec, shape: tuple[int, ...]) -> None:
    if spec.shape != shape:
        raise ShapeError(f"[{name}] {label} must be {shape}, received {spec.shape}")


def plus(c: Any, a: Any, b: Any) -> Any:
    """a + b, where None is nothing."""
    return b if a is None else a if b is None else c.op.add(a, b)


def reshaped(c: Any, value: Any, shape: tuple[int, ...]) -> Any:
    return None if value is None else c.op.reshape(value, shape)


def statistics_vjp(c: Any, dmean: Any, dvar: Any, mean: Any, count: int) -> Any:
    """Of mean and variance of x, given in shapes that broadcast against x."""
    kept = [i for i, n in enumerate(mean.shape) if n > 1]
    both = dmean is not None and dvar is not None
    if both and len(kept) == 1 and len(mean.shape) > 1:
        # (x - mean) 2 dvar / count + dmean / count, per channel: one pass, not four.
        channels = (mean.shape[kept[0]],)
        one = c.constant(np.ones(channels, c.dtype_of("x")))
        mean, scale, shift = (
            c.op.reshape(v, channels)
            for v in (
                mean,
                c.op.multiply(dvar, 2.0 / count),
                c.op.multiply(dmean, 1.0 / count),
            )
        )
        return c.op.batch_norm_apply(c.x, mean, one, scale, shift, kept[0], 0.0)
    dx = None
    if dmean is not None:
        dx = c.op.broadcast_to(c.op.multiply(dmean, 1.0 / count), c.shape_of("x"))
    if dvar is not None:
        scale = c.op.multiply(dvar, 2.0 / count)
        dx = plus(c, dx, c.op.multiply(c.op.subtract(c.x, mean), scale))
    return dx


def second_order(
    c: Any,
    cotangents: tuple[Any, Any, Any],
    operands: tuple[Any, Any, Any, Any, Any],
    axes: tuple[int, ...],
    *,
    centered: bool = True,
) -> tuple[Any, Any, Any, Any, Any]:
    """Gradient of dx = r (g - mean(g) - xhat mean(g xhat)), dy xhat and dy, where
    g = dy gamma and xhat = (x - mean) r; with respect to dy, x, gamma, mean and r.

    All have shapes that broadcast against x; the gradient of gamma is not summed yet.
    """
    m, add, sub = c.op.multiply, c.op.add, c.op.subtract
    to_dx, to_dgamma, to_dbeta = cotangents
    dy, x, gamma, mean, r = operands
    count = max(size([x.shape[a] for a in axes]), 1)

    def average(v: Any) -> Any:
        return m(c.op.sum(v, axes, True), 1.0 / count)

    deviation = sub(x, mean)
    xhat, g = m(deviation, r), m(dy, gamma)
    d_dy = d_gamma = d_xhat = d_r = None
    if to_dx is not None:
        h = m(to_dx, r)
        slope, back = average(m(g, xhat)), average(m(h, xhat))
        u, v = sub(g, m(xhat, slope)), sub(h, m(xhat, back))
        if centered:
            u, v = sub(u, average(g)), sub(v, average(h))
        d_dy, d_gamma = m(v, gamma), m(v, dy)
        d_xhat = c.op.negative(add(m(h, slope), m(g, back)))
        d_r = c.op.sum(m(to_dx, u), axes, True)
    if to_dgamma is not None:
        d_dy = plus(c, d_dy, m(xhat, to_dgamma))
        d_xhat = plus(c, d_xhat, m(dy, to_dgamma))
    if to_dbeta is not None:
        d_dy = plus(c, d_dy, c.op.broadcast_to(to_dbeta, x.shape))
    if d_xhat is None:
        return d_dy, None, None, None, None
    d_x = m(d_xhat, r)
    d_mean = c.op.negative(c.op.sum(d_x, axes, True))
    d_r = plus(c, d_r, c.op.sum(m(d_xhat, deviation), axes, True))
    return d_dy, d_x, d_gamma, d_mean, d_r


def variance_slope(c: Any, r: Any, d_r: Any) -> Any:
    """Gradient of a variance v from that of r = 1 / sqrt(v + epsilon)."""
    return c.op.multiply(d_r, c.op.multiply(c.op.multiply(c.op.square(r), r), -0.5))


def gradient_ref(
    dy: Any, gamma: Any, xhat: Any, r: Any, axes: Any, centered: bool
) -> Any:
    if dy.size == 0:
        return dy
    g = dy * gamma
    middle = np.mean(g, axis=axes, keepdims=True) if centered else 0.0
    return r * (g - middle - xhat * np.mean(g * xhat, axis=axes, keepdims=True))
