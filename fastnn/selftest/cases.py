# SPDX-License-Identifier: Apache-2.0
"""Records as cases: their samples, their reference, their tolerance. For tests too."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from fastnn.autodiff._tape import apply
from fastnn.autodiff.tensor import Tensor
from fastnn.opset import OpDef
from fastnn.opset._opdef import RANDOM, Sample

DTYPES = ("float32", "float64")


def samples(op: OpDef, dtype: str, draw: int = 0) -> Iterator[Sample]:
    """The op's samples, the same in every run and on every machine.

    Another `draw` has other numbers in the same shapes.
    """
    seed = zlib.crc32(f"{op.name}/{dtype}".encode())
    rng = np.random.default_rng([seed, draw] if draw else seed)
    for sample in op.samples(rng, dtype):
        yield Sample(tuple(np.asarray(a) for a in sample.inputs), sample.attrs)


def narrowed(sample: Sample, half: str) -> Sample:
    """A float32 sample with `half` in the place of float32."""
    dtype = ml_dtypes.bfloat16 if half == "bfloat16" else np.float16
    inputs = (a.astype(dtype) if a.dtype == np.float32 else a for a in sample.inputs)
    attrs = (half if a == "float32" else a for a in sample.attrs)
    return Sample(tuple(inputs), tuple(attrs))


def run(op: OpDef, arrays: tuple[Any, ...], attrs: tuple[Any, ...]) -> list[np.ndarray]:
    """Outputs of eager execution on the chosen backend."""
    result = apply(op, tuple(Tensor(a) for a in arrays), attrs)
    outputs = result if isinstance(result, tuple) else (result,)
    return [t.numpy() for t in outputs]


def widens(op: OpDef) -> bool:
    """Whether the reference is to be computed in float64.

    Not for ops that are told their output dtype: they mean it.
    """
    return op.kind != RANDOM and not any(a.name == "dtype" for a in op.attrs)


def reference(op: OpDef, sample: Sample, *, widen: bool = True) -> list[np.ndarray]:
    """Outputs of the record's reference, computed in float64 where that is meant."""
    arrays = [
        a.astype(np.float64) if widen and a.dtype == np.float32 else a
        for a in sample.inputs
    ]
    with np.errstate(all="ignore"):
        result = op.ref(*arrays, *sample.attrs)
    return [np.asarray(r) for r in (result if isinstance(result, tuple) else (result,))]


def assert_close(
    actual: np.ndarray, expected: np.ndarray, op: OpDef, message: str
) -> None:
    """Within the record's tolerance; exactly for integers, bools and exact ops."""
    assert actual.shape == expected.shape, message
    exact = actual.dtype.kind != "f" or op.tol.float32 == 0
    if exact:
        same = np.array_equal(
            actual, expected.astype(actual.dtype), equal_nan=actual.dtype.kind == "f"
        )
        assert same, message
        return
    rtol = getattr(op.tol, actual.dtype.name)
    scale = rtol / op.tol.float32  # the absolute part shrinks with the precision
    np.testing.assert_allclose(
        actual, expected, rtol=rtol, atol=op.tol.atol * scale, err_msg=message
    )
