# SPDX-License-Identifier: Apache-2.0
"""Memory of eager results: used again, bounded, given back, safe from early reuse."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastnn import _core, config, ops

MB = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_kept():
    limit = config.kept_memory_limit()
    gc.collect()
    config.free_kept_memory()
    yield
    config.set_kept_memory_limit(limit)
    config.free_kept_memory()


def ones(size: int):
    return ops.convert_to_tensor(np.ones(size // 4, np.float32))


def stats() -> dict[str, int]:
    return _core.buffer_stats()


@pytest.mark.parametrize("size", [4096, 100_000, 3 * MB, 17 * MB])
def test_results_use_memory_again(size):
    x = ones(size)
    ops.negative(x)
    before = stats()
    for _ in range(20):
        ops.negative(x)
    after = stats()
    assert after["allocations"] == before["allocations"]
    assert after["reuses"] - before["reuses"] == 20
    assert after["live_bytes"] == before["live_bytes"]


def test_two_results_have_memory_of_their_own():
    x = ones(4096)
    a, b = ops.negative(x), ops.add(x, x)
    assert not np.shares_memory(a.numpy(), b.numpy())
    np.testing.assert_array_equal(np.asarray(a), -1)
    np.testing.assert_array_equal(np.asarray(b), 2)


def test_arrays_outlive_their_tensors():
    x = ones(8192)
    kept = [np.asarray(ops.negative(x)), np.asarray(ops.negative(x))[3::5]]
    gc.collect()
    for _ in range(10):
        ops.add(x, x)
    for array in kept:
        np.testing.assert_array_equal(array, -1)


def test_memory_is_bounded_by_what_was_in_use():
    x = ones(4 * MB)
    held = [ops.negative(x) for _ in range(30)]
    peak = stats()["live_bytes"]
    assert peak >= 30 * 4 * MB
    held.clear()
    assert stats()["kept_bytes"] <= peak
    assert stats()["kept_bytes"] >= 25 * 4 * MB
    for _ in range(40 * 30 * 2):  # the peak is forgotten
        ops.negative(x)
    assert stats()["kept_bytes"] <= 48 * MB


def test_memory_goes_back_to_the_system():
    x = ones(4 * MB)
    live = stats()["live_bytes"]
    held = [ops.negative(x) for _ in range(5)]
    held.clear()
    assert config.free_kept_memory() == 5 * 4 * MB
    assert stats()["kept_bytes"] == 0
    assert stats()["live_bytes"] == live
    assert config.free_kept_memory() == 0


def test_limit():
    x = ones(4 * MB)
    held = [ops.negative(x) for _ in range(5)]
    config.set_kept_memory_limit(9 * MB)
    held.clear()
    assert stats()["kept_bytes"] == 8 * MB
    config.set_kept_memory_limit(0)
    assert stats()["kept_bytes"] == 0
    ops.negative(x)
    assert stats()["kept_bytes"] == 0
    assert config.kept_memory_limit() == 0


@pytest.mark.parametrize("size", [-1, 1.5, True, "1"])
def test_limit_refuses(size):
    with pytest.raises(ValueError, match="number of bytes"):
        config.set_kept_memory_limit(size)


def test_ten_thousand_calls_leak_nothing():
    x = ones(40_000)
    ops.negative(x)
    before = stats()
    for i in range(10_000):
        y = ops.negative(x)
        if i % 100 == 0:
            assert np.asarray(y)[-1] == -1
    del y
    after = stats()
    assert after["live_bytes"] == before["live_bytes"]
    assert after["kept_bytes"] <= before["kept_bytes"] + 40_960
    assert after["allocations"] <= before["allocations"] + 1


def test_threads():
    wrong = []

    def work(number: int) -> None:
        x = ops.convert_to_tensor(np.full(5000, number, np.float32))
        for _ in range(300):
            y, z = ops.add(x, x), ops.negative(x)
            if (np.asarray(y) != 2 * number).any() or (np.asarray(z) != -number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    live = stats()["live_bytes"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert stats()["live_bytes"] == live


def run_python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_used_again_is_poisoned():
    code = """
import ctypes
import numpy as np
from fastnn import ops
x = ops.convert_to_tensor(np.ones(5000, np.float32))
y = ops.negative(x)
first = ctypes.cast(np.asarray(y).ctypes.data, ctypes.POINTER(ctypes.c_float))
window = np.ctypeslib.as_array(first, (5000,))
assert (window == -1).all()
del y
assert np.isnan(window).all()
print("poisoned")
"""
    assert run_python(code, FASTNN_DEBUG_POISON="1") == "poisoned\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_child_of_a_fork_uses_memory():
    code = """
import os, threading
import numpy as np
from fastnn import ops
x = ops.convert_to_tensor(np.ones(100_000, np.float32))
stop = False
def work():
    while not stop:
        ops.negative(x)
thread = threading.Thread(target=work)
thread.start()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        ok = all((np.asarray(ops.add(x, x)) == 2).all() for _ in range(5))
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
stop = True
thread.join()
print("done")
"""
    assert run_python(code, FASTNN_NUM_THREADS="1") == "done\n"


def test_results_are_aligned():
    x = ones(4 * 600)
    for _ in range(5):
        assert np.asarray(ops.negative(x)).ctypes.data % 64 == 0
