# SPDX-License-Identifier: Apache-2.0
"""Elementary functions beyond those of `pointwise.py`, bits, and rarer arithmetic.

The kernels are the functors of csrc/shared/pointwise/, their accuracy stands in
docs/accuracy.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.errors import DTypeError
from fastnn.opset._dtypes import is_float
from fastnn.opset._infer import compare, elementwise
from fastnn.opset._opdef import EXACT, Sample, Spec, ulps
from fastnn.opset._samples import PAIRS, SHAPES, binary, unary, uniform
from fastnn.opset.pointwise import CHEAP, TRANSCENDENTAL, binary_op, unary_op


def _by_element(function: Any) -> Any:
    """A function of math as a NumPy function that keeps the dtype."""
    wide = np.vectorize(function, otypes=[np.float64])

    def ref(x: Any) -> Any:
        return np.asarray(wide(x), dtype=np.asarray(x).dtype)

    return ref


def _erfc(x: float) -> float:
    return math.erfc(x)


def _erfinv(x: float) -> float:
    """By bisection on erf below 1/2 and on erfc above."""
    a = abs(x)
    if not a < 1:
        return math.copysign(math.inf, x) if a == 1 else math.nan
    low, high = 0.0, 6.0
    for _ in range(80):
        y = 0.5 * (low + high)
        below = math.erf(y) < a if a < 0.5 else math.erfc(y) > 1 - a
        low, high = (y, high) if below else (low, y)
    if low < 1e-8:  # bisection stops at absolute, not relative precision
        low = a * math.sqrt(math.pi) / 2
    return math.copysign(low, x)


# d/dx of each, as ops on what was saved.
def _over_root(c: Any, dy: Any, square: Any, sign: float = 1.0) -> Any:
    """sign * dy / sqrt(square)."""
    return c.op.multiply(c.op.multiply(dy, sign), c.op.rsqrt(square))


def _minus(c: Any, a: Any, b: Any) -> Any:
    return c.op.subtract(a, b)


for _name, _ref, _range, _vjp, _saves, _tol, _cost, _doc in (
    (
        "exp2",
        np.exp2,
        (-5, 5),
        lambda c, dy: c.op.multiply(dy, c.op.multiply(c.y, math.log(2))),
        "y",
        3,
        1,
        "2^x",
    ),
    (
        "log2",
        np.log2,
        (0.1, 9),
        lambda c, dy: c.op.divide(c.op.multiply(dy, 1 / math.log(2)), c.x),
        "x",
        5,
        1,
        "logarithm to base 2, exact for powers of 2",
    ),
    (
        "log10",
        np.log10,
        (0.1, 9),
        lambda c, dy: c.op.divide(c.op.multiply(dy, 1 / math.log(10)), c.x),
        "x",
        5,
        1,
        "logarithm to base 10",
    ),
    (
        "tan",
        np.tan,
        (-1.4, 1.4),
        lambda c, dy: c.op.multiply(dy, c.op.add(c.op.square(c.y), 1)),
        "y",
        4,
        2,
        "tangent, radians",
    ),
    (
        "arcsin",
        np.arcsin,
        (-0.95, 0.95),
        lambda c, dy: _over_root(c, dy, _minus(c, 1.0, c.op.square(c.x))),
        "x",
        4,
        1,
        "angle in -pi/2..pi/2 whose sine is x, NaN beyond -1 and 1",
    ),
    (
        "arccos",
        np.arccos,
        (-0.95, 0.95),
        lambda c, dy: _over_root(c, dy, _minus(c, 1.0, c.op.square(c.x)), -1.0),
        "x",
        4,
        1,
        "angle in 0..pi whose cosine is x, NaN beyond -1 and 1",
    ),
    (
        "arctan",
        np.arctan,
        (-3, 3),
        lambda c, dy: c.op.divide(dy, c.op.add(c.op.square(c.x), 1)),
        "x",
        4,
        1,
        "angle in -pi/2..pi/2 whose tangent is x",
    ),
    (
        "sinh",
        np.sinh,
        (-3, 3),
        lambda c, dy: c.op.multiply(dy, c.op.cosh(c.x)),
        "x",
        4,
        1,
        "(e^x - e^-x) / 2",
    ),
    (
        "cosh",
        np.cosh,
        (-3, 3),
        lambda c, dy: c.op.multiply(dy, c.op.sinh(c.x)),
        "x",
        4,
        1,
        "(e^x + e^-x) / 2",
    ),
    (
        "arcsinh",
        np.arcsinh,
        (-5, 5),
        lambda c, dy: _over_root(c, dy, c.op.add(c.op.square(c.x), 1)),
        "x",
        5,
        2,
        "log(x + sqrt(x^2 + 1))",
    ),
    (
        "arccosh",
        np.arccosh,
        (1.1, 6),
        lambda c, dy: _over_root(c, dy, _minus(c, c.op.square(c.x), 1.0)),
        "x",
        5,
        2,
        "log(x + sqrt(x^2 - 1)), NaN below 1",
    ),
    (
        "arctanh",
        np.arctanh,
        (-0.9, 0.9),
        lambda c, dy: c.op.divide(dy, _minus(c, 1.0, c.op.square(c.x))),
        "x",
        5,
        1,
        "log((1 + x) / (1 - x)) / 2, infinite at -1 and 1",
    ),
    (
        "erfc",
        _by_element(_erfc),
        (-3, 3),
        lambda c, dy: c.op.multiply(
            c.op.multiply(dy, -2 / math.sqrt(math.pi)),
            c.op.exp(c.op.negative(c.op.square(c.x))),
        ),
        "x",
        6,
        2,
        "1 - erf(x), accurate where that is tiny",
    ),
    (
        "erfinv",
        _by_element(_erfinv),
        (-0.95, 0.95),
        lambda c, dy: c.op.multiply(
            c.op.multiply(dy, math.sqrt(math.pi) / 2), c.op.exp(c.op.square(c.y))
        ),
        "y",
        6,
        4,
        "the y with erf(y) = x (Giles 2012)",
    ),
):
    unary_op(
        _name,
        _ref,
        unary(*_range),
        vjp=_vjp,
        saves=(_saves,),
        tol=ulps(_tol),
        cost=_cost * TRANSCENDENTAL,
        doc=_doc,
    )

unary_op(
    "cbrt",
    np.cbrt,
    unary(-4, 4, kink=True),
    vjp=lambda c, dy: c.op.divide(c.op.multiply(dy, 1 / 3), c.op.square(c.y)),
    saves=("y",),
    tol=ulps(2),
    cost=2 * TRANSCENDENTAL,
    doc="cube root",
)
unary_op(
    "trunc",
    np.trunc,
    unary(-4, 4, kink=True),
    vjp=lambda c, dy: None,
    tol=EXACT,
    doc="nearest integer towards 0",
)
unary_op(
    "signbit",
    np.signbit,
    unary(-3, 3),
    infer=compare("signbit"),
    inplace=(-1,),
    tol=EXACT,
    doc="whether the sign is negative, also of -0 and NaN, as bool",
)

# ---- binary ------------------------------------------------------------------------


def _arctan2_vjp(c: Any, dy: Any) -> Any:
    square = c.op.add(c.op.square(c.x1), c.op.square(c.x2))
    slope = c.op.divide(dy, square)
    return (
        c.unbroadcast(c.op.multiply(slope, c.x2), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.negative(c.op.multiply(slope, c.x1)), "x2")
        if c.needs("x2")
        else None,
    )


def _hypot_vjp(c: Any, dy: Any) -> Any:
    # 0 at the origin, where the slope is not defined.
    flat = c.op.equal(c.y, 0)
    slope = c.op.where(flat, 0, c.op.divide(dy, c.op.where(flat, 1, c.y)))
    return (
        c.unbroadcast(c.op.multiply(slope, c.x1), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.multiply(slope, c.x2), "x2") if c.needs("x2") else None,
    )


def _logaddexp_vjp(c: Any, dy: Any) -> Any:
    share = c.op.sigmoid(c.op.subtract(c.x1, c.x2))
    return (
        c.unbroadcast(c.op.multiply(dy, share), "x1") if c.needs("x1") else None,
        c.unbroadcast(c.op.multiply(dy, c.op.subtract(1.0, share)), "x2")
        if c.needs("x2")
        else None,
    )


binary_op(
    "arctan2",
    np.arctan2,
    binary(-3, 3, low2=0.5, high2=3),
    vjp=_arctan2_vjp,
    saves=("x1", "x2"),
    tol=ulps(4),
    cost=2 * TRANSCENDENTAL,
    doc="angle of the point (x2, x1) in -pi..pi",
)
binary_op(
    "hypot",
    np.hypot,
    binary(-3, 3, low2=0.5, high2=3),
    vjp=_hypot_vjp,
    saves=("x1", "x2", "y"),
    tol=ulps(2),
    cost=TRANSCENDENTAL,
    doc="sqrt(x1^2 + x2^2) without overflow",
)
binary_op(
    "logaddexp",
    np.logaddexp,
    binary(-3, 3),
    vjp=_logaddexp_vjp,
    saves=("x1", "x2"),
    tol=ulps(4)._replace(atol=4e-7),
    cost=3 * TRANSCENDENTAL,
    doc="log(e^x1 + e^x2) without overflow",
)


def _selected_vjp(comparison: str) -> Any:
    def vjp(c: Any, dy: Any) -> Any:
        # x1 where it is a number and is not beaten: then x2 is NaN or lies behind.
        second = c.op.isnan(c.x1)
        beaten = getattr(c.op, comparison)(c.x1, c.x2)
        second = c.op.logical_or(second, beaten)
        return (
            c.unbroadcast(c.op.where(second, 0, dy), "x1") if c.needs("x1") else None,
            c.unbroadcast(c.op.where(second, dy, 0), "x2") if c.needs("x2") else None,
        )

    return vjp


for _name, _ref, _comparison in (
    ("fmax", np.fmax, "less"),
    ("fmin", np.fmin, "greater"),
):
    binary_op(
        _name,
        _ref,
        binary(-3, 3),
        vjp=_selected_vjp(_comparison),
        saves=("x1", "x2"),
        tol=EXACT,
        doc=f"{'larger' if _name == 'fmax' else 'smaller'} of x1 and x2; numbers "
        "win over NaN",
    )


def _fmod_vjp(c: Any, dy: Any) -> Any:
    # x1 - x2 * trunc(x1 / x2): the whole quotient is what fmod took away.
    d2 = None
    if c.needs("x2"):
        steps = c.op.round(c.op.divide(c.op.subtract(c.x1, c.y), c.x2))
        d2 = c.unbroadcast(c.op.negative(c.op.multiply(dy, steps)), "x2")
    return c.unbroadcast(dy, "x1"), d2


binary_op(
    "fmod",
    np.fmod,
    binary(-9, 9, low2=1, high2=3),
    vjp=_fmod_vjp,
    saves=("x1", "x2", "y"),
    integers=True,
    tol=EXACT,
    cost=3.0,
    doc="remainder with the sign of x1",
)


def _next_samples(rng: Any, dtype: str) -> Any:
    # Always float64: the tests widen float32 for the reference, which changes what is
    # next. (tests/unit/test_elementwise.py has float32.)
    dtype = "float64"
    edges = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, 1e-45, 2, 0], dtype)
    towards = np.array([1, -1, 1, np.inf, 0, 0, 0, -9, 0], dtype)
    yield Sample((edges, towards))
    for s1, s2 in PAIRS:
        yield Sample((uniform(rng, s1, dtype, -3, 3), uniform(rng, s2, dtype, -3, 3)))


def _nextafter(x1: Any, x2: Any) -> Any:
    return np.nextafter(x1, x2)


binary_op(
    "nextafter",
    _nextafter,
    _next_samples,
    differentiable=False,
    tol=EXACT,
    doc="the next number from x1 towards x2",
)

# ---- integers ----------------------------------------------------------------------


def _integer_infer(name: str) -> Any:
    same = elementwise(name)

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        if is_float(specs[0].dtype):
            raise DTypeError(
                f"[{name}] needs integers, received {specs[0].dtype}: "
                f'cast(x, "int32") first'
            )
        return same(specs, attrs)

    return infer


def _integers(n: int, low2: int = -99, high2: int = 99) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        integer = "int32" if dtype == "float32" else "int64"
        shapes = PAIRS if n == 2 else [(s, s) for s in SHAPES]
        for s1, s2 in shapes:
            a = uniform(rng, s1, integer, -99, 99)
            yield Sample((a, uniform(rng, s2, integer, low2, high2))[:n])
        low, high = np.iinfo(integer).min, np.iinfo(integer).max
        edges = np.array([low, high, -1, 0, 5, 1 << 20], integer)
        yield Sample((edges, edges[::-1].clip(low2, high2))[:n])

    return make


for _name, _ref, _doc in (
    ("bitwise_and", np.bitwise_and, "x1 & x2, bit by bit"),
    ("bitwise_or", np.bitwise_or, "x1 | x2, bit by bit"),
    ("bitwise_xor", np.bitwise_xor, "x1 ^ x2, bit by bit"),
    ("gcd", np.gcd, "greatest common divisor"),
):
    binary_op(
        _name,
        _ref,
        _integers(2),
        infer=_integer_infer(_name),
        integers=True,
        tol=EXACT,
        cost=20.0 if _name == "gcd" else CHEAP,
        doc=_doc,
    )
for _name, _ref, _doc in (
    ("left_shift", np.left_shift, "x1 * 2^x2 modulo 2^bits"),
    ("right_shift", np.right_shift, "floor(x1 / 2^x2)"),
):
    binary_op(
        _name,
        _ref,
        _integers(2, 0, 70),
        infer=_integer_infer(_name),
        integers=True,
        tol=EXACT,
        doc=_doc,
    )
unary_op(
    "bitwise_not",
    np.bitwise_not,
    _integers(1),
    infer=_integer_infer("bitwise_not"),
    integers=True,
    tol=EXACT,
    doc="every bit inverted",
)
