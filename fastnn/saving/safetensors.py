# SPDX-License-Identifier: Apache-2.0
"""safetensors files: a JSON table of arrays, then their bytes.

Format: https://huggingface.co/docs/safetensors, u64 length of the table, the table,
data without gaps. Own code, because the table must be checked as docs/saving.md says,
and because arrays are read to where they stay, or mapped.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from fastnn.errors import SerializationError
from fastnn.saving import atomic, limits
from fastnn.saving.reader import FlatReader, Stored, sound_shape
from fastnn.saving.windows import read_into, write_all

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_BY_NAME = {code: np.dtype(kind).newbyteorder("<") for code, kind in _DTYPES.items()}
_CODES = {dtype: code for code, dtype in _BY_NAME.items()}
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}


# ---- reading -----------------------------------------------------------------------


class _Array(Stored):
    """An array that lies in the file as it lies in memory."""

    _reader: SafetensorsReader

    def __init__(self, reader: SafetensorsReader, path: str, entry: Any) -> None:
        super().__init__(reader, path)
        if not isinstance(entry, dict) or entry.keys() != _FIELDS:
            raise reader.fail(f"it must have {', '.join(sorted(_FIELDS))}.", path)
        code, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not (isinstance(place, list) and len(place) == 2 and sound_shape(place, 1)):
            raise reader.fail(f"data_offsets {str(place)[:80]} are none.", path)
        self.begin, self.end = place
        self.dtype = _BY_NAME.get(code) if isinstance(code, str) else None
        if not sound_shape(shape, 1 if self.dtype is None else self.dtype.itemsize):
            raise reader.fail(f"{str(shape)[:80]} is no shape.", path)
        self.shape = tuple(shape)
        if self.dtype is None:
            self.problem = f"dtype {str(code)[:20]} is not read here."
        elif self.nbytes != self.end - self.begin:
            raise reader.fail(
                f"{code} of shape {self.shape} are {self.nbytes} bytes, data_offsets "
                f"give it {self.end - self.begin}.",
                path,
            )

    def read_into(self, array: np.ndarray) -> bool:
        if not self.fits(array):
            return False
        if array.nbytes:
            view = memoryview(array.reshape(-1).view(np.uint8).data)
            start = self._reader.start + self.begin
            if read_into(self._reader.handle, view, start) != array.nbytes:
                raise self._reader.fail("the file ends before its data.", self.path)
        return True

    def _read(self) -> np.ndarray:
        array = self._new()
        self.read_into(array)
        return array


class SafetensorsReader(FlatReader):
    """The table of a safetensors file, which has been checked.

    Args:
        handle: the open file; stays the caller's.
        path: of the file, for messages.

    Raises:
        ModelFileError: for a table that is too long, or arrays that overlap, leave
            gaps, leave the file, or have other sizes than their shapes and dtypes say.
    """

    def __init__(self, handle: int, path: object) -> None:
        super().__init__(path)
        self.handle = handle
        self.size = size = os.fstat(handle).st_size
        first = bytearray(8)
        read_into(handle, memoryview(first), 0)
        length = int.from_bytes(first, "little")
        if size < 8 or length > size - 8:
            raise self.fail("no safetensors file: its table would be longer than it.")
        if length > limits.SAFETENSORS_TABLE:
            raise self.fail(
                f"a table of {length} bytes, at most {limits.SAFETENSORS_TABLE} are "
                "read."
            )
        self.start = 8 + length
        text = bytearray(length)
        read_into(handle, memoryview(text), 8)
        if text[:1] != b"{":
            raise self.fail("no safetensors file: its table must begin with {.")
        table = limits.parse_json(bytes(text), path, "header", size)
        notes = table.pop(_METADATA, {})
        if not isinstance(notes, dict) or not all(
            isinstance(note, str) for note in notes.values()
        ):
            raise self.fail("texts only may stand there.", _METADATA)
        self.metadata = notes
        arrays = [_Array(self, name, entry) for name, entry in table.items()]
        self._check_places(arrays, size - self.start)
        self._index(arrays)

    def _check_places(self, arrays: list[_Array], size: int) -> None:
        end = 0
        for array in sorted(arrays, key=lambda array: (array.begin, array.end)):
            if array.begin != end or array.end < end:
                raise self.fail(
                    f"it begins at byte {array.begin} and ends at {array.end}; the "
                    f"array before it ends at {end}.",
                    array.path,
                )
            end = array.end
        if end != size:
            raise self.fail(f"its arrays are {end} bytes, {size} follow the table.")

    def mapped(self) -> dict[str, np.ndarray]:
        """The arrays in the memory of the file itself: nothing is read yet.

        They may be written to; the file does not change then.
        """
        if not self.total:
            return {name: stored.read() for name, stored in self.datasets.items()}
        memory = mmap.mmap(self.handle, 0, access=mmap.ACCESS_COPY)
        found: dict[str, np.ndarray] = {}
        for name, stored in self.datasets.items():
            assert isinstance(stored, _Array)
            place = self.start + stored.begin
            dtype = stored.dtype
            if dtype is None or place % dtype.alignment or not stored.nbytes:
                found[name] = stored.read()
                continue
            count = stored.nbytes // dtype.itemsize
            flat = np.frombuffer(memory, dtype, count, place)
            found[name] = flat.reshape(stored.shape)
        return found


# ---- writing -----------------------------------------------------------------------


def write(
    path: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes a safetensors file in place of what is there, whole or not at all.

    Args:
        path: of the file.
        arrays: name -> array.
        metadata: name -> text.

    Raises:
        SerializationError: for dtypes that the format does not have.
    """
    # Wide numbers first, as the reference does: then all are aligned.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    table: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        array = arrays[name]
        code = _CODES.get(array.dtype.newbyteorder("<"))
        if code is None or name == _METADATA:
            raise SerializationError(
                f"[safetensors] {name!r} of dtype {array.dtype} cannot be written; "
                f"the format has {', '.join(_CODES.values())}."
            )
        begin, end = end, end + array.nbytes
        shape = list(array.shape)
        table[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic.replacing(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            write_all(handle, len(text).to_bytes(8, "little") + text, 0)
            place = 8 + len(text)
            for name in names:
                data = plain_bytes(arrays[name])
                write_all(handle, data, place)
                place += len(data)
        finally:
            os.close(handle)


def plain_bytes(array: np.ndarray) -> memoryview:
    """The bytes of an array, lowest first; without a copy where they lie so."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return memoryview(array.reshape(-1).view(np.uint8).data)
