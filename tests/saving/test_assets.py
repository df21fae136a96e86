# SPDX-License-Identifier: Apache-2.0
"""Layers that keep files of their own: `save_assets` and `load_assets`."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
from saving_cases import X, pack

from fastnn import keras, layers, saving
from fastnn.errors import ModelFileError
from fastnn.models import load_model


@saving.register_keras_serializable("tests_assets")
class Words(layers.Layer):
    """Keeps a list of words in a file."""

    def __init__(self, words=(), **kwargs):
        super().__init__(**kwargs)
        self.words = list(words)

    def call(self, x):
        return x

    def get_config(self):
        config = super().get_config()
        config.pop("words", None)
        return config

    def save_assets(self, folder):
        path = os.path.join(folder, "words.txt")
        with open(path, "w") as file:
            file.write("\n".join(self.words))

    def load_assets(self, folder):
        self.seen = sorted(os.listdir(folder))
        with open(os.path.join(folder, "words.txt")) as file:
            self.words = file.read().split("\n")


def model_with(*words):
    inner = keras.Sequential([keras.Input((4,)), Words(words[:1])], name="inner")
    return keras.Sequential(
        [keras.Input((4,)), Words(words, name="w"), inner, layers.Dense(2)]
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_assets(zipped, tmp_path):
    model = model_with("a", "b", "ü")
    path = tmp_path / ("m.keras" if zipped else "folder")
    model.save(path, zipped=zipped)
    again = load_model(path)
    assert again.get_layer("w").words == ["a", "b", "ü"]
    assert again.get_layer("w").seen == ["words.txt"]
    assert again.get_layer("inner").layers[-1].words == ["a"]
    np.testing.assert_array_equal(
        again.predict(X, verbose=0), model.predict(X, verbose=0)
    )
    assert os.listdir(tmp_path) == [path.name]


def test_members_are_those_of_keras(tmp_path):
    model_with("a").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert file.testzip() is None
        assert file.namelist()[3:] == [
            "assets/layers/sequential/layers/words/words.txt",
            "assets/layers/words/words.txt",
        ]
        assert file.read("assets/layers/words/words.txt") == b"a"


def test_an_archive_without_them(tmp_path):
    model_with("a").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()[:3]}
    again = load_model(pack(tmp_path / "n.keras", members))
    assert again.get_layer("w").words == []


def test_what_a_layer_cannot_read_is_listed(tmp_path):
    model_with("a").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["assets/layers/words/more.txt"] = b""
    members["assets/layers/words/words.txt"] = b"\xff"
    with pytest.raises(ModelFileError, match=r"1 objects.*\n.*'w'.*UnicodeDecode"):
        load_model(pack(tmp_path / "n.keras", members))
    assert sorted(os.listdir(tmp_path)) == ["m.keras", "n.keras"]


def test_assets_that_are_much_larger_than_the_file(tmp_path):
    """Deflated to a hundredth, they would fill the disk and whoever reads them."""
    model_with("a").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["assets/layers/words/words.txt"] = b"".join(
        bytes([i % 251]) * 97 for i in range(200_000)
    )
    path = pack(tmp_path / "n.keras", members, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match=r"deflated assets of|more than 100 times"):
        load_model(path)


def test_a_file_that_would_be_a_folder(tmp_path):
    model_with("a").save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["assets/layers/words/words.txt/x"] = b""
    with pytest.raises(ModelFileError):
        load_model(pack(tmp_path / "n.keras", members))


def test_export_names_what_there_is(model, tmp_path):
    for name in ("tf_saved_model", "litert", "nope"):
        with pytest.raises(ValueError, match=r"(?s)\"onnx\" is.*model\.save"):
            model.export(tmp_path / "m", format=name)
    assert os.listdir(tmp_path) == []
