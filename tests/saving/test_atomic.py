# SPDX-License-Identifier: Apache-2.0
"""Saves that are killed, or meet a full disk, leave the old file or the new one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from saving_cases import assert_same, trained

from fastnn import layers
from fastnn.models import load_model
from fastnn.saving import atomic, building, keras_files, legacy_h5

FORMATS = ("m.keras", "m.h5", "m.weights.h5")


def save(model, path):
    (model.save_weights if "weights" in path.name else model.save)(path)


SAVER = """
import sys
import numpy as np
from fastnn import keras, layers
model = keras.Sequential([keras.Input((64,)), layers.Dense(256), layers.Dense(256)])
model.compile("adam", "mse")
model.fit(np.zeros((8, 64)), np.zeros((8, 256)), verbose=0)
kernel, path = model.weights[0], sys.argv[1]
save = model.save_weights if "weights" in path else model.save
for i in range(10**6):
    kernel.assign(np.full(kernel.shape, i, "float32"))
    model.weights[2].assign(np.full((256, 256), i, "float32"))
    save(path)
    if not i:  # the first save also imports
        print("ready", flush=True)
"""


def assert_of_one_save(model, path):
    model.load_weights(path)
    first, second = (model.weights[i].numpy() for i in (0, 2))
    assert first.min() == first.max() == second.min() == second.max()


@pytest.mark.parametrize("name", FORMATS)
def test_killed_at_any_moment(name, tmp_path):
    """Both kernels in the file are of one save, whenever the process was killed."""
    from fastnn import keras, layers

    path = tmp_path / name
    model = keras.Sequential([keras.Input((64,)), layers.Dense(256), layers.Dense(256)])
    rng = np.random.default_rng(0)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        for _ in range(2):  # stopped anywhere, looked at, and at last killed
            time.sleep(rng.uniform(0.01, 0.2))
            process.send_signal(signal.SIGSTOP)
            assert_of_one_save(model, path)
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()
        assert_of_one_save(model, path)
    save(trained(), path)  # sweeps up what the killed ones left
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_replaced_while_it_is_loaded(name, tmp_path, monkeypatch):
    """Config, weights and assets are those of one file, the old or the new one."""
    old, new = trained(), trained()
    new.set_weights([w + 1 for w in new.get_weights()])
    new.add(layers.Dense(2, name="more"))
    path, other = tmp_path / name, tmp_path / f"new_{name}"
    save(old, path)
    save(new, other)
    build = building.build_model

    def replaced(*given):
        os.replace(other, path)
        return build(*given)

    for module in (keras_files, legacy_h5):
        monkeypatch.setattr(module, "build_model", replaced)
    model = load_model(path)
    assert not other.exists()
    assert_same(model, old)
    assert [layer.name for layer in model.layers] == [x.name for x in old.layers]


class FailingCalls:
    """Makes the n-th of some calls of `os` fail."""

    NAMES = ("pwrite", "write", "fsync", "replace", "open", "ftruncate")

    def __init__(self, monkeypatch, number, code, short=False):
        self.left = number
        self.code = code
        self.short = short
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, function):
        def call(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                if self.short and name == "pwrite":
                    return function(args[0], args[1][: len(args[1]) // 2], args[2])
                raise OSError(self.code, os.strerror(self.code))
            return function(*args, **kwargs)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_every_call_may_fail(code, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    old, new = trained(), trained()
    new.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    old.save(path)
    before = path.read_bytes()
    failures = 0
    for number in range(1, 10_000):
        with monkeypatch.context() as patch:
            calls = FailingCalls(patch, number, code)
            failed = False
            try:
                new.save(path)
            except OSError:
                failed = True
        if calls.left > 0:  # more calls than a save makes
            break
        failures += 1
        # The last thing that can fail comes after the rename: the file is new then.
        if not failed or path.read_bytes() != before:
            assert_same(load_model(path), new)
            old.save(path)
            before = path.read_bytes()
        assert os.listdir(tmp_path) == ["m.keras"]
    assert failures > 20


def test_short_writes_go_on(tmp_path, monkeypatch):
    model = trained()
    for number in (5, 20, 40):
        with monkeypatch.context() as patch:
            FailingCalls(patch, number, errno.EIO, short=True)
            try:
                model.save(tmp_path / "m.keras")
            except OSError:
                continue
        assert_same(load_model(tmp_path / "m.keras"), model)


@pytest.mark.parametrize("name", FORMATS)
def test_no_room_at_all(name, tmp_path):
    """A limit on the size of files, which also HDF5's own writes meet."""
    code = (
        "import resource, signal, sys; sys.path[:0] = sys.argv[2].split(':')\n"
        "from pathlib import Path\n"
        "from saving_cases import trained\n"
        "model, path = trained(), Path(sys.argv[1])\n"
        "save = model.save_weights if 'weights' in path.name else model.save\n"
        "save(path); before = path.read_bytes()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "for size in (0, 1000, 3000, 8000):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))\n"
        "    try:\n"
        "        save(path)\n"
        "    except (OSError, RuntimeError):\n"
        "        pass\n"
        "    else:\n"
        "        raise SystemExit('saved')\n"
        "    assert path.read_bytes() == before\n"
        "    assert [p.name for p in path.parent.iterdir()] == [path.name]\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name), ":".join(sys.path)],
        check=True,
    )


def test_replacing_keeps_links_and_modes(tmp_path):
    target = tmp_path / "real.keras"
    trained().save(target)
    target.chmod(0o640)
    (tmp_path / "link.keras").symlink_to(target)
    model = trained()
    model.save(tmp_path / "link.keras")
    assert (tmp_path / "link.keras").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert_same(load_model(target), model)


def test_an_exception_leaves_nothing(tmp_path):
    def fail():
        with atomic.replacing(tmp_path / "x") as name:
            open(name, "w").close()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert os.listdir(tmp_path) == []
    with pytest.raises(IsADirectoryError), atomic.replacing(tmp_path):
        pass
