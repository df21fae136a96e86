# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions of Keras that are made of other ops, and those on integers."""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError
from fastnn.ops._constants import filled
from fastnn.ops._promote import promote, to_float
from fastnn.ops.math import all as _all
from fastnn.ops.math import where
from fastnn.opset._dtypes import RANGE, is_float

# ---- numbers -----------------------------------------------------------------------


def fabs(x: Any) -> Tensor:
    """|x| as a float."""
    return raw.abs(to_float(x))


def real(x: Any) -> Tensor:
    """The real part: x itself, for tensors are real."""
    return convert_to_tensor(x)


def conjugate(x: Any) -> Tensor:
    """The complex conjugate: x itself, for tensors are real."""
    return convert_to_tensor(x)


conj = conjugate


def imag(x: Any) -> Tensor:
    """The imaginary part: zeros, for tensors are real."""
    t = convert_to_tensor(x)
    return Tensor(np.zeros(t.shape, t.dtype))


def isreal(x: Any) -> Tensor:
    """Whether the imaginary part is zero: true, for tensors are real."""
    return filled(convert_to_tensor(x).shape, True, "bool")


def angle(x: Any) -> Tensor:
    """0 for positive numbers, pi for negative ones."""
    return raw.arctan2(0.0, to_float(x))


def deg2rad(x: Any) -> Tensor:
    """x * pi / 180."""
    return raw.multiply(to_float(x), _math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """x * 180 / pi."""
    return raw.multiply(to_float(x), 180 / _math.pi)


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 below 0, x2 at 0, 1 above; NaN stays NaN."""
    a, b = promote(x1, x2)
    if a.dtype == "bool":
        a, b = raw.cast(a, "int32"), raw.cast(b, "int32")
    step = integers.where(integers.call("greater", a, _like(a, 0)), *_pair(a, 1, 0))
    y = integers.where(integers.call("equal", a, _like(a, 0)), b, step)
    if is_float(a.dtype):
        y = raw.where(raw.isnan(a), a, y)
    return y


def _like(t: Tensor, value: Any) -> Tensor:
    return convert_to_tensor(value, t.dtype)


def _pair(t: Tensor, first: Any, second: Any) -> tuple[Tensor, Tensor]:
    return _like(t, first), _like(t, second)


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is 0."""
    a, b = promote(x1, x2)
    a, b = to_float(a), to_float(b)
    none = raw.equal(b, 0.0)
    return raw.where(none, 0.0, raw.divide(a, raw.where(none, 1.0, b)))


def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2^x2 for integers x2.

    Raises:
        DTypeError: for an x2 that is floating.
    """
    n = convert_to_tensor(x2)
    if is_float(n.dtype):
        raise DTypeError(f"[ldexp] x2 must be integers, received {n.dtype}")
    x = to_float(x1)
    n = raw.cast(n, "int32") if n.dtype != "int64" else n
    # In three factors, so that neither 2^x2 nor a product on the way overflows.
    third = raw.floor_divide(n, _like(n, 3))
    rest = raw.subtract(n, raw.multiply(third, _like(n, 2)))
    step = raw.exp2(raw.cast(third, x.dtype))
    y = raw.multiply(raw.multiply(x, step), step)
    return raw.multiply(y, raw.exp2(raw.cast(rest, x.dtype)))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2^x1 + 2^x2) without overflow."""
    a, b = promote(x1, x2)
    scale = _math.log(2)
    a, b = raw.multiply(to_float(a), scale), raw.multiply(to_float(b), scale)
    return raw.multiply(raw.logaddexp(a, b), 1 / scale)


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    t = raw.multiply(to_float(x), _math.pi)
    zero = raw.equal(t, 0.0)
    return raw.where(zero, 1.0, raw.divide(raw.sin(t), raw.where(zero, 1.0, t)))


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities replaced; infinities by the largest numbers when None."""
    t = convert_to_tensor(x)
    if not is_float(t.dtype):
        return t
    largest = 3.4028234663852886e38 if t.dtype == "float32" else 1.7976931348623157e308
    y = raw.where(raw.isnan(t), _like(t, nan), t)
    y = raw.where(isposinf(t), _like(t, largest if posinf is None else posinf), y)
    return raw.where(isneginf(t), _like(t, -largest if neginf is None else neginf), y)


def isposinf(x: Any) -> Tensor:
    """Whether x is +infinity, as bool."""
    t = to_float(x)
    return raw.equal(t, _like(t, _math.inf))


def isneginf(x: Any) -> Tensor:
    """Whether x is -infinity, as bool."""
    t = to_float(x)
    return raw.equal(t, _like(t, -_math.inf))


def isclose(
    x1: Any,
    x2: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """|x1 - x2| <= atol + rtol * |x2|; infinities are close to themselves."""
    a, b = promote(x1, x2)
    a, b = to_float(a), to_float(b)
    bound = raw.add(raw.multiply(raw.abs(b), float(rtol)), float(atol))
    near = raw.less_equal(raw.abs(raw.subtract(a, b)), bound)
    near = raw.logical_and(near, raw.isfinite(b))
    near = raw.logical_or(near, raw.equal(a, b))
    if equal_nan:
        near = raw.logical_or(near, raw.logical_and(raw.isnan(a), raw.isnan(b)))
    return near


def allclose(
    x1: Any,
    x2: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Whether all elements are close (`isclose`)."""
    return _all(isclose(x1, x2, rtol, atol, equal_nan))


def signbit(x: Any) -> Tensor:
    """Whether the sign is negative, also of -0, as bool."""
    t = convert_to_tensor(x)
    if is_float(t.dtype):
        return raw.signbit(t)
    if t.dtype == "bool":
        t = raw.cast(t, "int32")
    return integers.call("less", t, _like(t, 0))


def _of_numbers(name: str, plain: str, x1: Any, x2: Any) -> Tensor:
    a, b = promote(x1, x2)
    if is_float(a.dtype):
        return getattr(raw, name)(a, b)
    return integers.call(plain, a, b)


def fmax(x1: Any, x2: Any) -> Tensor:
    """Larger of x1 and x2; numbers win over NaN."""
    return _of_numbers("fmax", "maximum", x1, x2)


def fmin(x1: Any, x2: Any) -> Tensor:
    """Smaller of x1 and x2; numbers win over NaN."""
    return _of_numbers("fmin", "minimum", x1, x2)


def saturate_cast(x: Any, dtype: str) -> Tensor:
    """x as `dtype`, with numbers beyond its range moved to its ends."""
    t = convert_to_tensor(x)
    if is_float(dtype) or dtype == t.dtype:
        return raw.cast(t, dtype)
    low, high = RANGE[dtype]
    if is_float(t.dtype):
        # The largest float that is not beyond: 2^63 - 1 would round up.
        bits = 24 if t.dtype == "float32" else 53
        top = high if high < 2**bits else high + 1 - 2 ** (high.bit_length() - bits)
        t = raw.minimum(raw.maximum(t, float(low)), float(top))
        return raw.cast(t, dtype)
    mine, most = RANGE[t.dtype]
    if t.dtype != "bool" and low > mine:
        t = integers.call("maximum", t, _like(t, low))
    if t.dtype != "bool" and high < most:
        t = integers.call("minimum", t, _like(t, high))
    return raw.cast(t, dtype)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """From the first choice whose condition holds, else default.

    Raises:
        ValueError: for lists that are empty or of different lengths.
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"[select] needs as many conditions as choices and at least one, received "
            f"{len(condlist)} and {len(choicelist)}"
        )
    y = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        y = where(condition, choice, y)
    return y


# ---- integers ----------------------------------------------------------------------


def _bits(name: str, *values: Any) -> tuple[Tensor, ...]:
    tensors = promote(*values)
    if is_float(tensors[0].dtype):
        raise DTypeError(
            f"[{name}] needs integers, received {tensors[0].dtype}: "
            f'cast(x, "int32") first'
        )
    return tensors


def bitwise_and(x: Any, y: Any) -> Tensor:
    """x & y, bit by bit."""
    return integers.call("bitwise_and", *_bits("bitwise_and", x, y))


def bitwise_or(x: Any, y: Any) -> Tensor:
    """x | y, bit by bit."""
    return integers.call("bitwise_or", *_bits("bitwise_or", x, y))


def bitwise_xor(x: Any, y: Any) -> Tensor:
    """x ^ y, bit by bit."""
    return integers.call("bitwise_xor", *_bits("bitwise_xor", x, y))


def bitwise_not(x: Any) -> Tensor:
    """Every bit inverted; of bools the logical not."""
    (t,) = _bits("bitwise_not", x)
    return raw.logical_not(t) if t.dtype == "bool" else integers.call("bitwise_not", t)


def left_shift(x: Any, y: Any) -> Tensor:
    """x * 2^y, modulo 2^bits."""
    return integers.call("left_shift", *_bits("left_shift", x, y))


def right_shift(x: Any, y: Any) -> Tensor:
    """floor(x / 2^y)."""
    return integers.call("right_shift", *_bits("right_shift", x, y))


bitwise_invert = bitwise_not
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift


def gcd(x1: Any, x2: Any) -> Tensor:
    """Greatest common divisor, not negative."""
    return integers.call("gcd", *_bits("gcd", x1, x2))


def lcm(x1: Any, x2: Any) -> Tensor:
    """Least common multiple, not negative; 0 where an operand is 0."""
    a, b = _bits("lcm", x1, x2)
    part = integers.call("floor_divide", a, integers.call("gcd", a, b))
    return integers.call("abs", integers.call("multiply", part, b))


__all__ = [
    *"allclose angle bitwise_and bitwise_invert bitwise_left_shift bitwise_not".split(),
    *"bitwise_or bitwise_right_shift bitwise_xor conj conjugate deg2rad".split(),
    *"divide_no_nan fabs fmax fmin gcd heaviside imag isclose isneginf".split(),
    *"isposinf isreal lcm ldexp left_shift logaddexp2 nan_to_num rad2deg real".split(),
    *"right_shift saturate_cast select signbit sinc".split(),
]
