# SPDX-License-Identifier: Apache-2.0
"""Moments, batch norm and unit norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import reduced
from fastnn.opset._norm import (
    AXIS,
    EPSILON,
    TOL,
    check_floats,
    check_shape,
    gradient_ref,
    plus,
    reshaped,
    second_order,
    size,
    statistics_vjp,
    variance_slope,
)
from fastnn.opset._opdef import REDUCE, ROW, Sample, Spec, Tol, op
from fastnn.opset._samples import typical, uniform
from fastnn.opset.reduce import AXES, CASES

# ---- moments -----------------------------------------------------------------------


def _moments_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_floats("moments", specs)
    out = Spec(reduced(specs[0].shape, attrs[0], attrs[1]), specs[0].dtype)
    return [out, out]


def _moments_ref(x: Any, axes: Any, keepdims: bool) -> Any:
    mean = np.mean(x, axis=axes, keepdims=keepdims)
    return mean, np.var(x, axis=axes, keepdims=keepdims)


def _moments_samples(rng: Any, dtype: str) -> Any:
    # Rows beyond one chunk, columns beyond one vector, an offset, several runs.
    more: tuple = (((530, 3), (0,)), ((2, 2100), (1,)), ((2, 9, 5, 20), (0, 2)))
    for shape, axes in CASES + more:
        if 0 not in shape:
            x = uniform(rng, shape, dtype, -3, 3) + np.asarray(5, dtype)
            for keepdims in (False, True):
                yield Sample((x,), (axes, keepdims))


def _moments_vjp(c: Any, dmean: Any, dvar: Any) -> Any:
    shape = c.shape_of("x")
    kept = reduced(shape, c.axes, True)
    dmean, dvar = reshaped(c, dmean, kept), reshaped(c, dvar, kept)
    count = size([shape[a] for a in c.axes])
    return statistics_vjp(c, dmean, dvar, c.op.reshape(c.mean, kept), count)


op(
    "moments",
    inputs="x",
    outputs="mean variance",
    attrs=AXES,
    infer=_moments_infer,
    kind=REDUCE,
    ref=_moments_ref,
    vjp=_moments_vjp,
    saves=("x", "mean"),
    samples=_moments_samples,
    tol=Tol(4e-6, 2e-14, 2e-6),
    cost=lambda ins, outs, attrs: 0.4 * float(size(ins[0].shape)),
    doc="mean and biased variance over axes, by merged blocks (Chan et al. 1979)",
)


# ---- batch norm ----------------------------------------------------------------------


def _channels(x: Any, axis: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of the statistics, and the shape of a channel vector beside x."""
    axes = tuple(i for i in range(len(x.shape)) if i != axis)
    return axes, reduced(x.shape, axes, True)


def _channel_infer(name: str, outputs: str, first: int) -> Any:
    """x is input `first`; all after it are vectors over its channels."""

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check_floats(name, specs)
        x = specs[first]
        if not 0 <= attrs[0] < len(x.shape):
            raise ShapeError(f"[{name}] axis {attrs[0]} is not an axis of {x.shape}")
        vector = Spec((x.shape[attrs[0]],), x.dtype)
        for spec in specs[:first]:
            check_shape(name, "dy", spec, x.shape)
        for spec in specs[first + 1 :]:
            check_shape(name, "parameters", spec, vector.shape)
        return [x if letter == "x" else vector for letter in outputs]

    return infer


BATCH = (
    ((7, 1), 1),
    ((3, 5), 1),
    ((0, 3), 1),
    ((530, 3), 1),
    ((9, 20), 1),
    ((4, 3, 19), 1),
    ((2, 9, 5, 20), 3),
    ((5, 3, 2), 0),
)


TYPICAL = (((32, 28, 28, 64), 3),)


def _batch_samples(names: str, *, empty: bool = True) -> Any:
    """One array per name: x or dy, gamma or beta or a mean, a variance."""

    def make(rng: Any, dtype: str, cases: Any = BATCH) -> Any:
        for shape, axis in cases:
            if 0 in shape and not empty:
                continue
            vector = (shape[axis],)
            arrays = []
            for kind in names.split():
                wide = kind in ("x", "dy")
                low = 0.5 if kind == "variance" else -2
                arrays.append(uniform(rng, shape if wide else vector, dtype, low, 2))
            yield Sample(tuple(arrays), (axis, 1e-3))

    return make


def _apply_ref(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, axis: int, epsilon: float
) -> Any:
    shape = _channels(x, axis)[1]
    m, v, g, b = (a.reshape(shape) for a in (mean, variance, gamma, beta))
    return ((x - m) / np.sqrt(v + epsilon) * g + b).astype(x.dtype)


def _batch_ref(x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    axes, _ = _channels(x, axis)
    if x.size == 0:
        mean = variance = np.full(x.shape[axis], np.nan, x.dtype)
    else:
        mean, variance = np.mean(x, axis=axes), np.var(x, axis=axes)
    return _apply_ref(x, mean, variance, gamma, beta, axis, epsilon), mean, variance


def _batch_grad_ref(
    dy: Any, x: Any, gamma: Any, mean: Any, variance: Any, axis: int, epsilon: float
) -> Any:
    axes, shape = _channels(x, axis)
    r = 1 / np.sqrt(variance.reshape(shape) + x.dtype.type(epsilon))
    xhat = (x - mean.reshape(shape)) * r
    dx = gradient_ref(dy, gamma.reshape(shape), xhat, r, axes, True)
    return dx, np.sum(dy * xhat, axis=axes), np.sum(dy, axis=axes)


def _batch_vjp(c: Any, dy: Any, dmean: Any, dvar: Any) -> Any:
    dx = dgamma = dbeta = None
    if dy is not None:
        dx, dgamma, dbeta = c.op.batch_norm_grad(
            dy, c.x, c.gamma, c.mean, c.variance, c.axis, c.epsilon
        )
    shape = _channels(c.x, c.axis)[1]
    count = max(c.x.size // max(c.mean.size, 1), 1)
    dmean, dvar = reshaped(c, dmean, shape), reshaped(c, dvar, shape)
    more = statistics_vjp(c, dmean, dvar, c.op.reshape(c.mean, shape), count)
    return plus(c, dx, more), dgamma, dbeta


op(
    "batch_norm",
    inputs="x gamma beta",
    outputs="y mean variance",
    attrs=(AXIS, EPSILON),
    infer=_channel_infer("batch_norm", "xvv", 0),
    kind=ROW,
    ref=_batch_ref,
    vjp=_batch_vjp,
    saves=("x", "gamma", "mean", "variance"),
    samples=_batch_samples("x gamma beta", empty=False),
    typical=typical(_batch_samples("x gamma beta"), cases=TYPICAL),
    tol=TOL,
    cost=lambda ins, outs, attrs: 0.8 * float(size(ins[0].shape)),
    doc="y = (x - mean) / sqrt(variance + epsilon) gamma + beta, statistics of all "
    "axes but one (arXiv:1502.03167)",
)


def _batch_grad_vjp(c: Any, g: Any, g_gamma: Any, g_beta: Any) -> Any:
    axes, shape = _channels(c.x, c.axis)
    gamma, mean, variance = (
        c.op.reshape(v, shape) for v in (c.gamma, c.mean, c.variance)
    )
    r = c.op.rsqrt(c.op.add(variance, c.epsilon))
    d_dy, d_x, d_gamma, d_mean, d_r = second_order(
        c,
        (g, reshaped(c, g_gamma, shape), reshaped(c, g_beta, shape)),
        (c.dy, c.x, gamma, mean, r),
        axes,
    )
    flat = c.shape_of("gamma")
    if d_gamma is not None:
        d_gamma = c.op.sum(d_gamma, axes, False)
    d_variance = None if d_r is None else variance_slope(c, r, d_r)
    return d_dy, d_x, d_gamma, reshaped(c, d_mean, flat), reshaped(c, d_variance, flat)


op(
    "batch_norm_grad",
    inputs="dy x gamma mean variance",
    outputs="dx dgamma dbeta",
    attrs=(AXIS, EPSILON),
    infer=_channel_infer("batch_norm_grad", "xvv", 1),
    kind=ROW,
    ref=_batch_grad_ref,
    vjp=_batch_grad_vjp,
    saves=("dy", "x", "gamma", "mean", "variance"),
    samples=_batch_samples("dy x gamma mean variance"),
    typical=typical(_batch_samples("dy x gamma mean variance"), cases=TYPICAL),
    tol=TOL._replace(atol=4e-5),
    inplace=(0,),
    cost=lambda ins, outs, attrs: 1.0 * float(size(ins[0].shape)),
    doc="gradient of batch_norm through its statistics: with xhat = (x - mean) r, "
    "dx = gamma r (dy - mean(dy) - xhat mean(dy xhat))",
)


def _apply_vjp(c: Any, dy: Any) -> Any:
    axes, shape = _channels(c.x, c.axis)
    m = c.op.multiply
    r = c.op.rsqrt(c.op.add(c.variance, c.epsilon))
    scale = m(c.gamma, r)
    dx = m(dy, c.op.reshape(scale, shape)) if c.needs("x") else None
    if not (c.needs("variance") or c.needs("gamma")):
        dbeta = c.op.sum(dy, axes, False)
        return dx, c.op.negative(m(dbeta, scale)), None, None, dbeta
    # One pass for both sums instead of five; its dx is of no use here.
    _, d_gamma, dbeta = c.op.batch_norm_grad(
        dy, c.x, c.gamma, c.mean, c.variance, c.axis, c.epsilon
    )
    # d_gamma = r sum(dy (x - mean)), and dr/dvariance = -r^3 / 2.
    d_variance = m(m(m(d_gamma, c.gamma), c.op.square(r)), -0.5)
    return dx, c.op.negative(m(dbeta, scale)), d_variance, d_gamma, dbeta


op(
    "batch_norm_apply",
    inputs="x mean variance gamma beta",
    attrs=(AXIS, EPSILON),
    infer=_channel_infer("batch_norm_apply", "x", 0),
    kind=ROW,
    ref=_apply_ref,
    vjp=_apply_vjp,
    saves=("x", "mean", "variance", "gamma"),
    samples=_batch_samples("x mean variance gamma beta"),
    typical=typical(_batch_samples("x mean variance gamma beta"), cases=TYPICAL),
    tol=TOL,
    inplace=(0,),
    cost=0.4,
    doc="(x - mean) / sqrt(variance + epsilon) gamma + beta with given statistics",
)

# ---- unit norm -----------------------------------------------------------------------

UNIT = ((1, 1), (0, 3), (3, 5), (9, 10), (2, 3, 19), (3, 700))


def _unit_infer(name: str, outputs: int) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        check_floats(name, specs)
        x = specs[0]
        if len(x.shape) < 2:
            raise ShapeError(
                f"[{name}] needs rows, shape (..., n), received {x.shape}: reshape it "
                f"to (1, n)"
            )
        row = Spec(x.shape[:-1], x.dtype)
        for spec, expected in zip(specs[1:], (x, row), strict=False):
            check_shape(name, "y and scale", spec, expected.shape)
        return [x, row][:outputs]

    return infer


def _unit_ref(x: Any, epsilon: float) -> Any:
    root = np.sqrt(np.sum(np.square(x), axis=-1))
    scale = np.minimum(1 / root, x.dtype.type(1 / epsilon))
    return x * scale[..., None], scale


def _free(scale: Any, epsilon: float) -> Any:
    """1 where the scale is not limited by epsilon."""
    return scale < scale.dtype.type(1 / epsilon)


def _unit_grad_ref(dy: Any, y: Any, scale: Any, epsilon: float) -> Any:
    dot = np.where(_free(scale, epsilon), np.sum(dy * y, axis=-1), 0)
    return (dy - y * dot[..., None]) * scale[..., None]


def _unit_free(c: Any) -> Any:
    free = c.op.less(c.scale, 1 / c.epsilon)
    return c.op.cast(free, c.scale.dtype)


def _column(c: Any, v: Any) -> Any:
    return c.op.reshape(v, (*v.shape, 1))


def _unit_vjp(c: Any, dy: Any, dscale: Any) -> Any:
    dx = None
    if dy is not None:
        dx = c.op.unit_norm_grad(dy, c.y, c.scale, c.epsilon)
    if dscale is not None:  # d scale / dx = -scale^2 y
        slope = c.op.multiply(c.op.square(c.scale), _unit_free(c))
        d = c.op.negative(c.op.multiply(dscale, slope))
        dx = plus(c, dx, c.op.multiply(c.y, _column(c, d)))
    return dx


def _unit_samples(rng: Any, dtype: str) -> Any:
    for shape in UNIT:
        x = uniform(rng, shape, dtype, -3, 3)
        yield Sample((x,), (1e-7,))
        yield Sample((x,), (100.0,))  # every scale limited


def _unit_grad_samples(rng: Any, dtype: str) -> Any:
    for shape in UNIT:
        dy, y = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
        scale = uniform(rng, shape[:-1], dtype, 0.5, 2)
        for epsilon in (1e-7, 10.0):
            yield Sample((dy, y, scale), (epsilon,))


op(
    "unit_norm",
    inputs="x",
    outputs="y scale",
    attrs=(EPSILON,),
    infer=_unit_infer("unit_norm", 2),
    kind=ROW,
    ref=_unit_ref,
    vjp=_unit_vjp,
    saves=("y", "scale"),
    samples=_unit_samples,
    tol=TOL,
    inplace=(0,),
    cost=0.4,
    doc="x scale over the last axis, scale = min(1 / |x|, 1 / epsilon)",
)


def _unit_grad_vjp(c: Any, g: Any) -> Any:
    m, last = c.op.multiply, (len(c.dy.shape) - 1,)
    free, scale = _column(c, _unit_free(c)), _column(c, c.scale)
    dot = m(c.op.sum(m(c.dy, c.y), last, True), free)
    back = m(c.op.sum(m(g, c.y), last, True), free)
    d_y = c.op.negative(m(c.op.add(m(g, dot), m(c.dy, back)), scale))
    d_scale = c.op.sum(m(g, c.op.subtract(c.dy, m(c.y, dot))), last, False)
    return c.op.unit_norm_grad(g, c.y, c.scale, c.epsilon), d_y, d_scale


op(
    "unit_norm_grad",
    inputs="dy y scale",
    outputs="dx",
    attrs=(EPSILON,),
    infer=_unit_infer("unit_norm_grad", 1),
    kind=ROW,
    ref=_unit_grad_ref,
    vjp=_unit_grad_vjp,
    saves=("dy", "y", "scale"),
    samples=_unit_grad_samples,
    tol=TOL._replace(atol=4e-5),
    inplace=(0,),
    cost=0.5,
    doc="scale (dy - y sum(dy y)); scale dy where epsilon limits the scale",
)
