# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in a long epoch: answered at once, by a model that is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

# A wide model and a thousand epochs. The child reports what happened, the test sends
# the signal.
CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
import numpy as np
import fastnn
from fastnn import layers

model = fastnn.Sequential(
    [layers.Input((784,)), layers.Dense(1024, "relu"), layers.Dense(1024, "relu"),
     layers.Dense(10, "softmax")]
)
model.compile("adam", "sparse_categorical_crossentropy")
x = np.random.default_rng(0).random(({rows}, 784), dtype="f")
y = np.zeros(len(x), int)
model.fit(x[:{batch}], y[:{batch}], batch_size={batch}, verbose=0)
steps = []
for _ in range(3):
    start = time.process_time()
    model.fit(x[:{batch}], y[:{batch}], batch_size={batch}, verbose=0)
    steps.append(time.process_time() - start)
before = int(model.optimizer.iterations)
print("step", max(steps), flush=True)
class Slow(fastnn.utils.PyDataset):
    def __len__(self):
        return len(x) // {batch}

    def __getitem__(self, i):
        time.sleep(0.05)
        return x[{batch} * i:][: {batch}], y[: {batch}]

try:
    if {streamed}:
        model.fit(Slow(workers=2, max_queue_size=3), epochs=1000, verbose=0)
    model.fit(x, y, batch_size={batch}, epochs=1000, verbose=0)
except KeyboardInterrupt:
    print("stopped", time.process_time(), flush=True)
count = int(model.optimizer.iterations)
state = [v.numpy() for v in (*model.weights, *model.optimizer.variables)]
finite = all(np.isfinite(v).all() for v in state if v.dtype.kind == "f")
# Every variable has seen the same number of steps: one more step on the same data
# from here is what a copy with this state makes of it.
import copy
other = copy.deepcopy(model)
for m in (model, other):
    m.train_on_batch(x[:64], y[:64])
same = all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights()))
print("whole", finite and same, count - before, flush=True)
"""


def interrupted(batch: int, streamed: bool) -> tuple[float, float, int]:
    """Seconds from the signal to the exception, of a step, and how many steps ran.

    Seconds at work: they do not count the time that other processes take.
    """
    code = CHILD.format(rows=20_000, batch=batch, streamed=streamed)
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    late = threading.Timer(120.0, child.kill)  # then a line is missing, not a night
    late.start()
    try:
        step = float(child.stdout.readline().split()[1])
        time.sleep(1.0 + 5 * step)
        sent = _at_work(child.pid)
        child.send_signal(signal.SIGINT)
        word, when = child.stdout.readline().split()
        assert word == "stopped"
        word, whole, count = child.stdout.readline().split()
        assert (word, whole) == ("whole", "True")
        return float(when) - sent, step, int(count)
    finally:
        late.cancel()
        child.kill()
        child.communicate()


def _at_work(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("batch", "streamed"),
    [(512, False), (32, False), (32, True)],
    ids=["long steps", "short steps", "streamed"],
)
def test_it_stops_at_once_with_whole_weights(batch: int, streamed: bool) -> None:
    seconds, step, count = interrupted(batch, streamed)
    assert count >= 1
    # Calls of about 0.04 s, each to the end of a step.
    assert seconds < max(0.2, 1.5 * step)
