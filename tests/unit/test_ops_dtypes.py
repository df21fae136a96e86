# SPDX-License-Identifier: Apache-2.0
"""Dtypes of results: Keras's promotion, and arithmetic on every integer dtype."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest

from fastnn import GradientTape, Input, Variable, convert_to_tensor, ops, random
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError

NARROW = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64")


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [
        (True, 1, "int32"),
        (True, True, "bool"),
        (True, 1.5, "float32"),
        (1, 2**40, "int64"),
        (np.uint8(1), np.int32(1), "int32"),
        (np.int8([1]), np.uint8([1]), "int16"),
        (np.uint32([1]), np.int32([1]), "int64"),
        (np.uint8([1]), 1, "uint8"),
        (np.int64([1]), 1.5, "float32"),
        (np.array([True]), 1, "int32"),
    ],
)
def test_sums_have_the_dtype_that_keras_gives(x1, x2, expected: str) -> None:
    y = ops.add(x1, x2)
    assert y.dtype == expected
    np.testing.assert_array_equal(y.numpy(), np.add(x1, x2))


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "mod"]
)
def test_integers_of_any_width_compute_as_in_numpy(name: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    x1 = np.array([info.min, 0, 7, 100, info.max], dtype)
    x2 = np.array([3, 2, 5, 100, 2], dtype)
    y = getattr(ops, name)(x1, x2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wraps
        expected = getattr(np, name)(x1, x2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize("dtype", NARROW)
def test_comparisons_selections_and_reductions_of_any_width(dtype: str) -> None:
    x1, x2 = np.array([1, 9, 100], dtype), np.array([2, 9, 3], dtype)
    np.testing.assert_array_equal(ops.equal(x1, x2).numpy(), x1 == x2)
    chosen = ops.where(np.array([True, False, True]), x1, x2)
    assert chosen.dtype == dtype
    np.testing.assert_array_equal(chosen.numpy(), [1, 9, 100])
    np.testing.assert_array_equal(ops.less(x1, x2).numpy(), x1 < x2)
    assert (ops.max(x1).dtype, int(ops.max(x1))) == (dtype, 100)
    assert (ops.clip(x1, 2, 50).dtype, int(ops.argmax(x1))) == (dtype, 2)
    np.testing.assert_array_equal(ops.square(x1 % 5).numpy(), np.square(x1 % 5))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        *(("bool", "int32"), ("int8", "int32"), ("int16", "int32")),
        *(("uint8", "uint32"), ("uint16", "uint32"), ("uint32", "uint32")),
        *(("int32", "int32"), ("int64", "int64"), ("uint64", "uint64")),
    ],
)
def test_sums_and_products_of_narrow_integers_widen(dtype: str, expected: str) -> None:
    ones = np.ones(300, dtype)
    assert (ops.sum(ones).dtype, int(ops.sum(ones))) == (expected, 300)
    twos = ones[:9] if dtype == "bool" else ones[:9] * 2
    assert ops.prod(twos).dtype == expected
    assert int(ops.prod(twos)) == int(np.prod(twos.astype("int64")))


def test_bools_are_logical_where_that_has_a_meaning() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    assert ops.add(a, b).dtype == ops.max(a).dtype == "bool"
    np.testing.assert_array_equal(ops.add(a, b).numpy(), a | b)
    np.testing.assert_array_equal(ops.multiply(a, b).numpy(), a & b)
    np.testing.assert_array_equal(ops.maximum(a, b).numpy(), a | b)
    assert (bool(ops.max(a)), bool(ops.min(a))) == (True, False)
    with pytest.raises(DTypeError, match="logical_xor"):
        ops.subtract(a, b)


def test_powers_of_integers_are_integers() -> None:
    x = np.array([-3, 0, 2], "int32")
    for y in (Tensor(x) ** 2, ops.power(x, 2), ops.power(x, np.array([2, 2, 2], "i"))):
        assert y.dtype == "int32"
        np.testing.assert_array_equal(y.numpy(), [9, 0, 4])
    np.testing.assert_array_equal((Tensor(x) ** 0).numpy(), [1, 1, 1])
    np.testing.assert_array_equal((2 ** Tensor(x[1:])).numpy(), [1, 4])
    exact = ops.power(np.array([3], "int64"), 39)  # beyond 2^53
    np.testing.assert_array_equal(exact.numpy(), [3**39])
    assert ops.power(np.array([3], "uint8"), 2).dtype == "uint8"
    with pytest.raises(DTypeError, match="cast"):
        ops.power(x, -1)
    assert ops.power(x, 0.5).dtype == "float32"


@pytest.mark.parametrize("dtype", NARROW)
def test_products_of_integer_matrices_are_integers(dtype: str) -> None:
    a = np.arange(6).reshape(2, 3).astype(dtype)
    y = ops.matmul(a, a.T)
    assert y.dtype == ("int32" if dtype == "int8" else dtype)
    np.testing.assert_array_equal(y.numpy(), a @ a.T)
    np.testing.assert_array_equal((Tensor(a) @ a.T).numpy(), a @ a.T)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + 2**40,
        lambda x: x < 2**70,
        lambda x: x * np.array([1, 2**33]),
        lambda x: ops.add(x, 2**40),
        lambda x: ops.add(ops.cast(x, "uint8"), -1),
        lambda x: convert_to_tensor(300, "uint8"),
    ],
)
def test_a_number_that_does_not_fit_raises_instead_of_wrapping(compute) -> None:
    with pytest.raises(DTypeError, match="does not fit"):
        compute(convert_to_tensor([1, 2]))


def test_logical_operators_want_bools() -> None:
    x = convert_to_tensor([1, 2])
    with pytest.raises(DTypeError, match="compare"):
        _ = x & x
    with pytest.raises(DTypeError, match="compare"):
        _ = ~x


def test_strict_functions_normalise_their_attributes() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3))
    a = x.numpy()
    np.testing.assert_array_equal(raw.argmax(x, -1).numpy(), [2, 2])
    np.testing.assert_array_equal(raw.sum(x, (-1,)).numpy(), a.sum(1))
    np.testing.assert_array_equal(raw.sum(x, [1, 0]).numpy(), a.sum())
    np.testing.assert_array_equal(raw.transpose(x, [1, 0]).numpy(), a.T)
    np.testing.assert_array_equal(raw.transpose(x, (-1, 0)).numpy(), a.T)
    joined = raw.concatenate(x, x, -1).numpy()
    np.testing.assert_array_equal(joined, np.concatenate([a, a], -1))
    assert raw.cast(x, np.float32).dtype == "float32"
    assert raw.reshape(x, [np.int64(3), 2]).shape == (3, 2)


@pytest.mark.parametrize(
    ("error", "match", "compute"),
    [
        (ValueError, "out of range", lambda x: raw.argmax(x, 2)),
        (ValueError, "twice", lambda x: raw.sum(x, (1, -1))),
        (ValueError, "permutation", lambda x: raw.transpose(x, (0, 0))),
        (ValueError, "out of range", lambda x: raw.concatenate(x, x, -3)),
        (ValueError, "needs 2 slices", lambda x: raw.slice(x, ((0, 1, 1),))),
        (DTypeError, "complex64", lambda x: raw.cast(x, "complex64")),
        (TypeError, "attributes", lambda x: raw.add(x, x, 3)),
        (ValueError, "must be one of", lambda x: raw.linear(x, x, x, "swoosh")),
    ],
)
def test_strict_functions_refuse_wrong_attributes(error, match, compute) -> None:
    with pytest.raises(error, match=match):
        compute(Tensor(np.ones((2, 3))))


I32, BOOL, U8 = np.int32(3), np.bool_(True), np.uint8(7)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "expected", "values"),
    [
        (I32, 0.5, "float32", [3, 0.5]),
        (np.int64(3), 0.5, "float32", [3, 0.5]),
        (BOOL, 0.5, "float32", [1, 0.5]),
        (BOOL, 5, "int32", [1, 5]),
        (BOOL, False, "bool", [1, 0]),
        (U8, 5, "uint8", [7, 5]),
        (np.float16(2), 0.5, "float16", [2, 0.5]),
        (np.float64(2), 0.1, "float64", [2, 0.1]),
        (np.float32(2), 0.5, "float32", [2, 0.5]),
        (I32, np.float64(0.5), "float64", [3, 0.5]),
        (I32, np.array(2**40), "int64", [3, 2**40]),
        (I32, np.float16(0.5), "float16", [3, 0.5]),
    ],
)
def test_a_list_of_a_tensor_and_a_number_has_room_for_both(
    recorded, first, second, expected, values
):
    tensor = convert_to_tensor(first)
    with GradientTape() if recorded else contextlib.nullcontext():
        flat = convert_to_tensor([tensor, second])
        turned = convert_to_tensor([second, tensor])
        nested = convert_to_tensor([[tensor], [second]])
        asked = convert_to_tensor([tensor, second], "float64")
    assert {flat.dtype, turned.dtype, nested.dtype} == {expected}
    np.testing.assert_array_equal(flat.numpy(), values)
    np.testing.assert_array_equal(turned.numpy(), values[::-1])
    np.testing.assert_array_equal(nested.numpy(), np.reshape(values, (2, 1)))
    assert asked.dtype == "float64"
    np.testing.assert_array_equal(asked.numpy(), values)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_number_that_does_not_fit_the_tensors_of_its_list_is_an_error(recorded):
    tensor = convert_to_tensor(U8)
    scope = GradientTape() if recorded else contextlib.nullcontext()
    with scope, pytest.raises(DTypeError, match="300 does not fit uint8"):
        convert_to_tensor([tensor, 300])


def test_a_list_of_a_variable_and_a_number_has_a_gradient():
    v = Variable(2.0)
    with GradientTape() as tape:
        y = ops.sum(ops.square(convert_to_tensor([[v, 1], [0.5, v]])))
    assert float(tape.gradient(y, v)) == 8.0


@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: ops.cast(np.ones(2), dtype),
        lambda dtype: ops.zeros(2, dtype),
        lambda dtype: ops.arange(2, dtype=dtype),
        lambda dtype: ops.convert_to_tensor([1], dtype),
        lambda dtype: convert_to_tensor(np.ones(2), dtype),
        lambda dtype: Variable(1.0, dtype=dtype),
        lambda dtype: random.normal((2,), dtype=dtype),
        lambda dtype: random.randint((2,), 0, 3, dtype=dtype),
        lambda dtype: Input((2,), dtype=dtype),
    ],
)
def test_a_misspelt_dtype_is_named(make) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] .*'flaot32'.*float32"):
        make("flaot32")


def test_an_input_takes_any_spelling_of_a_dtype() -> None:
    assert Input((2,), dtype=np.float64).dtype == "float64"
    assert Input((2,), dtype=int).dtype == "int32"
    assert Input((2,), dtype="string").dtype == "string"
