# SPDX-License-Identifier: Apache-2.0
"""Local response normalization over the last axis, as TensorFlow defines it.

y = x u^-beta with u = bias + alpha S(x^2), S the sum of the elements at most `radius`
places away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import ROW, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform

if TYPE_CHECKING:
    from collections.abc import Iterator

RADIUS = Attr("radius", "int", 5)
ATTRS = (
    RADIUS,
    Attr("bias", "float", 1.0),
    Attr("alpha", "float", 1.0),
    Attr("beta", "float", 0.5),
)


def _infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check_float(name, check_same_dtype(name, [s.dtype for s in specs]))
        shape = specs[0].shape
        if len(shape) < 2 or any(s.shape != shape for s in specs) or attrs[0] < 0:
            received = " and ".join(str(s.shape) for s in specs)
            raise ShapeError(
                f"[{name}] needs equal shapes (..., channels) and a radius of at least "
                f"0, received {received} and {attrs[0]}"
            )
        return [Spec(shape, specs[0].dtype)]

    return infer


def _window_sum(x: Any, radius: int) -> Any:
    n = x.shape[-1]
    wide = np.pad(x, [*[(0, 0)] * (x.ndim - 1), (radius, radius)])
    total = np.zeros_like(x)
    for k in range(2 * radius + 1):
        total += wide[..., k : k + n]
    return total


def _lrn(x: Any, radius: int, bias: float, alpha: float, beta: float) -> Any:
    return x * (bias + alpha * _window_sum(x * x, radius)) ** -beta


def _lrn_grad(
    dy: Any, x: Any, radius: int, bias: float, alpha: float, beta: float
) -> Any:
    u = bias + alpha * _window_sum(x * x, radius)
    around = _window_sum(dy * x * u ** (-beta - 1), radius)
    return dy * u**-beta - 2 * alpha * beta * x * around


def _lrn_grad_vjp(c: Any, g: Any) -> Any:
    m = c.op.multiply

    def window(t: Any) -> Any:
        return c.op.window_sum(t, c.radius)

    u = c.op.add(m(window(c.op.square(c.x)), c.alpha), c.bias)

    def power(exponent: float) -> Any:
        return c.op.power(u, exponent)

    q = power(-c.beta - 1)
    dyx, gx = m(c.dy, c.x), m(g, c.x)
    a, b = window(gx), window(m(dyx, q))
    slope = 2 * c.alpha * c.beta
    d_dy = c.op.subtract(m(g, power(-c.beta)), m(m(m(a, c.x), q), slope))
    direct = m(c.op.add(m(g, b), m(m(a, c.dy), q)), -slope)
    du = c.op.subtract(
        m(m(m(a, dyx), power(-c.beta - 2)), slope * (c.beta + 1)),
        m(m(m(g, c.dy), q), c.beta),
    )
    through = m(m(window(du), c.x), 2 * c.alpha)
    return d_dy, c.op.add(direct, through)


def _samples(n: int, attrs: tuple) -> Any:
    def make(rng: Any, dtype: str) -> Iterator[Sample]:
        for shape in ((1, 1), (2, 7), (3, 2, 20), (2, 3, 2, 35), (0, 3)):
            for values in attrs:
                operands = [uniform(rng, shape, dtype, -2, 2) for _ in range(n)]
                yield Sample(tuple(operands), values)

    return make


_SETTINGS = (
    (5, 1.0, 1.0, 0.5),
    (2, 1.0, 2e-5, 0.75),
    (1, 2.0, 0.3, 0.6),
    (0, 1.5, 0.2, 1.0),
)
TOL = Tol(4e-6, 2e-14, 2e-6)

op(
    "window_sum",
    inputs="x",
    attrs=(RADIUS,),
    infer=_infer("window_sum"),
    kind=ROW,
    ref=_window_sum,
    vjp=lambda c, dy: c.op.window_sum(dy, c.radius),
    samples=_samples(1, ((0,), (1,), (5,))),
    tol=TOL._replace(atol=8e-6),
    cost=1.0,
    doc="sum over the elements of the last axis at most `radius` places away",
)
op(
    "lrn",
    inputs="x",
    attrs=ATTRS,
    infer=_infer("lrn"),
    kind=ROW,
    ref=_lrn,
    vjp=lambda c, dy: c.op.lrn_grad(dy, c.x, c.radius, c.bias, c.alpha, c.beta),
    saves=("x",),
    samples=_samples(1, _SETTINGS),
    tol=TOL,
    cost=2.0,
    doc="x (bias + alpha window_sum(x^2))^-beta",
)
op(
    "lrn_grad",
    inputs="dy x",
    outputs="dx",
    attrs=ATTRS,
    infer=_infer("lrn_grad"),
    kind=ROW,
    ref=_lrn_grad,
    vjp=_lrn_grad_vjp,
    saves=("dy", "x"),
    samples=_samples(2, _SETTINGS),
    tol=TOL._replace(atol=8e-6),
    cost=4.0,
    doc="gradient of lrn",
)
