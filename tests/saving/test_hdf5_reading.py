# SPDX-License-Identifier: Apache-2.0
"""fastnn's reader of HDF5 finds in files what h5py finds there, or says why not."""

from __future__ import annotations

import os

import h5py
import ml_dtypes
import numpy as np
import pytest

from fastnn.errors import ModelFileError
from fastnn.saving.hdf5 import Hdf5Reader
from fastnn.saving.windows import Window

DTYPES = ("<f2", "<f4", ">f4", "<f8", ">f8", "|i1", "|u1", "<i2", ">i4", "<u4", "<i8")
DTYPES += (">u8", "|b1")
STORAGE = {
    "one piece": {},
    "chunks": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip"},
    "shuffle": {"chunks": True, "shuffle": True},
    "fletcher32": {"chunks": True, "fletcher32": True},
    "all": {"chunks": True, "shuffle": True, "compression": 9, "fletcher32": True},
}


def opened(path):
    handle = os.open(path, os.O_RDONLY)
    return handle, Hdf5Reader(Window(handle, 0, os.path.getsize(path)), path)


def drawn(rng, dtype, shape):
    values = rng.integers(0, 2 if dtype == "|b1" else 100, shape)
    return values.astype(dtype)


def compare(path):
    """All datasets and groups of a file, by both; how many datasets there were."""
    handle, reader = opened(path)
    names, groups = [], [""]
    with h5py.File(path) as file:

        def visit(name, found):
            if isinstance(found, h5py.Group):
                groups.append(name)
                return
            names.append(name)
            stored = reader.datasets[name]
            assert (stored.shape, stored.problem) == (found.shape, ""), name
            got, wanted = stored.read(), found[()]
            assert got.dtype == wanted.dtype, name
            np.testing.assert_array_equal(got, wanted, name)
            other = np.empty_like(got)
            if stored.read_into(other):
                np.testing.assert_array_equal(other, wanted, name)

        file.visititems(visit)
    os.close(handle)
    assert sorted(reader.datasets) == sorted(names)
    assert sorted(reader.groups) == sorted(groups)
    for group in groups:
        below = [n.rpartition("/")[2] for n in names if n.rpartition("/")[0] == group]
        assert sorted(reader.names(group)) == sorted(below)
    return len(names)


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_arrays(storage, libver, tmp_path):
    if libver == "latest" and storage != "one piece":
        pytest.skip("another table of chunks, which test_newer_forms has")
    rng, path = np.random.default_rng(1), tmp_path / "a.h5"
    shapes = [(7,), (3, 5), (33, 17), (2, 3, 4), (1, 1, 1, 9), (0, 3), (300,)]
    with h5py.File(path, "w", libver=libver) as file:
        # More than eight links of a group have another form there.
        used = DTYPES if libver == "earliest" else DTYPES[2:9]
        for dtype in used:
            for number, shape in enumerate(shapes):
                group = file.require_group(f"{dtype[1:]}{ord(dtype[0])}/{number % 2}")
                more = STORAGE[storage] if 0 not in shape else {}
                group.create_dataset(str(number), data=drawn(rng, dtype, shape), **more)
        file["scalar"] = np.float32(2.5)
    assert compare(path) == len(used) * len(shapes) + 1


def test_random_chunks(tmp_path):
    rng, path = np.random.default_rng(2), tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(150):
            shape = tuple(int(n) for n in rng.integers(1, 12, rng.integers(1, 5)))
            chunks = tuple(int(rng.integers(1, n + 1)) for n in shape)
            name = f"g{i % 13}/{i}"
            dtype = str(rng.choice(DTYPES))
            stored = file.create_dataset(name, shape, dtype, chunks=chunks, fillvalue=1)
            if i % 3:  # others are written in part, or not at all
                part = tuple(slice(0, int(rng.integers(1, n + 1))) for n in shape)
                stored[part] = drawn(rng, dtype, stored[part].shape)
    assert compare(path) == 150


def test_many_links_and_deep_groups(tmp_path):
    """Trees of more than one level; names that share a heap."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(1500):
            file[f"wide/name_{i * 7919 % 1500}"] = np.arange(3) + i
        file["/".join(map(str, range(60)))] = 1.5
    assert compare(path) == 1501
    with h5py.File(path, "r+") as file:
        file["again"] = file["wide/name_3"]
    handle, reader = opened(path)
    np.testing.assert_array_equal(reader.datasets["again"].read(), np.arange(3) + 537)
    assert reader.total == 1500 * 3 * 8 + 8  # counted once
    os.close(handle)


def test_unallocated_and_compact(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("zeros", (5,), "f4")
        file.create_dataset("sevens", (5,), "f4", fillvalue=7)
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4,))
        made = h5py.h5d.create(file.id, b"c", h5py.h5t.NATIVE_INT32, space, settings)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(4, dtype="i4"))
    assert compare(path) == 3


def test_bfloat16(tmp_path):
    values = np.arange(6).astype(ml_dtypes.bfloat16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values.view("V2")).attrs["dtype"] = "bfloat16"
        file.create_dataset("y", data=values.view("V2"))
    handle, reader = opened(tmp_path / "a.h5")
    np.testing.assert_array_equal(reader.datasets["x"].read(), values)
    assert "opaque values of 2 bytes" in reader.datasets["y"].problem
    os.close(handle)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_attributes(libver, tmp_path):
    values = {
        "text": "übung",
        "empty": "",
        "bytes": np.bytes_(b"abc"),
        "names": ["a", "bcd", ""],
        "fixed": np.array([b"layer", b"x"]),
        "number": 3.5,
        "whole": np.int64(-7),
        "many": np.arange(5, dtype="u1"),
    }
    wanted = {
        **values,
        "bytes": "abc",
        "fixed": ["layer", "x"],
        "whole": -7,
        "many": [0, 1, 2, 3, 4],
    }
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        for name, value in values.items():
            file.create_group("g").attrs[name] = value if name == "text" else 1
            file.attrs[name] = value
            del file["g"]
        file.create_group("g").attrs["long"] = "x" * 60_000
    handle, reader = opened(tmp_path / "a.h5")
    for name, value in wanted.items():
        assert reader.attribute("", name) == value
    assert reader.attribute("g", "long") == "x" * 60_000
    assert reader.attribute("", "nothing") is None
    os.close(handle)


def test_newer_forms_say_what_to_do(tmp_path):
    def refused(fill):
        with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
            fill(file)
        with pytest.raises(ModelFileError, match="libver='latest'"):
            opened(tmp_path / "a.h5")[1].attribute("", "x9")

    refused(lambda file: file.create_dataset("a", (9,), "f4", chunks=(3,)))
    refused(lambda file: [file.create_group(f"g{i}") for i in range(20)])
    refused(lambda file: [file.attrs.__setitem__(f"x{i}", i) for i in range(20)])


def test_damaged_chunks(tmp_path):
    path = tmp_path / "a.h5"
    for more in ({"fletcher32": True}, {"compression": 1}):
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("a", data=np.arange(64), chunks=(64,), **more)
            place = stored.id.get_chunk_info(0).byte_offset
        data = bytearray(path.read_bytes())
        data[place + 9] ^= 1
        path.write_bytes(data)
        handle, reader = opened(path)
        with pytest.raises(ModelFileError, match="damaged"):
            reader.datasets["a"].read()
        os.close(handle)
