# SPDX-License-Identifier: Apache-2.0
"""IDX and csv readers against files made by hand, damaged and random ones."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from fastnn.datasets import read_csv, read_idx
from fastnn.datasets._errors import DataFileError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def written(folder: Path, data: bytes, name: str = "x-idx") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 2, 3), (0, 28, 28)])
def test_idx_round_trip(tmp_path, shape, code, zipped):
    array = np.arange(np.prod(shape)).reshape(shape).astype(code)
    data = idx_bytes(array)
    read = read_idx(written(tmp_path, gzip.compress(data) if zipped else data))
    assert read.dtype == array.dtype and read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


GOOD = idx_bytes(np.arange(24, dtype="u1").reshape(2, 3, 4))


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_every_truncation_is_an_error(tmp_path, end):
    with pytest.raises(DataFileError, match=r"\[read_idx\]"):
        read_idx(written(tmp_path, GOOD[:end]))


@pytest.mark.parametrize("end", [3, 11, 25, -9, -5, -1])
def test_truncated_gzip_is_an_error(tmp_path, end):
    with pytest.raises(DataFileError, match=r"\[read_idx\]"):
        read_idx(written(tmp_path, gzip.compress(GOOD)[:end]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD + b"\0", "after its data"),
        (b"\0\1" + GOOD[2:], "not an IDX file"),
        (b"\0\0\x07\x01" + GOOD[4:], "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (b"\0\0\x08\0", "header"),
        (b"\0\0\x08\xff" + bytes(4 * 255), "header"),
        (b"\0\0\x08\x04" + b"\xff" * 16 + b"abc", "truncated"),
        (gzip.compress(b"\0\0\x0e\x04" + b"\xff" * 16), "truncated"),
    ],
)
def test_bad_headers_are_named(tmp_path, data, message):
    with pytest.raises(DataFileError, match=message):
        read_idx(written(tmp_path, data))


def test_random_damage_never_escapes(tmp_path):
    """Flipped bytes give an array or a DataFileError, never anything else."""
    draw = random.Random(7)
    zipped = gzip.compress(GOOD)
    outcomes = set()
    for _ in range(400):
        data = bytearray(draw.choice([GOOD, zipped]))
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            outcomes.add(type(read_idx(written(tmp_path, bytes(data)))))
        except DataFileError as error:
            outcomes.add(type(error))
    assert outcomes == {np.ndarray, DataFileError}


@pytest.mark.parametrize("zipped", [False, True])
def test_csv_columns(tmp_path, zipped):
    text = '\ufeffa, b,name\n1,2.5,"x, y"\n-3e2,NA,\n\n4,,z\n'.encode()
    columns = read_csv(written(tmp_path, gzip.compress(text) if zipped else text))
    assert list(columns) == ["a", "b", "name"]
    np.testing.assert_array_equal(columns["a"], [1.0, -300.0, 4.0])
    np.testing.assert_array_equal(columns["b"], [2.5, np.nan, np.nan])
    assert columns["name"].tolist() == ["x, y", "", "z"]


def test_csv_without_rows(tmp_path):
    columns = read_csv(written(tmp_path, b"a,b\n"))
    assert {name: column.shape for name, column in columns.items()} == {
        "a": (0,),
        "b": (0,),
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"a,b,a\n1,2,3\n", r"twice: \['a'\]"),
        (b"a,b\n1,2\n1,2,3\n", "line 3: 3 values"),
        (b"a,b\n1\n", "line 2: 1 values"),
        (b"a\n\xff\xfe\n", "not UTF-8"),
        (gzip.compress(b"a,b\n1,2\n")[:-3], "damaged gzip"),
    ],
)
def test_csv_errors(tmp_path, data, message):
    with pytest.raises(DataFileError, match=message):
        read_csv(written(tmp_path, data))
