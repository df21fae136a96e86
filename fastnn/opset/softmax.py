# SPDX-License-Identifier: Apache-2.0
"""Softmax and log-softmax along any axis but the leading one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import ROW, Attr, Sample, Spec, op, ulps
from fastnn.opset._samples import typical, uniform

AXIS = (Attr("axis", "int", -1),)
SHAPES = (
    ((1, 1), 1),
    ((1, 7), 1),
    ((0, 3), 1),
    ((3, 5), 1),
    ((4, 10), 1),
    ((2, 3, 19), 2),
    ((3, 70), 1),
    ((1, 600), 1),
    ((2, 7, 3), 1),
    ((1, 5, 150), 1),
    ((3, 2, 4, 5), 2),
)


def row_infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        from fastnn.errors import ShapeError

        check_same_dtype(name, [s.dtype for s in specs])
        check_float(name, specs[0].dtype)
        if len(specs[0].shape) < 2:
            # Rows are the unit of ownership: a lone row is (1, n).
            raise ShapeError(
                f"[{name}] needs rows, shape (..., n), received {specs[0].shape}: "
                f"reshape it to (1, n)"
            )
        if not attrs[0] % len(specs[0].shape) > 0:
            raise ShapeError(
                f"[{name}] axis 0 holds the rows that parts own: reshape "
                f"{specs[0].shape} to (1, ...) first"
            )
        return [Spec(specs[0].shape, specs[0].dtype)]

    return infer


TYPICAL = (((512, 1000), 1),)


def _samples(n: int) -> Any:
    def make(rng: Any, dtype: str, shapes: Any = SHAPES) -> Any:
        for shape, axis in shapes:
            arrays = [uniform(rng, shape, dtype, -4, 4) for _ in range(n)]
            yield Sample(tuple(arrays), (axis,))

    return make


def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: int = -1) -> Any:
    z = x - np.max(x, axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def row_sum(c: Any, x: Any) -> Any:
    """Sum over the last axis, kept."""
    return c.op.sum(x, (len(x.shape) - 1,), True)


def _axis_sum(c: Any, x: Any) -> Any:
    """Sum along the op's axis, kept."""
    return c.op.sum(x, (c.axis,), True)


op(
    "softmax",
    inputs="x",
    attrs=AXIS,
    infer=row_infer("softmax"),
    kind=ROW,
    ref=_softmax,
    vjp=lambda c, dy: c.op.softmax_grad(dy, c.y, c.axis),
    saves=("y",),
    samples=_samples(1),
    typical=typical(_samples(1), shapes=TYPICAL),
    tol=ulps(16),
    inplace=(0,),
    cost=2.0,
    doc="e^x / sum(e^x) along an axis, shifted by the maximum",
)


def _softmax_second(c: Any, g: Any) -> Any:
    # out = y (dy - s), s = sum(dy y)
    m, sub = c.op.multiply, c.op.subtract
    s = _axis_sum(c, m(c.dy, c.y))
    gy = _axis_sum(c, m(g, c.y))
    return c.op.softmax_grad(g, c.y, c.axis), sub(m(g, sub(c.dy, s)), m(c.dy, gy))


op(
    "softmax_grad",
    inputs="dy y",
    outputs="dx",
    attrs=AXIS,
    infer=row_infer("softmax_grad"),
    kind=ROW,
    ref=lambda dy, y, axis: y * (dy - np.sum(dy * y, axis=axis, keepdims=True)),
    vjp=_softmax_second,
    saves=("dy", "y"),
    samples=_samples(2),
    typical=typical(_samples(2), shapes=TYPICAL),
    tol=ulps(64)._replace(atol=4e-5),
    inplace=(0,),
    cost=0.6,
    doc="y * (dy - sum(dy * y)) along an axis",
)
op(
    "log_softmax",
    inputs="x",
    attrs=AXIS,
    infer=row_infer("log_softmax"),
    kind=ROW,
    ref=_log_softmax,
    vjp=lambda c, dy: c.op.log_softmax_grad(dy, c.y, c.axis),
    saves=("y",),
    samples=_samples(1),
    typical=typical(_samples(1), shapes=TYPICAL),
    tol=ulps(16)._replace(atol=2e-6),
    inplace=(0,),
    cost=2.0,
    doc="x - log(sum(e^x)) along an axis",
)


def _log_softmax_second(c: Any, g: Any) -> Any:
    m, e = c.op.multiply, c.op.exp(c.y)
    inner = _axis_sum(c, m(g, e))
    d_dy = c.op.subtract(g, inner)
    d_y = c.op.negative(m(m(g, e), _axis_sum(c, c.dy)))
    return d_dy, d_y


op(
    "log_softmax_grad",
    inputs="dy y",
    outputs="dx",
    attrs=AXIS,
    infer=row_infer("log_softmax_grad"),
    kind=ROW,
    ref=lambda dy, y, axis: dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True),
    vjp=_log_softmax_second,
    saves=("dy", "y"),
    samples=lambda rng, dtype: (
        Sample((s.inputs[0], _log_softmax(s.inputs[1], *s.attrs)), s.attrs)
        for s in _samples(2)(rng, dtype)
    ),
    typical=typical(_samples(2), shapes=TYPICAL),
    tol=ulps(64)._replace(atol=4e-5),
    inplace=(0,),
    cost=2.0,
    doc="dy - e^y * sum(dy) along an axis",
)
