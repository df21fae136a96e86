# SPDX-License-Identifier: Apache-2.0
"""Every kernel of csrc/cuda, run on the CPU, against its record's reference."""

from __future__ import annotations

import cuda_parity as parity
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import DTYPES, KERNEL_OPS, OPS, assert_close, reference, widens

DEVICE = EmulatedDevice()


def test_every_kernel_of_the_cpu_has_one_for_the_gpu() -> None:
    assert parity.COVERED == KERNEL_OPS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", parity.COVERED)
def test_kernel_matches_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    for case in parity.prepared(name, dtype, DEVICE):
        actual = case.run(DEVICE)
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, op, case.message)
