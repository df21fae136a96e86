# SPDX-License-Identifier: Apache-2.0
"""The reference backend runs every op and agrees with the kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from op_cases import DTYPES, OPS, assert_close, run, samples

from fastnn import config


@pytest.fixture
def both() -> Iterator[None]:
    before = config.backend()
    yield
    config.set_backend(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_reference_backend_agrees(name: str, dtype: str, both: None) -> None:
    op = OPS[name]
    for sample in samples(op, dtype):
        config.set_backend("cpu")
        native = run(op, sample.inputs, sample.attrs)
        config.set_backend("reference")
        slow = run(op, sample.inputs, sample.attrs)
        for a, b in zip(native, slow, strict=True):
            # Both round in their own precision: twice the op's tolerance.
            doubled = _Doubled(op)
            assert_close(a, b, doubled, f"{name} {sample.attrs}")


class _Doubled:
    def __init__(self, op: object) -> None:
        tol = op.tol  # type: ignore[attr-defined]
        self.tol = type(tol)(2 * tol.float32, 2 * tol.float64, 2 * tol.atol)
