# SPDX-License-Identifier: Apache-2.0
"""Pointwise ops: arithmetic, comparisons and elementary functions.

The kernels are the functors of csrc/shared/pointwise/. The
activations stand in `activations.py`, written the same way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.opset._infer import check_same_dtype, compare, elementwise
from fastnn.opset._opdef import EXACT, POINTWISE, Sample, Spec, op, ulps
from fastnn.opset._samples import PAIRS, binary, unary, uniform

CHEAP, ROOT, TRANSCENDENTAL = 0.15, 0.6, 1.5  # ns per element and core


def unary_op(name: str, ref: Any, samples: Any, **fields: Any) -> None:
    fields.setdefault("inplace", (0,))
    fields.setdefault("cost", CHEAP)
    op(
        name,
        inputs="x",
        infer=fields.pop("infer", elementwise(name, same=True)),
        kind=POINTWISE,
        ref=ref,
        samples=samples,
        **fields,
    )


def binary_op(name: str, ref: Any, samples: Any, **fields: Any) -> None:
    fields.setdefault("cost", CHEAP)
    op(
        name,
        inputs="x1 x2",
        infer=fields.pop("infer", elementwise(name)),
        kind=POINTWISE,
        ref=ref,
        samples=samples,
        inplace=fields.pop("inplace", (0,)),
        **fields,
    )


# ---- unary -------------------------------------------------------------------------

unary_op(
    "negative",
    np.negative,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.negative(dy),
    integers=True,
    tol=EXACT,
    doc="-x",
)
unary_op(
    "abs",
    np.abs,
    unary(-3, 3, kink=True),
    vjp=lambda c, dy: c.op.multiply(dy, c.op.sign(c.x)),
    saves=("x",),
    integers=True,
    tol=EXACT,
    doc="|x|; derivative 0 at 0",
)
unary_op(
    "sign",
    np.sign,
    unary(-3, 3, kink=True),
    vjp=lambda c, dy: None,
    integers=True,
    tol=EXACT,
    doc="-1, 0 or 1; NaN stays NaN",
)
unary_op(
    "square",
    np.square,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.multiply(c.op.multiply(dy, c.x), 2),
    saves=("x",),
    integers=True,
    tol=ulps(1),
    doc="x^2",
)
unary_op(
    "sqrt",
    np.sqrt,
    unary(0.1, 4),
    vjp=lambda c, dy: c.op.divide(c.op.multiply(dy, 0.5), c.y),
    saves=("y",),
    tol=ulps(1),
    cost=ROOT,
    doc="square root, NaN below 0",
)
unary_op(
    "rsqrt",
    lambda x: 1 / np.sqrt(x),
    unary(0.2, 4),
    vjp=lambda c, dy: c.op.multiply(
        c.op.multiply(dy, -0.5), c.op.multiply(c.y, c.op.square(c.y))
    ),
    saves=("y",),
    tol=ulps(4),
    cost=ROOT,
    doc="1 / sqrt(x)",
)
unary_op(
    "reciprocal",
    lambda x: 1 / x,
    unary(-3, 3, kink=True),
    vjp=lambda c, dy: c.op.negative(c.op.multiply(dy, c.op.square(c.y))),
    saves=("y",),
    tol=ulps(1),
    cost=ROOT,
    doc="1 / x",
)
unary_op(
    "exp",
    np.exp,
    unary(-5, 5),
    vjp=lambda c, dy: c.op.multiply(dy, c.y),
    saves=("y",),
    tol=ulps(3),
    cost=TRANSCENDENTAL,
    doc="e^x",
)
unary_op(
    "expm1",
    np.expm1,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.multiply(dy, c.op.add(c.y, 1)),
    saves=("y",),
    tol=ulps(5),
    cost=TRANSCENDENTAL,
    doc="e^x - 1 without cancellation near 0",
)
unary_op(
    "log",
    np.log,
    unary(0.1, 9),
    vjp=lambda c, dy: c.op.divide(dy, c.x),
    saves=("x",),
    tol=ulps(5),
    cost=TRANSCENDENTAL,
    doc="natural logarithm, NaN below 0, -inf at 0",
)
unary_op(
    "log1p",
    np.log1p,
    unary(-0.5, 5),
    vjp=lambda c, dy: c.op.divide(dy, c.op.add(c.x, 1)),
    saves=("x",),
    tol=ulps(5),
    cost=TRANSCENDENTAL,
    doc="log(1 + x) without cancellation near 0",
)
unary_op(
    "sin",
    np.sin,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.multiply(dy, c.op.cos(c.x)),
    saves=("x",),
    tol=ulps(4),
    cost=10.0,
    doc="sine, radians",
)
unary_op(
    "cos",
    np.cos,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.negative(c.op.multiply(dy, c.op.sin(c.x))),
    saves=("x",),
    tol=ulps(4),
    cost=10.0,
    doc="cosine, radians",
)


def _erf(x: Any) -> Any:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), dtype=x.dtype)


unary_op(
    "erf",
    _erf,
    unary(-3, 3),
    vjp=lambda c, dy: c.op.multiply(
        c.op.multiply(dy, 2 / math.sqrt(math.pi)),
        c.op.exp(c.op.negative(c.op.square(c.x))),
    ),
    saves=("x",),
    tol=ulps(6),
    cost=TRANSCENDENTAL,
    doc="2/sqrt(pi) * integral of exp(-t^2) from 0 to x",
)
_ref: Any  # ufuncs of several arities
for _name, _ref, _doc in (
    ("floor", np.floor, "largest integer <= x"),
    ("ceil", np.ceil, "smallest integer >= x"),
    ("round", np.round, "nearest integer, halves to even"),
):
    unary_op(
        _name,
        _ref,
        unary(-4, 4, kink=True),
        vjp=lambda c, dy: None,
        tol=EXACT,
        doc=_doc,
    )
for _name, _ref in (
    ("isnan", np.isnan),
    ("isinf", np.isinf),
    ("isfinite", np.isfinite),
):
    unary_op(
        _name,
        _ref,
        unary(-3, 3),
        infer=compare(_name),
        inplace=(-1,),
        tol=EXACT,
        doc=f"{_name}(x) as bool",
    )

# ---- binary ------------------------------------------------------------------------

binary_op(
    "add",
    np.add,
    binary(-3, 3),
    vjp=lambda c, dy: (c.unbroadcast(dy, "x1"), c.unbroadcast(dy, "x2")),
    integers=True,
    tol=ulps(1),
    doc="x1 + x2",
)
binary_op(
    "subtract",
    np.subtract,
    binary(-3, 3),
    vjp=lambda c, dy: (
        c.unbroadcast(dy, "x1"),
        c.unbroadcast(c.op.negative(dy), "x2") if c.needs("x2") else None,
    ),
    integers=True,
    tol=ulps(1),
    doc="x1 - x2",
)
binary_op(
    "multiply",
    np.multiply,
    binary(-3, 3),
    vjp=lambda c, dy: (
        c.unbroadcast(c.op.multiply(dy, c.x2), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.multiply(dy, c.x1), "x2") if c.needs("x2") else None,
    ),
    saves=("x1", "x2"),
    integers=True,
    tol=ulps(1),
    doc="x1 * x2",
)
binary_op(
    "divide",
    np.divide,
    binary(-3, 3, low2=0.5, high2=3),
    vjp=lambda c, dy: (
        c.unbroadcast(c.op.divide(dy, c.x2), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.negative(c.op.divide(c.op.multiply(dy, c.y), c.x2)), "x2")
        if c.needs("x2")
        else None,
    ),
    saves=("x2", "y"),
    tol=ulps(1),
    cost=ROOT,
    doc="x1 / x2, IEEE division",
)


def _power_vjp(c: Any, dy: Any) -> Any:
    d1 = d2 = None
    if c.needs("x1"):
        # x ** 0 is constant, also at 0, where x2 * x1 ** (x2 - 1) would be 0 * inf.
        flat = c.op.logical_and(c.op.equal(c.x1, 0), c.op.equal(c.x2, 0))
        exponent = c.op.where(flat, 1, c.op.subtract(c.x2, 1))
        slope = c.op.multiply(c.x2, c.op.power(c.x1, exponent))
        d1 = c.unbroadcast(c.op.multiply(dy, slope), "x1")
    if c.needs("x2"):
        # d/dx2 = y log x1, defined as 0 where x1 <= 0 (as TensorFlow and JAX at 0).
        positive = c.op.greater(c.x1, 0)
        log = c.op.log(c.op.where(positive, c.x1, 1))
        slope = c.op.where(positive, c.op.multiply(c.y, log), 0)
        d2 = c.unbroadcast(c.op.multiply(dy, slope), "x2")
    return d1, d2


binary_op(
    "power",
    np.power,
    binary(0.3, 3, low2=-2, high2=3),
    vjp=_power_vjp,
    saves=("x1", "x2", "y"),
    tol=ulps(4),
    cost=20.0,
    doc="x1 ** x2",
)


def _select_vjp(c: Any, first: Any, dy: Any) -> tuple[Any, Any]:
    # A constant 0, never dy * 0: what was not selected stays out of it if dy is inf.
    return (
        c.unbroadcast(c.op.where(first, dy, 0), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.where(first, 0, dy), "x2") if c.needs("x2") else None,
    )


def _extremum_vjp(comparison: str) -> Any:
    def vjp(c: Any, dy: Any) -> Any:
        # The whole gradient goes to x1 at a tie, as in TensorFlow.
        return _select_vjp(c, getattr(c.op, comparison)(c.x1, c.x2), dy)

    return vjp


binary_op(
    "maximum",
    np.maximum,
    binary(-3, 3),
    vjp=_extremum_vjp("greater_equal"),
    saves=("x1", "x2"),
    integers=True,
    tol=EXACT,
    doc="larger of x1 and x2; NaN wins",
)
binary_op(
    "minimum",
    np.minimum,
    binary(-3, 3),
    vjp=_extremum_vjp("less_equal"),
    saves=("x1", "x2"),
    integers=True,
    tol=EXACT,
    doc="smaller of x1 and x2; NaN wins",
)
binary_op(
    "floor_divide",
    np.floor_divide,
    binary(-9, 9, low2=1, high2=3),
    vjp=lambda c, dy: (None, None),
    integers=True,
    tol=EXACT,
    cost=3.0,
    doc="floor(x1 / x2); integer division by 0 gives 0",
)


def _mod_vjp(c: Any, dy: Any) -> Any:
    # x1 - x2 * floor(x1 / x2), whose floor is constant between its steps.
    d2 = None
    if c.needs("x2"):
        steps = c.op.floor_divide(c.x1, c.x2)
        d2 = c.unbroadcast(c.op.negative(c.op.multiply(dy, steps)), "x2")
    return c.unbroadcast(dy, "x1"), d2


binary_op(
    "mod",
    np.mod,
    binary(-9, 9, low2=1, high2=3),
    vjp=_mod_vjp,
    saves=("x1", "x2"),
    integers=True,
    tol=ulps(2)._replace(atol=1e-6),
    cost=3.0,
    doc="remainder with the sign of x2",
)

for _name, _ref in (
    ("equal", np.equal),
    ("not_equal", np.not_equal),
    ("greater", np.greater),
    ("greater_equal", np.greater_equal),
    ("less", np.less),
    ("less_equal", np.less_equal),
):
    binary_op(
        _name,
        _ref,
        binary(-3, 3),
        infer=compare(_name),
        inplace=(-1,),
        integers=True,
        tol=EXACT,
        doc=f"{_name.replace('_', ' or ')} as bool",
    )


def _bools(n: int) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for s1, s2 in PAIRS:
            a, b = uniform(rng, s1, "bool", 0, 1), uniform(rng, s2, "bool", 0, 1)
            yield Sample((a, b)[:n])

    return make


for _name, _ref in (
    ("logical_and", np.logical_and),
    ("logical_or", np.logical_or),
    ("logical_xor", np.logical_xor),
):
    binary_op(
        _name,
        _ref,
        _bools(2),
        infer=compare(_name),
        tol=EXACT,
        doc=f"{_name.replace('_', ' ')} of bools",
    )
unary_op(
    "logical_not",
    np.logical_not,
    _bools(1),
    infer=compare("logical_not"),
    tol=EXACT,
    doc="logical not of bools",
)


def _where_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    from fastnn.errors import DTypeError
    from fastnn.opset._infer import broadcast_shapes

    if specs[0].dtype != "bool":
        raise DTypeError(f"[where] condition must be bool, received {specs[0].dtype}")
    dtype = check_same_dtype("where", [s.dtype for s in specs[1:]])
    return [Spec(broadcast_shapes("where", *[s.shape for s in specs]), dtype)]


def _where_samples(rng: Any, dtype: str) -> Any:
    for s1, s2 in PAIRS:
        yield Sample(
            (
                uniform(rng, s1, "bool", 0, 1),
                uniform(rng, s2, dtype, -3, 3),
                uniform(rng, s1, dtype, -3, 3),
            )
        )


def _where_vjp(c: Any, dy: Any) -> Any:
    return (None, *_select_vjp(c, c.condition, dy))


op(
    "where",
    inputs="condition x1 x2",
    infer=_where_infer,
    kind=POINTWISE,
    ref=np.where,
    vjp=_where_vjp,
    saves=("condition",),
    samples=_where_samples,
    tol=EXACT,
    inplace=(1,),
    cost=CHEAP,
    doc="x1 where condition, else x2",
)
