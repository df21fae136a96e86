# SPDX-License-Identifier: Apache-2.0
"""Softmax along any axis and reductions of large arrays, beside NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import _core, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor

RNG = np.random.default_rng(3)


def exact_softmax(x: np.ndarray, axis: Any) -> np.ndarray:
    x = x.astype(np.float64)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
@pytest.mark.parametrize("shape", [(3, 10, 70), (64, 3, 16), (1, 700, 5)])
def test_softmax_along_any_axis(shape: tuple[int, ...], axis: Any) -> None:
    x = RNG.normal(size=shape).astype("f4") * 5
    expected = exact_softmax(x, axis)
    np.testing.assert_allclose(ops.softmax(x, axis), expected, rtol=3e-6, atol=1e-12)
    np.testing.assert_allclose(
        ops.log_softmax(x, axis), np.log(expected), rtol=3e-6, atol=1e-5
    )
    turned = np.ascontiguousarray(x.T).T
    np.testing.assert_array_equal(ops.softmax(turned, axis), ops.softmax(x, axis))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_masked_elements_have_probability_zero(axis: int, n: int) -> None:
    x = RNG.normal(size=(n, n)).astype("f4") * 30
    x[RNG.random(x.shape) < 0.4] = -np.inf
    x[0, 0] = 300
    y = ops.softmax(x, axis).numpy()
    # Differences of up to 400 are rounded by 1.5e-5, and exp makes that relative.
    np.testing.assert_allclose(y, exact_softmax(x, axis), rtol=2e-5, atol=1e-37)
    assert (y[np.isneginf(x)] == 0).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_row_of_nothing_and_a_nan_give_nan_in_that_row_only(axis: int) -> None:
    x = RNG.normal(size=(40, 40)).astype("f4")
    x[3] = -np.inf
    x[7, 5] = np.nan
    given = x if axis == 1 else np.ascontiguousarray(x.T)
    for f in (ops.softmax, ops.log_softmax):
        y = f(given, axis).numpy()
        y = y if axis == 1 else y.T
        assert np.isnan(y[[3, 7]]).all()
        assert np.isfinite(np.delete(y, [3, 7], axis=0)).all()


LARGE = [
    ((700001,), None),
    ((640000,), None),
    ((32, 30, 30, 10), (0, 1, 2)),
    ((100000, 3), 0),
    ((4, 100000), None),
    ((300, 1000), 0),
    ((300, 1000), 1),
]


@pytest.mark.parametrize(("shape", "axis"), LARGE)
@pytest.mark.parametrize("keepdims", [False, True])
def test_large_reductions(shape: tuple[int, ...], axis: Any, keepdims: bool) -> None:
    x = RNG.uniform(0.5, 1.5, size=shape).astype("f4")
    wide = x.astype(np.float64)
    for name in ("sum", "mean", "var", "max", "min"):
        expected = getattr(np, name)(wide, axis=axis, keepdims=keepdims)
        actual = getattr(ops, name)(x, axis, keepdims)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)
    low = x < 0.50001
    for name in ("any", "all"):
        expected = getattr(np, name)(low, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(getattr(ops, name)(low, axis, keepdims), expected)
    np.testing.assert_array_equal(
        ops.count_nonzero(low, axis), np.count_nonzero(low, axis=axis)
    )


@pytest.mark.parametrize(("shape", "axis"), LARGE)
def test_the_bits_of_large_sums_do_not_depend_on_threads(
    shape: tuple[int, ...], axis: Any
) -> None:
    x = RNG.normal(size=shape).astype("f4")
    before = _core.num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            results.append([f(x, axis).numpy() for f in (ops.sum, ops.mean, ops.var)])
    finally:
        _core.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_gradient_of_a_sum_in_stages_is_one() -> None:
    x = Tensor(RNG.normal(size=(64, 100, 50)).astype("f4"))
    for axis in (None, 0, (0, 1)):
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(ops.sum(x, axis))
        assert (tape.gradient(y, x).numpy() == 1).all()
