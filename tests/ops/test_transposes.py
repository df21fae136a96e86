# SPDX-License-Identifier: Apache-2.0
"""Transposes: tiles in registers, leftovers, few columns, several matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import _core

RNG = np.random.default_rng(4)


def copy(x: np.ndarray, parts: int = 1) -> np.ndarray:
    out = np.full(x.shape, 77, x.dtype)
    for index in range(parts):
        _core.launch("copy", [x], [out], part=(index, parts))
    return out


TURNED: list[Any] = [
    ((rows, columns), (1, 0))
    for rows in (1, 2, 3, 4, 5, 15, 16, 17, 70)
    for columns in (1, 3, 4, 8, 16, 31, 65, 130)
] + [
    ((3, 5, 7, 19), (0, 3, 1, 2)),
    ((3, 19, 5, 7), (0, 2, 3, 1)),
    ((2, 3, 20, 20), (0, 2, 3, 1)),
    ((4, 6, 18, 33), (3, 1, 0, 2)),
    ((4, 6, 18, 33), (2, 3, 1, 0)),
    ((4, 6, 18, 33), (0, 2, 1, 3)),
    ((5, 6, 18), (2, 1, 0)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "float16"])
@pytest.mark.parametrize(("shape", "perm"), TURNED)
def test_transposes(shape: Any, perm: Any, dtype: str) -> None:
    x = (RNG.normal(size=shape) * 50).astype(dtype)
    for given in (x, x[..., ::-1], x[::2]):
        view = given.transpose(perm)
        for parts in (1, 3):
            np.testing.assert_array_equal(copy(view, parts), view)


@pytest.mark.parametrize("shape", [(2048, 2050), (2050, 2048), (2064, 2064)])
def test_large_transposes(shape: tuple[int, int]) -> None:
    x = RNG.integers(0, 1 << 30, shape, np.int32)
    for parts in (1, 2):
        np.testing.assert_array_equal(copy(x.T, parts), x.T)
