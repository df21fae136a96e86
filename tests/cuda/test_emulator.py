# SPDX-License-Identifier: Apache-2.0
"""What the emulator stops at: kernels that would hang or race on a device."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import cuda_emulated as emulated
import pytest

# A kernel of 64 threads on 64 floats x and y, by its name in the library.
RUN = """
import ctypes, sys
from cuda_emulated import Dim3, EmulatedDevice
from fastnn.backends.cuda.launches import Launch, dense

library, name, blocks = sys.argv[1:]
device = EmulatedDevice()
kept = [device.allocate(256) for _ in range(2)]
x, y = (dense(memory.address, "float32", (64,)) for memory in kept)
launch = Launch("", "", (x,), (y,), (), int(blocks), 64)
arguments = launch.arguments()
kernel = getattr(ctypes.CDLL(library), name)
kernel.argtypes = (ctypes.c_void_p, Dim3, Dim3)
kernel(arguments.ctypes.data, Dim3(launch.blocks, 1, 1), Dim3(64, 1, 1))
print("finished")
"""

KERNEL = """
void {name}_body(const fastnn::device::Args<1, 1, 0>& a) {{
  const float* x = a.in[0].ptr<float>();
  float* y = a.out[0].ptr<float>();
  const int t = threadIdx.x;
  __shared__ float s[64];
  {body}
  (void)s, (void)x;
}}
FASTNN_GLOBAL({name}, 1, 1, 0, 64, {name}_body)
"""

RIGHT = {
    "a barrier between": "s[t] = x[t]; __syncthreads(); y[t] = s[63 - t];",
    "a warp's barrier between": "s[t] = x[t]; __syncwarp(); y[t] = s[t ^ 1];",
    "all read": "if (t == 0) s[0] = 1; __syncthreads(); y[t] = s[0];",
    "bytes of one word": "reinterpret_cast<char*>(y)[t] = 1;",
}
WRONG = {
    "no barrier": ("s[t] = x[t]; y[t] = s[63 - t];", "race in shared"),
    "only a warp's": ("s[t] = x[t]; __syncwarp(); y[t] = s[63 - t];", "race in shared"),
    "a shuffle is none": (
        "s[t] = x[t]; __shfl_sync(~0u, 1, 0); y[t] = s[t ^ 1];",
        "race in shared",
    ),
    "written while others read": (
        "s[t] = x[t]; __syncthreads(); const float v = s[63 - t]; s[t] = v; y[t] = v;",
        "race in shared",
    ),
    "two write the same": ("y[t / 2] = x[t];", "race in global"),
    "half of them wait": ("if (t < 40) __syncthreads(); y[t] = 0;", "threads wait"),
}


BODIES = {**RIGHT, **{case: body for case, (body, _) in WRONG.items()}}
NAMES = {case: case.replace(" ", "_").replace("'", "") for case in BODIES}


@cache
def library() -> Path:
    kernels = [KERNEL.format(name=NAMES[case], body=b) for case, b in BODIES.items()]
    return emulated.compiled_text('#include "cuda/prelude.cuh"\n' + "".join(kernels))


def run(case: str, blocks: int = 1) -> subprocess.CompletedProcess[str]:
    paths = [p for p in sys.path if p]
    code = f"import sys; sys.path[:0] = {paths!r}\n{RUN}"
    command = [sys.executable, "-c", code, str(library()), NAMES[case], str(blocks)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", RIGHT)
def test_kernels_without_races_finish(case: str) -> None:
    done = run(case)
    assert done.stdout == "finished\n", done.stderr


@pytest.mark.parametrize("case", WRONG)
def test_races_and_hangs_are_found(case: str) -> None:
    done = run(case)
    assert WRONG[case][1] in done.stderr
    assert not done.stdout


def test_blocks_that_write_the_same_place_race() -> None:
    assert "race in global" in run("a barrier between", blocks=2).stderr
