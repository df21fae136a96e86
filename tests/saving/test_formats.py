# SPDX-License-Identifier: Apache-2.0
"""What is saved comes back: formats, architectures, custom objects, partial loading."""

from __future__ import annotations

import json
import os
import zipfile
from functools import partial
from pathlib import Path

import functional_cases
import h5py
import numpy as np
import pytest
import subclassed_cases
from layer_cases import CASES
from saving_cases import X, Y, assert_same, trained

import fastnn
from fastnn import keras, layers, ops, saving
from fastnn.errors import ModelFileError, NotBuiltError, SerializationError
from fastnn.models import load_model, model_from_json
from fastnn.saving import paths, variables
from fastnn.saving.keras_files import read_config

SPEC = json.loads((Path(__file__).parent / "keras_layer_vars.json").read_text())


@pytest.mark.feature("1B-22")
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
@pytest.mark.parametrize("as_path", [str, Path])
def test_whole_model(name, as_path, tmp_path):
    model = trained()
    path = as_path(tmp_path / name)
    model.save(path)
    again = load_model(path)
    assert_same(model, again)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for one in (model, again):  # training goes on alike
        keras.utils.set_random_seed(1)
        one.get_layer("drop").seed_generator.state.assign([5, 0])
        one.fit(X, Y, batch_size=8, verbose=0)
    assert_same(model, again)
    assert not load_model(path, compile=False).compiled


def test_folder_instead_of_archive(tmp_path):
    model = trained()
    saving.save_model(model, tmp_path / "folder", zipped=False)
    names = ["config.json", "metadata.json", "model.weights.h5"]
    assert sorted(os.listdir(tmp_path / "folder")) == names
    assert_same(model, load_model(tmp_path / "folder"))
    with pytest.raises(FileExistsError, match="remove it first"):
        saving.save_model(model, tmp_path / "folder", zipped=False)
    assert os.listdir(tmp_path) == ["folder"]
    (tmp_path / "folder" / "model.weights.h5").unlink()  # the config is read alone
    config, metadata = read_config(str(tmp_path / "folder"))
    assert config["class_name"] == "Sequential" and "keras_version" in metadata


def test_archive_is_what_keras_writes(tmp_path):
    trained().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert file.testzip() is None
        infos = file.infolist()
        assert [info.filename for info in infos] == [
            "metadata.json",
            "config.json",
            "model.weights.h5",
        ]
        assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
        assert [info.extra for info in infos] == [b""] * 3
        assert infos[0].date_time == infos[1].date_time == (1980, 1, 1, 0, 0, 0)
        config = json.loads(file.read("config.json"))
    assert config["class_name"] == "Sequential" and config["module"] == "keras"
    assert config["compile_config"]["loss"] == "mse"


def test_large_members_get_the_wide_header(tmp_path, monkeypatch):
    from fastnn.saving import archive

    monkeypatch.setattr(archive, "_LIMIT", 1000)
    model = trained()
    model.save(tmp_path / "m.keras")
    monkeypatch.undo()
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert file.testzip() is None
        assert file.infolist()[2].extract_version == 45
    assert_same(model, load_model(tmp_path / "m.keras"))


def test_deflated_archive_and_compressed_datasets(tmp_path):
    model = trained()
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    (tmp_path / "w.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        value = file["layers/dense/vars/0"][()]
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset(
            "0", data=value, compression="gzip", shuffle=True, fletcher32=True
        )
        file["extra/of/someone"] = "text"
    members["model.weights.h5"] = (tmp_path / "w.h5").read_bytes()
    members["assets/notes.txt"] = b"hello"
    with zipfile.ZipFile(tmp_path / "n.keras", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    assert_same(model, load_model(tmp_path / "n.keras"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layers_and_their_paths(case, tmp_path):
    dtype = "int32" if case.classes else "float32"
    inputs = [keras.Input(shape[1:], dtype=dtype) for shape in case.shapes]
    layer = case.make(layers)
    model = keras.Model(inputs, layer(*case.arranged(inputs), **case.options))
    for w in model.weights:
        w.assign(np.random.default_rng(1).uniform(0.5, 1, w.shape).astype(w.dtype))
    again = {}
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"m{ending}")
        again[ending] = load_model(tmp_path / f"m{ending}", compile=False)
        assert_same(model, again[ending], optimizer=False)
    x = [a.astype(dtype) for a in case.inputs(case.rng())]
    for other in again.values():
        # `implementation`, the order in which gates add up, is not in Keras's config.
        rtol = 1e-6 if "implementation" in case.arguments else 0
        pairs = (one.predict(x, verbose=0) for one in (model, other))
        for a, b in zip(*map(fastnn.tree.flatten, pairs), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    model.save_weights(tmp_path / "m.weights.h5")
    # The specification has each layer once, without what these arguments add.
    more = {"renorm", "use_gate", "tie_weights"} & set(case.arguments)
    if case.layer in SPEC["layers"] and not more:
        expected = {k for k in SPEC["layers"][case.layer] if k != "__names__"}
        root = f"layers/{keras_name(case.layer)}"
        with h5py.File(tmp_path / "m.weights.h5") as file:
            found: set[str] = set()
            file[root].visititems(
                lambda name, o: found.add(name) if hasattr(o, "shape") else None
            )
        assert found <= expected


def keras_name(name):
    from fastnn._names import to_snake_case

    return to_snake_case(name)


@pytest.mark.parametrize("name", functional_cases.CASES)
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_functional(name, ending, tmp_path):
    case = functional_cases.CASES[name](keras)
    case.model.compile("adam", **case.compile)
    case.model.fit(case.x, case.y, sample_weight=case.sample_weight, verbose=0)
    case.model.save(tmp_path / f"m{ending}")
    custom = {type(x).__name__: type(x) for x in case.model.layers}
    again = load_model(tmp_path / f"m{ending}", custom)
    expected = functional_cases.flat(case.model.predict(case.x, verbose=0))
    got = functional_cases.flat(again.predict(case.x, verbose=0))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same(case.model, again)


def test_shared_layer_stays_one(tmp_path):
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(3, name="shared")
    model = keras.Model([a, b], ops.concatenate([shared(a), shared(b)], axis=-1))
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert len(again.weights) == 2
    x = [X, X[::-1].copy()]
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), again.predict(x, verbose=0)
    )


# ---- classes of the user's ---------------------------------------------------------


@saving.register_keras_serializable("tests")
class Scale(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.gain = self.add_weight((shape[-1],), "ones", name="gain")

    def call(self, x):
        return x * self.gain * self.factor


@saving.register_keras_serializable("tests")
def huber_fn(y, p):
    return ops.mean(ops.abs(y - p), axis=-1)


class Blocks(keras.Model):
    """Layers in attributes, lists and dicts, and a weight of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.entry = layers.Dense(units)
        self.blocks = [layers.Dense(units), Scale(0.5), layers.Dense(units)]
        self.ends = {"a": layers.Dense(2), "b": [layers.Dense(2)]}
        self.bias = self.add_weight((2,), "ones", name="bias")

    def call(self, x):
        x = self.entry(x)
        for block in self.blocks:
            x = block(x)
        return self.ends["a"](x) + self.ends["b"][0](x) + self.bias

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_subclassed_model_and_its_paths(tmp_path):
    model = Blocks(3)
    model.compile("adam", huber_fn)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras", {"Blocks": Blocks})
    np.testing.assert_array_equal(
        model.predict(X, verbose=0), again.predict(X, verbose=0)
    )
    assert again.loss is huber_fn
    assert again.optimizer.iterations.numpy() == 1
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        for place in (
            *("vars/0", "entry/vars/1", "blocks/dense/vars/0", "blocks/scale/vars/0"),
            *("blocks/dense_1/vars/0", "ends/dense/vars/0"),
            *("ends/container/dense/vars/0", "optimizer/vars/2"),
        ):
            assert place in file
    with pytest.raises(ModelFileError, match="unknown class 'Blocks'"):
        load_model(tmp_path / "m.keras")
    with saving.custom_object_scope({"Blocks": Blocks}):
        assert load_model(tmp_path / "m.keras").units == 3


def grown():
    """A built model of all kinds of names, and its input."""
    model = subclassed_cases.make(fastnn)["Subclassed"]()
    model(X[:2])
    return model


def test_layers_after_the_name_layers_stand_there(tmp_path):
    """As in files of Keras 3.15, one of which is among the golden files."""
    model = grown()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        for name, place in subclassed_cases.PLACES.items():
            kernel = subclassed_cases.found(model, name).kernel
            np.testing.assert_array_equal(file[f"{place}/vars/0"], kernel.numpy())
        assert not {"out", "ups", "stages", "tail", "_hidden"} & file.keys()


@pytest.mark.parametrize("ending", ["weights.h5", "safetensors"])
def test_layers_after_the_name_layers_are_found_under_their_own(
    ending, tmp_path, monkeypatch
):
    """Keras 2.13 to 2.15 wrote `out/vars/0`."""
    model, other = grown(), grown()
    with monkeypatch.context() as patch:
        plain = partial(paths.saveables, properties=False)
        patch.setattr(variables, "saveables", plain)
        model.save_weights(tmp_path / f"m.{ending}")
    if ending == "weights.h5":
        with h5py.File(tmp_path / "m.weights.h5") as file:
            assert "out/vars/0" in file and "layers" not in file
    other.load_weights(tmp_path / f"m.{ending}")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_class_without_config_says_so_and_leaves_the_file(tmp_path):
    class Odd(layers.Layer):
        def __init__(self, thing, **kwargs):
            super().__init__(**kwargs)
            self.thing = thing

        def call(self, x):
            return x

    trained().save(tmp_path / "m.keras")
    before = (tmp_path / "m.keras").read_bytes()
    model = keras.Sequential([keras.Input((4,)), Odd(object())])
    with pytest.raises(NotImplementedError, match="get_config"):
        model.save(tmp_path / "m.keras")
    lossy = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    lossy.compile("sgd", lambda y, p: ops.mean(y - p))
    with pytest.raises(SerializationError, match="lambda"):
        lossy.save(tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


class Counting(layers.Layer):
    """Saves what is no variable."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = 0

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["seen"] = np.array(self.seen)

    def load_own_variables(self, store):
        self.seen = int(store["seen"])


def test_layer_with_its_own_way_to_save(tmp_path):
    model = keras.Sequential([keras.Input((4,)), Counting(name="c")])
    model.get_layer("c").seen = 7
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras", {"Counting": Counting})
    assert again.get_layer("c").seen == 7


# ---- weights -----------------------------------------------------------------------


def test_weights_and_optimizer(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    other = trained()
    other.fit(X, Y, verbose=0)
    other.load_weights(tmp_path / "m.weights.h5")
    assert_same(model, other)
    fresh = trained()
    fresh.compile("adam", "mse")  # an optimizer without slots yet
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert_same(model, fresh)
    model.save(tmp_path / "m.keras")
    other.fit(X, Y, verbose=0)
    other.load_weights(tmp_path / "m.keras")
    assert_same(model, other)


def test_other_optimizer_is_skipped_with_a_warning(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    other = trained(keras.optimizers.SGD(momentum=0.9))
    with pytest.warns(UserWarning, match="has 8 variables, the file has 14"):
        other.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def wider():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, name="last"),
        ]
    )


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "m.h5"])
def test_mismatches_are_all_listed_and_nothing_changes(name, tmp_path):
    model = trained()
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    other = wider()
    before = other.get_weights()
    with pytest.raises(ModelFileError, match=r"'last'.*shape \(5, 3\), the file has"):
        other.load_weights(tmp_path / name)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="'last'"):
        other.load_weights(tmp_path / name, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[-2], before[-2])


def test_by_name(tmp_path):
    model = trained()
    model.save(tmp_path / "m.h5")
    other = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="first"), layers.Dense(7, name="new")]
    )
    new = other.get_layer("new").get_weights()
    other.load_weights(tmp_path / "m.h5", by_name=True)
    for a, b in zip(other.get_weights(), [*model.get_weights()[:2], *new], strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelFileError, match=r"3 layers.*model has 2"):
        other.load_weights(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="by_name"):
        other.load_weights(tmp_path / "m.keras", by_name=True)


def test_many_layers_need_several_attributes(tmp_path):
    names = [f"layer_with_quite_a_long_name_{i:04}_{'x' * 80}" for i in range(700)]
    model = keras.Sequential([keras.Input((1,))])
    for name in names:
        model.add(layers.Activation("relu", name=name))
    model.add(layers.Dense(1, name="last"))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    again = load_model(tmp_path / "m.h5", compile=False)
    assert [layer.name for layer in again.layers] == [*names, "last"]


def test_float64_and_frozen_layers(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="float64")])
    model.layers[0].trainable = False
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert again.weights[0].dtype == "float64"
    assert again.trainable_weights == []
    assert_same(model, again, optimizer=False)


# ---- JSON and mistakes -------------------------------------------------------------


def test_json():
    model = trained()
    again = model_from_json(model.to_json(indent=1))
    assert (
        json.loads(again.to_json())["config"] == json.loads(model.to_json())["config"]
    )
    again.set_weights(model.get_weights())
    assert_same(model, again, optimizer=False)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m, p: m.save(p / "m.txt"), ValueError, "must end with .keras"),
        (lambda m, p: m.save(p / "m.weights.h5"), ValueError, "save_weights"),
        (lambda m, p: m.save(p / "m.keras", foo=1), ValueError, "foo"),
        (lambda m, p: m.save_weights(p / "m.h5"), ValueError, ".weights.h5"),
        (lambda m, p: m.load_weights(p / "m.txt"), ValueError, "must end with"),
        (lambda m, p: m.load_weights(p / "no.keras"), FileNotFoundError, "no such"),
        (lambda m, p: load_model(p / "no.keras"), ModelFileError, "no such file"),
        (lambda m, p: load_model(p / "no.h5"), FileNotFoundError, "no such file"),
        (lambda m, p: m.save(p / "missing" / "m.keras"), FileNotFoundError, "missing"),
    ],
)
def test_mistakes(call, error, text, tmp_path):
    with pytest.raises(error, match=text):
        call(trained(), tmp_path)


def test_model_without_weights(tmp_path):
    model = keras.Sequential([layers.Dense(2)])
    with pytest.raises(NotBuiltError, match="no weights yet"):
        model.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="not built"):
        model.save(tmp_path / "m.keras")
    assert not load_model(tmp_path / "m.keras").built


def test_asks_before_overwriting(tmp_path, monkeypatch):
    model = trained()
    (tmp_path / "m.keras").write_bytes(b"old")
    answers = iter(["what", "n", "y"])
    monkeypatch.setattr("builtins.input", lambda text: next(answers))
    model.save(tmp_path / "m.keras", overwrite=False)
    assert (tmp_path / "m.keras").read_bytes() == b"old"
    model.save(tmp_path / "m.keras", overwrite=False)
    assert_same(model, load_model(tmp_path / "m.keras"))
