# SPDX-License-Identifier: Apache-2.0
"""KerasFileEditor: what it shows, and that what it saves loads into the other model."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from saving_cases import X, trained

from fastnn import keras, layers
from fastnn.errors import ModelFileError
from fastnn.saving import KerasFileEditor


@pytest.fixture(params=["m.keras", "m.weights.h5"])
def editor(request, model, tmp_path):
    path = tmp_path / request.param
    (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return KerasFileEditor(path)


def changed():
    """What `trained` became: another first layer, one more at the end."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(2, name="last"),
            layers.Dense(3, name="new"),
        ]
    )


def test_an_old_file_for_a_changed_model(editor, model, tmp_path, capsys):
    target = changed()
    found = editor.compare(target)
    assert found == {"status": "error", "error_count": 2, "match_count": 8}
    text = capsys.readouterr().out
    assert "Object /layers/dense_2 present in reference model, missing" in text
    assert "Object /optimizer present in saved file, missing" in text
    editor.delete_object("optimizer")
    editor.add_object("layers/dense_2", {"0": np.ones((2, 3)), "1": np.zeros(3)})
    found = editor.compare(target)
    assert found == {"status": "success", "error_count": 0, "match_count": 10}
    editor.save(tmp_path / "new.weights.h5")
    target.load_weights(tmp_path / "new.weights.h5")
    expected = [*model.get_weights(), np.ones((2, 3)), np.zeros(3)]
    for a, b in zip(target.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with h5py.File(tmp_path / "new.weights.h5") as file:
        assert file["layers/dense/vars"].attrs["name"] == "first"


def test_summary(editor, capsys):
    editor.summary()
    text = capsys.readouterr().out.splitlines()
    assert "  ├─ layers" in text
    assert "  │  ├─ dense ('first')" in text
    assert "  │  │  ├─ 0: shape=(4, 5), dtype=float32" in text
    numbers = [line.split()[1] for line in text if "─ " in line][-14:]
    assert numbers == [f"{i}:" for i in range(14)]


def test_each_change(editor):
    editor.rename_object("dense", "first")
    editor.rename_object("layers/dense_1", "last")
    editor.delete_weight("first", "1")
    editor.add_weights("last", {"1": [5.0, 6.0], "2": np.zeros(1)})
    inside = editor.weights_dict["layers"]
    assert set(inside) == {"first", "last", "batch_normalization"}
    assert list(inside["first"]) == ["0"]
    assert inside["last"]["1"].tolist() == [5.0, 6.0] and "2" in inside["last"]


def test_objects_inside_of_objects(tmp_path):
    """Keras's own editor drops them: gates of recurrent layers, nested models."""
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model = keras.Sequential([keras.Input((5, 4)), layers.LSTM(3), inner])
    model.save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(str(tmp_path / "m.weights.h5"))
    assert editor.compare(model)["match_count"] == len(model.weights)
    editor.resave_weights(tmp_path / "n.weights.h5")
    before = model.get_weights()
    model.set_weights([np.zeros_like(value) for value in before])
    model.load_weights(tmp_path / "n.weights.h5")
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda e: e.rename_object("none", "x"), "'none' is not in the file"),
        (lambda e: e.rename_object("dense", "a/b"), "no path"),
        (lambda e: e.delete_object("0"), "more than once"),
        (lambda e: e.delete_object("layers/none"), "'layers/none' is not in"),
        (lambda e: e.delete_object("layers/dense/0/x"), "is not in the file"),
        (lambda e: e.add_object("none/dense", {}), "'none' is not in the file"),
        (lambda e: e.add_object("dense", [1]), "must be a dict"),
        (lambda e: e.delete_weight("dense", "9"), r"no weight '9', but \['0', '1'\]"),
        (lambda e: e.add_weights("dense", 3), "must be a dict"),
        (lambda e: e.save("m.h5"), r"must end with \.weights\.h5"),
        (lambda e: KerasFileEditor("m.h5"), r"must end with \.keras or"),
    ],
)
def test_mistakes(call, text, editor):
    with pytest.raises(ValueError, match=text):
        call(editor)


def test_hostile_and_missing_files(tmp_path):
    with h5py.File(tmp_path / "bad.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ModelFileError, match="leads elsewhere"):
        KerasFileEditor(tmp_path / "bad.weights.h5")
    with pytest.raises(FileNotFoundError):
        KerasFileEditor(tmp_path / "none.keras")


def test_predictions_after_an_edit(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    editor.add_weights("layers/dense_1", {"1": np.array([7.0, 8.0], "float32")})
    editor.save(tmp_path / "m.weights.h5")
    before = model.predict(X, verbose=0) - model.get_layer("last").get_weights()[1]
    model.load_weights(tmp_path / "m.weights.h5")
    after = model.predict(X, verbose=0)
    np.testing.assert_allclose(after, before + [7.0, 8.0], rtol=1e-5)
