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
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from saving_cases import function, pack, refused, with_config

import fastnn
from fastnn import config as settings
from fastnn import layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model, model_from_json
from fastnn.saving.windows import Window

SAVING = Path(fastnn.__file__).parent / "saving"


# ---- the config --------------------------------------------------------------------

LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wAAAAA=", "defaults": None, "closure": None},
}


def layer(class_name, config, module="keras.layers", **more):
    config = {"name": "bad", **config}
    return {"module": module, "class_name": class_name, "config": config, **more}


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
    # It wrote the file that its argument names, when the model was used.
    "a function that writes": (
        layer(
            "Lambda",
            {
                "function": function("keras.visualization", "plot_image_gallery"),
                "arguments": {"path": "/tmp/evil.png"},
            },
        ),
        "unknown function 'plot_image_gallery'",
    ),
    "a metric that writes": (
        layer(
            "MeanMetricWrapper",
            {"fn": function(None, "plot_image_gallery"), "path": "/tmp/evil.png"},
            "keras.metrics",
        ),
        "unknown function 'plot_image_gallery'",
    ),
    "a function in place of a class": (
        layer("clone_model", {}, "keras.models"),
        "unknown class 'clone_model'",
    ),
    "a class in place of a function": (
        layer("Lambda", {"function": function("keras.utils", "Progbar")}),
        "unknown function 'Progbar'",
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


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("name", ["model.weights.h5", "config.json"])
def test_sizes_of_64_bits_that_lie(size, name, members, tmp_path):
    """A checksum of so many bytes, of which none is there, took for ever."""
    path = tmp_path / "bad.keras"
    with zipfile.ZipFile(path, "w") as file:
        for key, data in members.items():
            file.writestr(key, data)
        file.getinfo(name).file_size = file.getinfo(name).compress_size = size
    began = time.perf_counter()
    refused(path, "more than the archive has|no zip archive")
    assert time.perf_counter() - began < 5


def test_a_window_ends_where_its_file_does(tmp_path):
    (tmp_path / "short").write_bytes(b"abc")
    with open(tmp_path / "short", "rb") as file:
        window = Window(file.fileno(), 1, 1 << 62)
        assert window.checksum() == (zlib.crc32(b"bc"), 2)


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
    elif event == "import":
        log.append((event, args[0]))
sys.addaudithook(hook)
try:
    load_model(path)
except ValueError as error:
    print(type(error).__name__)
print("h5py" in sys.modules)
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
    assert lines[-2:] == ["False", "[]"]  # libhdf5 never sees a file
    assert (lines[0] == "ModelFileError") == (name != "sound")


READS = {
    "m.keras": "load_model(path)",
    "m.h5": "load_model(path)",
    "folder": "load_model(path)",
    "w.keras": "model.load_weights(path)",
    "w.weights.h5": "model.load_weights(path)",
    "w.h5": "model.load_weights(path)",
    "w.safetensors": "model.load_weights(path)",
    "w.npz": "model.load_weights(path)",
    "w.weights.json": "model.load_weights(path)",
    "a.safetensors": "load_arrays(path)",
    "a.npz": "load_arrays(path)",
    "editor.weights.h5": "KerasFileEditor(path)",
    "inspect.keras": "describe(path)",
}
EACH = """
import sys, os
from fastnn import _lazy; _lazy.load_everywhere()
import difflib
from fastnn.inspect import describe
from fastnn.models import load_model
from fastnn.saving import KerasFileEditor, load_arrays
model, path, log = load_model(sys.argv[1]), sys.argv[2], []
def read():
    {read}
read()
allowed = [path] if os.path.isfile(path) else []
if not allowed or path.endswith("json"):  # what is in the folder, or listed beside
    beside = path if os.path.isdir(path) else os.path.dirname(path)
    allowed += [os.path.join(beside, name) for name in os.listdir(beside)]
opened, watching = set(), True
def hook(event, args):
    if not watching:
        return
    if event == "open" and not isinstance(args[0], int):
        opened.add(str(args[0]))
    elif event == "import" or event.partition(".")[0] in ("socket", "subprocess"):
        log.append((event, str(args)))
    elif event in ("exec", "compile", "os.system", "os.exec", "os.posix_spawn"):
        log.append((event, str(args)[:200]))
sys.addaudithook(hook)
read()
watching = False
print(sorted(opened - set(allowed)), log, bool(opened))
"""


@pytest.mark.parametrize("name", READS)
def test_reading_any_format_opens_nothing_but_it(name, model, tmp_path):
    sound, path = tmp_path / "sound" / "m.keras", tmp_path / "m" / name
    sound.parent.mkdir(), path.parent.mkdir()
    model.save(sound)
    if name == "folder":
        model.save(path, zipped=False)
    elif name.endswith(".json"):
        model.save_weights(path, max_shard_size=1e-7)
    elif name.endswith(("weights.h5", "safetensors", "npz")):
        model.save_weights(path)
    else:
        model.save(path)
    done = subprocess.run(
        [sys.executable, "-c", EACH.format(read=READS[name]), str(sound), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] [] True"


def test_no_loader_module_can_run_code():
    """None of them names a tool that would."""
    forbidden = ("pickle", "marshal", "yaml", "importlib", "subprocess", "__import__")
    for path in [*SAVING.glob("*.py"), SAVING.parent / "serialization.py"]:
        text = path.read_text()
        for word in forbidden:
            assert f"import {word}" not in text and f"{word}(" not in text, path
        for call in ("eval(", "exec("):
            assert f" {call}" not in text, path


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
