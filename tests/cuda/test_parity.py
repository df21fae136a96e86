# SPDX-License-Identifier: Apache-2.0
"""Every kernel of csrc/cuda, run on the CPU, against its record's reference."""

from __future__ import annotations

import cuda_parity as parity
import pytest
from op_cases import DTYPES, OPS, assert_close, reference, widens


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", parity.COVERED)
def test_kernel_matches_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    for case in parity.cases(name, dtype):
        actual = parity.execute(case)
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, op, case.message)
