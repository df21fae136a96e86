# SPDX-License-Identifier: Apache-2.0
"""Files made to harm: each attack that Keras had a CVE for, and their relatives.

Every one ends in a ModelFileError that names the file; nothing else happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from saving_cases import trained

import fastnn
from fastnn import config as settings
from fastnn import layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model, model_from_json

SAVING = Path(fastnn.__file__).parent / "saving"


@pytest.fixture
def model():
    return trained()


@pytest.fixture
def members(model, tmp_path):
    """The members of a sound archive, to be changed."""
    model.save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def with_config(members, tmp_path, change):
    config = json.loads(members["config.json"])
    config = change(config) or config
    members = {**members, "config.json": json.dumps(config)}
    return pack(tmp_path / "bad.keras", members)


def with_weights(members, tmp_path, change):
    path = tmp_path / "bad.h5"
    path.write_bytes(members["model.weights.h5"])
    with h5py.File(path, "r+") as file:
        change(file)
    members = {**members, "model.weights.h5": path.read_bytes()}
    return pack(tmp_path / "bad.keras", members)


def refused(path, text=""):
    with pytest.raises(ModelFileError, match=text or None) as info:
        load_model(path)
    assert str(path) in str(info.value)
    return info.value


# ---- the config --------------------------------------------------------------------

LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wAAAAA=", "defaults": None, "closure": None},
}


def layer(class_name, config, module="keras.layers", **more):
    config = {"name": "bad", **config}
    return {"module": module, "class_name": class_name, "config": config, **more}


def function(module, name):
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


GADGETS = {
    # CVE-2024-3660, CVE-2025-9905: bytecode in a Lambda
    "lambda": (layer("Lambda", {"function": LAMBDA}), "code"),
    "lambda of Keras 2": (layer("Lambda", {"function": ["4wAAAA==", None, None]}), ""),
    "lambda as activation": (layer("Dense", {"units": 2, "activation": LAMBDA}), ""),
    # CVE-2025-1550: any module and function
    "os.system": (
        layer("Dense", {"units": 2, "activation": function("os", "system")}),
        "unknown function 'system'",
    ),
    "a class anywhere": (layer("Popen", {"args": "id"}, "subprocess"), "'Popen'"),
    "a class of NumPy": (layer("memmap", {}, "numpy"), "unknown class 'memmap'"),
    "builtins": (layer("eval", {}, "builtins"), "unknown class"),
    # CVE-2025-8747: functions of Keras's own that are no modelling
    "get_file": (
        layer("Lambda", {"function": function("keras.utils", "get_file")}),
        "unknown function 'get_file'",
    ),
    "load_model in a config": (
        layer("Lambda", {"function": function("keras.models", "load_model")}),
        "unknown function 'load_model'",
    ),
    # CVE-2025-9906: the switch turned off from within
    "enable_unsafe_deserialization": (
        layer(
            "Lambda",
            {"function": function("keras.config", "enable_unsafe_deserialization")},
        ),
        "unknown function",
    ),
    # CVE-2025-49655, CVE-2026-1462: a layer that loads another file
    "TorchModuleWrapper": (
        layer("TorchModuleWrapper", {"module": "AAAA"}),
        "unknown class",
    ),
    "TFSMLayer": (layer("TFSMLayer", {"filepath": "/etc/passwd"}), "unknown class"),
    "an array of objects": (
        layer(
            "Rescaling",
            {
                "scale": {
                    "class_name": "__numpy__",
                    "config": {"value": [1], "dtype": "O"},
                }
            },
        ),
        "",
    ),
    "an array of long texts": (
        layer(
            "Rescaling",
            {
                "scale": {
                    "class_name": "__numpy__",
                    "config": {"value": [1], "dtype": "S2000000000"},
                }
            },
        ),
        "",
    ),
    "a weight of terabytes": (layer("Dense", {"units": 10**12}), "the file holds"),
    "a negative weight": (layer("Dense", {"units": -1}), ""),
    "a layer of no class": (layer(7, {}), ""),
    "a config that is none": ({"class_name": "Dense", "config": 7}, ""),
}


@pytest.mark.parametrize("name", GADGETS)
@pytest.mark.parametrize("ending", ["keras", "h5", "json"])
def test_gadgets(name, ending, members, model, tmp_path):
    bad, text = GADGETS[name]

    def change(config):
        config["config"]["layers"].append(bad)

    if ending == "keras":
        refused(with_config(members, tmp_path, change), text)
    elif ending == "h5":  # CVE-2025-9905: the same loader for the older format
        path = tmp_path / "bad.h5"
        model.save(path)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        refused(path, text)
    elif "terabytes" not in name:
        config = json.loads(members["config.json"])
        change(config)
        with pytest.raises(ModelFileError, match=text or None):
            model_from_json(json.dumps(config))


def test_no_switch_turns_the_contract_off(members, tmp_path):
    def change(config):
        config["config"]["layers"].append(GADGETS["lambda"][0])

    path = with_config(members, tmp_path, change)
    with pytest.raises(ModelFileError, match="code"):
        load_model(path, safe_mode=False)
    with contextlib.suppress(Exception):
        settings.enable_unsafe_deserialization()
    with pytest.raises(ModelFileError, match="code"):
        load_model(path, safe_mode=False)
    with pytest.raises(ValueError, match="code"):  # CVE-2026-12481
        layers.Lambda.from_config(GADGETS["lambda"][0]["config"])


def test_all_unknown_objects_are_listed(members, tmp_path):
    def change(config):
        config["config"]["layers"] += [layer("Foo", {}), layer("Bar", {}, "mine")]

    error = refused(with_config(members, tmp_path, change), "2 objects cannot be made")
    assert [place for place, _ in error.failures] == [
        "config.config.layers[5]",
        "config.config.layers[6]",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000 + "]" * 100_000, "256 deep"),
        ('{"a":' * 300 + "1" + "}" * 300, "256 deep"),
        ('{"a": 1, "a": 2}', "twice"),
        ("", "no JSON"),
        ("nope", "no JSON"),
        (b"\xff\xfe", "UTF-8"),
        ("1" * 10_000, "no JSON|no model"),
        ("null", "no model"),
        ("[1, 2]", "no model"),
        ("{}", "no model"),
        ('"' + '\\"' * 50_000, "no JSON"),
    ],
)
def test_json(text, problem, members, tmp_path):
    path = pack(tmp_path / "bad.keras", {**members, "config.json": text})
    refused(path, problem)


def test_huge_json_is_not_parsed(members, tmp_path):
    text = b" " * (65 << 20)
    path = pack(tmp_path / "bad.keras", {**members, "config.json": text})
    refused(path, "at most")


# ---- the archive -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/evil", "a/../../evil", "C:evil", "a\\..\\evil"),
        *("assets/../../evil", "//host/share"),
    ],
)
def test_names_that_lead_out(name, members, tmp_path):
    path = pack(tmp_path / "bad.keras", {**members, name: b"x"})
    refused(path, "leads out")
    assert sorted(os.listdir(tmp_path)) == ["bad.keras", "sound.keras"]


def test_links_in_the_archive(members, tmp_path):
    path = tmp_path / "bad.keras"
    pack(path, {k: v for k, v in members.items() if k != "config.json"})
    info = zipfile.ZipInfo("config.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(info, "/etc/passwd")
    refused(path, "link")


def test_names_that_stand_twice(members, tmp_path):
    path = pack(tmp_path / "bad.keras", members)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as f:
        f.writestr("config.json", members["config.json"])
    refused(path, "twice")


def test_zip_bomb(members, tmp_path):
    path = tmp_path / "bad.keras"
    bomb = {**members, "model.weights.h5": bytes(64 << 20)}
    pack(path, bomb, compression=zipfile.ZIP_DEFLATED)
    refused(path, "more than 100 times")


def test_other_compression(members, tmp_path):
    path = pack(tmp_path / "bad.keras", members, compression=zipfile.ZIP_BZIP2)
    refused(path, "compressed by method")


def test_damage_anywhere_in_the_weights(members, tmp_path):
    sound = pack(tmp_path / "m.keras", members).read_bytes()
    start = sound.index(members["model.weights.h5"])
    for place in (start, start + 1000, start + len(members["model.weights.h5"]) - 1):
        data = bytearray(sound)
        data[place] ^= 1
        (tmp_path / "bad.keras").write_bytes(data)
        refused(tmp_path / "bad.keras", "damaged|checksum")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_truncated_files(share, ending, model, tmp_path):
    path = tmp_path / f"m{ending}"
    (model.save_weights if "weights" in ending else model.save)(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    if "weights" in ending:
        with pytest.raises(ModelFileError):
            model.load_weights(path)
    else:
        refused(path)


def test_missing_members(members, tmp_path):
    for name in ("config.json", "model.weights.h5"):
        rest = {k: v for k, v in members.items() if k != name}
        refused(pack(tmp_path / "bad.keras", rest), f"{name}.*no such member")
    rest = {k: v for k, v in members.items() if k != "metadata.json"}
    load_model(pack(tmp_path / "good.keras", rest))


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


# ---- what loading does beside ------------------------------------------------------

WATCH = """
import sys, fastnn
from fastnn.models import load_model
{before}
path, log = sys.argv[1], []
def hook(event, args):
    if event in ("exec", "compile", "socket.connect", "subprocess.Popen", "os.system"):
        log.append((event, str(args)[:200]))
    elif event == "open" and args[0] != path and not isinstance(args[0], int):
        log.append((event, str(args[0])))
    elif event == "import" and not args[0].startswith(("fastnn.", "h5py.")):
        log.append((event, args[0]))
sys.addaudithook(hook)
try:
    load_model(path)
except ValueError as error:
    print(type(error).__name__)
print(log)
"""


@pytest.mark.parametrize("name", ["sound", "os.system", "TFSMLayer", "lambda"])
def test_loading_opens_imports_and_runs_nothing_else(name, members, tmp_path):
    path = tmp_path / "sound.keras"
    if name != "sound":

        def change(config):
            config["config"]["layers"].append(GADGETS[name][0])

        path = with_config(members, tmp_path, change)
    before = (  # names are loaded on first use, from a table that is fastnn's own
        "import difflib; from fastnn import _lazy; _lazy.load_everywhere()\n"
        f"load_model({str(tmp_path / 'sound.keras')!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", WATCH.format(before=before), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    assert (lines[0] == "ModelFileError") == (name != "sound")


def test_no_loader_module_can_run_code():
    """None of them names a tool that would."""
    forbidden = ("pickle", "marshal", "yaml", "importlib", "subprocess", "__import__")
    for path in [*SAVING.glob("*.py"), SAVING.parent / "serialization.py"]:
        text = path.read_text()
        for word in forbidden:
            assert f"import {word}" not in text and f"{word}(" not in text, path
        for call in ("eval(", "exec("):
            assert f" {call}" not in text, path


# ---- python -m fastnn.inspect ------------------------------------------------------


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
        config["config"]["layers"].append(GADGETS["os.system"][0])

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


def test_random_damage_is_one_kind_of_error(members, tmp_path):
    """Bits flipped in the JSON, the HDF5 structure and the table of the archive."""
    rng = np.random.default_rng(0)
    for name in ("config.json", "model.weights.h5"):
        for _ in range(60):
            data = bytearray(members[name])
            size = len(data) if name == "config.json" else 4096
            for place in rng.integers(0, size, rng.integers(1, 4)):
                data[place] ^= 1 << rng.integers(8)
            path = tmp_path / "bad.keras"
            pack(path, {**members, name: bytes(data)})
            with contextlib.suppress(ModelFileError):
                load_model(path)
    sound = pack(tmp_path / "m.keras", members).read_bytes()
    for _ in range(60):
        data = bytearray(sound)
        for place in rng.integers(len(data) - 300, len(data), 2):
            data[place] ^= 1 << rng.integers(8)
        (tmp_path / "bad.keras").write_bytes(data)
        with contextlib.suppress(ModelFileError):
            load_model(tmp_path / "bad.keras")
