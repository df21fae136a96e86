# SPDX-License-Identifier: Apache-2.0
"""A kernel reads and writes what its table row says: the barriers depend on it.

Each part runs alone with all rows poisoned that it has no business reading; the rows it
owns must come out right, all others untouched.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from op_cases import KERNEL_OPS, OPS, narrowed, run, samples

from fastnn import _core
from fastnn.autodiff._launch import encode_attrs

TABLE = {row["name"]: row for row in _core.kernels()}
ROW_OWNERS = [n for n in KERNEL_OPS if TABLE[n]["split"] == "rows"]


def owned(rows: int, index: int, count: int) -> range:
    """csrc/kernels/kernel.hpp: row_range."""
    block = next((b for b in (8, 4, 2) if rows >= 4 * b * count), 1)
    blocks = -(-rows // block)
    begin, end = blocks * index // count * block, blocks * (index + 1) // count * block
    return range(min(begin, rows), min(end, rows))


def poisoned(a: np.ndarray, keep: range) -> np.ndarray:
    """A copy in which all rows but `keep` are NaN, or the largest number, or true."""
    out = np.array(a)
    half = a.dtype == ml_dtypes.bfloat16
    bad: Any = np.nan if half or a.dtype.kind == "f" else a.dtype.type(1)
    if a.dtype.kind in "iu":
        bad = np.iinfo(a.dtype).max
    out[: keep.start] = bad
    out[keep.stop :] = bad
    return out


def private(name: str, letter: str, shape: tuple, rows: int, attrs: tuple) -> bool:
    if not shape or shape[0] != rows or rows == 1:
        return False
    if letter == "k":
        axes = attrs[0]
        return 0 not in axes if isinstance(axes, tuple) else axes != 0
    return letter == "r"


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", ROW_OWNERS)
def test_parts_keep_to_their_rows(name: str, dtype: str) -> None:
    op, row = OPS[name], TABLE[name]
    half = dtype == "bfloat16"
    for given_sample in samples(op, "float32" if half else dtype):
        sample = narrowed(given_sample, dtype) if half else given_sample
        expected = run(op, sample.inputs, sample.attrs)
        shape = expected[0].shape
        rows = shape[0] if shape else 1
        inputs = [
            np.broadcast_to(a, op.operand_shape(a.shape, shape)) for a in sample.inputs
        ]
        for count in (2, 3):
            if rows < row["min_rows"] * count:
                continue  # shares elements: the test below
            for index in range(count):
                mine = owned(rows, index, count)
                given = [
                    poisoned(a, mine)
                    if private(name, letter, b.shape, rows, sample.attrs)
                    else a
                    for a, b, letter in zip(
                        inputs, sample.inputs, row["reads"], strict=True
                    )
                ]
                out = [np.full_like(e, 7) for e in expected]
                attrs = encode_attrs(op, sample.attrs)
                _core.launch(name, given, out, attrs, part=(index, count))
                for o, e in zip(out, expected, strict=True):
                    if o.size == 0 or (o.ndim == 0 and rows > 1):
                        continue
                    lead = o.shape[0] if o.shape else 1
                    o, e = o.reshape(lead, -1), e.reshape(lead, -1)
                    label = f"{name} {[a.shape for a in inputs]} part {index}/{count}"
                    rows_of = slice(
                        *(lead * at // rows for at in (mine.start, mine.stop))
                    )
                    got, want = o[rows_of], e[rows_of]
                    if o.dtype == ml_dtypes.bfloat16:  # of NaN numpy knows nothing
                        got, want = got.view(np.uint16), want.view(np.uint16)
                    np.testing.assert_array_equal(got, want, err_msg=label)
                    others = np.delete(o, rows_of, axis=0)
                    assert (others == np.asarray(7, o.dtype)).all(), label


SHARERS = [
    n
    for n in KERNEL_OPS
    if TABLE[n]["split"] == "any"
    or (TABLE[n]["split"] == "rows" and TABLE[n]["min_rows"])
]


@pytest.mark.parametrize("name", SHARERS)
def test_parts_that_share_elements_write_each_once(name: str) -> None:
    op = OPS[name]
    for sample in samples(op, "float32"):
        expected = run(op, sample.inputs, sample.attrs)
        shape = expected[0].shape
        inputs = [
            np.broadcast_to(a, op.operand_shape(a.shape, shape)) for a in sample.inputs
        ]
        for count in (2, 3):
            written = [np.zeros(e.shape, int) for e in expected]
            for index in range(count):
                for fill in (0, 1):  # what a part leaves alone keeps both
                    out = [np.full_like(e, fill) for e in expected]
                    attrs = encode_attrs(op, sample.attrs)
                    _core.launch(name, inputs, out, attrs, part=(index, count))
                    for o, e, w in zip(out, expected, written, strict=True):
                        mine = o != fill
                        np.testing.assert_array_equal(o[mine], e[mine], err_msg=name)
                        w |= mine.astype(int) << index
            for e, w in zip(expected, written, strict=True):
                assert np.isin(w, [1 << i for i in range(count)]).all(), (name, e.shape)
