# SPDX-License-Identifier: Apache-2.0
"""Training that was broken off and resumed equals training that was not, to the bit."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from fastnn import callbacks, keras, layers
from fastnn.errors import ModelFileError
from fastnn.saving import training_state
from fastnn.saving.training_state import decode, encode, is_plain
from fastnn.seeds import set_random_seed

RNG = np.random.default_rng(8)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = RNG.normal(size=(50, 1)).astype("float32")
EPOCHS, BATCH = 3, 8


class Broken(Exception):
    pass


class Break(callbacks.Callback):
    """Breaks training off after some batches; what comes after is lost."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def get_state(self):
        return {}

    def on_train_batch_end(self, batch, logs=None):
        self.after -= 1
        if not self.after:
            raise Broken


class Memory(callbacks.Callback):
    """A user's callback whose attributes remember, one of them an argument."""

    def __init__(self, level=1.0):
        super().__init__()
        self.level = level
        self.seen = {"losses": [], 3: (1, None)}

    def on_epoch_end(self, epoch, logs=None):
        self.level *= 0.5
        self.seen["losses"].append(logs["loss"] * self.level + random.random())


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "ema": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True),
    "accumulate": lambda: keras.optimizers.RMSprop(gradient_accumulation_steps=2),
    "schedule": lambda: keras.optimizers.Nadam(
        keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.7)
    ),
}


def model_for(optimizer, eager, seed):
    keras.utils.clear_session()  # the same names in files
    set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.3),
            layers.BatchNormalization(),
            layers.GaussianNoise(0.1),
            layers.Dense(1),
        ]
    )
    model.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae"], run_eagerly=eager)
    return model


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return X[7 * i : 7 * i + 7], Y[7 * i : 7 * i + 7]


def generator():
    rng = np.random.default_rng(4)
    while True:
        rows = rng.integers(0, len(X), BATCH)
        yield X[rows] + np.random.normal(size=(BATCH, 4)).astype("float32"), Y[rows]


# name -> (arguments of fit)
DATA = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": BATCH, "validation_split": 0.2},
    "in order": lambda: {"x": X, "y": Y, "batch_size": BATCH, "shuffle": False},
    "steps": lambda: {"x": X, "y": Y, "batch_size": BATCH, "steps_per_epoch": 4},
    "sequence": lambda: {"x": Batches(), "validation_data": (X[:9], Y[:9])},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 5},
}


def train(model, folder, data, save_freq, after=None):
    watch = "val_loss" if data in ("arrays", "sequence") else "loss"
    memory = Memory()
    listed = [
        memory,
        callbacks.EarlyStopping(watch, patience=1, restore_best_weights=True),
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.BackupAndRestore(folder / "backup", save_freq),
        callbacks.ModelCheckpoint(
            folder / "best.weights.h5", watch, 0, True, save_weights_only=True
        ),
    ]
    if not callable(model.optimizer._learning_rate):
        listed.append(callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9))
    if after is not None:
        listed.append(Break(after))
    history = model.fit(**DATA[data](), epochs=EPOCHS, verbose=0, callbacks=listed)
    return {
        "weights": model.get_weights(),
        "optimizer": [v.numpy() for v in model.optimizer.variables],
        "seeds": [v.numpy() for v in model._seed_states()],
        "history": history.history,
        "epochs": history.epoch,
        "params": history.params,
        "memory": (memory.level, memory.seen),
        "log": (folder / "log.csv").read_text(),
        "checkpoint": (folder / "best.weights.h5").read_bytes(),
        "random": (random.random(), np.random.random(), keras.utils.__name__),
    }


def assert_equal(first, second):
    for key, value in first.items():
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            for a, b in zip(value, second[key], strict=True):
                assert a.tobytes() == b.tobytes(), key
        else:
            assert value == second[key], key


CASES = [
    *[
        ("adam", "arrays", freq, after)
        for freq in ("epoch", 1, 2, 3)
        for after in (6, 9)
    ],
    *[("adam", "arrays", freq, 7) for freq in (1, 5)],
    *[(opt, "arrays", 2, 8) for opt in ("ema", "accumulate", "schedule")],
    *[("ema", data, 1, 9) for data in ("in order", "steps", "sequence", "generator")],
    *[("schedule", data, "epoch", 9) for data in ("steps", "sequence", "generator")],
]


@pytest.mark.filterwarnings("ignore:.*BackupAndRestore.*had a callback Break")
@pytest.mark.parametrize(("optimizer", "data", "save_freq", "after"), CASES)
@pytest.mark.parametrize("eager", [False, True], ids=["native", "eager"])
def test_resumed_equals_uninterrupted(
    optimizer, data, save_freq, after, eager, tmp_path
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    expected = train(model_for(optimizer, eager, 1), whole, data, save_freq)
    with pytest.raises(Broken):
        train(model_for(optimizer, eager, 1), parts, data, save_freq, after)
    assert os.listdir(parts / "backup") == ["latest.weights.h5"]
    seed = 1 if data == "generator" else 2
    got = train(model_for(optimizer, eager, seed), parts, data, save_freq)
    assert_equal(expected, got)
    assert not (parts / "backup").exists()


@pytest.mark.filterwarnings("ignore:.*BackupAndRestore.*had a callback Break")
def test_interrupted_again_and_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    expected = train(model_for("ema", False, 0), whole, "arrays", 1)
    for attempt in range(40):  # all but the first begin with other weights
        try:
            got = train(model_for("ema", False, attempt), parts, "arrays", 1, 4)
        except Broken:
            continue
        break
    assert 2 < attempt < 10
    assert_equal(expected, got)


class Adds(callbacks.Callback):
    """Adds another callback in the middle of training."""

    def __init__(self, listed):
        super().__init__()
        self.listed = listed

    def get_state(self):
        return {}

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.listed.append(Memory(8.0))


@pytest.mark.filterwarnings("ignore:.*BackupAndRestore.*had a callback (Adds|Memory)")
def test_callbacks_that_come_later(tmp_path):
    model = model_for("adam", False, 1)
    listed = callbacks.CallbackList(None, add_history=True, model=model)
    listed.append(Adds(listed))
    backup = callbacks.BackupAndRestore(tmp_path / "b", 2, delete_checkpoint=False)
    listed.append(backup)
    data = {"x": X, "y": Y, "epochs": 3, "verbose": 0}
    model.fit(**data, callbacks=listed)
    assert [type(c).__name__ for c in listed.callbacks[-2:]] == [
        "Memory",
        "BackupAndRestore",
    ]
    assert listed.callbacks[-2].level == 2.0
    other = model_for("adam", False, 2)  # which has no Memory to be set
    other.fit(**data, callbacks=[backup])
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_backup_is_a_weights_file(tmp_path):
    model = model_for("adam", False, 1)
    backup = callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    model.fit(X, Y, verbose=0, callbacks=[backup])
    other = model_for("adam", False, 2)
    other.load_weights(tmp_path / "b" / "latest.weights.h5")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    before = other.get_weights()
    history = other.fit(X, Y, verbose=0, callbacks=[backup])  # there is nothing left
    assert history.epoch == [0]
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_backup(tmp_path):
    model = model_for("adam", False, 1)
    path = tmp_path / "b" / "latest.weights.h5"
    for double in (True, False):
        options = {"double_checkpoint": double, "delete_checkpoint": False}
        backup = callbacks.BackupAndRestore(tmp_path / "b", **options)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[backup])
        path.write_bytes(path.read_bytes()[:3000])
        if double:  # the one before is used
            history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[backup])
            assert history.epoch == [0, 1, 2]
        else:
            with pytest.raises(ModelFileError, match=r"latest\.weights\.h5"):
                model.fit(X, Y, epochs=3, verbose=0, callbacks=[backup])
        for file in os.listdir(tmp_path / "b"):
            os.unlink(tmp_path / "b" / file)


def test_a_backup_with_a_damaged_random_state(tmp_path, monkeypatch):
    model = model_for("adam", False, 1)
    state = {**training_state.random_state(), "python": (3, (1, 2, 3), None)}
    with monkeypatch.context() as patched:
        patched.setattr(training_state, "random_state", lambda: state)
        training_state.write_backup(str(tmp_path / "m.weights.h5"), model, {})
    backup = training_state.Backup(str(tmp_path / "m.weights.h5"))
    with pytest.raises(ModelFileError, match=r"m\.weights\.h5: state vector"):
        backup.restore(model)


def test_backup_of_another_model(tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    model_for("adam", False, 1).fit(X, Y, verbose=0, callbacks=[backup])
    other = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    other.compile("adam", "mse")
    with pytest.raises(ModelFileError, match="could not be loaded"):
        other.fit(X, Y, epochs=2, verbose=0, callbacks=[backup])


@pytest.mark.parametrize("option", [{"backup_dir": ""}, {"save_freq": 0}])
def test_mistakes(option):
    with pytest.raises(ValueError, match="BackupAndRestore"):
        callbacks.BackupAndRestore(**{"backup_dir": "x", **option})


def test_plain_data_comes_back():
    value = {
        "a": [1, 2.5, float("inf"), None, True, "ü"],
        3: (np.float32(0.1), np.arange(6).reshape(2, 3)),
        "nested": {"t": ((1,), []), "nan": float("nan")},
        0.5: np.array(7, "uint8"),
    }
    arrays: list = []
    got = decode(encode(value, arrays), lambda i: arrays[i])
    assert repr(got) == repr(value)
    assert is_plain(value)
    assert not any(map(is_plain, (object(), {"a": print}, {1, 2}, np.array(["a"]))))


# ---- ModelCheckpoint ---------------------------------------------------------------


@pytest.mark.feature("1B-23", "4E-61")
def test_checkpoint_names_and_best(tmp_path, capsys):
    model = model_for("adam", False, 1)
    names = str(tmp_path / "sub" / "{epoch:02d}-{loss:.3f}.keras")
    best = callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "val_mae", verbose=1, save_best_only=True
    )
    every = callbacks.ModelCheckpoint(names)
    data = {"x": X, "y": Y, "validation_split": 0.3, "epochs": 4}
    history = model.fit(**data, verbose=0, callbacks=[best, every])
    losses = history.history["loss"]
    expected = [f"{i + 1:02d}-{loss:.3f}.keras" for i, loss in enumerate(losses)]
    assert sorted(os.listdir(tmp_path / "sub")) == expected
    assert best.best == min(history.history["val_mae"])
    epoch = int(np.argmin(history.history["val_mae"]))
    kept = keras.models.load_model(tmp_path / "best.keras")
    same = keras.models.load_model(tmp_path / "sub" / expected[epoch])
    for a, b in zip(kept.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "val_mae improved from None to" in capsys.readouterr().out


def test_checkpoint_after_batches(tmp_path):
    model = model_for("adam", False, 1)
    path = str(tmp_path / "{epoch}-{batch}.weights.h5")
    saver = callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=4)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[saver])
    names = {f"{e}-{b}.weights.h5" for e, b in ((1, 4), (2, 1), (2, 5))}
    assert set(os.listdir(tmp_path)) == names


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"filepath": "m.txt"}, "must end with .keras or .h5"),
        ({"filepath": "m.keras", "save_weights_only": True}, "weights.h5"),
        ({"filepath": "m.keras", "save_freq": "batch"}, "save_freq"),
        ({"filepath": "m.keras", "mode": "best"}, "mode"),
    ],
)
def test_checkpoint_mistakes(options, text):
    with pytest.raises(ValueError, match=text):
        callbacks.ModelCheckpoint(**options)


def test_checkpoint_of_what_is_not_logged(tmp_path):
    model = model_for("adam", False, 1)
    named = callbacks.ModelCheckpoint(str(tmp_path / "{acc}.keras"))
    with pytest.raises(KeyError, match="asks for 'acc'; known are epoch, loss, mae"):
        model.fit(X, Y, verbose=0, callbacks=[named])
    best = callbacks.ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss' is not among"):
        model.fit(X, Y, verbose=0, callbacks=[best])


# ---- averages ----------------------------------------------------------------------


class See(callbacks.Callback):
    """The first weight at certain moments."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_test_begin(self, logs=None):
        self.found.append(self.model.get_weights()[0])

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.model.get_weights()[0])


@pytest.mark.parametrize("on_epoch", [False, True])
def test_swapped_averages(on_epoch):
    model = model_for("ema", False, 1)
    swap, see = callbacks.SwapEMAWeights(on_epoch), See()
    data = {"x": X, "y": Y, "epochs": 2, "validation_split": 0.2, "verbose": 0}
    model.fit(**data, callbacks=[swap, see])
    plain, other = model_for("ema", False, 1), See()
    plain.fit(**data, callbacks=[other])
    average = plain.optimizer._averages[0].numpy()
    np.testing.assert_array_equal(see.found[2], average)  # last validation
    end = average if on_epoch else other.found[3]
    np.testing.assert_array_equal(see.found[3], end)
    # Either way `fit` ends with the averages, as in Keras.
    np.testing.assert_array_equal(model.get_weights()[0], average)
    np.testing.assert_array_equal(plain.get_weights()[0], average)
    with pytest.raises(ValueError, match="use_ema=True"):
        model_for("adam", False, 1).fit(**data, callbacks=[See(), swap])
