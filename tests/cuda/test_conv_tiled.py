# SPDX-License-Identifier: Apache-2.0
"""Convolutions in tiles: tensor cores of 16-bit floats and TF32, and exact float32."""

from __future__ import annotations

import cuda_kernels
import cuda_parity as parity
import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import OPS, assert_close, narrowed, reference, widens

import fastnn
from fastnn.backends.cuda.launches import Launch
from fastnn.backends.cuda.rules import conv_ways

DEVICE = EmulatedDevice()
NAMES = ("conv", "conv_transpose", "conv_grad_input", "conv_grad_kernel")


@pytest.fixture(params=["highest", "high"])
def precision(request):
    fastnn.config.set_float32_matmul_precision(request.param)
    yield request.param
    fastnn.config.set_float32_matmul_precision("highest")


def cases(name: str, dtype: str) -> list[parity.Case]:
    """Of channels that the tiles take; windows of every kind."""
    half = dtype in parity.HALVES
    given = cuda_kernels.tiled_samples(OPS[name], "float32" if half else dtype)
    narrow = (narrowed(s, dtype) if half else s for s in given)
    with conv_ways.prefer(conv_ways.TILED):
        made = [parity.make(name, dtype, sample, DEVICE) for sample in narrow]
    launches = [t for case in made for t in case.tasks if isinstance(t, Launch)]
    assert all(
        any(isinstance(t, Launch) and t.header == "conv_tiled.cuh" for t in case.tasks)
        for case in made
    )
    DEVICE.prepare(launches)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_exact_or_as_exact_as_tf32(name: str, precision: str) -> None:
    op = OPS[name]
    for case in cases(name, "float32"):
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            if precision == "highest":
                assert_close(a, e, op, case.message)
            else:
                assert_rounded(a, e, 2**-11, case)


@pytest.mark.parametrize("dtype", parity.HALVES)
@pytest.mark.parametrize("name", NAMES)
def test_16_bit_floats_are_summed_in_float32(name: str, dtype: str) -> None:
    unit = 2**-8 if dtype == "bfloat16" else 2**-11
    for case in cases(name, dtype):
        expected = reference(OPS[name], parity.widened(case.sample))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            # Products of 16-bit floats are exact in float32: one rounding at the end,
            # of a value that activations with a slope up to 1.1 (gelu) have changed.
            wide = a.astype("float64"), np.asarray(e, "float64")
            np.testing.assert_allclose(*wide, rtol=1.01 * unit, atol=1e-5)


def assert_rounded(a: np.ndarray, e: np.ndarray, unit: float, case: object) -> None:
    """Both factors of every product rounded: 2 units of the largest possible sum."""
    depth = max(1, np.size(case.sample.inputs[1]) // a.shape[-1])
    np.testing.assert_allclose(a, e, rtol=0, atol=2 * unit * np.sqrt(depth) + 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_tf32_is_what_is_asked_for(name: str, precision: str) -> None:
    bodies = [t.body for case in cases(name, "float32") for t in case.tasks]
    tiles = [body for body in bodies if body.startswith("conv_tiled")]
    math = "TensorCores" if precision == "high" else "Exactly"
    assert tiles
    assert all(math in body for body in tiles)


def test_each_way_is_taken_when_it_is_preferred(precision: str) -> None:
    sample = next(iter(cuda_kernels.tiled_samples(OPS["conv"], "float32")))
    for way in conv_ways.WAYS:
        with conv_ways.prefer(way):
            tasks = parity.make("conv", "float32", sample, DEVICE).tasks
        bodies = " ".join(
            t.body if isinstance(t, Launch) else type(t).__name__ for t in tasks
        )
        if way == conv_ways.UNFOLDED and precision == "highest":
            assert "Product" not in bodies, "the library may round: not where exact"
        else:
            mark = {
                "tiled": "conv_tiled",
                "unfolded": "Product",
                "general": "conv_bias",
                "cudnn": "Convolution",
            }
            assert mark[way] in bodies
