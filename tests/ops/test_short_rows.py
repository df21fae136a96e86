# SPDX-License-Identifier: Apache-2.0
"""Reductions of many short rows: lane by lane, sixteen rows together, and the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import _core

RNG = np.random.default_rng(8)
EXACT = {
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "argmax": np.argmax,
    "argmin": np.argmin,
}


def reduce(name: str, x: np.ndarray, axis: int, part: Any = None) -> np.ndarray:
    shape = [n for i, n in enumerate(x.shape) if i != axis]
    arg = name.startswith("arg")
    out = np.zeros(shape, np.int32 if arg else x.dtype)
    attrs = (axis if arg else 1 << axis, False)
    if part is None:
        _core.launch(name, [x], [out], attrs)
    else:
        for index in range(part):
            _core.launch(name, [x], [out], attrs, part=(index, part))
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 100, 513])
@pytest.mark.parametrize("name", EXACT)
def test_rows_of_any_length(name: str, n: int, dtype: str) -> None:
    for rows in (1, 5, 16, 37):
        x = (RNG.normal(size=(rows, n)) * 100).astype(dtype)
        for given in (x, np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1]):
            y = reduce(name, given, 1)
            expected = EXACT[name](given.astype("f8"), axis=1)
            np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-3)
            if rows == 37:
                for parts in (2, 3):
                    np.testing.assert_array_equal(y, reduce(name, given, 1, parts))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("shape", [(40, 50), (5, 33, 7), (3, 600, 20)])
def test_positions_along_a_middle_axis(name: str, shape: tuple[int, ...]) -> None:
    axis = len(shape) - 2
    x = RNG.integers(0, 9, shape).astype("f4")  # many are equal: the first counts
    np.testing.assert_array_equal(reduce(name, x, axis), EXACT[name](x, axis=axis))
    x[..., 4, 2] = np.nan
    x[..., 6, 2] = np.nan
    np.testing.assert_array_equal(reduce(name, x, axis), EXACT[name](x, axis=axis))


@pytest.mark.parametrize("n", [2, 8, 12, 40, 700])
@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_nan_wins(name: str, n: int) -> None:
    x = RNG.normal(size=(50, n)).astype("f4")
    x[::3, n // 2] = np.nan
    x[7] = np.nan
    x[9] = -np.inf
    x[10] = np.inf
    np.testing.assert_array_equal(reduce(name, x, 1), EXACT[name](x, axis=1))


@pytest.mark.parametrize("n", [1, 5, 8, 31, 33])
def test_moments_of_short_rows_keep_their_digits(n: int) -> None:
    x = (RNG.normal(size=(45, n)) + 1000).astype("f4")
    mean, variance = np.zeros(45, "f4"), np.zeros(45, "f4")
    _core.launch("moments", [x], [mean, variance], (2, False))
    np.testing.assert_allclose(mean, x.astype("f8").mean(1), rtol=2e-7)
    np.testing.assert_allclose(variance, x.astype("f8").var(1), rtol=1e-4, atol=1e-9)
