# SPDX-License-Identifier: Apache-2.0
"""fastnn runs every kind of task of the kernel benchmark.

Whether the numbers are right is asked by the benchmark itself, beside torch in float64.
"""

import numpy as np
import pytest

from benchmarks.kernel_tasks import STREAMS, TASKS, Task, digest
from benchmarks.peers.kernels_ import FastnnKernels

KINDS = {(t.kind, t.part): t for t in TASKS}


@pytest.mark.parametrize("task", KINDS.values(), ids=lambda task: task.name)
def test_a_task_of_each_kind_gives_numbers(task: Task) -> None:
    if task.kind in STREAMS:
        task = task._replace(shape=(1 << 12,))
    call, as_array = FastnnKernels().bind(task)
    found = digest(as_array(call()))
    assert np.isfinite(found).all() and np.any(found)
