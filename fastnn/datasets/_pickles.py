# SPDX-License-Identifier: Apache-2.0
"""Pickles of published data sets: NumPy arrays in lists and dicts, and nothing else.

A pickle may call any function that it names. This reader knows three names, those that
arrays need, so a changed file cannot run code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastnn.datasets._errors import DataFileError

_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAYS and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_pickle(origin: object, stream: IO[bytes], encoding: str = "ASCII") -> Any:
    """What a pickle holds.

    Raises:
        DataFileError: it is damaged, or asks for anything but arrays.
    """
    try:
        return _Unpickler(stream, encoding=encoding).load()
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
    ) as error:
        raise DataFileError(
            f"[datasets] {origin} is damaged, or not what it should be: {error}"
        ) from error


def read_object_npz(path: Path, names: tuple[str, ...]) -> list[np.ndarray]:
    """The named arrays of an .npz file, which may be arrays of lists.

    Raises:
        DataFileError: not an archive, a name is missing, or a member is damaged.
    """
    if not zipfile.is_zipfile(path):
        raise DataFileError(f"[datasets] {path} is not an .npz file.")
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            there = archive.namelist()
            for name in names:
                if f"{name}.npy" not in there:
                    raise DataFileError(
                        f"[datasets] {path} lacks {name}; it has {', '.join(there)}."
                    )
                found.append(_read_member(path, archive.read(f"{name}.npy")))
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise DataFileError(f"[datasets] {path} is damaged: {error}") from error
    return found


def _read_member(path: Path, data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        # Version 3 differs from 2 in the text of the header only.
        read = np.lib.format.read_array_header_2_0
        if version[0] == 1:
            read = np.lib.format.read_array_header_1_0
        _, _, dtype = read(stream)
        if not dtype.hasobject:
            stream.seek(0)
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except ValueError as error:
        raise DataFileError(f"[datasets] {path} is damaged: {error}") from error
    return np.asarray(read_pickle(path, stream))
