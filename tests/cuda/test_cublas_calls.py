# SPDX-License-Identifier: Apache-2.0
"""cuBLAS by ctypes: a stand-in with its name and signatures runs what is asked."""

from __future__ import annotations

import ctypes
import re
from ctypes import c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np
import pytest
from cuda_fake_cublas import installed

from fastnn.backends.cuda import cublas
from fastnn.backends.cuda import device as devices
from fastnn.backends.cuda.arrays import uploaded
from fastnn.backends.cuda.launches import Product
from fastnn.errors import BackendError


def product(device, batch=(), dtype="float32"):
    """A product of arrays of the device; and the arrays."""
    rng = np.random.default_rng(0)
    shapes = (*batch, 5, 4), (*batch, 4, 3), (*batch, 5, 3)
    values = [rng.normal(size=s).astype(dtype) for s in shapes]
    placed = [uploaded(device, x) for x in values]
    return Product(*(x.operand for x in placed)), placed, values


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_products_are_captured_into_a_graph(batch, dtype, machine) -> None:
    """CuPy's own functions refuse that, and a workspace of the library would be
    allocated: the stand-in says so in both cases.
    """
    device = devices.device()
    task, placed, (a, b, _) = product(device, batch, dtype)
    run = device.program([task])
    run(devices.WARM_UPS)
    device.synchronize()
    before = len(machine.gemms)
    run(devices.STEPS_TOGETHER + 1)
    assert len(machine.gemms) == before + devices.STEPS_TOGETHER + 1, "captured"
    run(40)
    assert len(machine.gemms) == before + devices.STEPS_TOGETHER + 1, "graphs, no calls"
    name = "GemmStridedBatchedEx" if batch else "GemmEx"
    device.synchronize()
    ran = [line for line in machine.log if line.endswith(name)]
    assert len(ran) == devices.WARM_UPS + devices.STEPS_TOGETHER + 1 + 40
    expected = np.matmul(*(x.astype("float64") for x in (a, b)))
    tolerance = 2e-3 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(placed[2].download(), expected, tolerance, tolerance)


def test_sizes_beyond_32_bits_take_the_functions_that_count_so_far(machine) -> None:
    device = devices.device()
    device.execute([product(device)[0]])
    task, _, _ = product(device)
    asked = []
    machine.streams[device._stream.ptr].put = lambda name, work: asked.append(name)
    call = cublas.library_call(task)
    for wide in (call._replace(rows=1 << 31), call._replace(batch=1 << 31)):
        device._blas.prepare(wide)(device._stream.ptr)
        assert machine.gemms[-1] == wide
    assert asked == ["GemmEx_64", "GemmStridedBatchedEx_64"]


def test_a_product_that_cublas_refuses_says_what_and_why(machine) -> None:
    machine.cublas_status = 3
    device = devices.device()
    with pytest.raises(BackendError, match="cublasCreate_v2 failed: ") as told:
        device.execute([product(device)[0]])
    for part in ("CUBLAS_STATUS_ALLOC_FAILED", "as the library says it", "smaller"):
        assert part in str(told.value)


class Without:
    """A module that finds no library for one of its own."""

    def __init__(self, module, name):
        self.__dict__ = {k: v for k, v in vars(module).items() if k != name}

    def __getattr__(self, name):
        raise ImportError(f"no {name} in any of the folders")


def test_a_machine_without_cublas_is_told_what_brings_it(machine) -> None:
    device = devices.device()
    task = product(device)[0]
    device._cupy.cuda = Without(device._cupy.cuda, "cublas")
    with pytest.raises(BackendError, match=r"libcublas .* pip install 'fastnn\[cuda13"):
        device.execute([task])


def test_signatures_are_those_of_the_header() -> None:
    text = installed("*/include/cublas_api.h").read_text()
    kinds = {"int": c_int, "int64_t": c_int64, "size_t": c_size_t}
    kinds |= {"long long int": c_int64, "cublasComputeType_t": c_int}
    kinds |= dict.fromkeys(("cublasOperation_t", "cudaDataType"), c_int)
    kinds |= dict.fromkeys(("cublasGemmAlgo_t", "cublasMath_t"), c_int)
    pointers = ("cublasHandle_t", "cudaStream_t")
    for name, types in cublas.SIGNATURES.items():
        said = re.search(rf"CUBLASWINAPI cublas{name}\(([^)]*)\)", text)[1]
        found = []
        for argument in said.split(","):
            kind = argument.replace("const ", "").split()[:-1]
            pointer = "*" in argument or kind[0] in pointers
            found.append(c_void_p if pointer else kinds[" ".join(kind)])
        assert found == types, name
    for name, value in (
        ("CUBLAS_COMPUTE_32F", cublas.COMPUTE_32F),
        ("CUBLAS_COMPUTE_64F", cublas.COMPUTE_64F),
        ("CUBLAS_COMPUTE_32F_FAST_TF32", cublas.COMPUTE_32F_FAST_TF32),
        ("CUBLAS_GEMM_DEFAULT", cublas.DEFAULT_ALGORITHM),
        ("CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION", cublas.MATH_MODE),
    ):
        assert re.findall(rf"^\s*{name} = (-?\d+),", text, re.M) == [str(value)]


def test_the_library_itself_has_the_functions_and_names_what_it_lacks() -> None:
    """Without a driver it does not start."""
    lib = ctypes.CDLL(str(installed("*/lib/libcublas.so.13")))
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU, and it would start")
    with pytest.raises(BackendError, match=r"CUBLAS_STATUS_NOT_INITIALIZED .*driver"):
        cublas.Blas(lib, 0)
    assert all(hasattr(lib, f"cublas{name}") for name in cublas.SIGNATURES)
