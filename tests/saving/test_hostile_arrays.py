# SPDX-License-Identifier: Apache-2.0
"""safetensors, npz and lists of files made to harm: one table, one kind of error."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from saving_cases import trained

from fastnn import saving
from fastnn.errors import ModelFileError


def table(entries, data=b"", pad=0):
    """A safetensors file of a table, as text or plain data, and bytes."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) + pad).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), begin=0, end=8, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


EIGHT = bytes(8)
SAFETENSORS = {
    "empty": (b"", "longer than it"),
    "length without a table": (b"\x08" + bytes(7), "longer than it"),
    "table past the end": (table({}, pad=1), "longer than it"),
    "length of 2**63": ((1 << 63).to_bytes(8, "little") + b"{}", "longer than it"),
    "huge table": (table(b"{" + b" " * (9 << 20) + b"}"), "at most"),
    "no JSON": (table(b"{nope}"), "no JSON"),
    "a list": (table([1]), "begin with"),
    "text before the table": (table(b" {}"), "begin with"),
    "deep": (table(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"), "deep"),
    "a name twice": (table(b'{"a":1,"a":2}'), "twice"),
    "no entry": (table({"a": 7}), "it must have"),
    "field missing": (table({"a": {"dtype": "F32", "shape": [0]}}), "it must have"),
    "field too many": (table({"a": entry(x=1)}, EIGHT), "it must have"),
    "metadata that are none": (table({"__metadata__": {"a": 1}}), "texts only"),
    "metadata as a list": (table({"__metadata__": []}), "texts only"),
    "overlap": (
        table({"a": entry(), "b": entry(shape=(1,), begin=4, end=8)}, EIGHT),
        "ends at 8",
    ),
    "the same bytes twice": (table({"a": entry(), "b": entry()}, EIGHT), "ends at 8"),
    "gap": (table({"a": entry(begin=8, end=16)}, bytes(16)), "begins at byte 8"),
    "end before begin": (table({"a": entry(begin=8, end=0)}, EIGHT), "give it -8"),
    "bytes after the arrays": (table({"a": entry()}, bytes(9)), "9 follow"),
    "arrays past the end": (table({"a": entry()}, bytes(7)), "7 follow"),
    "shape too large": (table({"a": entry(shape=(3,))}, EIGHT), "12 bytes"),
    "shape of terabytes": (table({"a": entry(shape=(1 << 40,))}, EIGHT), "give it 8"),
    "shape that wraps round": (
        table({"a": entry(shape=(1 << 33, 1 << 31, 2))}, EIGHT),
        "no shape",
    ),
    "nothing times 2**70": (
        table({"a": entry(shape=(0, 1 << 70), end=0)}, b""),
        "no shape",
    ),
    "negative axis": (table({"a": entry(shape=(-2, -1))}, EIGHT), "no shape"),
    "axis that is true": (table({"a": entry(shape=(True, 2))}, EIGHT), "no shape"),
    "axis of 0.5": (table({"a": entry(shape=(0.5, 4))}, EIGHT), "no shape"),
    "axis that is text": (table({"a": entry(shape=("2",))}, EIGHT), "no shape"),
    "65 axes": (table({"a": entry(shape=(1,) * 65)}, EIGHT), "no shape"),
    "negative offsets": (table({"a": entry(begin=-8, end=0)}, EIGHT), "are none"),
    "one offset": (
        table({"a": {**entry(), "data_offsets": [0]}}, EIGHT),
        "are none",
    ),
    "offsets of 10**400": (table({"a": entry(begin=0, end=10**400)}, EIGHT), ""),
    "dtype of no one": (table({"a": entry("F31")}, EIGHT), "not read here"),
    "dtype that is a list": (table({"a": entry(["F32"])}, EIGHT), "not read here"),
}


def npy(descr="'<f4'", shape="(2,)", data=EIGHT, order="False", tail=", }", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}{tail}"
    text = text.encode("latin-1")
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def npz(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def pickled():
    file = io.BytesIO()
    np.savez(file, a=np.array([{"code": print}], dtype=object))
    return file.getvalue()


def damaged():
    data = bytearray(npz({"a.npy": npy()}))
    data[data.index(EIGHT) + 3] ^= 1
    return bytes(data)


NPZ = {
    "empty": (b"", "no zip archive"),
    "no archive": (b"PK\x03\x04" + bytes(100), "no zip archive"),
    "pickled objects": (pickled(), "no numbers"),
    "objects": (npz({"a.npy": npy("'|O'")}), "no numbers"),
    "a name that leads out": (npz({"../a.npy": npy()}), "leads out"),
    "an absolute name": (npz({"/a.npy": npy()}), "leads out"),
    "another file": (npz({"a.npy": npy(), "run.py": b"print()"}), "holds .npy only"),
    "no array": (npz({"a.npy": b"hello"}), "no array of NumPy"),
    "an expression": (npz({"a.npy": npy("__import__('os').system('id')")}), "plain"),
    "a call in the shape": (npz({"a.npy": npy(shape="(print(),)")}), "plain"),
    "a structure": (npz({"a.npy": npy("[('a', '<f4')]")}), "plain"),
    "texts": (npz({"a.npy": npy("'<U1'")}), "no numbers"),
    "complex numbers": (npz({"a.npy": npy("'<c8'", "(1,)")}), "no numbers"),
    "too few numbers": (npz({"a.npy": npy(shape="(3,)")}), "8 are there"),
    "terabytes": (npz({"a.npy": npy(shape="(1099511627776,)")}), "8 are there"),
    "wraps round": (npz({"a.npy": npy(shape="(8589934592, 8589934592)")}), "no shape"),
    "65 axes": (npz({"a.npy": npy(shape=f"({'1, ' * 65})")}), "no shape"),
    "negative axis": (npz({"a.npy": npy(shape="(-2,)")}), "plain"),
    "long header": (npz({"a.npy": npy(tail=", }" + " " * 20_000)}), "no array"),
    "damage": (damaged(), "CRC"),
    "other compression": (npz({"a.npy": npy()}, zipfile.ZIP_LZMA), "compressed by"),
    "bomb": (
        npz(
            {
                f"{i}.npy": npy(shape="(4194304,)", data=bytes(1 << 24))
                for i in range(8)
            },
            zipfile.ZIP_DEFLATED,
        ),
        "claim to hold",
    ),
}


@pytest.mark.parametrize(
    ("ending", "data", "text"),
    [
        pytest.param(ending, *case, id=f"{ending}-{name}")
        for ending, cases in ((".safetensors", SAFETENSORS), (".npz", NPZ))
        for name, case in cases.items()
    ],
)
def test_refused(ending, data, text, tmp_path):
    path = tmp_path / f"bad{ending}"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=text or None) as info:
            saving.load_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data) + (64 << 20)
    finally:
        tracemalloc.stop()
    assert str(path) in str(info.value)
    with pytest.raises(ModelFileError):
        trained().load_weights(path)


def listing(weight_map, **more):
    return {"metadata": {"total_size": 1}, "weight_map": weight_map, **more}


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ("nope", "no JSON"),
        ([], "no weight_map"),
        ({}, "no weight_map"),
        ({"weight_map": []}, "no weight_map"),
        (listing({"/vars": "../m_00000.weights.h5"}), "no name of a weights file"),
        (listing({"/vars": "/etc/x.weights.h5"}), "no name of a weights file"),
        (listing({"/vars": "sub/m.weights.h5"}), "no name of a weights file"),
        (listing({"/vars": "..\\m.weights.h5"}), "no name of a weights file"),
        (listing({"/vars": "/etc/passwd"}), "no name of a weights file"),
        (listing({"/vars": "a\0.weights.h5"}), "no name of a weights file"),
        (listing({"/vars": 7}), "no name of a weights file"),
        (listing({"/vars": [["m_00000.weights.h5"]]}), "no name of a weights file"),
        (listing({"/vars": "missing.weights.h5"}), "cannot be opened"),
        (listing({f"/{i}": f"{i}.weights.h5" for i in range(501)}), "at most 500"),
        (listing({"/vars": ["m_00000.weights.h5", "copy.weights.h5"]}), "two files"),
        (listing({"/vars": "text.weights.h5"}), "no HDF5 file"),
        (listing({}), "could not be loaded"),
    ],
)
def test_lists_of_files(index, text, tmp_path):
    model = trained()
    path = tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=1)
    first = (tmp_path / "m_00000.weights.h5").read_bytes()
    (tmp_path / "copy.weights.h5").write_bytes(first)
    (tmp_path / "text.weights.h5").write_text("text")
    path.write_text(index if isinstance(index, str) else json.dumps(index))
    with pytest.raises(ModelFileError, match=text) as info:
        model.load_weights(path)
    assert str(tmp_path) in str(info.value)


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_random_damage_is_one_kind_of_error(ending, tmp_path):
    """Bits flipped anywhere; what still loads has the shapes of what was saved."""
    rng = np.random.default_rng(0)
    given = {"a": np.ones((3, 4), "float32"), "b/c": np.arange(5)}
    path = tmp_path / f"m{ending}"
    saving.save_arrays(given, path)
    sound = path.read_bytes()
    refused = 0
    for _ in range(300):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            found = saving.load_arrays(path)
        except ModelFileError:
            refused += 1
        else:
            sizes = sorted(value.nbytes for value in found.values())
            assert sizes == sorted(value.nbytes for value in given.values())
    assert refused > 50
