# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions of Keras beside NumPy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import ops
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError

EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1.5, 0.25, 1.0, -1.0, 7.75, -300.0]
WIDTHS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64")

UNARY = {
    **{n: getattr(np, n) for n in ("fabs", "deg2rad", "rad2deg", "sinc", "signbit")},
    **{n: getattr(np, n) for n in ("isposinf", "isneginf", "nan_to_num", "angle")},
    **{n: getattr(np, n) for n in ("trunc", "real", "imag", "isreal", "conj")},
    **{n: getattr(np, n) for n in ("exp2", "log2", "log10", "tan", "cbrt")},
    **{n: getattr(np, n) for n in ("sinh", "cosh", "arcsinh", "arccosh", "arctanh")},
    **{n: getattr(np, n) for n in ("arcsin", "arccos", "arctan")},
}


def assert_as_numpy(actual: Tensor, expected: np.ndarray, rtol: float) -> None:
    assert actual.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual.numpy(), expected)
        return
    np.testing.assert_allclose(
        actual.numpy(), expected, rtol=rtol, atol=np.finfo(expected.dtype).tiny
    )
    whole = ~np.isnan(expected)
    signs = np.signbit(actual.numpy()) == np.signbit(expected)
    assert signs[whole].all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand_are_numpys(name: str, dtype: str) -> None:
    x = np.array([*EDGES, *np.linspace(-9, 9, 41)], dtype)
    if name in ("nan_to_num", "sinc"):
        x = x[~np.isinf(x) | (name == "nan_to_num")]
    with np.errstate(all="ignore"):
        expected = UNARY[name](x)
    rtol = 6e-7 if dtype == "float32" else 2e-15
    assert_as_numpy(getattr(ops, name)(x), expected, rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        *("fmod", "mod", "floor_divide", "fmax", "fmin", "heaviside", "arctan2"),
        *("hypot", "logaddexp", "logaddexp2", "nextafter", "power", "maximum"),
    ],
)
def test_functions_of_two_operands_are_numpys(name: str, dtype: str) -> None:
    values = np.array(EDGES, dtype)
    x1, x2 = values[:, None], values
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x1, x2)
    actual = getattr(ops, name)(x1, x2)
    if name == "heaviside":  # NumPy's NaN at 0 is x2's
        assert np.isnan(actual.numpy()[0]).all()
    rtol = 1e-6 if dtype == "float32" else 4e-15
    np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=1e-45)
    whole = ~np.isnan(expected)
    if name not in ("maximum", "fmax", "fmin"):  # of 0 and -0 either
        signs = np.signbit(actual.numpy()) == np.signbit(expected)
        assert signs[whole].all(), np.argwhere(~signs & whole)


def test_powers_of_extreme_operands_have_all_their_digits() -> None:
    rng = np.random.default_rng(3)
    x = np.exp(rng.uniform(-300, 300, 20000))
    y = rng.uniform(-2, 2, 20000)
    got = ops.power(x, y).numpy()
    want = np.power(x, y)
    np.testing.assert_allclose(got, want, rtol=4e-16)
    near = 1 + rng.uniform(-1e-6, 1e-6, 20000)  # a huge power of almost 1
    big = rng.uniform(-1e8, 1e8, 20000)
    np.testing.assert_allclose(
        ops.power(near, big).numpy(), np.power(near, big), rtol=4e-16
    )


def test_divide_no_nan_and_its_gradient() -> None:
    x1, x2 = Tensor(np.array([1.0, 3.0, 0.0])), Tensor(np.array([0.0, 2.0, 0.0]))
    with GradientTape() as tape:
        tape.watch([x1, x2])
        y = ops.divide_no_nan(x1, x2)
    np.testing.assert_array_equal(y.numpy(), [0.0, 1.5, 0.0])
    g1, g2 = tape.gradient(y, [x1, x2])
    np.testing.assert_array_equal(g1.numpy(), [0.0, 0.5, 0.0])
    np.testing.assert_array_equal(g2.numpy(), [0.0, -0.75, 0.0])


def test_sinc_has_slope_zero_at_zero() -> None:
    x = Tensor(np.array([0.0, 1.0]))
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.sinc(x)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [0.0, -1.0], atol=1e-15)


def test_ldexp_reaches_every_number() -> None:
    x = np.array([1.0, 1.0, 0.75, 3.0, 1e-30], "float32")
    n = np.array([127, -149, 128, -150, 200], "int32")
    np.testing.assert_array_equal(ops.ldexp(x, n).numpy(), np.ldexp(x, n))
    with pytest.raises(DTypeError, match="integers"):
        ops.ldexp(x, x)


def test_closeness() -> None:
    a = np.array([1.0, np.inf, -np.inf, np.nan, 1.0, 0.0])
    b = np.array([1.0 + 1e-6, np.inf, np.inf, np.nan, 1.1, 1e-9])
    for equal_nan in (False, True):
        expected = np.isclose(a, b, equal_nan=equal_nan)
        actual = ops.isclose(a, b, equal_nan=equal_nan)
        np.testing.assert_array_equal(actual.numpy(), expected)
    assert not bool(ops.allclose(a, b))
    assert bool(ops.allclose(a[:2], b[:2]))


def test_select_takes_the_first_condition_that_holds() -> None:
    x = np.arange(6)
    y = ops.select([x < 3, x > 3], [x, x**2], 42)
    np.testing.assert_array_equal(y.numpy(), np.select([x < 3, x > 3], [x, x**2], 42))
    with pytest.raises(ValueError, match="as many"):
        ops.select([], [])


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize(
    "name",
    [
        *("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"),
        *("gcd", "lcm", "fmod", "fmax", "fmin", "maximum", "minimum"),
    ],
)
def test_integers_of_every_width_are_numpys(name: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([info.max, info.max - 1, 0, 1, 12, 100, 77, 90], dtype)
    y = np.array([2, 3, 1, 7, 8, 4, 5, 6], dtype)
    if info.min < 0 and name != "lcm":
        x[:2] = info.min, -5
    if name == "lcm":
        x[:2], x[6] = (4, 6), 25
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(np, name)(x, y)
    actual = getattr(ops, name)(x, y)
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual.numpy(), expected)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_shifts_beyond_the_width_leave_nothing_or_the_sign(dtype: str) -> None:
    bits = np.iinfo(dtype).bits
    x = np.array([5, 100, np.iinfo(dtype).min], dtype)
    for count in (bits - 1, bits, bits + 9):
        n = np.array([count] * 3, dtype)
        for name in ("left_shift", "right_shift"):
            expected = getattr(np, name)(x, n)
            np.testing.assert_array_equal(getattr(ops, name)(x, n).numpy(), expected)


def test_uint64_keeps_all_its_bits() -> None:
    x = np.array([2**64 - 1, 2**63, 5, 2**63 - 1], "uint64")
    assert int(ops.max(x)) == 2**64 - 1 and ops.max(x).dtype == "uint64"
    assert int(ops.min(x)) == 5
    assert int(ops.argmax(x)) == 0 and int(ops.argmin(x)) == 2
    np.testing.assert_array_equal(ops.less(x, x[::-1]).numpy(), x < x[::-1])
    np.testing.assert_array_equal((Tensor(x) % Tensor(x[::-1])).numpy(), x % x[::-1])
    np.testing.assert_array_equal(ops.sign(x).numpy(), np.sign(x))
    np.testing.assert_array_equal(ops.bitwise_not(x).numpy(), ~x)


def test_bits_of_floats_are_refused() -> None:
    with pytest.raises(DTypeError, match=r"\[bitwise_and\] needs integers.*cast"):
        ops.bitwise_and(1.5, 2)


@pytest.mark.parametrize(
    ("x", "dtype", "expected"),
    [
        ([300.0, -5.0, 7.9], "uint8", [255, 0, 7]),
        (np.array([1e30, -1e30], "float32"), "int64", [2**63 - 2**39, -(2**63)]),
        (np.array([1e30, -1.0]), "uint64", [2**64 - 2**11, 0]),
        (np.array([-3, 70000], "int32"), "uint16", [0, 65535]),
        (np.array([2**64 - 1], "uint64"), "int8", [127]),
        (np.array([True]), "int8", [1]),
    ],
)
def test_saturating_casts(x, dtype: str, expected: list[int]) -> None:
    y = ops.saturate_cast(x, dtype)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), np.array(expected, dtype))


@pytest.mark.parametrize("dtype", [">f4", ">i4", ">u8", ">f8", ">i2"])
def test_other_byte_orders_are_read_right(dtype: str) -> None:
    x = np.array([1, 2, 300], dtype)
    t = Tensor(x)
    np.testing.assert_array_equal(t.numpy(), [1, 2, 300])
    np.testing.assert_array_equal(ops.add(t, t).numpy(), [2, 4, 600])


def test_fields_of_records_are_read_right() -> None:
    records = np.zeros(4, np.dtype([("tag", "u1"), ("value", "<f4")]))
    records["value"] = [1, 2, 3, 4]
    t = Tensor(records["value"])  # every 5 bytes, unaligned
    np.testing.assert_array_equal(ops.square(t).numpy(), [1, 4, 9, 16])
