# SPDX-License-Identifier: Apache-2.0
"""HDF5 files made to harm, and what `python -m fastnn.inspect` shows of files."""

from __future__ import annotations

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from saving_cases import refused, with_config, with_weights

from fastnn.errors import ModelFileError

# ---- HDF5 --------------------------------------------------------------------------

KERNEL = "layers/dense/vars/0"


def replaced(**options):
    def change(file):
        shape = file[KERNEL].shape
        del file[KERNEL]
        given = {"shape": shape, "dtype": "f4", **options}
        if "data" in given:
            given.pop("shape")
        file.create_dataset(KERNEL, **given)

    return change


def external_link(file):
    file["layers/other"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/dense/vars/1")


def virtual(file):
    layout = h5py.VirtualLayout((4, 5), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 5))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def cycle(file):
    file["layers/dense/again"] = file["layers"]


def foreign_filter(file):
    del file[KERNEL]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4, 5))
    plist.set_filter(h5py.h5z.FILTER_SZIP + 32000, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((4, 5))
    parent = file["layers/dense/vars"].id
    h5py.h5d.create(parent, b"0", h5py.h5t.NATIVE_FLOAT, space, plist)


def texts(file):
    del file[KERNEL]
    file[KERNEL] = ["a", "b"]


def a_group(file):
    del file[KERNEL]
    file.create_group(KERNEL)


HDF5 = {
    # CVE-2026-1669: links and data in other files
    "external link": (external_link, "leads elsewhere"),
    "soft link": (soft_link, "leads elsewhere"),
    "external data": (
        replaced(external=[("/etc/passwd", 0, 80)]),
        "another file",
    ),
    "virtual dataset": (virtual, "other files"),
    "cycle": (cycle, "two places"),
    # CVE-2026-0897: a shape without data
    "shape bomb": (
        replaced(shape=(1 << 20, 1 << 20), chunks=(1024, 1024), compression="gzip"),
        "shape",
    ),
    "unallocated": (replaced(shape=(1 << 30,)), "of which the file holds"),
    "other shape": (replaced(shape=(5, 4)), r"shape \(4, 5\), the file has \(5, 4\)"),
    "other dtype": (replaced(dtype="i4"), "dtype float32, the file has int32"),
    "complex": (replaced(dtype="c8"), "no numbers"),
    "texts": (texts, "no numbers"),
    "filter": (foreign_filter, "filter"),
    "missing variable": (lambda file: file.__delitem__(KERNEL), "1 variables"),
    "group": (a_group, "1 variables"),
    "missing layer": (lambda file: file.__delitem__("layers/dense"), "0 variables"),
}


@pytest.mark.parametrize("name", HDF5)
def test_hdf5(name, members, model, tmp_path):
    change, text = HDF5[name]
    path = with_weights(members, tmp_path, change)
    refused(path, text)
    before = model.get_weights()
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes((tmp_path / "bad.h5").read_bytes())
    with pytest.raises(ModelFileError, match=text):
        model.load_weights(weights)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_legacy_lists_that_lie(model, tmp_path):
    path = tmp_path / "m.h5"
    model.save(path)
    for name, value in (
        ("layer_names", np.array([b"first", b"../../x"])),
        ("layer_names", np.array([b"nothing"])),
        ("layer_names", 3.5),
    ):
        with h5py.File(path, "r+") as file:
            file["model_weights"].attrs[name] = value
        refused(path)


def test_attribute_bomb(model, tmp_path):
    """A list of texts that are all one long one, of which the file has one copy."""
    path = tmp_path / "m.h5"
    model.save(path)
    long = "x" * (1 << 20)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [long, *["y"] * 200]
    data = path.read_bytes()
    # Each text is (length, place of its heap, index): make all the first one.
    with h5py.File(path) as file:
        assert len(file["model_weights"].attrs["layer_names"]) == 201
    size, one = len(long).to_bytes(4, "little"), (1).to_bytes(4, "little")
    first = data.index(size)
    while data[first + 16 : first + 20] != one or data[first + 32 : first + 36] != one:
        first = data.index(size, first + 1)
    entry = data[first : first + 16]
    data = data[:first] + entry * 201 + data[first + 16 * 201 :]
    path.write_bytes(data)
    refused(path, "bytes")


# ---- python -m fastnn.inspect ------------------------------------------------------


UNKNOWN = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {
        "name": "bad",
        "units": 2,
        "activation": {
            "module": "os",
            "class_name": "function",
            "config": "system",
            "registered_name": "system",
        },
    },
}


def inspected(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastnn.inspect", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_inspect(members, model, tmp_path):
    done = inspected(tmp_path / "sound.keras")
    assert done.returncode == 0, done.stderr
    assert "first (Dense)" in done.stdout
    assert "layers/dense/vars/0" in done.stdout and "(4, 5)" in done.stdout

    def change(config):
        config["config"]["layers"].append(UNKNOWN)

    path = with_config(members, tmp_path, change)
    done = inspected("--json", path)
    assert done.returncode == 0
    assert "unknown function 'system'" in json.loads(done.stdout)["unknown"][0][1]
    model.save(tmp_path / "m.h5")
    assert "last (Dense)" in inspected(tmp_path / "m.h5").stdout
    bad = with_weights(members, tmp_path, external_link)
    done = inspected(bad)
    assert done.returncode == 1 and "leads elsewhere" in done.stderr
    assert inspected().returncode == 2
