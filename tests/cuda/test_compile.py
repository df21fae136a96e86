# SPDX-License-Identifier: Apache-2.0
"""NVRTC compiles the kernels for real architectures, without a device.

A run of all tests takes one specialisation of every device function; FASTNN_LONG takes
all that the records' samples ask for, and three architectures.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import cuda_nvrtc as nvrtc
import cuda_parity as parity
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import DTYPES

from fastnn.backends.cuda import source
from fastnn.backends.cuda.compiler import OPTIONS, Compiler, options
from fastnn.backends.cuda.launches import Launch
from fastnn.errors import BackendError

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
def test_kernels_compile_and_stay_in_registers(architecture: str, tmp_path) -> None:
    made = launches()
    assert sum(map(len, made.values())) > (1000 if LONG else 90)
    over = {}
    for header, kernels in made.items():
        text = source.module_text(list(kernels.values()))
        used = nvrtc.compiled(text, architecture, tmp_path)
        assert set(used) == set(kernels), header
        budget = SPILLS.get(header, 0)
        over |= {k: u for k, u in used.items() if u.spilled > budget}
    assert not over


def one_launch() -> Launch:
    case = parity.cases("add", "float32", DEVICE)[0]
    return next(t for t in case.tasks if isinstance(t, Launch))


def test_a_module_is_compiled_once_and_read_from_its_folder_then(tmp_path) -> None:
    binding = nvrtc.Binding()
    made = [
        Compiler(binding, "sm_90", tmp_path).cubins([one_launch()]) for _ in range(3)
    ]
    assert len(binding.logs) == 1
    assert made[0] == made[1] == made[2]
    ((cubin, symbols),) = made[0]
    assert symbols == {one_launch().symbol}
    assert one_launch().symbol.encode() in cubin
    Compiler(binding, "sm_80", tmp_path).cubins([one_launch()])
    assert len(binding.logs) == 2, "another architecture is another module"


def test_a_kernel_that_does_not_compile_says_why(tmp_path) -> None:
    compiler = Compiler(nvrtc.Binding(), "sm_90", tmp_path)
    with pytest.raises(BackendError, match=r"does not compile.*no_such_thing"):
        compiler.cubin("no_such_thing x;")


def test_subnormal_floats_are_kept_and_products_not_fused_with_sums(tmp_path) -> None:
    text = """extern "C" __global__ void k(float* x) { x[0] = x[1] * x[2] + x[3]; }"""
    binding = nvrtc.Binding()
    program = binding.createProgram(text, "k.cu", (), ())
    binding.compileProgram(program, options("compute_90"))
    ptx = nvrtc._bytes(program, "PTX").decode()
    assert "mul" in ptx
    assert "fma" not in ptx
    assert "ftz" not in ptx


@pytest.mark.skipif(not LONG or not shutil.which("nvcc"), reason="FASTNN_LONG, nvcc")
def test_nvcc_makes_a_fat_binary_of_the_same_text(tmp_path) -> None:
    text = "".join(
        source.module_text(list(kernels.values())) for kernels in launches().values()
    )
    (tmp_path / "all.cu").write_text(text)
    codes = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in (80, 90, 100)]
    include = f"-I{source.include_folder()}"
    made = tmp_path / "all.fatbin"
    command = ["nvcc", "-fatbin", *OPTIONS, *codes, include, "-o", str(made)]
    subprocess.run([*command, str(tmp_path / "all.cu")], check=True)
    cubin = made.read_bytes()
    for kernels in launches().values():
        assert all(symbol.encode() in cubin for symbol in kernels)
