# SPDX-License-Identifier: Apache-2.0
"""Convolutions as products of unfolded rows, which tensor cores compute."""

from __future__ import annotations

import cuda_parity as parity
import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import OPS, assert_close, reference, widens

import fastnn
from fastnn.backends.cuda.launches import Product
from fastnn.backends.cuda.rules import unfolded

DEVICE = EmulatedDevice()
NAMES = ("conv", "conv_transpose", "conv_grad_input", "conv_grad_kernel")


@pytest.fixture
def rounded():
    fastnn.config.set_float32_matmul_precision("high")
    yield
    fastnn.config.set_float32_matmul_precision("highest")


def has_product(case) -> bool:
    return any(isinstance(t, Product) for t in case.tasks)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_exact_unless_asked_otherwise(name) -> None:
    assert not any(map(has_product, parity.cases(name, "float32", DEVICE)))


@pytest.mark.parametrize("name", NAMES)
def test_unfolded_float32_is_the_reference(name, rounded) -> None:
    found = parity.cases(name, "float32", DEVICE)
    assert any(map(has_product, found))
    op = OPS[name]
    for case in found:
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            assert_close(a, e, op, case.message)


@pytest.mark.parametrize("dtype", parity.HALVES)
@pytest.mark.parametrize("name", NAMES)
def test_unfolded_16_bit_floats_are_rounded_once(name, dtype) -> None:
    found = parity.cases(name, dtype, DEVICE)
    assert any(map(has_product, found))
    unit = 2**-7 if dtype == "bfloat16" else 2**-10
    for case in found:
        expected = reference(OPS[name], parity.widened(case.sample))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            wide = a.astype("float64"), np.asarray(e, "float64")
            np.testing.assert_allclose(*wide, rtol=unit, atol=unit, err_msg=name)


def test_rows_beyond_the_limit_go_to_the_exact_kernels(rounded, monkeypatch) -> None:
    monkeypatch.setattr(unfolded, "MOST_BYTES", 0)
    assert not any(map(has_product, parity.cases("conv", "float32", DEVICE)))
