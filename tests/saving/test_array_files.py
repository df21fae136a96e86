# SPDX-License-Identifier: Apache-2.0
"""Formats that hold weights and nothing else: one table, the same tests for each.

Oracles: the `safetensors` package where it is installed, NumPy's own npz functions, and
weights that are equal to the bit.
"""

from __future__ import annotations

import json
import os
import pathlib

import ml_dtypes
import numpy as np
import pytest
from layer_cases import CASES
from saving_cases import X, Y, assert_same, trained

from fastnn import inspect, keras, layers, ops, saving
from fastnn.errors import ModelFileError, NotBuiltError

# name -> arguments of save_weights
FORMATS = {
    "m.weights.h5": {},
    "m.safetensors": {},
    "m.weights.safetensors": {},
    "m.npz": {},
    "m.weights.json": {"max_shard_size": 300 / 2**30},
}
FLAT = ("m.safetensors", "m.npz")
formats = pytest.mark.parametrize("name", FORMATS)
flat = pytest.mark.parametrize("name", FLAT)


def save(model, path, **options):
    model.save_weights(path, **FORMATS[path.name], **options)
    return path


# ---- models ------------------------------------------------------------------------


@formats
@pytest.mark.parametrize("as_path", [str, pathlib.Path])
def test_weights_and_optimizer(name, as_path, tmp_path):
    model, other = trained(), trained()
    other.fit(X, Y, verbose=0)
    save(model, tmp_path / name)
    other.load_weights(as_path(tmp_path / name))
    assert_same(model, other)
    fresh = trained()
    fresh.compile("adam", "mse")  # an optimizer without slots yet
    fresh.load_weights(as_path(tmp_path / name))
    assert_same(model, fresh)
    for one in (model, fresh):  # training goes on alike
        one.get_layer("drop").seed_generator.state.assign([5, 0])
        one.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    assert_same(model, fresh)


@pytest.mark.parametrize("optimizer", ["nadam", "adagrad", "lamb", "adafactor"])
@formats
def test_optimizers(optimizer, name, tmp_path):
    model, other = trained(optimizer), trained(optimizer)
    other.fit(X, Y, verbose=0)
    save(model, tmp_path / name)
    other.load_weights(tmp_path / name)
    assert_same(model, other)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layers(case, tmp_path):
    dtype = "int32" if case.classes else "float32"
    inputs = [keras.Input(shape[1:], dtype=dtype) for shape in case.shapes]
    layer = case.make(layers)
    model = keras.Model(inputs, layer(*case.arranged(inputs), **case.options))
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.5, 1, w.shape).astype(w.dtype) for w in model.weights]
    for name in ("m.safetensors", "m.npz", "m.weights.json"):
        model.set_weights(values)
        model.save_weights(tmp_path / name)
        model.set_weights([np.zeros_like(value) for value in values])
        model.load_weights(tmp_path / name)
        for got, value in zip(model.get_weights(), values, strict=True):
            np.testing.assert_array_equal(got, value)


class Everything(layers.Layer):
    """A weight of each dtype, and what is no weight."""

    DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8")

    def build(self, shape):
        self.own = [
            self.add_weight((2, 3), "zeros", dtype, name=dtype, trainable=False)
            for dtype in self.DTYPES
        ]
        self.flag = self.add_weight((), "zeros", "bool", name="flag", trainable=False)
        self.none = self.add_weight((0, 4), "zeros", "float32", name="none")

    def call(self, x):
        return x

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["seen"] = np.array([3, 4], "int16")

    def load_own_variables(self, store):
        self.seen = np.asarray(store["seen"])
        super().load_own_variables({k: store[k] for k in store if k != "seen"})


def filled(seed):
    model = keras.Sequential([keras.Input((4,)), Everything(name="all")])
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.integers(0, 9, weight.shape).astype(weight.dtype))
    return model


@formats
def test_dtypes_scalars_and_what_is_no_weight(name, tmp_path):
    model, other = filled(1), filled(2)
    save(model, tmp_path / name)
    other.load_weights(tmp_path / name)
    for a, b in zip(model.weights, other.weights, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a.numpy(), b.numpy())
    assert other.get_layer("all").seen.tolist() == [3, 4]


@formats
def test_mismatches_are_listed_and_nothing_changes(name, tmp_path):
    save(trained(), tmp_path / name)
    other = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, name="last"),
        ]
    )
    before = other.get_weights()
    with pytest.raises(ModelFileError, match=r"'last'.*shape \(5, 3\), the file has"):
        other.load_weights(tmp_path / name)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="'last'"):
        other.load_weights(tmp_path / name, skip_mismatch=True)
    assert not np.array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="by_name"):
        other.load_weights(tmp_path / name, by_name=True)


@formats
def test_objects_to_skip(name, tmp_path):
    model, other = trained(), trained()
    path, arguments = tmp_path / name, FORMATS[name]
    saving.save_weights(model, path, objects_to_skip=[model.optimizer], **arguments)
    with saving.formats.weights_of(str(path)) as reader:
        assert not any("optimizer" in place for place in reader.datasets)
    before = other.optimizer.variables[2].numpy()
    saving.load_weights(other, path, objects_to_skip=[other.optimizer])
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.optimizer.variables[2].numpy(), before)


@formats
def test_no_weights_and_no_file(name, tmp_path):
    with pytest.raises(NotBuiltError, match="no weights yet"):
        save(keras.Sequential([layers.Dense(2)]), tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        trained().load_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        save(trained(), tmp_path / "none" / name)


@formats
def test_asks_before_overwriting(name, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr("builtins.input", lambda text: "n")
    save(trained(), tmp_path / name, overwrite=False)
    assert (tmp_path / name).read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]


@formats
def test_inspect(name, tmp_path):
    model = trained()
    found = inspect.describe(str(save(model, tmp_path / name)))
    shapes = {row["path"]: tuple(row["shape"]) for row in found["variables"]}
    assert shapes["layers/dense/vars/0"] == (4, 5)
    assert len(shapes) == len(model.weights) + len(model.optimizer.variables)
    assert "layers/dense/vars/0" in inspect.report(found)


@formats
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated(name, share, tmp_path):
    model = trained()
    path = save(model, tmp_path / name)
    if (
        name.endswith(".json") and share > 0.3
    ):  # a list that is whole, a file that is not
        path = tmp_path / "m_00001.weights.h5"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match=r"\[load\] "):
        model.load_weights(tmp_path / name)


# ---- several files -----------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_shards_are_named_and_divided_as_in_keras(tmp_path):
    save(trained(), tmp_path / "m.weights.json")
    files = [f"m_0000{i}.weights.h5" for i in range(3)]
    assert names(tmp_path) == ["m.weights.json", *files]
    listed = json.loads((tmp_path / "m.weights.json").read_text())
    assert listed["metadata"] == {"total_size": 612}
    assert listed["weight_map"] == {
        "/layers/dense/vars": files[:1],
        "/layers/batch_normalization/vars": files[:1],
        "/layers/dense_1/vars": files[:1],
        "/optimizer/vars": files,
    }


def test_another_ending_becomes_json_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match=r"m\.weights\.json, not to"):
        trained().save_weights(tmp_path / "m.weights.h5", max_shard_size=1)
    assert names(tmp_path) == ["m.weights.json", "m_00000.weights.h5"]


def test_a_variable_that_fits_nowhere(tmp_path):
    for size, text in ((79 / 2**30, "80 bytes"), (0, "bytes")):
        with pytest.raises(ValueError, match=text):
            trained().save_weights(tmp_path / "m.weights.json", max_shard_size=size)
    assert names(tmp_path) == []


def test_saving_again_replaces_the_whole_set(tmp_path):
    (tmp_path / "m_best.weights.h5").write_bytes(b"someone's")
    path = tmp_path / "m.weights.json"
    save(trained(), path)
    before = set(names(tmp_path))
    model = trained()
    for size in (300, 1 << 20, 300):
        model.fit(X, Y, verbose=0)
        model.save_weights(path, max_shard_size=size / 2**30)
        other = trained()
        other.load_weights(path)
        assert_same(model, other)
        assert (tmp_path / "m_00000.weights.h5").exists()  # Keras opens it in any case
    assert set(names(tmp_path)) == before


def test_a_save_that_fails_anywhere_keeps_the_old_set(tmp_path, monkeypatch):
    """Each call that writes, renames or brings to the disk fails once."""
    path = tmp_path / "m.weights.json"
    old, new = trained(), trained()
    new.fit(X, Y, verbose=0)
    save(old, path)
    files = names(tmp_path)
    for number in range(1, 1000):
        left = [number]

        def counted(function, left=left):
            def call(*args, **kwargs):
                left[0] -= 1
                if not left[0]:
                    raise OSError(28, "No space left on device")
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in ("pwrite", "replace", "fsync"):
                patch.setattr(os, name, counted(getattr(os, name)))
            failed = False
            try:
                save(new, path)
            except OSError:
                failed = True
        if left[0] > 0:
            break
        assert failed
        again = trained()
        again.load_weights(path)
        if names(tmp_path) == files:
            assert_same(again, old)
        else:  # the last fsync: the new list is in place
            assert_same(again, new)
            for file in tmp_path.iterdir():
                file.unlink()
            save(old, path)
    assert number > 20


def test_what_a_killed_save_left_goes_with_the_next(tmp_path):
    path = tmp_path / "m.weights.json"
    save(trained(), path)
    (tmp_path / "m_00000-0123abcd.weights.h5").write_bytes(b"left")
    save(trained(), path)
    assert "m_00000-0123abcd.weights.h5" not in names(tmp_path)


# ---- arrays without a model --------------------------------------------------------


def arrays():
    rng = np.random.default_rng(0)
    found = {
        f"a/{dtype}": rng.integers(0, 2, (3, 4)).astype(dtype)
        for dtype in "float64 float32 float16 int64 int32 int16 int8 uint8 bool".split()
    }
    found["scalar"] = np.array(2.5, "float32")
    found["none"] = np.zeros((2, 0), "float32")
    found["odd"] = np.arange(3, dtype="uint8")
    found["turned"] = np.arange(6.0).reshape(2, 3).T
    found["every second"] = np.arange(8)[::2]
    found["big-endian"] = np.arange(3, dtype=">f4")
    found["b16"] = np.array([1.5, -2], ml_dtypes.bfloat16)
    return found


def assert_arrays(got, expected):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].dtype == value.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got[name], value)


@flat
def test_arrays(name, tmp_path):
    saving.save_arrays(arrays(), tmp_path / name)
    got = saving.load_arrays(str(tmp_path / name))
    assert_arrays(got, arrays())
    before = (tmp_path / name).read_bytes()
    got["a/float32"][:] = 7  # memory of one's own
    assert (tmp_path / name).read_bytes() == before
    saving.save_arrays({}, tmp_path / name)
    assert saving.load_arrays(tmp_path / name) == {}


def test_tensors_and_variables_are_arrays(tmp_path):
    given = {"t": ops.ones((2,)), "v": keras.Variable([1.0, 2.0]), "list": [1, 2]}
    saving.save_arrays(given, tmp_path / "m.safetensors", metadata={"who": "me"})
    got = saving.load_arrays(tmp_path / "m.safetensors")
    assert [got[k].tolist() for k in given] == [[1, 1], [1, 2], [1, 2]]
    found = inspect.describe(str(tmp_path / "m.safetensors"))
    assert found["metadata"] == {"who": "me"}


def test_safetensors_are_mapped(tmp_path):
    saving.save_arrays(arrays(), tmp_path / "m.safetensors")
    got = saving.load_arrays(tmp_path / "m.safetensors")
    kept = [value for value in got.values() if value.size]
    assert all(value.base is not None and value.flags.aligned for value in kept)
    saving.save_arrays({}, tmp_path / "m.safetensors")  # replaced, not shortened
    assert_arrays(got, arrays())


@flat
def test_what_cannot_be_written(name, tmp_path):
    for value in (np.array(["text"]), np.array([None]), np.zeros(2, complex)):
        with pytest.raises(ValueError, match="cannot be written"):
            saving.save_arrays({"a": value}, tmp_path / name)
    assert names(tmp_path) == []
    for call in (
        lambda: saving.save_arrays({}, tmp_path / "m.txt"),
        lambda: saving.load_arrays(tmp_path / "m.txt"),
    ):
        with pytest.raises(ValueError, match=r"must end with \.safetensors or \.npz"):
            call()


def numpys():
    """What NumPy's own functions write: without bfloat16, which they cannot read."""
    return {name: value for name, value in arrays().items() if name != "b16"}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz_of_numpy(write, tmp_path):
    write(tmp_path / "m.npz", **numpys())
    assert_arrays(saving.load_arrays(tmp_path / "m.npz"), numpys())
    write(tmp_path / "m.npz", zeros=np.zeros(1 << 20))  # shrinks a thousand times
    assert not saving.load_arrays(tmp_path / "m.npz")["zeros"].any()


def test_numpy_reads_npz(tmp_path):
    saving.save_arrays(numpys(), tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert_arrays(dict(file), numpys())


def test_safetensors_package(tmp_path):
    peer = pytest.importorskip("safetensors.numpy")
    peer.save_file(arrays_of_peer(), tmp_path / "a.safetensors", {"format": "np"})
    assert_arrays(saving.load_arrays(tmp_path / "a.safetensors"), arrays_of_peer())
    saving.save_arrays(
        arrays_of_peer(), tmp_path / "b.safetensors", metadata={"a": "b"}
    )
    assert_arrays(peer.load_file(tmp_path / "b.safetensors"), arrays_of_peer())
    model = trained()
    model.save_weights(tmp_path / "c.safetensors")
    loaded = peer.load_file(tmp_path / "c.safetensors")
    np.testing.assert_array_equal(loaded["layers/dense/vars/0"], model.get_weights()[0])


def arrays_of_peer():
    """Dense ones: the package writes the memory of others as it lies there."""
    return {
        name: np.ascontiguousarray(value, value.dtype.newbyteorder("=")).reshape(
            value.shape
        )
        for name, value in numpys().items()
    }


@pytest.mark.parity
@pytest.mark.parametrize("size", [100, 150, 300, 700, 1 << 20])
def test_shards_of_keras_and_for_keras(size, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "jax"))
    theirs = pytest.importorskip("keras")
    if theirs.__name__ != "keras" or theirs.__version__ < "3.15":
        pytest.skip("needs Keras 3.15")

    def same(model, other):
        pairs = zip(model.weights, other.weights, strict=True)
        slots = zip(model.optimizer.variables, other.optimizer.variables, strict=True)
        for a, b in (*pairs, *slots):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))

    mine, other = small(keras), small(theirs)
    for _ in range(2):  # the second time over the files of the first
        mine.fit(X, Y, verbose=0)
        mine.save_weights(tmp_path / "a.weights.json", max_shard_size=size / 2**30)
        other.load_weights(tmp_path / "a.weights.json")
        same(mine, other)
    other.fit(X, Y, verbose=0)
    other.save_weights(tmp_path / "b.weights.json", max_shard_size=size / 2**30)
    mine.load_weights(tmp_path / "b.weights.json")
    same(mine, other)
    listed = [(tmp_path / f"{x}.weights.json").read_text() for x in "ab"]
    assert listed[0].replace("a_0", "b_0") == listed[1]


def small(library):
    model = library.Sequential(
        [
            library.Input((4,)),
            library.layers.Dense(5, activation="relu"),
            library.layers.BatchNormalization(),
            library.layers.Dense(2),
        ]
    )
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    return model
