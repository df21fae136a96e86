# SPDX-License-Identifier: Apache-2.0
"""`python -m fastnn.inspect`: every format, whole, in part and damaged."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from saving_cases import trained

from fastnn.inspect import describe, main
from fastnn.saving.formats import save_arrays

FORMATS = {
    "m.keras": lambda model, path: model.save(path),
    "m.h5": lambda model, path: model.save(path),
    "folder": lambda model, path: model.save(path, zipped=False),
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "m.safetensors": lambda model, path: model.save_weights(path),
    "m.npz": lambda model, path: model.save_weights(path),
    "m.weights.json": lambda model, path: model.save_weights(path, max_shard_size=1),
    "m.json": lambda model, path: path.write_text(model.to_json()),
    "m.onnx": lambda model, path: model.export(path, format="onnx", verbose=False),
}
WHOLE = ("m.keras", "m.h5", "folder", "m.json")


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture
def file(request, model, tmp_path):
    if request.param.endswith("onnx"):
        pytest.importorskip("onnx")
    path = tmp_path / request.param
    FORMATS[request.param](model, path)
    return path


@pytest.mark.parametrize("file", FORMATS, indirect=True)
def test_every_format(file, model, capsys):
    found = describe(str(file))
    names = [row["name"] for row in found["layers"]]
    if file.name in WHOLE:
        assert [n for n in names if n in ("first", "norm", "drop", "last")] == [
            *("first", "norm", "drop", "last")
        ]
        assert found["unknown"] == []
    if file.name != "m.json":
        shapes = [tuple(row["shape"]) for row in found["variables"]]
        assert all(w.shape in shapes for w in model.weights[:2])
    assert found["problems"] == []
    assert main([str(file)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(str(file))
    assert main(["--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found))


@pytest.mark.parametrize("file", ["m.onnx"], indirect=True)
def test_onnx(file):
    found = describe(str(file))
    assert list(found["metadata"]["inputs"].values()) == ["float32 (batch, 4)"]
    assert "Gemm" in {row["class"] for row in found["layers"]}


@pytest.mark.parametrize("file", ["folder"], indirect=True)
def test_a_folder_in_part(file, capsys):
    (file / "model.weights.h5").unlink()
    found = describe(str(file))
    assert found["problems"] == ["the folder has no model.weights.h5"]
    assert found["variables"] == [] and found["layers"]
    assert main([str(file)]) == 0
    assert "has no model.weights.h5" in capsys.readouterr().out
    (file / "config.json").unlink()
    assert main([str(file)]) == 1
    assert "config.json: the folder has no such file" in capsys.readouterr().err


def test_what_cannot_be_read_is_named(tmp_path, capsys):
    save_arrays({"a": [1.0, 2.0]}, tmp_path / "a.npz")
    assert describe(str(tmp_path / "a.npz"))["variables"][0]["shape"] == [2]
    for name in ("e.keras", "e.h5", "e.npz", "e.safetensors", "e.json", "e.txt"):
        (tmp_path / name).write_bytes(b"")
        assert main([str(tmp_path / name)]) == 1
        assert name in capsys.readouterr().err
    assert main([str(tmp_path / "absent.keras")]) == 1
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("file", [n for n in FORMATS if n != "folder"], indirect=True)
def test_damaged_files_end_with_a_message(file, capsys):
    """0 for what can still be read, 1 with one line for what cannot; nothing else."""
    whole, draw, codes = file.read_bytes(), random.Random(4), []
    for number in range(120):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 3, 9))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        cut = draw.randrange(len(data)) if number % 4 == 0 else len(data)
        file.write_bytes(data[:cut])
        codes.append(main([str(file)]))
        told = capsys.readouterr()
        assert bool(told.err) == bool(codes[-1])
    assert set(codes) <= {0, 1} and 1 in codes


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path):
    save_arrays({f"{i}": [1.0] for i in range(20_000)}, tmp_path / "a.npz")
    done = subprocess.run(
        f"{sys.executable} -m fastnn.inspect {tmp_path / 'a.npz'} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'a.npz'}\n" and done.stderr == ""
