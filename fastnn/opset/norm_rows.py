# SPDX-License-Identifier: Apache-2.0
"""Layer norm (RMS norm) and group norm: statistics of a sample's own elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
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
from fastnn.opset._opdef import ROW, Attr, Sample, Spec, op
from fastnn.opset._samples import typical, uniform

GRAD_ROWS = 8  # rows that share a row of layer_norm_grad's partial sums: norm.hpp

# ---- layer norm ----------------------------------------------------------------------

LAYER = (
    ((1, 1), 1),
    ((3, 5), 1),
    ((0, 3), 1),
    ((9, 10), 1),
    ((40, 3), 1),
    ((2, 3, 19), 2),
    ((9, 3, 7), 1),
    ((3, 700), 1),
)


def _layer_check(name: str, x: Spec, axis: int, params: list[Spec]) -> None:
    if not 0 < axis < len(x.shape):
        raise ShapeError(
            f"[{name}] needs an axis before the normalized ones, received {x.shape} "
            f"with axis {axis}: reshape a lone row to (1, n)"
        )
    for spec in params:
        check_shape(name, "gamma and beta", spec, x.shape[axis:])


def _layer_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_floats("layer_norm", specs)
    x, axis = specs[0], attrs[0]
    _layer_check("layer_norm", x, axis, specs[1:])
    row = Spec(x.shape[:axis], x.dtype)
    return [x, row, row]


def _layer_grad_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name, axis = "layer_norm_grad", attrs[0]
    check_floats(name, specs)
    x = specs[1]
    check_shape(name, "dy", specs[0], x.shape)
    _layer_check(name, x, axis, specs[2:3])
    for spec in specs[3:]:
        check_shape(name, "mean and r", spec, x.shape[:axis])
    rows, n = size(x.shape[:axis]), size(x.shape[axis:])
    partial = Spec((-(-rows // GRAD_ROWS), n), x.dtype)
    return [x, partial, partial]


def _layer_ref(
    x: Any, gamma: Any, beta: Any, axis: int, epsilon: float, centered: bool
) -> Any:
    axes = tuple(range(axis, x.ndim))
    mean = np.mean(x, axis=axes, keepdims=True)
    mean = mean if centered else np.zeros_like(mean)
    r = 1 / np.sqrt(
        np.mean(np.square(x - mean), axis=axes, keepdims=True) + x.dtype.type(epsilon)
    )
    rows = x.shape[:axis]
    return (x - mean) * r * gamma + beta, mean.reshape(rows), r.reshape(rows)


def _layer_grad_ref(
    dy: Any, x: Any, gamma: Any, mean: Any, r: Any, axis: int, centered: bool
) -> Any:
    axes = tuple(range(axis, x.ndim))
    shape = (*x.shape[:axis], *(1 for _ in axes))
    r = r.reshape(shape)
    xhat = (x - mean.reshape(shape)) * r
    dx = gradient_ref(dy, gamma, xhat, r, axes, centered)
    n = size(x.shape[axis:])
    starts = np.arange(0, size(x.shape[:axis]), GRAD_ROWS)
    parts = [
        np.add.reduceat(v.reshape(-1, n), starts, axis=0)
        if len(starts)
        else np.zeros((0, n), x.dtype)
        for v in (dy * xhat, dy)
    ]
    return dx, *parts


TYPICAL = (((128, 768), 1),)


def _layer_samples(rng: Any, dtype: str, cases: Any = LAYER) -> Any:
    for shape, axis in cases:
        x = uniform(rng, shape, dtype, -3, 3)
        params = [uniform(rng, shape[axis:], dtype, -2, 2) for _ in range(2)]
        for centered in (True, False):
            yield Sample((x, *params), (axis, 1e-2, centered))


# Enough rows for three parts that own theirs.
LAYER_GRAD = (*LAYER, ((97, 2), 1))


def _layer_grad_samples(rng: Any, dtype: str, cases: Any = LAYER_GRAD) -> Any:
    for shape, axis in cases:
        dy, x = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
        gamma = uniform(rng, shape[axis:], dtype, -2, 2)
        mean = uniform(rng, shape[:axis], dtype, -1, 1)
        r = uniform(rng, shape[:axis], dtype, 0.5, 2)
        for centered in (True, False):
            yield Sample((dy, x, gamma, mean, r), (axis, centered))


def _row_shape(c: Any, axis: int) -> tuple[int, ...]:
    shape = c.shape_of("x")
    return (*shape[:axis], *(1 for _ in shape[axis:]))


def _layer_vjp(c: Any, dy: Any, dmean: Any, dr: Any) -> Any:
    dx = dgamma = dbeta = None
    if dy is not None:
        dx, *parts = c.op.layer_norm_grad(
            dy, c.x, c.gamma, c.mean, c.r, c.axis, c.centered
        )
        dgamma, dbeta = (
            c.op.reshape(c.op.sum(p, (0,), False), c.shape_of("gamma")) for p in parts
        )
    shape = _row_shape(c, c.axis)
    mean, r = c.op.reshape(c.mean, shape), c.op.reshape(c.r, shape)
    count = size(c.shape_of("gamma"))
    dmean = reshaped(c, dmean, shape) if c.centered else None
    dvar = None if dr is None else variance_slope(c, r, c.op.reshape(dr, shape))
    return plus(c, dx, statistics_vjp(c, dmean, dvar, mean, count)), dgamma, dbeta


op(
    "layer_norm",
    inputs="x gamma beta",
    outputs="y mean r",
    attrs=(AXIS, EPSILON, Attr("centered", "bool")),
    infer=_layer_infer,
    kind=ROW,
    ref=_layer_ref,
    vjp=_layer_vjp,
    saves=("x", "gamma", "mean", "r"),
    samples=_layer_samples,
    typical=typical(_layer_samples, cases=TYPICAL),
    tol=TOL,
    inplace=(0,),
    cost=0.6,
    doc="(x - mean) r gamma + beta over the axes from `axis` on, r = 1 / sqrt(variance "
    "+ epsilon) (arXiv:1607.06450); not centered: mean = 0 (arXiv:1910.07467)",
)


def _of_rows(c: Any, parts: Any, axis: int) -> Any:
    """Cotangents of partial sums, repeated for the rows that went into them."""
    if parts is None:
        return None
    shape = c.shape_of("x")
    chunks, n = parts.shape
    wide = c.op.broadcast_to(
        c.op.reshape(parts, (chunks, 1, n)), (chunks, GRAD_ROWS, n)
    )
    flat = c.op.reshape(wide, (chunks * GRAD_ROWS, n))
    rows = size(shape[:axis])
    kept = c.op.slice(flat, ((0, rows, 1), (0, n, 1)))
    return c.op.reshape(kept, shape)


def _layer_grad_vjp(c: Any, g: Any, g_gamma: Any, g_beta: Any) -> Any:
    shape = c.shape_of("x")
    axes = tuple(range(c.axis, len(shape)))
    row = _row_shape(c, c.axis)
    d_dy, d_x, d_gamma, d_mean, d_r = second_order(
        c,
        (g, _of_rows(c, g_gamma, c.axis), _of_rows(c, g_beta, c.axis)),
        (c.dy, c.x, c.gamma, c.op.reshape(c.mean, row), c.op.reshape(c.r, row)),
        axes,
        centered=c.centered,
    )
    rows = shape[: c.axis]
    if d_gamma is not None:
        d_gamma = c.op.sum(d_gamma, tuple(range(c.axis)), False)
    return d_dy, d_x, d_gamma, reshaped(c, d_mean, rows), reshaped(c, d_r, rows)


op(
    "layer_norm_grad",
    inputs="dy x gamma mean r",
    outputs="dx dgamma dbeta",
    attrs=(AXIS, Attr("centered", "bool")),
    infer=_layer_grad_infer,
    kind=ROW,
    ref=_layer_grad_ref,
    vjp=_layer_grad_vjp,
    saves=("dy", "x", "gamma", "mean", "r"),
    samples=_layer_grad_samples,
    typical=typical(_layer_grad_samples, cases=TYPICAL),
    tol=TOL._replace(atol=4e-5),
    inplace=(0,),
    cost=0.8,
    doc="gradient of layer_norm; dgamma and dbeta as partial sums of 8 rows each, so "
    "that parts need not wait for each other",
)

# ---- group norm ----------------------------------------------------------------------

GROUP = (((1, 1), 1), ((3, 6), 2), ((0, 5, 4), 2), ((2, 11, 20), 5), ((2, 3, 3, 6), 6))
GROUPS = Attr("groups", "int")


def _group_check(name: str, x: Spec, groups: int) -> None:
    if len(x.shape) < 2 or groups < 1 or x.shape[-1] % groups:
        raise ShapeError(
            f"[{name}] {groups} groups do not divide the channels of {x.shape} "
            f"(needs (images, ..., channels))"
        )


def _group_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    check_floats("group_norm", specs)
    x = specs[0]
    _group_check("group_norm", x, attrs[0])
    for spec in specs[1:]:
        check_shape("group_norm", "gamma and beta", spec, x.shape[-1:])
    row = Spec((x.shape[0], attrs[0]), x.dtype)
    return [x, row, row]


def _group_grad_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name = "group_norm_grad"
    check_floats(name, specs)
    x = specs[1]
    _group_check(name, x, attrs[0])
    check_shape(name, "dy", specs[0], x.shape)
    check_shape(name, "gamma", specs[2], x.shape[-1:])
    for spec in specs[3:]:
        check_shape(name, "mean and r", spec, (x.shape[0], attrs[0]))
    partial = Spec((x.shape[0], x.shape[-1]), x.dtype)
    return [x, partial, partial]


def _by_group(shape: tuple[int, ...], groups: int) -> tuple[int, int, int, int]:
    """(images, pixels, groups, channels of a group)."""
    return shape[0], size(shape[1:-1]), groups, shape[-1] // groups


def _group_ref(x: Any, gamma: Any, beta: Any, groups: int, epsilon: float) -> Any:
    v = x.reshape(_by_group(x.shape, groups))
    mean = np.mean(v, axis=(1, 3), keepdims=True)
    variance = np.var(v, axis=(1, 3), keepdims=True)
    r = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    y = ((v - mean) * r).reshape(x.shape) * gamma + beta
    return y, mean[:, 0, :, 0], r[:, 0, :, 0]


def _group_grad_ref(dy: Any, x: Any, gamma: Any, mean: Any, r: Any, groups: int) -> Any:
    shape = _by_group(x.shape, groups)
    r = r[:, None, :, None]
    xhat = (x.reshape(shape) - mean[:, None, :, None]) * r
    g, v = gamma.reshape(shape[2:]), dy.reshape(shape)
    dx = gradient_ref(v, g, xhat, r, (1, 3), True).reshape(x.shape)
    flat = (shape[0], shape[2] * shape[3])
    return dx, np.sum(v * xhat, axis=1).reshape(flat), np.sum(v, axis=1).reshape(flat)


TYPICAL_GROUPS = (((32, 28, 28, 64), 32),)


def _group_samples(rng: Any, dtype: str, cases: Any = GROUP) -> Any:
    for shape, groups in cases:
        x = uniform(rng, shape, dtype, -3, 3)
        params = [uniform(rng, shape[-1:], dtype, -2, 2) for _ in range(2)]
        yield Sample((x, *params), (groups, 1e-2))


def _group_grad_samples(rng: Any, dtype: str, cases: Any = GROUP) -> Any:
    for shape, groups in cases:
        dy, x = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
        gamma = uniform(rng, shape[-1:], dtype, -2, 2)
        mean = uniform(rng, (shape[0], groups), dtype, -1, 1)
        r = uniform(rng, (shape[0], groups), dtype, 0.5, 2)
        yield Sample((dy, x, gamma, mean, r), (groups,))


def _group_vjp(c: Any, dy: Any, dmean: Any, dr: Any) -> Any:
    dx = dgamma = dbeta = None
    if dy is not None:
        dx, *parts = c.op.group_norm_grad(dy, c.x, c.gamma, c.mean, c.r, c.groups)
        dgamma, dbeta = (c.op.sum(p, (0,), False) for p in parts)
    if dmean is None and dr is None:
        return dx, dgamma, dbeta
    shape = _by_group(c.shape_of("x"), c.groups)
    row = (shape[0], 1, c.groups, 1)
    x, mean, r = (c.op.reshape(*v) for v in ((c.x, shape), (c.mean, row), (c.r, row)))
    scale = 1.0 / max(shape[1] * shape[3], 1)
    more = None
    if dmean is not None:
        wide = c.op.multiply(c.op.reshape(dmean, row), scale)
        more = c.op.broadcast_to(wide, shape)
    if dr is not None:
        dvar = c.op.multiply(variance_slope(c, r, c.op.reshape(dr, row)), 2 * scale)
        more = plus(c, more, c.op.multiply(c.op.subtract(x, mean), dvar))
    return plus(c, dx, c.op.reshape(more, c.shape_of("x"))), dgamma, dbeta


op(
    "group_norm",
    inputs="x gamma beta",
    outputs="y mean r",
    attrs=(GROUPS, EPSILON),
    infer=_group_infer,
    kind=ROW,
    ref=_group_ref,
    vjp=_group_vjp,
    saves=("x", "gamma", "mean", "r"),
    samples=_group_samples,
    typical=typical(_group_samples, cases=TYPICAL_GROUPS),
    tol=TOL,
    inplace=(0,),
    cost=0.8,
    doc="layer norm over the pixels and the channels of each group (arXiv:1803.08494); "
    "as many groups as channels: instance norm",
)


def _group_grad_vjp(c: Any, g: Any, g_gamma: Any, g_beta: Any) -> Any:
    shape = _by_group(c.shape_of("x"), c.groups)
    row, params = (shape[0], 1, c.groups, 1), (1, 1, *shape[2:])
    partial = (shape[0], 1, *shape[2:])
    results = second_order(
        c,
        (
            reshaped(c, g, shape),
            reshaped(c, g_gamma, partial),
            reshaped(c, g_beta, partial),
        ),
        (
            c.op.reshape(c.dy, shape),
            c.op.reshape(c.x, shape),
            c.op.reshape(c.gamma, params),
            c.op.reshape(c.mean, row),
            c.op.reshape(c.r, row),
        ),
        (1, 3),
    )
    d_dy, d_x, d_gamma, d_mean, d_r = results
    if d_gamma is not None:
        d_gamma = c.op.sum(d_gamma, (0, 1), False)
    names = ("dy", "x", "gamma", "mean", "r")
    values = (d_dy, d_x, d_gamma, d_mean, d_r)
    return tuple(
        reshaped(c, v, c.shape_of(n)) for n, v in zip(names, values, strict=True)
    )


op(
    "group_norm_grad",
    inputs="dy x gamma mean r",
    outputs="dx dgamma dbeta",
    attrs=(GROUPS,),
    infer=_group_grad_infer,
    kind=ROW,
    ref=_group_grad_ref,
    vjp=_group_grad_vjp,
    saves=("dy", "x", "gamma", "mean", "r"),
    samples=_group_grad_samples,
    typical=typical(_group_grad_samples, cases=TYPICAL_GROUPS),
    tol=TOL._replace(atol=4e-5),
    inplace=(0,),
    cost=1.0,
    doc="gradient of group_norm; dgamma and dbeta per image, to be summed",
)
