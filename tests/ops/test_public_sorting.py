# SPDX-License-Identifier: Apache-2.0
"""Sorting, order statistics, sets and counts against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops

RNG = np.random.default_rng(6)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
HOLES = np.where(X > 1, np.nan, X).astype("float32")
HOLES[1, 2] = np.nan
AXES = [None, 0, 1, 2, (0, 2)]


def same(actual: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        for a, b in zip(actual, expected, strict=True):
            same(a, b)
        return
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16", "uint8"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sort_and_argsort(axis: int | None, dtype: str) -> None:
    x = (np.abs(X) * 3).astype(dtype)
    y = ops.sort(x, axis)
    assert y.dtype == dtype
    same(y, np.sort(x, axis))
    same(ops.argsort(x, axis), np.argsort(x, axis, kind="stable"))
    part = ops.take_along_axis(x, ops.argpartition(x, 2, axis), axis)
    want = np.partition(x, 2, axis)
    same(ops.take(part, 2, axis), np.take(want, 2, axis))


def test_not_a_number_is_last_and_largest() -> None:
    x = np.array([np.nan, 1, -np.inf, -np.nan, np.inf, -0.0, 0.0], "float32")
    same(ops.sort(x), np.sort(x))
    same(ops.argsort(x), np.argsort(x, kind="stable"))
    values, index = ops.top_k(x, 3)
    same(index, [0, 3, 4])
    assert np.isnan(values.numpy()[:2]).all()


def test_top_k() -> None:
    values, index = ops.top_k(X, 2)
    same(values, -np.sort(-X, -1)[..., :2])
    same(index, np.argsort(-X, -1, kind="stable")[..., :2])
    same(ops.top_k(np.array([3, 9, 9, 1], "int8"), 2), ([9, 9], [1, 2]))
    same(
        ops.in_top_k([1, 0, 7, 0], [[0.1, 0.9], [0.1, 0.9], [1, 2.0], [np.inf, 0]], 1),
        [True, False, False, False],
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_search(side: str) -> None:
    a = np.sort(RNG.integers(0, 9, 20))
    same(
        ops.searchsorted(a, np.arange(-1, 11), side),
        np.searchsorted(a, np.arange(-1, 11), side),
    )
    same(
        ops.digitize([0.2, 6.4, 1.0], [0.0, 1, 2]),
        np.digitize([0.2, 6.4, 1.0], [0.0, 1, 2]),
    )


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("axis", AXES)
def test_quantiles(axis: Any, method: str) -> None:
    q = [0.0, 0.1, 0.5, 1.0]
    for keep in (False, True):
        given: Any = {"axis": axis, "method": method, "keepdims": keep}
        same(ops.quantile(X, q, **given), np.quantile(X, q, **given))
        same(ops.percentile(X, 37, **given), np.percentile(X, 37, **given))
        same(ops.quantile(HOLES, 0.3, **given), np.quantile(HOLES, 0.3, **given))
        same(ops.nanquantile(HOLES, q, **given), np.nanquantile(HOLES, q, **given))
        same(
            ops.nanpercentile(HOLES, 37, **given), np.nanpercentile(HOLES, 37, **given)
        )
    same(ops.median(X, axis), np.median(X, axis))
    same(ops.nanmedian(HOLES, axis), np.nanmedian(HOLES, axis))


def test_quantiles_beside_infinity_and_their_gradient() -> None:
    assert float(ops.median([1.0, 2.0, np.inf])) == 2
    x = ops.convert_to_tensor(np.array([3.0, 1.0, 4.0, 2.0]))
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        y = ops.quantile(x, 0.25)  # 1 + 0.75 * (2 - 1)
    same(tape.gradient(y, x), [0, 0.25, 0, 0.75])
    with pytest.raises(ValueError, match="range of 0 to 1"):
        ops.quantile(X, 1.5)
    with pytest.raises(ValueError, match="method must be"):
        ops.quantile(X, 0.5, method="best")


def test_sets() -> None:
    x = np.array([[3, 1], [1, 7]])
    flags: Any = {"return_index": True, "return_inverse": True, "return_counts": True}
    same(ops.unique(x, **flags), np.unique(x, **flags))
    same(ops.unique(x, axis=1), np.unique(x, axis=1))
    values, counts = ops.unique([3, 1, 1], return_counts=True, size=4, fill_value=9)
    same(values, [1, 3, 9, 9])
    same(counts, [2, 1, 0, 0])
    same(ops.isin(x, [1, 9]), np.isin(x, [1, 9]))
    same(ops.isin(x, [1, 9], invert=True), np.isin(x, [1, 9], invert=True))
    same(ops.isin(x, []), np.isin(x, []))


def test_counts() -> None:
    same(ops.bincount([1, 2, 2, 5]), np.bincount([1, 2, 2, 5]))
    same(ops.bincount([[1, 2], [0, 0]], minlength=4), [[0, 1, 1, 0], [2, 0, 0, 0]])
    same(ops.bincount([1, 2, 2], [0.5, 1, 2]), [0, 0.5, 3])
    f = fastnn.function(lambda i: ops.bincount(i, minlength=4))
    same(f(np.array([1, 3, 3])), [0, 1, 0, 2])
    with pytest.raises(ValueError, match="negative"):
        ops.bincount([-1])
    for given in ((7,), (5, (-1, 1)), (1,)):
        counts, edges = ops.histogram(X, *given)
        want = np.histogram(X, *given)
        assert counts.dtype == "int32"
        same((counts, edges), want)
    same(ops.histogram([2.0, 2.0], 2), np.histogram([2.0, 2.0], 2))
