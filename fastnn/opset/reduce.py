# SPDX-License-Identifier: Apache-2.0
"""Reductions over any set of axes. `axes` is canonical: sorted, non-negative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.opset._infer import reduced, reduction
from fastnn.opset._opdef import EXACT, REDUCE, Attr, Sample, Spec, Tol, op, ulps
from fastnn.opset._samples import uniform

AXES = (Attr("axes", "axes"), Attr("keepdims", "bool", False))
AXIS = (Attr("axis", "int"), Attr("keepdims", "bool", False))
CASES = (
    ((), ()),
    ((7,), (0,)),
    ((0, 3), (0,)),
    ((3, 5), (0,)),
    ((3, 5), (1,)),
    ((4, 3, 19), (0, 2)),
    ((4, 3, 19), (0, 1, 2)),
    ((70, 33), (0,)),
)


def _samples(
    low: float, high: float, *, empty: bool = True, boolean: bool = False
) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for shape, axes in CASES:
            if 0 in shape and not empty:
                continue
            x = uniform(rng, shape, "bool" if boolean else dtype, low, high)
            for keepdims in (False, True):
                yield Sample((x,), (axes, keepdims))

    return make


def keep_shape(c: Any) -> tuple[int, ...]:
    """Shape of the output had keepdims been true."""
    return reduced(c.shape_of("x"), c.axes, True)


def expand(c: Any, value: Any) -> Any:
    """An output-shaped value broadcast back over the reduced axes."""
    kept = c.op.reshape(value, keep_shape(c))
    return c.op.broadcast_to(kept, c.shape_of("x"))


def _reduce(name: str, ref: Any, samples: Any, **fields: Any) -> None:
    op(
        name,
        inputs="x",
        attrs=AXES,
        infer=reduction(fields.pop("dtype", None)),
        kind=REDUCE,
        ref=ref,
        samples=samples,
        cost=lambda ins, outs, attrs: 0.3 * math.prod(ins[0].shape),
        **fields,
    )


_reduce(
    "sum",
    lambda x, axes, keepdims: np.asarray(
        np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype)
    ),
    _samples(-3, 3),
    vjp=lambda c, dy: expand(c, dy),
    tol=Tol(2e-6, 4e-15, 2e-5),
    doc="sum over axes, pairwise: error grows with log n",
)


def _extremum_vjp(c: Any, dy: Any) -> Any:
    # Ties share the gradient equally, as in TensorFlow and torch.amax.
    mask = c.op.equal(c.x, expand(c, c.y))
    ties = c.op.sum(c.op.cast(mask, c.dtype_of("x")), c.axes, True)
    share = c.op.divide(c.op.reshape(dy, keep_shape(c)), ties)
    return c.op.where(mask, share, 0)


_reduce(
    "max",
    lambda x, axes, keepdims: np.asarray(np.max(x, axis=axes, keepdims=keepdims)),
    _samples(-3, 3, empty=False),
    vjp=_extremum_vjp,
    saves=("x", "y"),
    tol=EXACT,
    doc="largest element; NaN wins",
)
_reduce(
    "min",
    lambda x, axes, keepdims: np.asarray(np.min(x, axis=axes, keepdims=keepdims)),
    _samples(-3, 3, empty=False),
    vjp=_extremum_vjp,
    saves=("x", "y"),
    tol=EXACT,
    doc="smallest element; NaN wins",
)


def _prod_vjp(c: Any, dy: Any) -> Any:
    # y / x, except at zeros: the product of the others where x is the only zero.
    zero = c.op.equal(c.x, 0)
    safe = c.op.where(zero, 1, c.x)
    count = c.op.sum(c.op.cast(zero, c.dtype_of("x")), c.axes, True)
    rest = c.op.prod(safe, c.axes, True)
    others = c.op.divide(rest, safe)
    no_zero, one_zero = c.op.equal(count, 0), c.op.equal(count, 1)
    slope = c.op.where(
        zero,
        c.op.where(one_zero, rest, 0),
        c.op.where(no_zero, others, 0),
    )
    return c.op.multiply(expand(c, dy), slope)


_reduce(
    "prod",
    lambda x, axes, keepdims: np.asarray(
        np.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype)
    ),
    _samples(0.7, 1.4),
    vjp=_prod_vjp,
    saves=("x",),
    tol=ulps(60),
    doc="product over axes",
)
_reduce(
    "any",
    lambda x, axes, keepdims: np.asarray(np.any(x, axis=axes, keepdims=keepdims)),
    _samples(0, 1, boolean=True),
    dtype="bool",
    tol=EXACT,
    doc="logical or over axes",
)
_reduce(
    "all",
    lambda x, axes, keepdims: np.asarray(np.all(x, axis=axes, keepdims=keepdims)),
    _samples(0, 1, boolean=True),
    dtype="bool",
    tol=EXACT,
    doc="logical and over axes",
)


def _arg_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    return [Spec(reduced(specs[0].shape, (attrs[0],), attrs[1]), "int32")]


def _arg_samples(rng: Any, dtype: str) -> Any:
    for shape, axis in (((7,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 19), 1)):
        yield Sample((uniform(rng, shape, dtype, -3, 3),), (axis, False))


for _name, _fn in (("argmax", np.argmax), ("argmin", np.argmin)):
    op(
        _name,
        inputs="x",
        attrs=AXIS,
        infer=_arg_infer,
        kind=REDUCE,
        ref=lambda x, axis, keepdims, fn=_fn: np.asarray(
            fn(x, axis=axis, keepdims=keepdims)
        ).astype(np.int32),
        samples=_arg_samples,
        tol=EXACT,
        cost=lambda ins, outs, attrs: 1.0 * math.prod(ins[0].shape),
        doc=f"index of the first {_name[3:]}imum along axis, int32; NaN wins",
    )
