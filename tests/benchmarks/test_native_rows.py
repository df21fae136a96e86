# SPDX-License-Identifier: Apache-2.0
"""Rows of benchmarks/native/kernels.txt fit the kernels that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastnn import _core

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "native" / "kernels.txt"
TABLE = {row["name"]: row for row in _core.kernels()}
LINES = [
    line for line in FILE.read_text().splitlines() if line and not line.startswith("#")
]


@pytest.mark.parametrize("line", LINES)
def test_row_fits_its_kernel(line: str) -> None:
    name, inputs, outputs, attrs, _ = (part.strip() for part in line.split("|"))
    kernel = TABLE[name]
    assert len(inputs.split()) == len(kernel["reads"])
    assert len(outputs.split()) == kernel["n_out"]
    assert len(attrs.split()) == len(kernel["attrs"].split())
