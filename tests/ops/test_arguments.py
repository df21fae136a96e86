# SPDX-License-Identifier: Apache-2.0
"""What public functions take, refuse, and say when they refuse it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, ops
from fastnn.autodiff.tensor import Tensor

X = np.arange(12.0).reshape(3, 4)
PAIR = np.ones((2, 6)), np.ones((2, 3)), np.ones((3, 2))
ROWS = np.ones((1, 2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.sort(X, (0, 1)), TypeError, r"\[sort\] axis must .* \(0, 1\)"),
        (lambda: ops.sum(X, 0.5), TypeError, r"\[sum\] axis must be an integer"),
        (
            lambda: ops.batch_normalization(X, X[0], X[0], (0, 1)),
            TypeError,
            r"\[batch_normalization\] axis must be an integer",
        ),
        (
            lambda: ops.batch_normalization(PAIR[0], PAIR[1], PAIR[2], 1),
            ValueError,
            r"\[batch_norm",
        ),
        (lambda: ops.argpartition(X, 1, 5), ValueError, r"\[argpartition\] axis 5"),
        (lambda: ops.argpartition(X, 1.5), TypeError, r"\[argpartition\] kth must"),
        (lambda: ops.top_k(X, 2.7), TypeError, r"\[top_k\] k must .* received 2.7"),
        (lambda: ops.in_top_k([1], [0.1, 0.2], 1), ValueError, r"\[in_top_k\] needs"),
        (lambda: ops.in_top_k([1, 0, 1], ROWS, 1), ValueError, r"\[in_top_k\] needs"),
        (lambda: ops.roll(X, (1, 2, 3), (0, 1)), ValueError, r"\[roll\] needs one"),
        (lambda: ops.roll(X, 1.5, 0), TypeError, r"\[roll\] shift must"),
        (lambda: ops.bincount([2**32 + 1]), ValueError, r"\[bincount\] 4294967297"),
        (lambda: ops.bincount([0.5, 1.9]), TypeError, r"\[bincount\].*float32"),
        (lambda: ops.tensordot(X, X, "ab"), ValueError, r"\[tensordot\] axes must"),
        (lambda: ops.convert_to_tensor(X, sparse=True), ValueError, r"\[convert_to"),
        (lambda: ops.linspace(0, 1, 2.5), TypeError, r"\[linspace\] num must"),
        (lambda: ops.rearrange(X, "a b -> a c"), ValueError, r"\[rearrange\] both"),
        (lambda: ops.rearrange(X, "a b"), ValueError, r'\[rearrange\].*"->"'),
        (lambda: ops.rearrange(X, "a (b -> b a"), ValueError, r"\[rearrange\].*open"),
        (lambda: ops.rearrange(X, "a ? -> a"), ValueError, r"\[rearrange\] cannot"),
        (lambda: ops.rearrange(X, "a -> a"), ValueError, r"\[rearrange\].*1 axes"),
        (
            lambda: ops.rearrange(X, "(a b) c -> a b c", a=2),
            ValueError,
            r"\[rearrange\] an axis of size 3",
        ),
        (lambda: ops.rearrange(X, "a b -> b a", c=2), ValueError, r"\['c'\] are not"),
    ],
)
def test_errors_say_what_was_received(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_numpy_integers_and_arrays_are_taken() -> None:
    one = np.int64(1)
    np.testing.assert_array_equal(ops.sort(X, one), np.sort(X, 1))
    np.testing.assert_array_equal(ops.sum(X, np.array([0, 1])), X.sum())
    y = ops.tensordot(X, X.T, one)
    np.testing.assert_array_equal(y, X @ X.T)
    y = ops.tensordot(X, X, np.array([[1], [1]]))
    np.testing.assert_array_equal(y, X @ X.T)
    np.testing.assert_array_equal(
        ops.roll(X, np.array([1, 2]), (0, 1)).numpy()[1, 2], 0
    )
    y = ops.scatter(np.array([[0], [2]]), np.ones(2, "f"), 4)
    np.testing.assert_array_equal(y, [1, 0, 1, 0])
    assert ops.top_k(X, one)[0].shape == (3, 1)


def test_parameters_with_axes_of_size_one_are_vectors() -> None:
    plain = ops.batch_normalization(X, X[0], X[1] + 1, 1).numpy()
    wide = ops.batch_normalization(X, X[:1], X[1:2] + 1, 1).numpy()
    np.testing.assert_array_equal(plain, wide)


def test_counts_of_all_integer_dtypes() -> None:
    for dtype in ("uint8", "int16", "int64", "uint64", "bool"):
        y = ops.bincount(np.array([1, 0, 1], dtype))
        np.testing.assert_array_equal(y, [1, 2])


def test_targets_beyond_32_bits_are_no_class() -> None:
    y = ops.in_top_k(np.array([2**32, -(2**32) + 1]), np.ones((2, 3)), 3)
    np.testing.assert_array_equal(y, [False, False])


def test_one_hot_of_the_largest_integers_is_zero() -> None:
    far = np.array([2**63 - 1, -(2**63), 1])
    np.testing.assert_array_equal(ops.one_hot(far, 3), [[0] * 3, [0] * 3, [0, 1, 0]])


INF = np.inf


@pytest.mark.parametrize("function", [ops.median, ops.nanmedian])
@pytest.mark.parametrize(
    "values", [[INF, INF], [-INF, -INF], [1, INF], [-INF, 1], [-INF, 2, 3, INF]]
)
def test_the_median_of_infinities(function: Any, values: list) -> None:
    x = Tensor(np.array(values))
    assert function(x).numpy() == np.median(values)


def test_the_median_of_opposite_infinities_is_not_a_number() -> None:
    assert np.isnan(ops.median(np.array([-INF, INF])).numpy())


def test_product_in_a_dtype() -> None:
    x = np.full(5, 100, "uint8")
    y = ops.prod(x, dtype="int64")
    assert y.dtype == "int64" and int(y.numpy()) == 100**5
    y = ops.prod(x, 0, True, "float64")
    assert y.shape == (1,) and y.numpy()[0] == 1e10


@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace_as_numpy(endpoint: bool) -> None:
    low, high = np.array([0.0, 2.0]), np.array([1.0, 5.0])
    y, step = ops.linspace(low, Tensor(high), 7, endpoint, True, "float64", -1)
    expected = np.linspace(low, high, 7, endpoint, True, axis=-1)
    np.testing.assert_allclose(y, expected[0], rtol=1e-15)
    np.testing.assert_allclose(step, expected[1], rtol=1e-15)
    assert ops.linspace(0, 1, 3).dtype == "float32"


def test_rearrange() -> None:
    x = np.arange(2 * 12 * 5.0).reshape(2, 12, 5)
    y = ops.rearrange(x, "b (h w) c -> b c h w", h=3).numpy()
    np.testing.assert_array_equal(y, x.reshape(2, 3, 4, 5).transpose(0, 3, 1, 2))
    y = ops.rearrange(y, "b c h w -> b (h w) c").numpy()
    np.testing.assert_array_equal(y, x)
    y = ops.rearrange(x, "a ... -> ... 1 a ()").numpy()
    np.testing.assert_array_equal(y, x.transpose(1, 2, 0)[:, :, None, :, None])
    t = Tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        turned = ops.rearrange(t, "a b c -> (c b) a")
        loss = ops.sum(turned * turned)
    np.testing.assert_array_equal(tape.gradient(loss, t), 2 * x)
