# SPDX-License-Identifier: Apache-2.0
"""Compressed weights: read where a model asks for them, small where a file does.

Zeros of 100 MB are a file of 0.1 MB. A model of that size may load them; a file alone
must not make anyone's process grow by more than twice its size and 64 MiB.
"""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest
from file_costs import measured
from saving_cases import pack

from fastnn import keras, layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model
from fastnn.saving.file_editor import KerasFileEditor
from fastnn.saving.formats import load_arrays, weights_of

SIDE = 3000  # of the kernel: 36 MB
ALLOWED = 64 << 20
RNG = np.random.default_rng(8)


def wide(optimizer=None):
    model = keras.Sequential([keras.Input((SIDE,)), layers.Dense(SIDE, name="d")])
    if optimizer:
        model.compile(optimizer, "mse")
    return model


@pytest.fixture(scope="module")
def noise():
    return RNG.random((SIDE, SIDE), "float32")


def again(path, change):
    """Makes every array of an HDF5 file anew: `change(array)` are its settings."""
    with h5py.File(path, "r+") as file:
        places: list[str] = []
        file.visit(places.append)
        arrays = [place for place in places if isinstance(file[place], h5py.Dataset)]
        assert arrays
        for place in arrays:
            array = file[place][()]
            del file[place]
            settings = change(array) if array.ndim else {}
            file.create_dataset(place, data=array, **settings)
    whole = path.with_name("whole.h5")
    with h5py.File(path) as old, h5py.File(whole, "w") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        for name in old:
            old.copy(name, new)
    whole.replace(path)


STORAGE = {
    "one chunk": lambda a: {"chunks": a.shape},
    "gzip, one chunk": lambda a: {"chunks": a.shape, "compression": 1},
    "all filters, one chunk": lambda a: {
        "chunks": a.shape,
        "compression": 1,
        "shuffle": True,
        "fletcher32": True,
    },
    "fletcher32, one chunk": lambda a: {"chunks": a.shape, "fletcher32": True},
    "shuffle, h5py's chunks": lambda a: {"compression": 1, "shuffle": True},
    "rows that reach beyond": lambda a: {
        "chunks": (1700, *a.shape[1:]) if a.ndim > 1 else (1700,),
        "compression": 1,
        "shuffle": True,
    },
}


@pytest.mark.parametrize("name", STORAGE)
def test_memory_of_filters(name, noise, tmp_path):
    """As much is read again as there was, and memory holds it once."""
    path = tmp_path / "m.h5"
    model = wide()
    model.set_weights([noise, noise[0]])
    model.save(path)
    again(path, STORAGE[name])
    del model
    loaded, seconds, grown = measured(lambda: load_model(path, compile=False))
    np.testing.assert_array_equal(loaded.get_weights()[0], noise)
    assert grown < noise.nbytes + (24 << 20)
    assert seconds < 10
    _, _, grown = measured(lambda: loaded.load_weights(path))
    assert grown < 24 << 20


def test_wider_numbers_than_the_model_has(noise, tmp_path):
    path = tmp_path / "m.weights.h5"
    model = wide()
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = noise.astype("f8")
    _, _, grown = measured(lambda: model.load_weights(path))
    np.testing.assert_array_equal(model.get_weights()[0], noise)
    assert grown < 2 * path.stat().st_size + ALLOWED


# ---- much more than the file -------------------------------------------------------


@pytest.fixture(scope="module")
def zeros(tmp_path_factory):
    """Files of a model of zeros, every one below a megabyte."""
    folder = tmp_path_factory.mktemp("zeros")
    model = wide("adam")
    model.set_weights([np.zeros((SIDE, SIDE), "f4"), np.zeros(SIDE, "f4")])
    model.optimizer.build(model.trainable_variables)
    packed = STORAGE["gzip, one chunk"]
    files = {name: folder / f"m{name}" for name in (".keras", ".h5", ".weights.h5")}
    model.save(files[".h5"])
    model.save_weights(files[".weights.h5"])
    again(files[".h5"], packed)
    again(files[".weights.h5"], packed)
    model.save(files[".keras"])
    with zipfile.ZipFile(files[".keras"]) as file:
        members = {name: file.read(name) for name in file.namelist()}
    files["deflated"] = pack(
        folder / "d.keras", members, compression=zipfile.ZIP_DEFLATED
    )
    members["model.weights.h5"] = files[".weights.h5"].read_bytes()
    pack(files[".keras"], members)
    files[".npz"] = folder / "m.npz"
    with weights_of(str(files[".weights.h5"])) as reader:
        shapes = {name: one.shape for name, one in reader.datasets.items()}
        kinds = {name: one.dtype for name, one in reader.datasets.items()}
    arrays = {name: np.zeros(shapes[name], kinds[name]) for name in shapes}
    np.savez_compressed(files[".npz"], **arrays)
    assert all(path.stat().st_size < 1 << 20 for path in files.values())
    return files


REFUSING = {
    ".keras": load_model,
    ".h5": load_model,
    ".npz": load_arrays,
    ".weights.h5": lambda path: KerasFileEditor(path),
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_file_alone_is_refused(name, zeros):
    error, seconds, grown = measured(lambda: REFUSING[name](zeros[name]))
    assert isinstance(error, ModelFileError)
    assert "claim to hold" in str(error)
    assert "load_weights" in str(error)
    assert grown < 2 * zeros[name].stat().st_size + ALLOWED
    assert seconds < 1


def test_a_deflated_member_is_refused(zeros):
    error, _, grown = measured(lambda: load_model(zeros["deflated"]))
    assert isinstance(error, ModelFileError)
    assert "claim to hold" in str(error) or "are read" in str(error)
    assert grown < ALLOWED


@pytest.mark.parametrize("name", [".keras", ".h5", ".weights.h5", ".npz"])
def test_a_model_that_asks_for_them_loads_them(name, zeros):
    """What is there, stays where it is; nothing is made beside it."""
    model = wide("adam")
    model.optimizer.build(model.trainable_variables)
    model.set_weights([np.ones((SIDE, SIDE), "f4"), np.ones(SIDE, "f4")])
    for variable in model.optimizer.variables:
        variable.assign(np.ones(variable.shape, variable.dtype))
    error, _, grown = measured(lambda: model.load_weights(zeros[name]))
    assert error is None
    assert not any(array.any() for array in model.get_weights())
    assert grown < 24 << 20


class Greedy(layers.Layer):
    """Reads what it finds, of whatever size."""

    def load_own_variables(self, store):
        self.found = [store[key] for key in store]

    def call(self, inputs):
        return inputs


def test_layers_that_read_files_themselves(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        for i in range(4):
            place = f"layers/greedy/vars/{i}"
            file.create_dataset(place, (8 << 18,), "f4", compression=1)[:] = 0
    model = keras.Sequential([keras.Input((3,)), Greedy()])
    error, _, grown = measured(lambda: model.load_weights(path))
    assert isinstance(error, ModelFileError)
    assert "claim to hold" in str(error)
    assert grown < ALLOWED


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"chunks": (SIDE, 700)}, "no rows of the array"),
        ({"chunks": (SIDE, SIDE), "maxshape": (None, None)}, ""),
        ({"chunks": (2 * SIDE, SIDE), "maxshape": (None, None)}, "larger than the"),
    ],
)
def test_chunks_that_are_refused(settings, problem, tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (SIDE, SIDE), "f4", compression=1, **settings)
    with weights_of(str(path)) as reader:
        assert problem in reader.datasets["a"].problem


def test_filters_in_another_order(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((1000,))
        settings.set_deflate(1)
        settings.set_shuffle()
        space = h5py.h5s.create_simple((1000,))
        stored = h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_FLOAT, space, settings)
        h5py.Dataset(stored)[:] = 1
    with weights_of(str(path)) as reader:
        assert "another order" in reader.datasets["a"].problem
