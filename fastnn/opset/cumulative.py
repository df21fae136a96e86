# SPDX-License-Identifier: Apache-2.0
"""Running sums and products, and the linear recurrence their gradients need."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.opset._infer import check_float, check_same_dtype, like
from fastnn.opset._opdef import Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import away_from_zero, uniform

CUMULATIVE = "cumulative"
ATTRS = (
    Attr("axis", "int"),
    Attr("reverse", "bool", False),
    Attr("exclusive", "bool", False),
)
CASES = (
    ((1,), 0),
    ((0, 3), 1),
    ((3, 0), 0),
    ((7,), 0),
    ((3, 5), 0),
    ((4, 19), 1),
    ((2, 70), 1),
    ((5, 70), 0),
    ((2, 3, 4), 1),
)


def _samples(low: float, high: float, *, flags: tuple = (False, True)) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for shape, axis in CASES:
            for reverse in flags:
                for exclusive in flags:
                    x = away_from_zero(uniform(rng, shape, dtype, low, high))
                    yield Sample((x,), (axis, reverse, exclusive))

    return make


def _scan(function: Any, start: int) -> Any:
    def ref(x: Any, axis: int, reverse: bool, exclusive: bool) -> Any:
        lines = np.moveaxis(x, axis, -1)
        lines = lines[..., ::-1] if reverse else lines
        y = function(lines, axis=-1, dtype=x.dtype)
        if exclusive and y.shape[-1]:
            first = np.full((*y.shape[:-1], 1), start, x.dtype)
            y = np.concatenate([first, y[..., :-1]], -1)
        y = y[..., ::-1] if reverse else y
        return np.ascontiguousarray(np.moveaxis(y, -1, axis))

    return ref


def _cost(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
    return 0.5 * prod(ins[0].shape)


op(
    "cumsum",
    inputs="x",
    attrs=ATTRS,
    infer=like(0),
    kind=CUMULATIVE,
    ref=_scan(np.cumsum, 0),
    vjp=lambda c, dy: c.op.cumsum(dy, c.axis, not c.reverse, c.exclusive),
    samples=_samples(-3, 3),
    tol=Tol(2e-6, 4e-15, 2e-5),
    cost=_cost,
    integers=True,
    doc="sums of the elements up to each along axis; reverse: from each to the end; "
    "exclusive: without the element itself",
)


def flipped(c: Any, x: Any, axis: int) -> Any:
    whole: list[Any] = [(None, None, 1)] * len(x.shape)
    whole[axis] = (None, None, -1)
    return c.op.slice(x, tuple(whole))


def shifted(c: Any, x: Any, axis: int, *, back: bool) -> Any:
    """Element i - 1 (i + 1 when `back`) at place i, zeros where there is none."""
    n = x.shape[axis]
    cut: list[Any] = [(None, None, 1)] * len(x.shape)
    cut[axis] = (1, n, 1) if back else (0, n - 1, 1)
    zero = c.constant(np.zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype))
    kept = c.op.slice(x, tuple(cut))
    return c.op.concatenate(*((kept, zero) if back else (zero, kept)), axis)


def _cumprod_vjp(c: Any, dy: Any) -> Any:
    # dx_k is the product before k times the sum over j >= k of dy_j times the product
    # of what lies between: a recurrence, so zeros need no division.
    x, axis = c.x, c.axis
    if x.shape[axis] == 0:
        return dy
    if c.reverse:
        x, dy = flipped(c, x, axis), flipped(c, dy, axis)
    if c.exclusive:
        dy = shifted(c, dy, axis, back=True)
    after = c.op.linear_recurrence(x, dy, axis, True)
    dx = c.op.multiply(c.op.cumprod(x, axis, False, True), after)
    return flipped(c, dx, axis) if c.reverse else dx


op(
    "cumprod",
    inputs="x",
    attrs=ATTRS,
    infer=like(0),
    kind=CUMULATIVE,
    ref=_scan(np.cumprod, 1),
    vjp=_cumprod_vjp,
    saves=("x",),
    samples=_samples(-1.3, 1.3),
    tol=Tol(2e-5, 4e-14, 1e-30),
    cost=_cost,
    integers=True,
    doc="products of the elements up to each along axis; reverse and exclusive as "
    "cumsum",
)


def _recurrence_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    dtype = check_same_dtype("linear_recurrence", [s.dtype for s in specs])
    check_float("linear_recurrence", dtype)
    if specs[0].shape != specs[1].shape:
        from fastnn.errors import ShapeError

        raise ShapeError(
            f"[linear_recurrence] a has shape {specs[0].shape}, b {specs[1].shape}"
        )
    return [specs[1]]


def _recurrence_ref(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = np.array(b)
    n = len(b)
    for i in range(1, n):
        if reverse:
            y[n - 1 - i] = b[n - 1 - i] + a[n - i] * y[n - i]
        else:
            y[i] = b[i] + a[i] * y[i - 1]
    return np.ascontiguousarray(np.moveaxis(y, 0, axis))


def _recurrence_vjp(c: Any, dy: Any) -> Any:
    if c.a.shape[c.axis] == 0:
        return dy, dy
    db = c.op.linear_recurrence(c.a, dy, c.axis, not c.reverse)
    if c.reverse:
        return c.op.multiply(shifted(c, db, c.axis, back=False), c.y), db
    return c.op.multiply(db, shifted(c, c.y, c.axis, back=False)), db


def _recurrence_samples(rng: Any, dtype: str) -> Any:
    for shape, axis in CASES:
        for reverse in (False, True):
            a, b = (uniform(rng, shape, dtype, -1, 1) for _ in range(2))
            yield Sample((a, b), (axis, reverse))


op(
    "linear_recurrence",
    inputs="a b",
    attrs=ATTRS[:2],
    infer=_recurrence_infer,
    kind=CUMULATIVE,
    ref=_recurrence_ref,
    vjp=_recurrence_vjp,
    saves=("a", "y"),
    samples=_recurrence_samples,
    tol=Tol(2e-6, 4e-15, 1e-5),
    cost=lambda ins, outs, attrs: 1.5 * prod(ins[0].shape),
    doc="y_i = b_i + a_i y_(i-1) along axis, y_0 = b_0; reverse, its transpose: "
    "y_i = b_i + a_(i+1) y_(i+1)",
)
