# SPDX-License-Identifier: Apache-2.0
"""`CudaDevice` on a recording stand-in for CuPy: what is launched, copied and captured,
in which order, and what comes out.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest
from cuda_fake_cupy import CUDARuntimeError
from cuda_models import CASES, train

import fastnn
from fastnn.backends.cuda import device as devices
from fastnn.backends.cuda import libraries
from fastnn.errors import BackendError


@pytest.mark.parametrize("name", CASES)
def test_fit_through_cupy_equals_fit_on_the_cpu(name, machine) -> None:
    found = train(name, epochs=12)
    fastnn.config.set_backend("cpu")
    expected = train(name, epochs=12)
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert not [k for k, _ in machine.copies if k == "across"]


MISSING = {
    "cudaErrorInsufficientDriver: CUDA driver version is insufficient": "driver",
    "cudaErrorNoDevice: no CUDA-capable device is detected": "nvidia-smi",
}


@pytest.mark.parametrize("said", MISSING)
def test_what_is_missing_is_named_with_its_remedy(said, machine) -> None:
    machine.driver = said
    with pytest.raises(BackendError, match=MISSING[said]) as told:
        devices.device()
    assert 'set_backend("cpu")' in str(told.value)


def test_a_device_that_is_not_there_names_those_that_are(machine) -> None:
    with pytest.raises(BackendError, match=r"no gpu:3; there are 1, from gpu:0"):
        devices.device(3)


@pytest.mark.parametrize("use", ["fit", "predict", "call", "function"])
def test_no_use_of_a_backend_that_is_missing_is_silent(use, machine) -> None:
    machine.driver = next(iter(MISSING))
    x = np.ones((4, 3), "float32")
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    model.compile("sgd", "mse")
    uses = {
        "fit": lambda: model.fit(x, x[:, :2], verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "function": lambda: fastnn.function(lambda t: t * 2.0)(x),
        "call": lambda: [model(x) for _ in range(3)],
    }
    if use == "call":  # eager ops stay on the CPU, where nothing is missing
        np.testing.assert_array_equal(*map(np.asarray, uses[use]()[1:]))
        return
    with pytest.raises(BackendError, match="no usable driver"):
        uses[use]()


def test_too_little_memory_says_how_much_and_what_to_do(machine) -> None:
    machine.memory = 1 << 20
    x = np.ones((4096, 256), "float32")
    model = fastnn.Sequential([fastnn.Input((256,)), fastnn.layers.Dense(256)])
    model.compile("sgd", "mse")
    with pytest.raises(BackendError, match=r"bytes wanted, \d+ of 1048576") as told:
        model.fit(x, x, batch_size=1024, verbose=0)
    for remedy in ("smaller batches", "clear_session", "remat"):
        assert remedy in str(told.value)


def test_memory_comes_back_when_the_session_is_cleared(machine) -> None:
    train("images", epochs=1)
    assert machine.used > libraries.WORKSPACE
    fastnn.utils.clear_session()
    gc.collect()
    assert machine.used == libraries.WORKSPACE, "which cuBLAS has"
    assert machine.freed > 0, "the pool's blocks went back to the system"


def test_an_error_within_a_capture_ends_it_and_the_next_one_works(machine) -> None:
    device = devices.device()
    calls = [lambda: device._stream.put("never", print)]
    program = devices.Captured(device._device, device._stream, device._new_stream, [])

    def fails() -> None:
        calls[0]()
        raise KeyError("in the middle")

    program._calls, program._warm = [fails], devices.WARM_UPS
    with pytest.raises(KeyError, match="in the middle"):
        program.run(1)
    assert all(s.captured is None for s in machine.streams.values())
    assert not machine.current
    program._calls = []
    program.run(3)


def test_an_error_that_breaks_the_capture_is_the_one_that_is_told(machine) -> None:
    device = devices.device()
    program = devices.Captured(device._device, device._stream, device._new_stream, [])

    def synchronizes() -> None:
        machine.current[-1].captured = None  # CUDA ends a capture that is violated
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")

    program._calls, program._warm = [synchronizes], devices.WARM_UPS
    with pytest.raises(CUDARuntimeError, match="CaptureUnsupported"):
        program.run(1)


@pytest.mark.parametrize("kib", [227, 99, 64])
def test_kernels_fit_the_shared_memory_that_the_gpu_has(kib, machine) -> None:
    """The stand-in refuses the attribute above it, as CUDA does."""
    machine.block_shared = kib << 10
    device = devices.device()
    assert device.shared_bytes == kib << 10
    fastnn.utils.set_random_seed(1)
    units = [fastnn.layers.Dense(n, "relu") for n in (48, 48, 8)]
    model = fastnn.Sequential([fastnn.Input((8,)), *units])
    model.compile("adam", "mse")
    x = np.ones((8, 8), "float32")
    model.fit(x, x, 8, 1, verbose=0)
    launched = "one_block" in model.plan().summary() or "one_block" in str(machine.log)
    assert launched == (kib == 227)
