# SPDX-License-Identifier: Apache-2.0
"""Softmax and log-softmax over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import ROW, Sample, Spec, op, ulps
from fastnn.opset._samples import uniform

SHAPES = ((1, 1), (1, 7), (0, 3), (3, 5), (4, 10), (2, 3, 19), (3, 70))


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
        return [Spec(specs[0].shape, specs[0].dtype)]

    return infer


def _samples(n: int) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for shape in SHAPES:
            arrays = [uniform(rng, shape, dtype, -4, 4) for _ in range(n)]
            yield Sample(tuple(arrays))

    return make


def _softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def _log_softmax(x: Any) -> Any:
    z = x - np.max(x, axis=-1, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def row_sum(c: Any, x: Any) -> Any:
    """Sum over the last axis, kept."""
    return c.op.sum(x, (len(x.shape) - 1,), True)


op(
    "softmax",
    inputs="x",
    infer=row_infer("softmax"),
    kind=ROW,
    ref=_softmax,
    vjp=lambda c, dy: c.op.softmax_grad(dy, c.y),
    saves=("y",),
    samples=_samples(1),
    tol=ulps(16),
    inplace=(0,),
    cost=2.0,
    doc="e^x / sum(e^x) over the last axis, shifted by the row maximum",
)


def _softmax_second(c: Any, g: Any) -> Any:
    # out = y (dy - s), s = sum(dy y)
    m, sub = c.op.multiply, c.op.subtract
    s = row_sum(c, m(c.dy, c.y))
    gy = row_sum(c, m(g, c.y))
    return c.op.softmax_grad(g, c.y), sub(m(g, sub(c.dy, s)), m(c.dy, gy))


op(
    "softmax_grad",
    inputs="dy y",
    outputs="dx",
    infer=row_infer("softmax_grad"),
    kind=ROW,
    ref=lambda dy, y: y * (dy - np.sum(dy * y, axis=-1, keepdims=True)),
    vjp=_softmax_second,
    saves=("dy", "y"),
    samples=_samples(2),
    tol=ulps(64)._replace(atol=4e-5),
    inplace=(0,),
    cost=0.6,
    doc="y * (dy - sum(dy * y)) over the last axis",
)
op(
    "log_softmax",
    inputs="x",
    infer=row_infer("log_softmax"),
    kind=ROW,
    ref=_log_softmax,
    vjp=lambda c, dy: c.op.log_softmax_grad(dy, c.y),
    saves=("y",),
    samples=_samples(1),
    tol=ulps(16)._replace(atol=2e-6),
    inplace=(0,),
    cost=2.0,
    doc="x - log(sum(e^x)) over the last axis",
)


def _log_softmax_second(c: Any, g: Any) -> Any:
    m, e = c.op.multiply, c.op.exp(c.y)
    inner = row_sum(c, m(g, e))
    d_dy = c.op.subtract(g, inner)
    d_y = c.op.negative(m(m(g, e), row_sum(c, c.dy)))
    return d_dy, d_y


op(
    "log_softmax_grad",
    inputs="dy y",
    outputs="dx",
    infer=row_infer("log_softmax_grad"),
    kind=ROW,
    ref=lambda dy, y: dy - np.exp(y) * np.sum(dy, axis=-1, keepdims=True),
    vjp=_log_softmax_second,
    saves=("dy", "y"),
    samples=lambda rng, dtype: (
        Sample((s.inputs[0], _log_softmax(s.inputs[1])))
        for s in _samples(2)(rng, dtype)
    ),
    tol=ulps(64)._replace(atol=4e-5),
    inplace=(0,),
    cost=2.0,
    doc="dy - e^y * sum(dy) over the last axis",
)
