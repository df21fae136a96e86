# SPDX-License-Identifier: Apache-2.0
"""Activations and their gradients, side by side.

Where the derivative is a function of the output, the gradient op takes `y`: the input
need not be kept, and the GEMM epilogue can apply it (performance: one buffer less).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.opset._infer import elementwise
from fastnn.opset._opdef import EXACT, POINTWISE, Attr, op, ulps
from fastnn.opset._samples import EQUAL_PAIRS, binary, unary
from fastnn.opset.pointwise import CHEAP, TRANSCENDENTAL, unary_op

SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, arXiv:1706.02515
SELU_ALPHA = 1.6732632423543772
GELU_K = math.sqrt(2 / math.pi)
ALPHA = (Attr("alpha", "float", 1.0),)
SLOPE = (Attr("negative_slope", "float", 0.2),)
APPROXIMATE = (Attr("approximate", "bool", False),)


def grad_op(name: str, second: str, ref: Any, **fields: Any) -> None:
    """A gradient op `name(dy, second)`."""
    fields.setdefault("cost", CHEAP)
    fields.setdefault("tol", ulps(2))
    low, high = fields.pop("range", (-3, 3))
    op(
        name,
        inputs=f"dy {second}",
        outputs="dx",
        infer=elementwise(name),
        kind=POINTWISE,
        ref=ref,
        samples=binary(
            low,
            high,
            attrs=fields.pop("cases", ((),)),
            kink=True,
            pairs=EQUAL_PAIRS,
        ),
        inplace=(0,),
        **fields,
    )


def _zero_where_positive(c: Any, g: Any, y: Any) -> Any:
    product = c.op.multiply(g, c.dy)
    return c.op.where(c.op.greater(y, 0), 0, product)


# relu
unary_op(
    "relu",
    lambda x: np.maximum(x, 0),
    unary(-3, 3, kink=True),
    vjp=lambda c, dy: c.op.relu_grad(dy, c.y),
    saves=("y",),
    tol=EXACT,
    doc="max(x, 0)",
)
grad_op(
    "relu_grad",
    "y",
    lambda dy, y: np.where(y > 0, dy, 0).astype(dy.dtype),
    vjp=lambda c, g: (c.op.relu_grad(g, c.y), None),
    saves=("y",),
    tol=EXACT,
    doc="dy where the output y > 0",
)

# leaky relu
unary_op(
    "leaky_relu",
    lambda x, negative_slope: np.where(x > 0, x, x * x.dtype.type(negative_slope)),
    unary(-3, 3, attrs=((0.2,), (0.01,)), kink=True),
    attrs=SLOPE,
    vjp=lambda c, dy: c.op.leaky_relu_grad(dy, c.y, c.negative_slope),
    saves=("y",),
    tol=ulps(1),
    doc="x where x > 0, else negative_slope * x",
)
grad_op(
    "leaky_relu_grad",
    "y",
    lambda dy, y, negative_slope: np.where(
        y > 0, dy, dy * dy.dtype.type(negative_slope)
    ),
    attrs=SLOPE,
    cases=((0.2,),),
    vjp=lambda c, g: (c.op.leaky_relu_grad(g, c.y, c.negative_slope), None),
    saves=("y",),
    doc="dy or negative_slope * dy by the sign of the output (negative_slope > 0)",
)

# elu: Clevert et al. 2015, arXiv:1511.07289
unary_op(
    "elu",
    lambda x, alpha: np.where(
        x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0))
    ),
    unary(-3, 3, attrs=((1.0,), (0.5,)), kink=True),
    attrs=ALPHA,
    vjp=lambda c, dy: c.op.elu_grad(dy, c.y, c.alpha),
    saves=("y",),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="x where x > 0, else alpha * (e^x - 1)",
)
grad_op(
    "elu_grad",
    "y",
    lambda dy, y, alpha: np.where(y > 0, dy, dy * (y + dy.dtype.type(alpha))),
    attrs=ALPHA,
    cases=((1.0,),),
    vjp=lambda c, g: (
        c.op.elu_grad(g, c.y, c.alpha),
        _zero_where_positive(c, g, c.y),
    ),
    saves=("dy", "y"),
    doc="dy where y > 0, else dy * (y + alpha)",
)

# selu
unary_op(
    "selu",
    lambda x: (
        SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))
    ).astype(x.dtype),
    unary(-3, 3, kink=True),
    vjp=lambda c, dy: c.op.selu_grad(dy, c.y),
    saves=("y",),
    tol=ulps(7),
    cost=TRANSCENDENTAL,
    doc="scale * elu(x, alpha), scale 1.0507, alpha 1.6733 (arXiv:1706.02515)",
)
grad_op(
    "selu_grad",
    "y",
    lambda dy, y: (
        dy * np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)
    ).astype(dy.dtype),
    vjp=lambda c, g: (c.op.selu_grad(g, c.y), _zero_where_positive(c, g, c.y)),
    saves=("dy", "y"),
    tol=ulps(3)._replace(atol=1e-6),
    doc="dy * scale where y > 0, else dy * (y + scale * alpha)",
)


# sigmoid
def _sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


unary_op(
    "sigmoid",
    _sigmoid,
    unary(-6, 6),
    vjp=lambda c, dy: c.op.sigmoid_grad(dy, c.y),
    saves=("y",),
    tol=ulps(5),
    cost=TRANSCENDENTAL,
    doc="1 / (1 + e^-x)",
)
grad_op(
    "sigmoid_grad",
    "y",
    lambda dy, y: dy * y * (1 - y),
    vjp=lambda c, g: (
        c.op.sigmoid_grad(g, c.y),
        c.op.multiply(
            c.op.multiply(g, c.dy), c.op.subtract(1.0, c.op.multiply(c.y, 2))
        ),
    ),
    saves=("dy", "y"),
    tol=ulps(3)._replace(atol=2e-6),
    doc="dy * y * (1 - y)",
)

# tanh
unary_op(
    "tanh",
    np.tanh,
    unary(-4, 4),
    vjp=lambda c, dy: c.op.tanh_grad(dy, c.y),
    saves=("y",),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="hyperbolic tangent",
)
grad_op(
    "tanh_grad",
    "y",
    lambda dy, y: dy * (1 - y * y),
    vjp=lambda c, g: (
        c.op.tanh_grad(g, c.y),
        c.op.multiply(c.op.multiply(g, c.dy), c.op.multiply(c.y, -2)),
    ),
    saves=("dy", "y"),
    tol=ulps(3)._replace(atol=4e-6),
    doc="dy * (1 - y^2)",
)


# softplus
def _softplus_second(c: Any, g: Any) -> Any:
    bend = c.op.exp(c.op.negative(c.y))
    return c.op.softplus_grad(g, c.y), c.op.multiply(c.op.multiply(g, c.dy), bend)


unary_op(
    "softplus",
    lambda x: (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype),
    unary(-6, 6),
    vjp=lambda c, dy: c.op.softplus_grad(dy, c.y),
    saves=("y",),
    tol=ulps(6),
    cost=2 * TRANSCENDENTAL,
    doc="log(1 + e^x)",
)
grad_op(
    "softplus_grad",
    "y",
    lambda dy, y: -dy * np.expm1(-y),
    range=(0.002, 6),
    vjp=_softplus_second,
    saves=("dy", "y"),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="dy * (1 - e^-y): the sigmoid of x",
)


# softsign
def _softsign_second(c: Any, g: Any) -> Any:
    d = c.op.add(c.op.abs(c.x), 1)
    cube = c.op.multiply(d, c.op.square(d))
    slope = c.op.divide(c.op.multiply(c.op.sign(c.x), -2), cube)
    return c.op.softsign_grad(g, c.x), c.op.multiply(c.op.multiply(g, c.dy), slope)


unary_op(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    unary(-4, 4, kink=True),
    vjp=lambda c, dy: c.op.softsign_grad(dy, c.x),
    saves=("x",),
    tol=ulps(2),
    cost=0.6,
    doc="x / (1 + |x|)",
)
grad_op(
    "softsign_grad",
    "x",
    lambda dy, x: dy / (1 + np.abs(x)) ** 2,
    vjp=_softsign_second,
    saves=("dy", "x"),
    tol=ulps(4),
    cost=0.6,
    doc="dy / (1 + |x|)^2",
)


# silu (swish)
def _silu_second(c: Any, g: Any) -> Any:
    s = c.op.sigmoid(c.x)
    bend = c.op.multiply(c.x, c.op.subtract(1.0, c.op.multiply(s, 2)))
    slope = c.op.sigmoid_grad(c.op.add(bend, 2), s)
    return c.op.silu_grad(g, c.x), c.op.multiply(c.op.multiply(g, c.dy), slope)


def _silu_grad(dy: Any, x: Any) -> Any:
    s = _sigmoid(x)
    return dy * (s * (1 + x * (1 - s)))


unary_op(
    "silu",
    lambda x: x * _sigmoid(x),
    unary(-5, 5),
    vjp=lambda c, dy: c.op.silu_grad(dy, c.x),
    saves=("x",),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="x * sigmoid(x)",
)
grad_op(
    "silu_grad",
    "x",
    _silu_grad,
    vjp=_silu_second,
    saves=("dy", "x"),
    tol=ulps(12)._replace(atol=2e-6),
    cost=TRANSCENDENTAL,
    doc="dy * s * (1 + x * (1 - s)), s = sigmoid(x)",
)


# gelu: Hendrycks & Gimpel 2016, arXiv:1606.08415
def _gelu(x: Any, approximate: bool) -> Any:
    if approximate:
        u = GELU_K * (x + 0.044715 * x**3)
        return (0.5 * x * (1 + np.tanh(u))).astype(x.dtype)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return (0.5 * x * (1 + erf(x / math.sqrt(2)))).astype(x.dtype)


def _gelu_grad(dy: Any, x: Any, approximate: bool) -> Any:
    if approximate:
        u = GELU_K * (x + 0.044715 * x**3)
        t = np.tanh(u)
        du = GELU_K * (1 + 3 * 0.044715 * x**2)
        return (dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)).astype(dy.dtype)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    cdf = 0.5 * (1 + erf(x / math.sqrt(2)))
    pdf = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return (dy * (cdf + x * pdf)).astype(dy.dtype)


def _gelu_second(c: Any, g: Any) -> Any:
    m, add, x2 = c.op.multiply, c.op.add, c.op.square(c.x)
    if c.approximate:
        u = m(m(c.x, add(m(x2, 0.044715), 1)), GELU_K)
        t = c.op.tanh(u)
        sech2 = c.op.subtract(1.0, c.op.square(t))
        du = add(m(x2, GELU_K * 3 * 0.044715), GELU_K)
        ddu = m(c.x, GELU_K * 6 * 0.044715)
        inner = add(m(m(t, -2), c.op.square(du)), ddu)
        slope = m(sech2, add(du, m(m(c.x, 0.5), inner)))
    else:
        pdf = m(c.op.exp(m(x2, -0.5)), 1 / math.sqrt(2 * math.pi))
        slope = m(pdf, c.op.subtract(2.0, x2))
    return c.op.gelu_grad(g, c.x, c.approximate), m(m(g, c.dy), slope)


unary_op(
    "gelu",
    _gelu,
    unary(-4, 4, attrs=((False,), (True,))),
    attrs=APPROXIMATE,
    vjp=lambda c, dy: c.op.gelu_grad(dy, c.x, c.approximate),
    saves=("x",),
    tol=ulps(24)._replace(atol=1e-6),
    cost=2 * TRANSCENDENTAL,
    doc="x * Phi(x), or 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
)
grad_op(
    "gelu_grad",
    "x",
    _gelu_grad,
    attrs=APPROXIMATE,
    cases=((False,), (True,)),
    vjp=_gelu_second,
    saves=("dy", "x"),
    tol=ulps(24)._replace(atol=4e-6),
    cost=2 * TRANSCENDENTAL,
    doc="dy * (Phi(x) + x phi(x)), or the derivative of the tanh form",
)
