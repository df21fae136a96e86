# SPDX-License-Identifier: Apache-2.0
"""A test for each hole that the loaders of Keras have had, under its name.

Attacks on configs go through every way in which a config is read, and each of them must
end in an error before anything of the file has run, been imported or been opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import sys
import tarfile
import tracemalloc
import zipfile
from typing import ClassVar

import h5py
import numpy as np
import pytest
from saving_cases import function, pack, refused, with_config, with_weights

from fastnn import _lazy, keras, layers, models
from fastnn import config as settings
from fastnn._registry import suggest
from fastnn.datasets._errors import DataFileError
from fastnn.datasets._npz import read_npz
from fastnn.datasets._pickles import read_object_npz, read_pickle
from fastnn.errors import ModelFileError
from fastnn.inspect import describe
from fastnn.models import clone_model, load_model, model_from_json
from fastnn.saving import assets
from fastnn.utils import get_file
from fastnn.utils.files import UnsafeArchiveError, extract_archive

KERNEL = "layers/dense/vars/0"
CODE = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None}}
EVENTS = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "exec",
    "marshal.",
    "pickle",
)

_hook: dict[str, list] = {"seen": None}


def _audit(event, args):
    seen = _hook["seen"]
    if seen is None:
        return
    opened = event == "open" and isinstance(args[0], (str, bytes, os.PathLike))
    if event.startswith(EVENTS) or opened:
        seen.append((event, str(args[0])))
    elif event == "import" and not args[0].startswith("fastnn."):
        seen.append((event, args[0]))


@pytest.fixture(scope="module", autouse=True)
def _watched():
    _lazy.load_everywhere()  # fastnn's own modules, and what finds near names
    suggest("Dens", ["Dense"])
    sys.addaudithook(_audit)  # for good: hooks cannot be taken back


@pytest.fixture
def alone():
    """Calls a function that must do nothing but read one file."""

    def call(function, *paths):
        _hook["seen"] = seen = []
        try:
            return function()
        finally:
            _hook["seen"] = None
            allowed = {("open", str(path)) for path in paths}
            assert [event for event in seen if event not in allowed] == []

    return call


def layer(name, config, module="keras.layers"):
    return {"module": module, "class_name": name, "config": {"name": "bad", **config}}


@pytest.fixture
def attack(members, model, tmp_path, alone):
    """Puts a layer into a model's config, and reads it in every way."""

    def run(bad, text=None):
        def change(config):
            config["config"]["layers"].append(bad)

        path = with_config(members, tmp_path, change)
        alone(lambda: refused(path, text), path)
        with pytest.raises(ModelFileError, match=text):
            load_model(path, safe_mode=False)
        old = tmp_path / "bad.h5"
        model.save(old)
        with h5py.File(old, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        alone(lambda: refused(old, text), old)
        config = json.loads(members["config.json"])
        change(config)
        with pytest.raises(ModelFileError, match=text):
            model_from_json(json.dumps(config))
        for read in (layers.deserialize, keras.saving.deserialize_keras_object):
            with pytest.raises((ValueError, TypeError)):
                alone(lambda read=read: read(bad))

    return run


def test_cve_2021_37678(members, tmp_path):
    """model_from_yaml loaded YAML that makes objects."""
    text = b"!!python/object/apply:os.system ['touch /tmp/x']"
    assert not hasattr(models, "model_from_yaml")
    assert not hasattr(keras.models, "model_from_yaml")
    refused(pack(tmp_path / "bad.keras", {**members, "config.json": text}), "no JSON")


def test_cve_2024_3660(attack):
    """Bytecode in a Lambda ran."""
    attack(layer("Lambda", {"function": CODE}), "code")
    attack(layer("Lambda", {"function": ["4wAAAA==", None, None]}), "code")
    attack(layer("Dense", {"units": 1, "activation": CODE}), "code")


def _tar(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            data = b"x" if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


FILE, SOFT, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def _not_taken_apart(tmp_path, *members):
    place = tmp_path / "deep" / "place"
    with pytest.raises(UnsafeArchiveError):
        extract_archive(_tar(tmp_path / "bad.tar", *members), place)
    assert not place.exists() and not (tmp_path / "evil").exists()
    assert not (tmp_path / "deep" / "evil").exists()


def test_cve_2024_55459(tmp_path):
    """get_file wrote outside of its folder: members named so."""
    for name in ("../evil", "../../evil", "a/../../evil", str(tmp_path / "evil")):
        _not_taken_apart(tmp_path, ("good", FILE, ""), (name, FILE, ""))


def test_cve_2025_1550(attack):
    """A config named any module and function, which was imported and called."""
    attack(
        layer("Dense", {"units": 1, "activation": function("os", "system")}),
        "unknown function 'system'",
    )
    attack(layer("Popen", {"args": "id"}, "subprocess"), "unknown class 'Popen'")
    attack(layer("run", {}, "this_module.does_not_exist"), "unknown class 'run'")


def test_cve_2025_8747(attack):
    """Functions of Keras itself that are no parts of models."""
    for module, name in (
        *(("keras.utils", "get_file"), ("keras.src.utils.file_utils", "get_file")),
        *(("keras.models", "load_model"), ("keras.saving", "load_model")),
        ("keras.utils", "extract_archive"),
    ):
        attack(
            layer("Lambda", {"function": function(module, name)}), "unknown function"
        )


def test_cve_2025_9906(attack):
    """A config turned the switch off before the rest of it was read."""
    name = "enable_unsafe_deserialization"
    attack(
        layer("Lambda", {"function": function("keras.config", name)}),
        "unknown function",
    )
    attack(layer(name, {}, "keras.config"), "unknown class")
    with pytest.warns(UserWarning, match="has no effect"):
        settings.enable_unsafe_deserialization()
    attack(layer("Lambda", {"function": CODE}), "code")


def test_cve_2025_9905(model, tmp_path):
    """safe_mode did not count for .h5."""
    model.save(tmp_path / "m.h5")
    for mode in (True, False):
        with h5py.File(tmp_path / "m.h5", "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"].append(layer("Lambda", {"function": CODE}))
            file.attrs["model_config"] = json.dumps(config)
        with pytest.raises(ModelFileError, match="code"):
            load_model(tmp_path / "m.h5", safe_mode=mode)


def test_cve_2025_49655(attack):
    """TorchModuleWrapper gave bytes of the config to torch.load."""
    attack(layer("TorchModuleWrapper", {"module": "gASVAAAA"}), "unknown class")


def test_cve_2025_12058(attack, tmp_path):
    """A vocabulary was a path, opened on load: local files, other hosts."""
    for place in ("/etc/passwd", "http://localhost:9/x", str(tmp_path)):
        for name in ("StringLookup", "TextVectorization", "IntegerLookup"):
            attack(layer(name, {"vocabulary": place}))


def test_cve_2025_12060(tmp_path):
    """A symbolic link in an archive, and a file through it."""
    _not_taken_apart(tmp_path, ("link", SOFT, ".."), ("link/evil", FILE, ""))
    _not_taken_apart(tmp_path, ("link", SOFT, str(tmp_path)), ("link/evil", FILE, ""))


def test_cve_2025_12638(tmp_path):
    """The same by a chain of links whose names are long."""
    chain = [("a" * 200, SOFT, "."), (f"{'a' * 200}/b", SOFT, "..")]
    _not_taken_apart(tmp_path, *chain, ("b/../../evil", FILE, ""))


def test_cve_2026_0897(members, model, tmp_path):
    """A dataset declared terabytes, which were asked for before a look at the model."""

    def bomb(file):
        del file[KERNEL]
        shape = (1 << 20, 1 << 20)
        file.create_dataset(KERNEL, shape, "f4", chunks=(1 << 9, 1 << 9), compression=1)

    path = with_weights(members, tmp_path, bomb)
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes((tmp_path / "bad.h5").read_bytes())
    tracemalloc.start()
    refused(path, "shape")
    with pytest.raises(ModelFileError, match="shape"):
        model.load_weights(weights, skip_mismatch=False)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_cve_2026_1669(members, tmp_path, alone):
    """Links and arrays of an HDF5 file lay in other files."""

    def virtual(file):
        layout = h5py.VirtualLayout((4, 5), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 5))
        file.create_virtual_dataset(KERNEL, layout)

    attacks = {
        "link": lambda f: f.__setitem__(KERNEL, h5py.ExternalLink("/etc/passwd", "/x")),
        "soft": lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/etc")),
        "data": lambda f: f.create_dataset(
            KERNEL, (4, 5), "f4", external=[("/etc/passwd", 0, 80)]
        ),
        "virtual": virtual,
    }
    for change in attacks.values():

        def run(file, change=change):
            del file[KERNEL]
            change(file)

        path = with_weights(members, tmp_path, run)
        alone(lambda path=path: refused(path, "elsewhere|other file"), path)


def test_cve_2026_1462(attack, tmp_path):
    """TFSMLayer loaded a SavedModel from any place."""
    attack(layer("TFSMLayer", {"filepath": str(tmp_path)}), "unknown class")


def test_cve_2026_12481(alone):
    """Lambda.from_config outside of a scope took an unset switch for off."""
    bad = layer("Lambda", {"function": CODE})
    for read in (
        lambda: layers.Lambda.from_config(bad["config"]),
        lambda: layers.deserialize(bad),
        lambda: keras.saving.deserialize_keras_object(bad, safe_mode=False),
        lambda: keras.Sequential.from_config({"name": "s", "layers": [bad]}),
    ):
        with pytest.raises(ValueError, match="code"):
            alone(read)
    model = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1)])
    with pytest.raises((ValueError, TypeError)):
        model.to_json()  # no code is written either
    try:
        copy = clone_model(model)  # takes the function itself, or refuses
    except (ValueError, TypeError):
        return
    np.testing.assert_array_equal(copy(np.ones((1, 2))), [[2, 2]])


# ---- reports without a CVE, listed in keras#23055 ----------------------------------


def test_ghsa_hqp4_2352_xf5r(tmp_path, monkeypatch):
    """Places were compared with the current folder in place of the target's."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    _not_taken_apart(tmp_path, ("../cwd/evil", FILE, ""))
    assert os.listdir(tmp_path / "cwd") == []


def test_keras_22973_hard_links(tmp_path):
    (tmp_path / "secret").write_text("s")
    _not_taken_apart(tmp_path, ("link", HARD, "../../secret"))
    _not_taken_apart(tmp_path, ("link", HARD, str(tmp_path / "secret")))


def test_keras_23010_zip_bombs(members, tmp_path):
    bomb = {**members, "config.json": b" " * (64 << 20)}
    path = pack(tmp_path / "bad.keras", bomb, compression=zipfile.ZIP_DEFLATED)
    refused(path, "more than 100 times|at most")


def test_keras_23016_npz_bombs(members, model, tmp_path):
    """A weights member that is no HDF5, whose header declares terabytes."""
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(file, header)
    rest = {k: v for k, v in members.items() if k != "model.weights.h5"}
    bad = {**rest, "model.weights.npz": file.getvalue()}
    refused(pack(tmp_path / "bad.keras", bad), "no such member")
    refused(
        pack(tmp_path / "bad.keras", {**members, "model.weights.h5": file.getvalue()}),
        "no HDF5 file",
    )


def test_keras_23017_asset_paths(members, tmp_path):
    for name in ("assets/../../evil", "assets//etc/evil", "assets/../config.json"):
        path = pack(tmp_path / "bad.keras", {**members, name: b"x"})
        with contextlib.suppress(ModelFileError):
            load_model(path)
        assert not (tmp_path / "evil").exists()


def test_keras_23115_more_functions(attack):
    for module, name in (
        *(("keras.utils", "set_random_seed"), ("keras.config", "set_floatx")),
        *(("keras.utils", "save_img"), ("keras.utils", "load_img")),
        *(("keras.utils", "image_dataset_from_directory"), ("keras.ops", "fori_loop")),
        *(("keras.ops", "vectorize"), ("keras.ops", "custom_gradient")),
        ("numpy", "fromfile"),
    ):
        attack(
            layer("Dense", {"units": 1, "activation": function(module, name)}),
            "unknown function",
        )


def test_keras_23330_names_from_addresses(tmp_path, monkeypatch):
    """The name of a download was a part of its address, folders and all."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "data").write_bytes(b"x")
    for name in ("../evil", "/evil", "a/../../evil", ".."):
        with pytest.raises(ValueError, match="name"):
            get_file(name, (tmp_path / "data").as_uri(), file_hash="0" * 64)
    with pytest.raises(ValueError, match="name"):
        get_file(origin="https://localhost:9/..", file_hash="0" * 64)
    assert not (tmp_path / "evil").exists() and not (tmp_path / "home/evil").exists()


def test_keras_23015_links_in_the_target(tmp_path):
    """A link that stood in the target led members of the archive out of it."""
    outside, place = tmp_path / "outside", tmp_path / "place"
    for folder in (outside, place):
        folder.mkdir()
    (outside / "kept").write_text("k")
    (place / "link").symlink_to(outside)
    archive = _tar(tmp_path / "a.tar", ("link/evil", FILE, ""))
    extract_archive(archive, place)
    assert os.listdir(outside) == ["kept"]
    assert not (place / "link").is_symlink()  # the target is another folder now
    # Nor is what a target points to taken for the target.
    (tmp_path / "points").symlink_to(outside)
    with contextlib.suppress(OSError):
        extract_archive(archive, tmp_path / "points")
    assert os.listdir(outside) == ["kept"]


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_keras_23026_pickles_in_data_sets(tmp_path, monkeypatch):
    """Data sets were read by pickle, which calls what it names."""
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(_Evil())
    pickle.loads(data)
    assert (tmp_path / "evil").exists()  # as everything else reads it
    (tmp_path / "evil").rmdir()
    with pytest.raises(DataFileError, match="mkdir"):
        read_pickle("batch", io.BytesIO(data), "bytes")
    header = io.BytesIO()
    described = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(header, described)
    path = pack(tmp_path / "imdb.npz", {"x.npy": header.getvalue() + data})
    with pytest.raises(DataFileError, match="mkdir"):
        read_object_npz(path, ("x",))
    with pytest.raises(DataFileError):
        read_npz(path, ("x",))
    assert not (tmp_path / "evil").exists()


@contextlib.contextmanager
def _small_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@keras.saving.register_keras_serializable("cves")
class WithAssets(layers.Layer):
    """Reads the files beside its weights."""

    read: ClassVar[list[str]] = []

    def call(self, x):
        return x

    def save_assets(self, folder):
        pass

    def load_assets(self, folder):
        self.read.append(folder)


def test_keras_23101_bombs_among_assets(tmp_path, monkeypatch):
    """Members beside the known ones were written to the disk, however large."""
    keras.Sequential([keras.Input((2,)), WithAssets()]).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    place = "assets/layers/with_assets/"
    for name in (f"{place}bomb.txt", "assets/bomb", "elsewhere/bomb", "bomb"):
        bomb = {**members, f"{place}a": b"a", name: bytes(64 << 20)}
        path = pack(tmp_path / "b.keras", bomb, compression=zipfile.ZIP_DEFLATED)
        del bomb
        with _small_memory(), monkeypatch.context() as patch:
            patch.setattr(assets.tempfile, "TemporaryDirectory", None)  # not called
            refused(path, "more than 100 times")
        assert not WithAssets.read
    path = pack(tmp_path / "sound.keras", {**members, f"{place}a": b"a"})
    load_model(path)
    assert len(WithAssets.read) == 1  # it is read when nothing is wrong


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_keras_23303_bombs_in_the_editor(name, members, tmp_path, capsys):
    """KerasFileEditor, and `inspect`, read members of any size into memory."""
    bomb = {**members, name: members[name] + b" " * (64 << 20)}
    path = pack(tmp_path / "b.keras", bomb, compression=zipfile.ZIP_DEFLATED)
    del bomb
    for read in (keras.saving.KerasFileEditor, describe, load_model):
        with _small_memory(), pytest.raises(ModelFileError, match="more than 100"):
            read(str(path))


# ---- none is left out --------------------------------------------------------------

# The rows of the list of holes (reliability.md 4.1), and the reports beside them.
CVES = """2021-37678 2024-3660 2024-55459 2025-1550 2025-8747 2025-9906 2025-9905
2025-49655 2025-12058 2025-12060 2025-12638 2026-0897 2026-1669 2026-1462
2026-12481""".split()
REPORTS = "22973 23010 23015 23016 23017 23026 23101 23115 23303 23330".split()


def test_every_hole_has_a_test():
    wanted = [f"test_cve_{number.replace('-', '_')}" for number in CVES]
    wanted += [f"test_keras_{number}" for number in REPORTS]
    wanted += ["test_ghsa_hqp4_2352_xf5r"]
    there = [name for name, value in globals().items() if callable(value)]
    for name in wanted:
        tests = [t for t in there if t == name or t.startswith(f"{name}_")]
        assert tests, name
