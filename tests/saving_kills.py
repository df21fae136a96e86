# SPDX-License-Identifier: Apache-2.0
"""Kills processes that save, at random moments, and reads what they leave.

    python saving_kills.py KIND COUNT SEED FOLDER

A process per kill is forked from this one, which has everything loaded. It writes one
state after the other, all of whose numbers are one count, and says in shared memory
which count was the last to be written. After the kill, the file must load and hold
that count or the next. The last line says how many kills there were, how many came
between the calls of one save, and what was wrong.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
import traceback

import numpy as np
from saving_kinds import KINDS

from fastnn import callbacks, keras, layers, ops
from fastnn.saving.training_state import Backup

ROWS, STEPS = 4, 5


def counting(width=96):
    """A model whose weights are the number of its training steps, exactly.

    Its loss is minus the sum of its outputs, which are sums of weights for inputs of
    one: each gradient is -1, and the learning rate 1.
    """
    inputs = keras.Input((width,))
    both = [layers.Dense(width, use_bias=False, kernel_initializer="zeros")(inputs)]
    both.append(layers.Dense(8, use_bias=False, kernel_initializer="zeros")(inputs))
    model = keras.Model(inputs, layers.Concatenate()(both))
    model.compile(keras.optimizers.SGD(1.0), loss=_minus_sum)
    return model


@keras.saving.register_keras_serializable("kills")
def _minus_sum(y_true, y_pred):
    return -ops.sum(y_pred, axis=-1)


def data(width=96):
    rows = ROWS * STEPS
    return np.ones((rows, width), "float32"), np.zeros((rows, 1), "float32")


def count_of(model):
    """The one number in all variables.

    Raises:
        AssertionError: there are several.
    """
    steps = int(model.optimizer.iterations.numpy())
    for weight in model.weights:
        values = weight.numpy()
        assert (values == steps).all(), (weight.name, values.min(), values.max(), steps)
    return steps


# ---- what the killed processes do --------------------------------------------------


def saves(kind):
    """Saves by call, in a loop."""

    def run(model, path, done, ready):
        ready()
        for count in range(done.value + 1, 1 << 30):
            for weight in model.weights:
                weight.assign(np.full(weight.shape, count, "float32"))
            model.optimizer.iterations.assign(count)
            KINDS[kind].write(model, path)
            done.value = count

    return run


class Told(callbacks.Callback):
    """Says which step was saved, after the callback that saves."""

    runs_last = True

    def __init__(self, done, ready):
        super().__init__()
        self.done = done
        self.ready = ready

    def get_state(self):
        return {}

    def on_train_batch_end(self, batch, logs=None):
        self.done.value = int(self.model.optimizer.iterations.numpy())
        self.ready()
        self.ready = bool  # once


def trains(make):
    """Trains with a callback that saves after each step; a killed one goes on."""

    def run(model, path, done, ready):
        if path.endswith(".keras"):
            model = keras.models.load_model(path)
        listed = [make(path), Told(done, ready)]
        x, y = data()
        model.fit(x, y, ROWS, 1 << 20, 0, listed, shuffle=True)

    return run


def _checkpoint(path):
    return callbacks.ModelCheckpoint(path, save_freq=1)


def _backup(double):
    def make(path):
        folder = os.path.dirname(path)
        return callbacks.BackupAndRestore(folder, 1, double, delete_checkpoint=False)

    return make


def _restored(path, model):
    """The place in the training is that of the weights."""
    backup = Backup(path)
    state = backup.state
    backup.restore(model)
    assert state["epoch"] * STEPS + state["done"] == count_of(model), state
    return model


RUNS = {
    "keras": saves("keras"),
    "h5": saves("h5"),
    **{kind: saves(kind) for kind in ("weights", "safetensors", "npz", "shards")},
    "checkpoint": trains(_checkpoint),
    "backup": trains(_backup(False)),
    "double": trains(_backup(True)),
}
FILES = {"checkpoint": "keras", "double": "backup"}
# A small file of tensors is written so fast that 1 of 120 kills came amid it.
WIDTHS = {"safetensors": 1024}


# ---- killing -----------------------------------------------------------------------


class Shared:
    """A number that outlives the process that wrote it."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 8)

    @property
    def value(self):
        return struct.unpack("q", self.memory[:])[0]

    @value.setter
    def value(self, number):
        self.memory[:] = struct.pack("q", number)


def killed_after(seconds, job):
    """Forks, and kills the child some time after it began."""
    ready, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            job(lambda: os.write(said, b"."))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(99)
    os.close(said)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the saving process ended by itself: {status}"


def hunt(run, count, seed, folder):
    """`count` kills; a report."""
    draw = random.Random(seed)
    kind = KINDS[FILES.get(run, run)]
    path = os.path.join(folder, kind.name)
    read = _restored if kind.name.startswith("latest") else kind.read
    width = WIDTHS.get(run, 96)
    x, y = data(width)
    model, done = counting(width), Shared()
    first = [_backup(False)(path)] if "latest" in path else []
    model.fit(x, y, ROWS, verbose=0, callbacks=first)
    if not first:
        kind.write(model, path)
    done.value = STEPS
    with tempfile.TemporaryDirectory(dir=folder) as place:
        began = time.perf_counter()
        for _ in range(5):
            kind.write(model, os.path.join(place, kind.name))
        span = (time.perf_counter() - began) / 5 * 3
    report = {"kills": 0, "amid": 0, "problems": []}
    for _ in range(count):
        before = set(os.listdir(folder))
        killed_after(
            draw.uniform(0, span), lambda ready: RUNS[run](model, path, done, ready)
        )
        report["kills"] += 1
        report["amid"] += bool(set(os.listdir(folder)) - before)
        try:
            found = count_of(read(path, counting_like(model)))
            assert found in (done.value, done.value + 1), (found, done.value)
            done.value = found
        except Exception as error:
            report["problems"].append(repr(error)[:300])
    return report


def counting_like(model):
    """A model to read into."""
    other = counting(model.input_shape[-1])
    other.optimizer.build(other.trainable_variables)
    return other


if __name__ == "__main__":
    run, count, seed, folder = sys.argv[1:]
    print(json.dumps(hunt(run, int(count), int(seed), folder)))
