# SPDX-License-Identifier: Apache-2.0
"""npz files: an archive of arrays, each with a line of text that describes it.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. NumPy
evaluates that line as Python and can be told to unpickle; here it is matched against
the one form that arrays of numbers have. bfloat16, which the format does not know, is
`V2` there, as NumPy writes it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from fastnn.errors import SerializationError
from fastnn.saving import atomic, limits
from fastnn.saving.archive import ArchiveReader, ArchiveWriter
from fastnn.saving.reader import FlatReader, Stored, sound_shape
from fastnn.saving.safetensors import plain_bytes
from fastnn.saving.windows import CHUNK

_MAGIC = b"\x93NUMPY"
_END = ".npy"
_HEADER = re.compile(
    r"\{'descr': '([<>|=][biufcmMOSUV]\d{0,2})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,19}, ?)*(?:\d{1,19})?)\),? *\} *\n?"
)


# ---- reading -----------------------------------------------------------------------


class _Array(Stored):
    _reader: NpzReader

    def __init__(self, reader: NpzReader, name: str) -> None:
        super().__init__(reader, name.removesuffix(_END))
        self._name = name
        self._fortran = False
        self._skip = 0
        self._declared(name)

    def _declared(self, name: str) -> None:
        reader = self._reader
        with reader.archive.open(name) as file:
            head = file.read(10)
            long = head[6:7] != b"\x01"
            head += file.read(2) if long else b""
            size = int.from_bytes(head[8:], "little")
            if head[:6] != _MAGIC or len(head) < 10 or size > limits.NPY_HEADER:
                raise reader.fail("no array of NumPy.", name)
            text = file.read(size).decode("latin-1")
        match = _HEADER.fullmatch(text)
        if match is None:
            raise reader.fail(f"it holds no plain numbers: {text[:120]!r}.", name)
        descr, fortran, axes = match.groups()
        dtype = np.dtype(descr)
        self.dtype = np.dtype(ml_dtypes.bfloat16) if descr[1:] == "V2" else dtype
        if self.dtype.kind not in "biuf" and self.dtype != ml_dtypes.bfloat16:
            self.problem = f"it holds {dtype}, no numbers."
        shape = [int(axis) for axis in axes.split(",") if axis.strip()]
        if not sound_shape(shape, dtype.itemsize):
            raise reader.fail(f"{shape} is no shape.", name)
        self.shape, self._fortran = tuple(shape), fortran == "True"
        self._skip = len(head) + size
        there = reader.archive.members[name].file_size - self._skip
        if self.nbytes != there and not self.problem:
            raise reader.fail(
                f"{dtype} of shape {self.shape} are {self.nbytes} bytes, {there} are "
                "there.",
                name,
            )

    def read_into(self, array: np.ndarray) -> bool:
        if self._fortran or not self.fits(array):
            return False
        self._fill(memoryview(array.reshape(-1).view(np.uint8).data))
        return True

    def _read(self) -> np.ndarray:
        array = self._new()
        self._fill(memoryview(array.reshape(-1).view(np.uint8).data))
        if self._fortran:
            array = array.reshape(self.shape[::-1]).transpose()
        native = array.dtype.newbyteorder("=")
        return np.ascontiguousarray(array, native).reshape(self.shape)

    def _fill(self, view: memoryview) -> None:
        with self._reader.archive.open(self._name) as file:
            file.read(self._skip)
            for place in range(0, len(view), CHUNK):
                wanted = view[place : place + CHUNK]
                done = 0
                while done < len(wanted):
                    count = file.readinto(wanted[done:])
                    if not count:
                        raise EOFError("the data ends early")
                    done += count
            file.read(1)  # the end, where the checksum is compared


class NpzReader(FlatReader):
    """The arrays of an npz file, compressed or not, whose headers have been checked.

    Args:
        handle: the open file; stays the caller's.
        path: of the file, for messages.

    Raises:
        ModelFileError: for archives that `ArchiveReader` refuses, members that are no
            arrays, objects to unpickle, and shapes that the data does not have.
    """

    def __init__(self, handle: int, path: str) -> None:
        super().__init__(path)
        self.archive = ArchiveReader(path, handle, limits.NPZ_RATIO)
        try:
            self.size = os.fstat(handle).st_size
            self._check()
            self._index([_Array(self, name) for name in self.archive.members])
        except BaseException:
            self.archive.close()
            raise

    def _check(self) -> None:
        strange = [name for name in self.archive.members if not name.endswith(_END)]
        if strange:
            raise self.fail("no array: an npz file holds .npy only.", strange[0])

    def close(self) -> None:
        self.archive.close()


# ---- writing -----------------------------------------------------------------------


def write(path: str, arrays: Mapping[str, np.ndarray], metadata: Any = None) -> None:
    """Writes an npz file in place of what is there, whole or not at all.

    Args:
        path: of the file.
        arrays: name -> array.
        metadata: not kept, the format has no place for it.

    Raises:
        SerializationError: for dtypes that the format does not have.
    """
    del metadata
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" and array.dtype != ml_dtypes.bfloat16:
            raise SerializationError(
                f"[npz] {name!r} of dtype {array.dtype} cannot be written; the format "
                "has NumPy's numbers, and bfloat16."
            )
    with atomic.replacing(path) as temporary:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            archive = ArchiveWriter(handle)
            for name, array in arrays.items():
                archive.add(name + _END, _header(array), plain_bytes(array))
            archive.finish()
        finally:
            os.close(handle)


def _header(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    descr = array.dtype.newbyteorder("<").str
    form = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, form)
    return file.getvalue()
