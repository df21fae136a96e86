# SPDX-License-Identifier: Apache-2.0
"""Every kernel on a real device against its record's reference; skipped without one."""

from __future__ import annotations

from functools import cache

import cuda_parity as parity
import numpy as np
import pytest
from op_cases import DTYPES, OPS, assert_close, reference, widens

from fastnn.backends.cuda import cudnn
from fastnn.backends.cuda.device import CudaDevice, device
from fastnn.backends.cuda.rules import conv_ways
from fastnn.errors import BackendError

pytestmark = pytest.mark.gpu


@cache
def gpu() -> CudaDevice:
    try:
        return device()
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", parity.COVERED)
@pytest.mark.feature("1D-1g")
def test_kernel_matches_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    for case in parity.prepared(name, dtype, gpu()):
        actual = case.run(gpu())
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, op, case.message)


@pytest.mark.parametrize("dtype", parity.HALVES)
@pytest.mark.parametrize("name", ["add", "softmax", "linear", "conv", "layer_norm"])
def test_16_bit_floats_are_the_rounded_results_of_float32(name, dtype) -> None:
    op = OPS[name]
    tolerance = 2**-7 if dtype == "bfloat16" else 2**-10
    for case in parity.prepared(name, dtype, gpu()):
        expected = reference(op, parity.widened(case.sample))
        for a, e in zip(case.run(gpu()), expected, strict=True):
            wide = a.astype("float64"), np.asarray(e, "float64")
            np.testing.assert_allclose(
                *wide, rtol=2 * tolerance, atol=tolerance, err_msg=case.message
            )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["conv", "conv_transpose", "conv_grad_input", "conv_grad_kernel"]
)
def test_convolutions_by_cudnn_where_it_is_installed(name, dtype) -> None:
    if not cudnn.installed():
        pytest.skip("needs cuDNN")
    with conv_ways.prefer(conv_ways.CUDNN):
        found = parity.prepared(name, dtype, gpu())
    one_each = {np.shape(case.sample.inputs[0]): case for case in found}
    unit = 2**-7 if dtype == "bfloat16" else 1e-5
    for case in one_each.values():
        expected = reference(OPS[name], parity.widened(case.sample))
        for a, e in zip(case.run(gpu()), expected, strict=True):
            wide = a.astype("float64"), np.asarray(e, "float64")
            np.testing.assert_allclose(
                *wide, rtol=2 * unit, atol=4 * unit, err_msg=case.message
            )


@pytest.mark.parametrize("name", ["linear", "sum", "softmax_cross_entropy", "adam"])
def test_a_captured_program_repeats_its_bits(name: str) -> None:
    for case in parity.prepared(name, "float32", gpu()):
        run = gpu().program(case.tasks)
        results = []
        for _ in range(5):  # two warm-ups, the capture, two launches of the graph
            run(1)
            found = []
            for memory, spec in case.outs:
                found.append(np.empty(spec.shape, spec.dtype))
                gpu().download(memory, 0, found[-1])
            results.append([a.tobytes() for a in found])
        assert all(r == results[0] for r in results), case.message
