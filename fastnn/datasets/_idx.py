# SPDX-License-Identifier: Apache-2.0
"""IDX, the format of MNIST: a magic number, big-endian sizes, then the raw array.

byte 0-1: zero   byte 2: dtype code   byte 3: rank   rank x uint32: shape   data
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets._errors import DataFileError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: str | Path) -> NDArray[np.generic]:
    """Array of an IDX file, plain or gzip (told by its first bytes, not its name).

    Returns:
        A writable array in the machine's byte order, of the shape and dtype that the
        header says (uint8, int8, int16, int32, float32 or float64).

    Raises:
        DataFileError: not an IDX file, truncated, or longer than its header says.
    """
    path = Path(path)
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        if not zipped:
            return _read(path, raw)
        with gzip.GzipFile(fileobj=raw) as stream:
            try:
                return _read(path, stream)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise DataFileError(
                    f"[read_idx] {path} is a damaged gzip file: {error}. Get it again."
                ) from error


def _read(path: Path, stream: _Readable) -> NDArray[np.generic]:
    dtype, shape = _read_header(path, stream)
    # Python integers: a header with absurd sizes must not wrap around.
    expected = math.prod(shape) * dtype.itemsize
    data = bytearray()
    # In chunks, because the header is not to be trusted with one big allocation.
    while chunk := stream.read(min(_CHUNK, expected + 1 - len(data))):
        data += chunk
        if len(data) > expected:
            raise DataFileError(
                f"[read_idx] {path} has bytes after its data: the header says "
                f"{dtype.name} {shape}, {expected} bytes. It is not a plain IDX file."
            )
    if len(data) < expected:
        raise DataFileError(
            f"[read_idx] {path} is truncated: the header says {dtype.name} {shape}, "
            f"{expected} bytes, but only {len(data)} follow. Get it again."
        )
    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(
    path: Path, stream: _Readable
) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise DataFileError(
            f"[read_idx] {path} is not an IDX file: it begins with {magic.hex(' ')!r}, "
            "expected 00 00, a dtype code of 08 09 0b 0c 0d 0e, and the rank."
        )
    rank = magic[3]
    sizes = stream.read(4 * rank)
    if rank == 0 or rank > 32 or len(sizes) < 4 * rank:
        raise DataFileError(
            f"[read_idx] {path} is truncated or damaged in its header (rank {rank})."
        )
    return np.dtype(_DTYPES[magic[2]]), struct.unpack(f">{rank}I", sizes)
