# SPDX-License-Identifier: Apache-2.0
"""NVRTC compiles the kernels for real architectures, without a device.

A run of all tests takes one specialisation of every device function; FASTNN_LONG takes
all that the records' samples ask for, and three architectures.
"""

from __future__ import annotations

import os

import cuda_nvrtc as nvrtc
import cuda_parity as parity
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import DTYPES

from fastnn.backends.cuda import source
from fastnn.backends.cuda.launches import Launch

pytestmark = pytest.mark.skipif(
    not nvrtc.AVAILABLE, reason="needs the package nvidia-cuda-nvrtc"
)
DEVICE = EmulatedDevice()
LONG = bool(os.environ.get("FASTNN_LONG"))
ARCHITECTURES = ("sm_80", "sm_90", "sm_100") if LONG else ("sm_90",)

# Bytes spilled by the worst kernel of a header; float64 on the way through windows.
SPILLS = {"norm.cuh": 64, "pool.cuh": 64, "resize.cuh": 64}


def launches() -> dict[str, dict[str, Launch]]:
    """By header and symbol: one of each device function, or all."""
    found: dict[str, dict[str, Launch]] = {}
    seen = set()
    for name in parity.COVERED:
        for dtype in (*DTYPES, *parity.HALVES) if LONG else ("float32",):
            for case in parity.cases(name, dtype, DEVICE):
                for task in case.tasks:
                    if not isinstance(task, Launch):
                        continue
                    function = task.body.split("<")[0]
                    if not LONG and function in seen:
                        continue
                    seen.add(function)
                    found.setdefault(task.header, {})[task.symbol] = task
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_compile_and_stay_in_registers(architecture: str) -> None:
    made = launches()
    assert sum(map(len, made.values())) > (1000 if LONG else 90)
    over = {}
    for header, kernels in made.items():
        text = source.module_text(list(kernels.values()))
        used = nvrtc.compiled(text, architecture)
        assert set(used) == set(kernels), header
        budget = SPILLS.get(header, 0)
        over |= {k: u for k, u in used.items() if u.spilled > budget}
    assert not over
