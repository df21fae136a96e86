# SPDX-License-Identifier: Apache-2.0
"""Trainings drawn at random, killed at random places, started again, and compared.

    python saving_resumes.py COUNT SEED FOLDER

Each run is a process forked from this one: one that is let alone, then one or more that
are killed, and the one that ends. Everything that the first and the last leave behind
must be equal to the bit. The last line says how many there were, by the moment of
their kills, and what differed.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import sys
import traceback
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from fastnn import _lazy, callbacks, keras, layers
from fastnn.seeds import set_random_seed

EPOCHS = 3
OPTIMIZERS = [
    *[("SGD", {}), ("SGD", {"momentum": 0.9, "nesterov": True}), ("Adam", {})],
    *[("RMSprop", {"centered": True, "momentum": 0.5}), ("Adam", {"amsgrad": True})],
    *[("AdamW", {"clipnorm": 0.5}), ("Nadam", {}), ("Lion", {"weight_decay": 0.01})],
    *[("Adamax", {}), ("Adagrad", {"clipvalue": 0.1}), ("Adadelta", {}), ("Ftrl", {})],
    *[("Lamb", {}), ("Adafactor", {}), ("SGD", {"global_clipnorm": 0.3})],
    *[("Adam", {"use_ema": True}), ("SGD", {"use_ema": True, "ema_momentum": 0.8})],
    ("Adam", {"use_ema": True, "ema_overwrite_frequency": 4}),
    *[("Adam", {"gradient_accumulation_steps": n}) for n in (2, 3)],
]
RATES = ("constant", "exponential", "cosine", "piecewise", "scheduler", "plateau")
NETS = ("dense", "convolution", "lstm", "branches")
NOISE = ("Dropout", "GaussianNoise", "AlphaDropout", "GaussianDropout", "none")
DATA = ("arrays", "arrays", "in order", "steps", "sequence", "generator")
MOMENTS = ("batch", "batch", "epoch", "saving", "saving")
KEPT = ("EarlyStopping", "CSVLogger", "best", "each", "Memory", "SwapEMAWeights")


def drawn(seed):
    """One configuration."""
    draw = random.Random(seed)
    optimizer, options = draw.choice(OPTIMIZERS)
    moment = draw.choice(MOMENTS)
    return {
        "seed": seed,
        "optimizer": [optimizer, options],
        "rate": draw.choice(RATES),
        "net": draw.choice(NETS),
        "noise": draw.choice(NOISE),
        "share": draw.choice([0.1, 0.3, 0.5]),
        "normalized": draw.random() < 0.5,
        "mixed": draw.random() < 0.15,
        "eager": draw.random() < 0.1,
        "data": draw.choice(DATA),
        "rows": draw.randint(20, 60),
        "batch": draw.randint(3, 17),
        "checked": draw.random() < 0.5,
        "weighted": draw.random() < 0.2,
        "kept": [name for name in KEPT if draw.random() < 0.5],
        "save_freq": draw.choice(["epoch", 1, 2, 3, 5]),
        "double": draw.random() < 0.3,
        "moment": moment,
        "kills": [
            draw.randint(1, EPOCHS - 1 if moment == "epoch" else 9)
            for _ in range(draw.choice([1, 1, 2, 3]))
        ],
    }


# ---- the training ------------------------------------------------------------------


class Memory(callbacks.Callback):
    """A user's callback whose attributes remember, one of them an argument."""

    def __init__(self, level=1.0):
        super().__init__()
        self.level = level
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.level *= 0.5
        self.seen.append(logs["loss"] * self.level + random.random())


class Kill(callbacks.Callback):
    """Kills its process after some batches, or after some epochs and their saves."""

    def __init__(self, left, moment):
        super().__init__()
        self.left = left
        self.runs_last = moment == "epoch"
        if moment == "batch":
            self.on_train_batch_end = self._count
        else:
            self.on_epoch_end = self._count

    def get_state(self):
        return {}

    def _count(self, *_):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_in_a_save(number):
    """Kills this process at one of the calls that bring a backup to the disk."""
    left = [7 * number]

    def counted(function):
        def call(*args):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)

        return call

    for name in ("pwrite", "fsync", "replace"):
        setattr(os, name, counted(getattr(os, name)))


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, batch):
        super().__init__()
        self.x, self.y, self.batch = x, y, batch

    def __len__(self):
        return -(-len(self.x) // self.batch)

    def __getitem__(self, i):
        rows = slice(i * self.batch, (i + 1) * self.batch)
        return self.x[rows], self.y[rows]


def drawn_batches(x, y, batch):
    rng = np.random.default_rng(4)
    while True:
        rows = rng.integers(0, len(x), batch)
        yield x[rows] + np.random.normal(size=x[rows].shape).astype("float32"), y[rows]


def model_of(config):
    noise = config["noise"]
    shape = {"dense": (6,), "branches": (6,), "lstm": (5, 3), "convolution": (6, 6, 2)}

    def noisy(x):
        return x if noise == "none" else getattr(layers, noise)(config["share"])(x)

    inputs = x = keras.Input(shape[config["net"]])
    if config["net"] == "dense":
        x = layers.Dense(8, activation="relu")(noisy(x))
    elif config["net"] == "convolution":
        x = layers.Conv2D(4, 3, activation="relu")(x)
        x = layers.Flatten()(layers.MaxPooling2D()(x))
    elif config["net"] == "lstm":
        dropped = config["share"] if config["seed"] % 3 == 0 else 0.0
        x = layers.LSTM(5, dropout=dropped, recurrent_dropout=dropped)(x)
    else:
        shared = layers.Dense(6, activation="tanh")
        x = layers.Concatenate()([shared(x), noisy(shared(shared(x)))])
    x = layers.BatchNormalization()(x) if config["normalized"] else x
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(noisy(x)))


def rate_of(config):
    schedules = keras.optimizers.schedules
    return {
        "exponential": lambda: schedules.ExponentialDecay(0.01, 3, 0.7),
        "cosine": lambda: schedules.CosineDecay(0.01, 12, warmup_steps=3),
        "piecewise": lambda: schedules.PiecewiseConstantDecay([4, 9], [0.1, 0.01, 0.5]),
    }.get(config["rate"], lambda: 0.01)()


def callbacks_of(config, folder, watch, left):
    def made():
        yield "Memory", Memory
        yield (
            "EarlyStopping",
            lambda: callbacks.EarlyStopping(
                watch, patience=1, restore_best_weights=True
            ),
        )
        yield "CSVLogger", lambda: callbacks.CSVLogger(folder / "log.csv")
        yield (
            "best",
            lambda: callbacks.ModelCheckpoint(folder / "best.keras", watch, 0, True),
        )
        yield (
            "each",
            lambda: callbacks.ModelCheckpoint(
                folder / "each.weights.h5", save_weights_only=True, save_freq=3
            ),
        )
        if config["optimizer"][1].get("use_ema"):
            yield "SwapEMAWeights", lambda: callbacks.SwapEMAWeights(True)

    found = [make() for name, make in made() if name in config["kept"]]
    if config["rate"] == "scheduler":
        found.append(callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.7))
    if config["rate"] == "plateau":
        found.append(callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9))
    found.append(
        callbacks.BackupAndRestore(
            folder / "backup", config["save_freq"], config["double"]
        )
    )
    if config["moment"] != "saving":
        found.append(Kill(left, config["moment"]))
    return found


def train(config, folder, seed, left):
    """One process: what training leaves behind."""
    set_random_seed(seed)
    if left and config["moment"] == "saving":
        kill_in_a_save(left)
    if config["mixed"]:
        keras.config.set_dtype_policy("mixed_bfloat16")
    rng = np.random.default_rng(config["seed"])
    model = model_of(config)
    rows, batch = config["rows"], config["batch"]
    x = rng.normal(size=(rows, *model.input_shape[1:])).astype("float32")
    y = rng.normal(size=(rows, 1)).astype("float32")
    name, options = config["optimizer"]
    optimizer = getattr(keras.optimizers, name)(rate_of(config), **options)
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=config["eager"])
    given = {
        "arrays": lambda: {"x": x, "y": y, "batch_size": batch},
        "in order": lambda: {"x": x, "y": y, "batch_size": batch, "shuffle": False},
        "steps": lambda: {"x": x, "y": y, "batch_size": batch, "steps_per_epoch": 4},
        "sequence": lambda: {"x": Batches(x, y, batch)},
        "generator": lambda: {"x": drawn_batches(x, y, batch), "steps_per_epoch": 5},
    }[config["data"]]()
    if config["weighted"] and config["data"] in ("arrays", "in order"):
        given["sample_weight"] = rng.random(rows).astype("float32")
    if config["checked"]:
        given["validation_data"] = (x[:9], y[:9])
    watch = "val_loss" if config["checked"] else "loss"
    listed = callbacks_of(config, folder, watch, left)
    history = model.fit(**given, epochs=EPOCHS, verbose=0, callbacks=listed)
    return {
        "weights": [w.tobytes() for w in model.get_weights()],
        "optimizer": [v.numpy().tobytes() for v in model.optimizer.variables],
        "seeds": [v.numpy().tobytes() for v in model._seed_states()],
        "history": {k: np.array(v).tobytes() for k, v in history.history.items()},
        "epochs": history.epoch,
        "callbacks": [
            (type(c).__name__, repr(c.get_state()).replace(str(folder), ""))
            for c in listed
            if not isinstance(c, (Kill, callbacks.BackupAndRestore))
        ],
        "files": {p.name: contents(p) for p in sorted(folder.glob("*.*"))},
        "random": (random.random(), np.random.random(), keras.random.normal((2,))),
        "left": sorted(p.name for p in folder.iterdir()),
    }


def contents(path):
    """The bytes of a file; of an archive, without the time."""
    if path.suffix != ".keras":
        return path.read_bytes()
    with zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if name != "metadata.json"]
        return [file.read(name) for name in names]


# ---- the processes -----------------------------------------------------------------


def apart(config, folder, seed, left):
    """(result of a process, None when it was killed)."""
    place = folder / "result"
    place.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            result = train(config, folder / "run", seed, left)
            result["random"] = [np.asarray(v).tobytes() for v in result["random"]]
            place.write_bytes(pickle.dumps(result))
        except BaseException:
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status:
        raise ChildProcessError(f"the training ended with {status}")
    return pickle.loads(place.read_bytes())


def problem_of(config, folder, met):
    """What differs, empty if nothing does; counts the kills in `met`."""
    for name in ("whole", "parts"):
        (folder / name / "run").mkdir(parents=True)
    expected = apart(config, folder / "whole", 1, 0)
    for attempt, left in enumerate([*config["kills"], 0]):
        # Another process would have other seeds, which the backup sets right if there
        # is one; but a generator has no memory of its own.
        begun = (folder / "parts/run/backup/latest.weights.h5").exists()
        seed = 1 + attempt if begun and config["data"] != "generator" else 1
        got = apart(config, folder / "parts", seed, left)
        if got is not None:
            break
        met.append(config["moment"])
    differ = [key for key in expected if expected[key] != got[key]]
    files = {*expected["files"], *got["files"]}
    differ += [f for f in files if expected["files"].get(f) != got["files"].get(f)]
    return ", ".join(differ)


def main(count, seed, folder):
    _lazy.load_everywhere()
    moments, problems, number = Counter(), [], 0
    while sum(moments.values()) < count:
        config, met = drawn(1_000_003 * seed + number), []
        number += 1
        place = folder / str(number)
        try:
            problem = problem_of(config, place, met)
        except ChildProcessError as error:
            problem = str(error)
        if met:  # else it ended before
            moments[met[0]] += 1
        if problem:
            problems.append([problem, config])
    return {"drawn": number, "killed": moments, "problems": problems}


if __name__ == "__main__":
    count, seed, folder = sys.argv[1:]
    print(json.dumps(main(int(count), int(seed), Path(folder))))
