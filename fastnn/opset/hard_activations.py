# SPDX-License-Identifier: Apache-2.0
"""Activations that Keras builds of several ops, fused: one pass instead of several.

Mobile networks use the piecewise ones in every block. Written as `activations.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.opset._opdef import EXACT, ulps
from fastnn.opset._samples import unary
from fastnn.opset.activations import ALPHA, _sigmoid, grad_op
from fastnn.opset.pointwise import TRANSCENDENTAL, unary_op

# relu6: Krizhevsky 2010
unary_op(
    "relu6",
    lambda x: np.clip(x, 0, 6),
    unary(-3, 9, kink=True),
    vjp=lambda c, dy: c.op.relu6_grad(dy, c.y),
    saves=("y",),
    tol=EXACT,
    doc="min(max(x, 0), 6)",
)
grad_op(
    "relu6_grad",
    "y",
    lambda dy, y: np.where((y > 0) & (y < 6), dy, 0).astype(dy.dtype),
    range=(-3, 9),
    vjp=lambda c, g: (c.op.relu6_grad(g, c.y), None),
    saves=("y",),
    tol=EXACT,
    doc="dy where the output is inside 0..6",
)

# hard sigmoid and hard silu: Howard et al. 2019, arXiv:1905.02244
unary_op(
    "hard_sigmoid",
    lambda x: (np.clip(x + 3, 0, 6) / 6).astype(x.dtype),
    unary(-5, 5),
    vjp=lambda c, dy: c.op.hard_sigmoid_grad(dy, c.x),
    saves=("x",),
    tol=ulps(3)._replace(atol=1e-7),
    doc="relu6(x + 3) / 6",
)
grad_op(
    "hard_sigmoid_grad",
    "x",
    lambda dy, x: np.where(np.abs(x) < 3, dy / 6, 0).astype(dy.dtype),
    range=(-5, 5),
    vjp=lambda c, g: (c.op.hard_sigmoid_grad(g, c.x), None),
    saves=("x",),
    doc="dy / 6 where |x| < 3",
)


def _hard_silu_grad(dy: Any, x: Any) -> Any:
    inside = dy * (x / 3 + 0.5)
    return np.where(np.abs(x) < 3, inside, np.where(x < 3, 0, dy)).astype(dy.dtype)


def _hard_silu_second(c: Any, g: Any) -> Any:
    inside = c.op.less(c.op.abs(c.x), 3.0)
    product = c.op.multiply(c.op.multiply(g, c.dy), 1 / 3)
    return c.op.hard_silu_grad(g, c.x), c.op.where(inside, product, 0.0)


unary_op(
    "hard_silu",
    lambda x: (x * (np.clip(x + 3, 0, 6) / 6)).astype(x.dtype),
    unary(-5, 5),
    vjp=lambda c, dy: c.op.hard_silu_grad(dy, c.x),
    saves=("x",),
    tol=ulps(4)._replace(atol=4e-7),
    doc="x * relu6(x + 3) / 6",
)
grad_op(
    "hard_silu_grad",
    "x",
    _hard_silu_grad,
    range=(-5, 5),
    vjp=_hard_silu_second,
    saves=("dy", "x"),
    tol=ulps(4)._replace(atol=4e-7),
    doc="dy * (x / 3 + 1/2) where |x| < 3, else 0 or dy",
)

# log sigmoid
unary_op(
    "log_sigmoid",
    lambda x: -(np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype),
    unary(-6, 6),
    vjp=lambda c, dy: c.op.log_sigmoid_grad(dy, c.x),
    saves=("x",),
    tol=ulps(6),
    cost=2 * TRANSCENDENTAL,
    doc="log(1 / (1 + e^-x))",
)


def _log_sigmoid_second(c: Any, g: Any) -> Any:
    slope = c.op.sigmoid_grad(c.op.multiply(g, c.dy), c.op.sigmoid(c.x))
    return c.op.log_sigmoid_grad(g, c.x), c.op.negative(slope)


grad_op(
    "log_sigmoid_grad",
    "x",
    lambda dy, x: dy * _sigmoid(-x),
    vjp=_log_sigmoid_second,
    saves=("dy", "x"),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="dy * sigmoid(-x)",
)


# mish: Misra 2019, arXiv:1908.08681
def _mish_parts(x: Any) -> tuple[Any, Any]:
    return np.tanh(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))), _sigmoid(x)


def _mish_grad(dy: Any, x: Any) -> Any:
    t, s = _mish_parts(x)
    bend = np.where(np.isinf(x), 0, x * s * (1 - t * t))
    return (dy * (t + bend)).astype(dy.dtype)


def _mish_second(c: Any, g: Any) -> Any:
    m, s = c.op.multiply, c.op.sigmoid(c.x)
    t = c.op.tanh(c.op.softplus(c.x))
    # (1 - t^2) s (2 + x (1 - s) - 2 x t s)
    inner = c.op.subtract(c.op.subtract(1.0, s), m(m(t, s), 2.0))
    bend = m(m(c.op.subtract(1.0, c.op.square(t)), s), c.op.add(m(c.x, inner), 2.0))
    return c.op.mish_grad(g, c.x), m(m(g, c.dy), bend)


unary_op(
    "mish",
    lambda x: (x * _mish_parts(x)[0]).astype(x.dtype),
    unary(-5, 5),
    vjp=lambda c, dy: c.op.mish_grad(dy, c.x),
    saves=("x",),
    tol=ulps(8),
    cost=TRANSCENDENTAL,
    doc="x * tanh(softplus(x))",
)
grad_op(
    "mish_grad",
    "x",
    _mish_grad,
    vjp=_mish_second,
    saves=("dy", "x"),
    tol=ulps(12)._replace(atol=2e-6),
    cost=TRANSCENDENTAL,
    doc="dy * (t + x s (1 - t^2)), t = tanh(softplus(x)), s = sigmoid(x)",
)


# celu: Barron 2017, arXiv:1704.07483
def _celu_second(c: Any, g: Any) -> Any:
    product = c.op.multiply(c.op.multiply(g, c.dy), 1 / c.alpha)
    bend = c.op.where(c.op.greater(c.y, 0), 0, product)
    return c.op.celu_grad(g, c.y, c.alpha), bend


unary_op(
    "celu",
    lambda x, alpha: np.where(
        x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0) / alpha)
    ).astype(x.dtype),
    unary(-3, 3, attrs=((1.0,), (0.5,)), kink=True),
    attrs=ALPHA,
    vjp=lambda c, dy: c.op.celu_grad(dy, c.y, c.alpha),
    saves=("y",),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="x where x > 0, else alpha * (e^(x / alpha) - 1)",
)
grad_op(
    "celu_grad",
    "y",
    lambda dy, y, alpha: np.where(y > 0, dy, dy * (y / alpha + 1)).astype(dy.dtype),
    attrs=ALPHA,
    cases=((0.5,),),
    vjp=_celu_second,
    saves=("dy", "y"),
    tol=ulps(3)._replace(atol=1e-6),
    doc="dy where y > 0, else dy * (y / alpha + 1)",
)
