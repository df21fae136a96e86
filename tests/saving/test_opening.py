# SPDX-License-Identifier: Apache-2.0
"""What stands under a name and is no file, and links that lead out of a folder."""

from __future__ import annotations

import os
import shutil
import socket
import threading

import pytest
from saving_cases import assert_same, trained

from fastnn import inspect, saving
from fastnn.errors import ModelFileError
from fastnn.models import load_model

ENDINGS = {
    ".keras": load_model,
    ".h5": load_model,
    ".weights.h5": lambda path: trained().load_weights(path),
    ".weights.json": lambda path: trained().load_weights(path),
    ".safetensors": saving.load_arrays,
    ".npz": saving.load_arrays,
    ".json": lambda path: inspect.describe(str(path)),
    ".onnx": lambda path: _import_onnx(path),
}
every_format = pytest.mark.parametrize("ending", ENDINGS)


def _import_onnx(path):
    pytest.importorskip("onnx")
    from fastnn.onnx import import_model

    return import_model(path)


def refused_at_once(function, path, text):
    """The error, within ten seconds: reading a pipe or device would never end."""
    found = []

    def run():
        try:
            function(path)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert found, f"{function} still reads {path}"
    if isinstance(found[0], pytest.skip.Exception):
        raise found[0]
    assert isinstance(found[0], ModelFileError) and str(path) in str(found[0])
    assert text in str(found[0])


@every_format
def test_a_pipe_is_not_waited_for(ending, tmp_path):
    path = tmp_path / f"m{ending}"
    os.mkfifo(path)
    refused_at_once(ENDINGS[ending], path, "it is a named pipe, not a file")


@every_format
def test_a_device_is_not_read(ending, tmp_path):
    path = tmp_path / f"m{ending}"
    path.symlink_to("/dev/zero")
    refused_at_once(ENDINGS[ending], path, "it is a device, not a file")


@every_format
def test_a_socket_is_named(ending, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets have 108 letters at most
    path = tmp_path / f"m{ending}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
        refused_at_once(ENDINGS[ending], path, "it is a socket, not a file")


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_members_of_a_folder_are_files(name, model, tmp_path):
    model.save(tmp_path / "folder", zipped=False)
    (tmp_path / "folder" / name).unlink()
    os.mkfifo(tmp_path / "folder" / name)
    refused_at_once(load_model, tmp_path / "folder", "it is a named pipe, not a file")


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".weights.h5"])
def test_a_folder_is_no_file(ending, model, tmp_path):
    (tmp_path / f"m{ending}").mkdir()
    with pytest.raises(ModelFileError, match="folder"):
        model.load_weights(tmp_path / f"m{ending}")


def shards(model, folder):
    folder.mkdir(parents=True)
    model.save_weights(folder / "m.weights.json", max_shard_size=300 / 2**30)
    return sorted(folder.glob("*.weights.h5"))


def test_listed_files_that_are_links_out_of_the_folder_are_refused(model, tmp_path):
    first, *_ = shards(model, tmp_path / "set")
    shutil.move(first, tmp_path / "elsewhere.weights.h5")
    first.symlink_to(tmp_path / "elsewhere.weights.h5")
    with pytest.raises(ModelFileError, match="leads out of the folder") as info:
        model.load_weights(tmp_path / "set" / "m.weights.json")
    assert first.name in str(info.value)


def test_listed_files_are_files(model, tmp_path):
    first, *_ = shards(model, tmp_path / "set")
    first.unlink()
    os.mkfifo(first)
    refused_at_once(
        lambda _: model.load_weights(tmp_path / "set" / "m.weights.json"),
        first,
        "it is a named pipe, not a file",
    )


def test_a_cache_that_links_list_and_files_to_one_place_is_read(tmp_path):
    """As download caches do: a folder of links, and one of what they lead to."""
    model, other = trained(), trained()
    files = [*shards(model, tmp_path / "blobs"), tmp_path / "blobs" / "m.weights.json"]
    (tmp_path / "snapshot").mkdir()
    for number, file in enumerate(files):
        shutil.move(file, tmp_path / "blobs" / f"{number}")
        (tmp_path / "snapshot" / file.name).symlink_to(f"../blobs/{number}")
    other.load_weights(tmp_path / "snapshot" / "m.weights.json")
    assert_same(model, other)
    # A link to another folder's list reads what lies beside that list.
    (tmp_path / "link.weights.json").symlink_to(tmp_path / "set" / "m.weights.json")
    shards(model, tmp_path / "set")
    other.load_weights(tmp_path / "link.weights.json")
