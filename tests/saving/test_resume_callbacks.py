# SPDX-License-Identifier: Apache-2.0
"""Every callback that the package has, broken off in an epoch and resumed.

What it remembers at the end, what it has written, the weights and the History are those
of a run that was not broken off.
"""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pytest

from fastnn import callbacks, keras, layers
from fastnn.seeds import set_random_seed

RNG = np.random.default_rng(12)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = RNG.normal(size=(40, 1)).astype("float32")
EPOCHS, BATCH, AFTER = 4, 8, 13  # five batches an epoch: broken off in the third


class Broken(Exception):
    pass


class Break(callbacks.Callback):
    def get_state(self):
        return {}

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == AFTER:
            raise Broken


class Bar:
    """In place of tqdm's."""

    n = 0

    def __init__(self, **kwargs):
        self.total = kwargs.get("total")

    def update(self, n=1):
        self.n += n

    def set_postfix(self, *args, **kwargs):
        pass

    def close(self):
        pass


# name -> (callback for a folder and a list that it may fill)
CALLBACKS = {
    "Callback": lambda folder, notes: callbacks.Callback(),
    "EarlyStopping": lambda folder, notes: callbacks.EarlyStopping(
        "val_loss", patience=9, restore_best_weights=True, min_delta=0.5
    ),
    "ReduceLROnPlateau": lambda folder, notes: callbacks.ReduceLROnPlateau(
        "loss", patience=1, min_delta=9, cooldown=1
    ),
    "LearningRateScheduler": lambda folder, notes: callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * 0.7
    ),
    "ModelCheckpoint": lambda folder, notes: callbacks.ModelCheckpoint(
        folder / "best.weights.h5", "val_loss", 0, True, save_weights_only=True
    ),
    "CSVLogger": lambda folder, notes: callbacks.CSVLogger(folder / "log.csv"),
    "TensorBoard": lambda folder, notes: callbacks.TensorBoard(
        folder / "logs", write_graph=False, update_freq=2
    ),
    "SwapEMAWeights": lambda folder, notes: callbacks.SwapEMAWeights(True),
    "TerminateOnNaN": lambda folder, notes: callbacks.TerminateOnNaN(),
    "LambdaCallback": lambda folder, notes: callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: notes.append((epoch, logs["loss"]))
    ),
    "ProgbarLogger": lambda folder, notes: callbacks.ProgbarLogger(),
    "TqdmCallback": lambda folder, notes: callbacks.TqdmCallback(tqdm_class=Bar),
    "RemoteMonitor": lambda folder, notes: callbacks.RemoteMonitor(
        "http://localhost:1"
    ),
}
ELSEWHERE = {
    "BackupAndRestore": "in every row",
    "CallbackList": "holds the others",
    "History": "in every row",
}
_TIMES = {"_epoch_start"}  # seconds of the process


def test_no_callback_is_left_out():
    found = {
        name
        for name in dir(callbacks)
        if isinstance(getattr(callbacks, name), type)
        and issubclass(getattr(callbacks, name), callbacks.Callback)
    }
    assert found | {"CallbackList"} == CALLBACKS.keys() | ELSEWHERE.keys()


def trained(name, folder, seed, broken=False):
    folder.mkdir(exist_ok=True)
    keras.utils.clear_session()
    set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, "tanh"),
            layers.Dropout(0.3),
            layers.Dense(1),
        ]
    )
    ema = name == "SwapEMAWeights"
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=ema), "mse")
    notes: list[tuple[int, float]] = []
    one = CALLBACKS[name](folder, notes)
    listed = [one, callbacks.BackupAndRestore(folder / "backup", 2)]
    history = model.fit(
        *(X, Y, BATCH, EPOCHS),
        validation_data=(X[:8], Y[:8]),
        verbose=0,
        callbacks=[*listed, Break()] if broken else listed,
    )
    return model, one, history, notes


def remembered(one, folder):
    state = {k: v for k, v in one.get_state().items() if k not in _TIMES}
    text = json.dumps(state, default=lambda v: np.asarray(v).tobytes().hex())
    return text.replace(str(folder), "")


@pytest.mark.filterwarnings("ignore:.*BackupAndRestore.*had a callback Break")
@pytest.mark.filterwarnings("ignore:.*RemoteMonitor")
@pytest.mark.parametrize("name", CALLBACKS)
def test_resumed_in_an_epoch(name, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model, one, history, notes = trained(name, whole, 1)
    with pytest.raises(Broken):
        trained(name, parts, 1, broken=True)
    resumed, other, again, later = trained(name, parts, 2)
    assert remembered(one, whole) == remembered(other, parts)
    assert history.history == again.history and history.epoch == again.epoch
    for a, b in zip(model.get_weights(), resumed.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert model.optimizer.learning_rate.numpy() == resumed.optimizer.learning_rate
    assert notes[2:] == later  # what the process before has noted is gone with it
    assert written(whole) == written(parts)


def written(folder):
    """What callbacks have written: the same bytes, rows, or points of curves."""
    found = {}
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        if path.suffix == ".csv":
            found[place] = list(csv.reader(path.read_text().splitlines()))
        elif "tfevents" in path.name:
            points = found.setdefault(str(path.parent.relative_to(folder)), set())
            points |= scalars(path.read_bytes())
        elif path.is_file():
            found[place] = path.read_bytes()
    return found


def scalars(data):
    """(tag and value as bytes, step) of an event file's summaries.

    After the time in 9 bytes comes the step, 0x10 and a number of base 128, unless it
    is 0; then 0x2A and the summary.
    """
    found, at = set(), 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        event = data[at + 12 + 9 : at + 12 + size]
        step = 0
        if event[:1] == b"\x10":
            end = next(i for i in range(1, 11) if event[i] < 128)
            step = sum((event[i] & 127) << 7 * (i - 1) for i in range(1, end + 1))
            event = event[end + 1 :]
        if event[:1] == b"\x2a":
            found.add((event, step))
        at += 12 + size + 4
    return found
