# SPDX-License-Identifier: Apache-2.0
"""How many threads there are: the machine, the user, other libraries, forks."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import _core, config

TASKS = "/proc/self/task"
needs_two_cpus = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="one processor"
)


@pytest.fixture(autouse=True)
def _restore_threads():
    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


def python(code: str, **env: str) -> list[str]:
    """The words that `code` prints in a new process, without a thread count set."""
    clean = {k: v for k, v in os.environ.items() if k != "FASTNN_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_number_is_set_and_read():
    config.set_num_threads(3)
    assert config.get_num_threads() == _core.num_threads() == 3
    config.set_num_threads(np.int64(2))
    assert config.get_num_threads() == 2


@pytest.mark.parametrize("bad", [0, -1, 10**6, 1.5, "2", True, None])
def test_a_bad_number_is_refused(bad):
    with pytest.raises(ValueError, match=r"^\[set_num_threads\] "):
        config.set_num_threads(bad)


def test_the_affinity_mask_counts():
    code = (
        "import os; one = {min(os.sched_getaffinity(0))}; os.sched_setaffinity(0, one);"
        "from fastnn import config; print(config.get_num_threads())"
    )
    assert python(code) == ["1"]


def test_the_environment_wins():
    code = "from fastnn import config; print(config.get_num_threads())"
    assert python(code, FASTNN_NUM_THREADS="5") == ["5"]


def test_threads_start_when_a_plan_can_use_them():
    code = f"""
import os, numpy as np
tasks = lambda: len(os.listdir({TASKS!r}))
before = tasks()
import fastnn
from fastnn import config, ops
config.set_num_threads(3)
imported = tasks() - before
small = fastnn.function(lambda x: x + x)(np.ones(8, "float32"))
after_small = tasks() - before
plan = fastnn.function(lambda x: ops.exp(x) + ops.sin(x))(np.ones(10**6, "float32"))
print(imported, after_small, tasks() - before)
"""
    assert python(code) == ["0", "0", "2"]


@needs_two_cpus
def test_a_forked_child_asks_for_its_own_processors():
    code = """
import os
from fastnn import _core, config
_core.prepare_threads(2)
child = os.fork()
if child == 0:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    _core.prepare_threads(2)
    os._exit(10 + config.get_num_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), config.get_num_threads() > 1)
"""
    assert python(code) == ["11", "True"]


def test_pacing_does_not_change_bits():
    import fastnn
    from fastnn import ops

    x = np.linspace(-3, 3, 300_000, dtype="float32").reshape(300, 1000)
    results = []
    for threads, pacing in ((1, True), (2, True), (2, False)):
        config.set_num_threads(threads)
        _core.set_pacing(pacing)
        try:
            f = fastnn.function(lambda t: ops.softmax(ops.exp(t) * 2.0))
            results += [np.asarray(f(x)) for _ in range(20)]
        finally:
            _core.set_pacing(True)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


LIMITS = """
from fastnn import config
config.set_num_threads(4)
own = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "fastnn"]
with threadpoolctl.threadpool_limits(limits=1):
    inside = config.get_num_threads()
with threadpoolctl.threadpool_limits(limits=2, user_api="fastnn"):
    ours = config.get_num_threads()
with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
    others = config.get_num_threads()
print(len(own), own[0]["num_threads"], inside, ours, others, config.get_num_threads())
"""


def test_threadpoolctl_sees_and_limits_our_threads():
    pytest.importorskip("threadpoolctl")
    expected = "1 4 1 2 4 4".split()
    assert python(f"import threadpoolctl, fastnn{LIMITS}") == expected
    late = "import fastnn, threadpoolctl\nfrom fastnn import _threadpools\n"
    assert python(f"{late}_threadpools.register(){LIMITS}") == expected
    built = "import fastnn, threadpoolctl, numpy\nfastnn.function(abs)(numpy.ones(3))"
    assert python(f"{built}{LIMITS}") == expected


def test_threadpoolctl_is_not_imported_for_it():
    code = (
        "import sys, fastnn, numpy; fastnn.function(abs)(numpy.ones(3));"
        "print('threadpoolctl' in sys.modules)"
    )
    assert python(code) == ["False"]
