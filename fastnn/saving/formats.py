# SPDX-License-Identifier: Apache-2.0
"""Which formats hold arrays, by the endings of their names: one table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fastnn.errors import ModelFileError
from fastnn.saving import atomic, npz, safetensors, sharded
from fastnn.saving.archive import WEIGHTS, ArchiveReader
from fastnn.saving.hdf5 import Hdf5Reader
from fastnn.saving.limits import reading
from fastnn.saving.opening import open_file
from fastnn.saving.reader import Reader
from fastnn.saving.variables import flat_variables, plain_array, write_variables
from fastnn.saving.windows import Window, new_hdf5

_Path = str | os.PathLike[str]
_Writer = Callable[[str, Mapping[str, np.ndarray], Mapping[str, str]], None]


class Format(NamedTuple):
    """A format of files that hold arrays by name, and nothing else."""

    ending: str
    reader: Callable[[int, str], Reader]
    write: _Writer


FLAT = (
    Format(".safetensors", safetensors.SafetensorsReader, safetensors.write),
    Format(".npz", npz.NpzReader, npz.write),
)
# Weights of models; `.keras` and `.h5`, which hold more, are read too.
WEIGHTS_ENDINGS = (".weights.h5", sharded.ENDING, *(kind.ending for kind in FLAT))


def format_of(path: str) -> Format | None:
    """The format of arrays that a path names."""
    return next((kind for kind in FLAT if path.endswith(kind.ending)), None)


@contextmanager
def opened(path: str) -> Iterator[int]:
    """The file's descriptor.

    Raises:
        FileNotFoundError, PermissionError: when there is none.
        ModelFileError: for pipes, devices and folders.
    """
    handle = open_file(path)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def weights_of(path: str) -> Iterator[Reader]:
    """The variables in a file of any format, or in the folder of an archive."""
    if os.path.isdir(path):
        folder, path = path, os.path.join(path, WEIGHTS)
        if not os.path.exists(path):
            raise ModelFileError(folder, "the folder has no such file.", WEIGHTS)
    with opened(path) as handle, weights_in(handle, path) as reader:
        yield reader


@contextmanager
def weights_in(handle: int, path: str) -> Iterator[Reader]:
    """The same of a file that is open, and was replaced under its name perhaps."""
    kind = format_of(path)
    make = kind.reader if kind else None
    size = os.fstat(handle).st_size
    if path.endswith(sharded.ENDING):
        make = sharded.ShardedReader
    if make is not None:
        with make(handle, path) as reader:
            yield reader
    elif os.pread(handle, 2, 0) == b"PK":
        with ArchiveReader(path, handle) as archive:
            window = archive.window(WEIGHTS)
            with window, Hdf5Reader(window, path, WEIGHTS, size) as reader:
                yield reader
    else:
        with Hdf5Reader(Window(handle, 0, size), path) as reader:
            yield reader


def write_weights(
    model: Any, path: str, max_shard_size: float | None = None, skip: Any = ()
) -> None:
    """Writes the variables of a model in the format that `path` names."""
    kind = format_of(path)
    if kind is not None:
        kind.write(path, *flat_variables(model, skip))
    elif path.endswith(".json") or max_shard_size is not None:
        sharded.write(model, path, max_shard_size, skip)
    else:
        new_hdf5(path, lambda file: write_variables(model, file, skip))


# ---- arrays without a model --------------------------------------------------------


def save_arrays(
    arrays: Mapping[str, Any],
    filepath: _Path,
    overwrite: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Saves arrays by name, for programs that know no models.

    The file appears whole or not at all, as files of models do.

    Args:
        arrays: name -> array, tensor or variable.
        filepath: ends with `.safetensors` or `.npz`.
        overwrite: False asks before an existing file is replaced.
        metadata: name -> text, kept by safetensors only.

    Raises:
        ValueError: for other endings, and dtypes that the format does not have.
    """
    path = os.fspath(filepath)
    kind = _required(path, "save_arrays")
    plain = {str(name): plain_array(value) for name, value in arrays.items()}
    if atomic.ask(path, overwrite):
        kind.write(path, plain, metadata or {})


def load_arrays(filepath: _Path) -> dict[str, np.ndarray]:
    """Loads the arrays of a file by name.

    Those of a safetensors file are the memory of the file itself: nothing is read
    before it is used, and what is written to them does not reach the file. The file
    must not be shortened while they are in use; replacing it, as all saves here do,
    is no harm.

    Args:
        filepath: ends with `.safetensors` or `.npz`, whoever wrote it.

    Returns:
        name -> array.

    Raises:
        ModelFileError: for files that do not keep the contract of docs/saving.md,
            such as arrays much larger than the compressed file.
        ValueError: for other endings.
    """
    path = os.fspath(filepath)
    kind = _required(path, "load_arrays")
    with reading(path), opened(path) as handle, kind.reader(handle, path) as reader:
        if isinstance(reader, safetensors.SafetensorsReader):
            return reader.mapped()
        reader.require_stored()
        return {name: stored.read() for name, stored in reader.datasets.items()}


def _required(path: str, where: str) -> Format:
    kind = format_of(path)
    if kind is None:
        known = " or ".join(kind.ending for kind in FLAT)
        raise ValueError(
            f"[{where}] the path must end with {known}, received {path!r}."
        )
    return kind


__all__ = ["load_arrays", "save_arrays"]
