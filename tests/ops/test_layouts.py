# SPDX-License-Identifier: Apache-2.0
"""Layouts and special values: strided and reversed operands, NaN, extremes."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import DTYPES, KERNEL_OPS, LAYOUTS, OPS, assert_close, run, samples

from fastnn.opset._opdef import POINTWISE, REDUCE

UNARY = [
    n
    for n in KERNEL_OPS
    if OPS[n].kind == POINTWISE
    and len(OPS[n].inputs) == 1
    and n not in ("logical_not", "bitwise_not")
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNEL_OPS)
def test_strides_do_not_change_a_bit(name: str, dtype: str, layout) -> None:
    op = OPS[name]
    for sample in samples(op, dtype):
        plain = run(
            op,
            tuple(np.ascontiguousarray(a).reshape(a.shape) for a in sample.inputs),
            sample.attrs,
        )
        moved = run(op, tuple(layout(a) for a in sample.inputs), sample.attrs)
        for a, b in zip(plain, moved, strict=True):
            if op.kind == REDUCE:  # summed in the order of memory, whatever that is
                assert_close(b, a, op, f"{name} {sample.attrs}")
            else:
                np.testing.assert_array_equal(a, b, err_msg=f"{name} {sample.attrs}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_special_values_as_the_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    tiny = np.finfo(dtype).tiny
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, tiny / 4, 1e15, -1e15]
    x = np.array(values, dtype)
    attrs = next(iter(samples(op, dtype))).attrs
    if name == "cast" or name in ("sin", "cos"):
        x = np.array([np.nan, 0.0, -0.0, tiny, 1.5], dtype)
        attrs = ("float64",) if name == "cast" else attrs
    (actual,) = run(op, (x,), attrs)
    with np.errstate(all="ignore"):
        expected = np.asarray(op.ref(x.astype(np.float64), *attrs))
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    with np.errstate(over="ignore"):
        expected = expected.astype(dtype)
    same_kind = np.isnan(actual) == np.isnan(expected)
    assert same_kind.all(), (name, x[~same_kind], actual, expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(
        actual[np.isinf(expected)], expected[np.isinf(expected)]
    )
    rtol = max(getattr(op.tol, dtype), np.finfo(dtype).eps)
    np.testing.assert_allclose(
        actual[finite], expected[finite], rtol=rtol, atol=max(op.tol.atol, float(tiny))
    )
