# SPDX-License-Identifier: Apache-2.0
"""Every kernel against its record's reference in float64."""

from __future__ import annotations

import pytest
from op_cases import DTYPES, OPS, assert_close, reference, run, samples, widens


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_kernel_matches_reference(name: str, dtype: str) -> None:
    op = OPS[name]
    count = 0
    for sample in samples(op, dtype):
        shapes = [a.shape for a in sample.inputs]
        message = f"{name} {dtype} {shapes} {sample.attrs}"
        actual = run(op, sample.inputs, sample.attrs)
        expected = reference(op, sample, widen=widens(op))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, op, message)
        count += 1
    assert count >= 2, f"{name} has too few samples"


@pytest.mark.parametrize("name", OPS)
def test_outputs_have_the_inferred_spec(name: str) -> None:
    op = OPS[name]
    from fastnn.opset import Spec

    for sample in samples(op, "float32"):
        specs = [Spec(a.shape, a.dtype.name) for a in sample.inputs]
        inferred = list(op.infer(specs, sample.attrs))
        actual = run(op, sample.inputs, sample.attrs)
        assert [Spec(a.shape, a.dtype.name) for a in actual] == inferred
