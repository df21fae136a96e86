# SPDX-License-Identifier: Apache-2.0
"""Files that Keras 2.15 and 3.0 to 3.15 wrote, with what those versions predicted.

tools/record_keras_files.py makes them. The training oracle is the step that the writing
version itself took from the state in the file.
"""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path

import numpy as np
import pytest
import subclassed_cases

import fastnn
from fastnn import inspect, layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(
    path.name[len("keras-") : -len(".tar.xz")] for path in GOLDEN.iterdir()
)
ENDINGS = ("keras", "h5", "weights.h5")


@functools.cache
def names(version):
    with tarfile.open(GOLDEN / f"keras-{version}.tar.xz") as file:
        return sorted(set(file.getnames()) - {"expected.npz"})


FILES = [(version, name) for version in VERSIONS for name in names(version)]
files = pytest.mark.parametrize(("version", "name"), FILES)
READABLE = [(version, name) for version, name in FILES if name != "operators.h5"]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    def unpack(version):
        folder = tmp_path_factory.getbasetemp() / f"keras-{version}"
        if not folder.exists():
            folder.mkdir()
            with tarfile.open(GOLDEN / f"keras-{version}.tar.xz") as archive:
                for name in archive.getnames():  # all lie in one folder
                    (folder / name).write_bytes(archive.extractfile(name).read())
        return folder

    return unpack


class Scale(layers.Layer):
    """The class of the recording script."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.gain = self.add_weight((shape[-1],), "ones", name="gain")

    def call(self, x):
        return x * self.gain * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def half(x):
    return x * 0.5


OWN = {"Scale": Scale, "half": half, **subclassed_cases.make(fastnn)}


def expected(folder, model):
    with np.load(folder / "expected.npz") as file:
        found: dict[str, list[np.ndarray]] = {}
        for key in file.files:
            owner, kind, _ = key.split("/")
            if owner == model:
                found.setdefault(kind, []).append(file[key])
    return found


def one(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def assert_predicts(model, x, values):
    got = model.predict(x, verbose=0)
    got = got if isinstance(got, list) else [got]
    for a, b in zip(got, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("version", "name"), READABLE)
def test_predictions_and_further_training(version, name, unpacked):
    folder, (stem, _, ending) = unpacked(version), name.partition(".")
    values = expected(folder, stem)
    x = one(values["x"])
    if ending == "weights.h5" or name == "subclassed.h5":  # whose model is not built
        model = load_model(folder / f"{stem}.keras", OWN)
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        model.load_weights(folder / name)
    else:
        model = load_model(folder / name, OWN)
    assert_predicts(model, x, values["out"])
    model.fit(x, one(values["y"]), batch_size=8, shuffle=False, verbose=0)
    assert_predicts(model, x, values["after"])


@files
def test_what_is_unknown_is_listed(version, name, unpacked):
    path = unpacked(version) / name
    found = inspect.describe(str(path))
    assert found["variables"]
    if not name.startswith("custom") or name.endswith("weights.h5"):
        # Ops among layers: Keras itself cannot read its .h5 files with them.
        counts = {"operators.h5": 3, "subclassed.keras": 1, "subclassed.h5": 1}
        assert len(found["unknown"]) == counts.get(name, 0)
        return
    layers = found["config"]["config"]["layers"]
    places = [
        f"config.config.layers[{i}]" + (".config.activation" if kind == "Dense" else "")
        for i, kind in enumerate(layer["class_name"] for layer in layers)
        if kind == "Scale" or layers[i]["config"]["name"] == "halved"
    ]
    with pytest.raises(ModelFileError, match="2 objects cannot be made") as info:
        load_model(path)
    assert [place for place, _ in info.value.failures] == places
    with pytest.raises(ModelFileError, match="1 objects cannot be made") as info:
        load_model(path, {"half": half})
    assert [place for place, _ in info.value.failures] == places[1:]


def test_the_recorded_files_are_all_there():
    assert len(VERSIONS) >= 7 and len(FILES) >= 115
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 300_000
