# SPDX-License-Identifier: Apache-2.0
"""The native module as Python sees it: views, errors, plans, threads, processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastnn import _core

CODES = _core.dtype_codes()
F32, I64 = CODES["float32"], CODES["int64"]


@pytest.fixture(autouse=True)
def _restore_threads():
    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


def add(a, b, out, **options):
    _core.launch("add", [a, b], [out], **options)
    return out


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_kernel_rows_are_complete():
    rows = _core.kernels()
    assert len({row["name"] for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["split"] in ("rows", "any", "serial")
        assert set(row["reads"]) <= {"r", "a", "k"}
        assert row["n_out"] >= 1


def test_launch_reads_any_strides():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    a, b = x[::2, ::-1], np.broadcast_to(np.float32(3), (2, 6))
    out = np.empty((2, 6), np.float32)
    np.testing.assert_array_equal(add(a, b, out), a + 3)


def test_launch_on_the_pool_gives_the_same_bits():
    _core.set_num_threads(4)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1003, 7)).astype(np.float32)
    one, many = np.empty_like(a), np.empty_like(a)
    add(a, b, one)
    add(a, b, many, cost=1e9)
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (lambda x: [x, [1.0]], lambda x: [x], "input 1: expected a NumPy array"),
        (lambda x: [x], lambda x: [x], "expected 2 inputs, received 1"),
        (lambda x: [x, x], lambda x: [], "expected 1 outputs, received 0"),
        (lambda x: [x, x], lambda x: [x[:, ::2]], "output 0: the array must be C-cont"),
        (lambda x: [x, x.astype("M8[s]")], lambda x: [x], "dtype datetime64[s] is not"),
        (lambda x: [x, x.astype(">f4")], lambda x: [x], "dtype >f4 is not supported"),
        (lambda x: [x, x[(None,) * 7]], lambda x: [x], "at most 8 dimensions"),
    ],
)
def test_launch_refuses(inputs, outputs, message):
    x = np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"^\[add\] ") as caught:
        _core.launch("add", inputs(x), outputs(x))
    assert message in str(caught.value)


def test_launch_refuses_read_only_outputs_and_unknown_kernels():
    x = np.ones(3, np.float32)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"\[add\] output 0: the array is read-only"):
        add(x, x, x)
    with pytest.raises(ValueError, match=r"\[no_such\] no kernel of this name"):
        _core.launch("no_such", [], [])
    with pytest.raises(ValueError, match="attribute 0: expected int, bool or float"):
        _core.launch("elu", [x], [x.copy()], ["1"])


def test_random_permutation_is_a_function_of_its_arguments():
    first = _core.random_permutation(7, 0, 1000)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(np.sort(first), np.arange(1000))
    assert (first != _core.random_permutation(7, 1, 1000)).any()
    out = np.empty(1000, np.int64)
    assert _core.random_permutation(7, 0, 1000, out=out) is out
    np.testing.assert_array_equal(out, first)
    for bad in (out[::2], out[:9], out.astype(np.int32)):
        with pytest.raises(ValueError, match=r"\[random_permutation\] out must be"):
            _core.random_permutation(0, 0, 500, out=bad)
    with pytest.raises(ValueError, match="received -1"):
        _core.random_permutation(0, 0, -1)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        _core.random_permutation(0, 0, 1000, out=out)


def sum_plan(n: int) -> _core.Plan:
    """Slot 2 (n,) += slot 1 (n,), through the arena."""
    plan = _core.Plan(4 * n)
    arena, x, total = ((slot, 0, F32, (n,), None) for slot in range(3))
    plan.add_instruction("add", [x, total], [arena], barrier=False)
    plan.add_instruction("add", [arena, (1, 0, F32, (n,), (0,))], [total])
    return plan


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_plan_repeats_its_list(threads):
    _core.set_num_threads(threads)
    plan, n = sum_plan(33), 33
    x, total = np.arange(1, n + 1, dtype=np.float32), np.zeros(n, np.float32)
    plan.bind(1, x)
    plan.bind(2, total)
    before = _core.memory_stats()
    plan.run(5, threads)
    assert _core.memory_stats() == before
    np.testing.assert_array_equal(total, 5 * (x + 1))
    np.testing.assert_array_equal(plan.arena_view(0, F32, (n,)), total - 1)
    assert [row["kernel"] for row in plan.instructions()] == ["add", "add"]
    assert [row["barrier"] for row in plan.instructions()] == [False, True]
    assert plan.instructions()[1]["inputs"][1] == (1, 0, F32, (n,), (0,))
    times, allocations = plan.run_timed(2, threads)
    assert times.shape[1:] == (2, 3, 3) and 1 <= len(times) <= threads
    assert (np.diff(times.reshape(len(times), -1)) >= 0).all() and allocations == 0


def test_plan_keeps_arrays_and_views_keep_the_plan():
    plan = sum_plan(1000)
    plan.bind(1, np.ones(1000, np.float32))
    total = np.zeros(1000, np.float32)
    plan.bind(2, total)
    gc.collect()
    plan.run()
    assert (total == 2).all()
    view = plan.arena_view(0, F32, (10, 100))
    del plan
    gc.collect()
    assert (view == 1).all()


def test_plan_refuses_bad_arrays():
    plan = sum_plan(8)
    with pytest.raises(ValueError, match=r"\[plan\] slot 1 is not bound"):
        plan.run()
    with pytest.raises(ValueError, match="needs 32 bytes, received an array of 28"):
        plan.bind(1, np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="must be C-contiguous"):
        plan.bind(1, np.zeros(16, np.float32)[::2])
    fixed = np.zeros(8, np.float32)
    fixed.flags.writeable = False
    plan.bind(1, fixed)
    with pytest.raises(ValueError, match="slot 2 is written by the plan"):
        plan.bind(2, fixed)
    with pytest.raises(ValueError, match="outside the arena of 32"):
        plan.arena_view(16, F32, (5,))
    with pytest.raises(ValueError, match="not aligned to int64"):
        plan.arena_view(4, I64, (1,))
    with pytest.raises(ValueError, match="dtype code 99 is unknown"):
        plan.arena_view(0, 99, (1,))


def test_kernel_errors_reach_python_from_all_threads():
    _core.set_num_threads(4)
    plan = _core.Plan(64)
    wrong = (0, 0, CODES["int8"], (8,), None)
    plan.add_instruction("exp", [wrong], [wrong])
    for threads in (1, 4):
        with pytest.raises(ValueError, match=r"\[exp\]"):
            plan.run(3, threads)


def test_plans_run_on_several_python_threads():
    _core.set_num_threads(2)
    totals = [np.zeros(64, np.float32) for _ in range(4)]

    def work(total):
        plan = sum_plan(64)
        plan.bind(1, np.ones(64, np.float32))
        plan.bind(2, total)
        for _ in range(50):
            plan.run(10, 2)

    workers = [threading.Thread(target=work, args=(total,)) for total in totals]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((total == 1000).all() for total in totals)


USE_POOL = """
import os, numpy as np
from fastnn import _core
_core.set_num_threads(3)
x = np.ones((300, 8), np.float32)
def use():
    _core.launch("add", [x, x], [np.empty_like(x)], cost=1e9)
"""


def test_a_process_with_workers_exits_and_forks():
    code = USE_POOL + (
        "use()\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    use()\n"
        "    if child == 0: raise SystemExit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
    )
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_sets_the_number_of_threads():
    show = "from fastnn import _core; print(_core.num_threads())"
    assert run_python(show, FASTNN_NUM_THREADS="3").stdout.strip() == "3"
    error = run_python(show, FASTNN_NUM_THREADS="many").stderr
    assert "[FASTNN_NUM_THREADS] expected 1 to" in error


def test_import_starts_no_threads():
    count = "len(os.listdir('/proc/self/task'))"
    code = f"import os, numpy; before = {count}\nfrom fastnn import _core\n"
    assert run_python(code + f"assert {count} == before").returncode == 0


def test_the_instruction_set_can_be_forced_and_errors_say_how():
    assert _core.isa() in _core.available_isas()
    show = "from fastnn import _core; print(_core.isa())"
    for isa in _core.available_isas():
        assert run_python(show, FASTNN_ISA=isa).stdout.strip() == isa
    error = run_python(show, FASTNN_ISA="vax").stderr
    assert "ImportError: [FASTNN_ISA] 'vax' is not an instruction set" in error
