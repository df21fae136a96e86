# SPDX-License-Identifier: Apache-2.0
"""NVRTC compiles every kernel for real architectures, without a device.

All specialisations that the records' samples ask for, which takes minutes where they
have not been compiled before; FASTNN_CUDA_KERNELS=one compiles one of each function.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cuda_kernels
import cuda_nvrtc as nvrtc
import cuda_parity as parity
import pytest
from cuda_emulated import EmulatedDevice
from op_cases import OPS, narrowed

from fastnn.backends.cuda import source
from fastnn.backends.cuda.compiler import Compiler, options
from fastnn.backends.cuda.launches import Launch
from fastnn.errors import BackendError

pytestmark = pytest.mark.skipif(
    not nvrtc.AVAILABLE, reason="needs the package nvidia-cuda-nvrtc"
)
ONE_EACH = os.environ.get("FASTNN_CUDA_KERNELS") == "one"
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")

# Bytes that the worst kernel of a file spills, on any architecture (NVRTC 13.5): index
# arithmetic of windows, with which ptxas fits one more block on a multiprocessor.
SPILLS = {"conv": 256, "depthwise": 56, "norm": 32, "pool": 56, "resize": 48}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_compile_and_stay_in_registers(architecture: str) -> None:
    units = cuda_kernels.groups(cuda_kernels.kernels(ONE_EACH))
    texts = {name: source.module_text(of) for name, of in units.items() if of}
    assert sum(map(len, units.values())) > (90 if ONE_EACH else 1000)
    # The longest first: the others fill the time of the last.
    order = sorted(texts, key=lambda name: -len(units[name]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        used = pool.map(lambda name: nvrtc.compiled(texts[name], architecture), order)
        by_unit = dict(zip(order, used, strict=True))
    over = {}
    for name, of_unit in by_unit.items():
        assert set(of_unit) == {launch.symbol for launch in units[name]}, name
        budget = SPILLS.get(name.rsplit("_", 1)[0], 0)
        over |= {k: u for k, u in of_unit.items() if u.spilled > budget}
    assert not over


def one_launch() -> Launch:
    case = parity.cases("add", "float32", EmulatedDevice())[0]
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


def test_what_is_kept_is_not_taken_when_an_included_file_changes(monkeypatch) -> None:
    text = '#include "cuda/copy.cuh"\n'
    before = source.included(text)
    assert source.included('#include "cuda/sort.cuh"\n') != before
    real = source._contents
    monkeypatch.setattr(
        source, "_contents", lambda name: real(name) + b" " * (name == "shared/hd.h")
    )
    assert source.included(text) != before


def ptx(launch: Launch) -> str:
    binding = nvrtc.Binding()
    program = binding.createProgram(source.module_text([launch]), "k.cu", (), ())
    binding.compileProgram(program, options("compute_80"))
    return nvrtc._bytes(program, "PTX").decode()


# A thread's access to global memory, as ptxas turns it into LDG.128 and STG.128.
ACCESS_16 = {"float32": "v4.f32", "float64": "v2.f64", "bfloat16": "v4.u32"}


@pytest.mark.parametrize("dtype", ACCESS_16)
@pytest.mark.parametrize("name", ["add", "gelu", "tanh_grad"])
def test_long_arrays_are_read_and_written_16_bytes_at_once(name, dtype) -> None:
    half = dtype in parity.HALVES
    samples = cuda_kernels.packed_samples(OPS[name], "float32" if half else dtype)
    sample = next(samples)
    given = narrowed(sample, dtype) if half else sample
    (launch,) = cuda_kernels.launches_of(name, dtype, given)
    text = ptx(launch)
    assert text.count(f"ld.global.{ACCESS_16[dtype]}") == len(launch.ins)
    assert text.count(f"st.global.{ACCESS_16[dtype]}") == 1


def test_tensor_cores_and_asynchronous_copies_are_what_tiles_are_made_of() -> None:
    tiles = cuda_kernels.kernels()["conv_tiled.cuh"].values()
    body = "conv_tiled<TiledForward, TensorCores, BFloat16, 128, Row_relu, BFloat16>"
    (launch,) = (launch for launch in tiles if launch.body == body)
    text = ptx(launch)
    # A warp's 64 x 32 of a step of 32: 4 x 4 products for each half of k.
    assert text.count("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32") == 32
    assert "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16" in text
    assert "cp.async.cg.shared.global" in text
    assert "cp.async.wait_group 1;" in text
