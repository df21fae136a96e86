# SPDX-License-Identifier: Apache-2.0
"""Chunks of an HDF5 array to where they belong, back through their filters.

A chunk may be as large as its array, and a file may hold a thousandth of it. So its
bytes are read, compared, inflated and unshuffled in pieces, and stand in memory once:
in the array.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.saving import limits
from fastnn.saving.hdf5_structures import Bytes, Chunk, DamagedError
from fastnn.saving.windows import CHUNK

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
FILTERS = {DEFLATE: "gzip", SHUFFLE: "shuffle", FLETCHER32: "fletcher32"}
_ORDER = [SHUFFLE, DEFLATE, FLETCHER32]  # in which h5py, and so everyone, applies them


def problem(filters: list[int]) -> str:
    """Why chunks cannot go back through filters; empty when they can."""
    for code in filters:
        if filters.count(code) > 1:  # each one takes its time
            return f"filter {code} more than once."
        if code not in FILTERS:
            known = ", ".join(FILTERS.values())
            return f"filter {code}; of compressed data only {known} are read."
    if filters != [code for code in _ORDER if code in filters]:
        names = ", ".join(FILTERS[code] for code in filters)
        return f"filters in another order than h5py's: {names}."
    return ""


def cut(chunk: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> str:
    """Why the chunks of an array are too large; empty when they are not.

    One that is not a run of the array's rows has to be put together beside it.
    """
    size, whole = math.prod(chunk) * itemsize, math.prod(shape) * itemsize
    if len(chunk) != len(shape) or size > max(limits.HDF5_FREE, whole):
        return f"chunks of {size} bytes, larger than the whole."
    if chunk[1:] != shape[1:] and size > limits.HDF5_BLOCK:
        return f"chunks of {size} bytes that are no rows of the array."
    return ""


def gather(
    file: Bytes,
    array: np.ndarray,
    chunks: list[Chunk],
    shape: tuple[int, ...],
    filters: list[int],
) -> None:
    """Puts chunks of a shape into an array, which has no gaps.

    Raises:
        DamagedError, zlib.error: for bytes that are not what the filters made.
    """
    size = array.dtype.itemsize
    flat = array.reshape(-1).view(np.uint8).reshape(-1, size)
    rows, inner = shape[1:] == array.shape[1:], math.prod(array.shape[1:])
    for chunk in chunks:
        for offset, n, whole in zip(chunk.offsets, shape, array.shape, strict=True):
            if offset % n or offset >= whole:
                raise DamagedError(f"a chunk at {chunk.offsets}")
        pieces = _unfiltered(file, chunk, filters, math.prod(shape) * size)
        shuffled = (
            SHUFFLE in filters and not chunk.skipped >> filters.index(SHUFFLE) & 1
        )
        if rows:
            begin = chunk.offsets[0] * inner
            _fill(flat[begin : begin + shape[0] * inner], pieces, shape, shuffled)
            continue
        block = np.empty(shape, array.dtype)
        _fill(
            block.reshape(-1).view(np.uint8).reshape(-1, size), pieces, shape, shuffled
        )
        places = [slice(o, o + n) for o, n in zip(chunk.offsets, shape, strict=True)]
        there = array[tuple(places)]
        there[...] = block[tuple(slice(n) for n in there.shape)]


def _fill(
    target: np.ndarray, pieces: Iterator[bytes], shape: Any, shuffled: bool
) -> None:
    """Bytes of a chunk into the bytes of its elements, (elements, bytes of one).

    The last chunk may reach beyond the array: what is too much is dropped. Shuffled
    are first the first bytes of all elements, then the second ones.
    """
    count, (kept, size) = math.prod(shape), target.shape
    straight, place = target.reshape(-1), 0
    for piece in pieces:
        data = np.frombuffer(piece, np.uint8)
        if not shuffled:
            end = min(place + len(data), kept * size)
            straight[place:end] = data[: max(0, end - place)]
            place += len(data)
            continue
        while len(data):
            byte, element = divmod(place, count)
            part, data = data[: count - element], data[count - element :]
            end = min(element + len(part), kept)
            target[element:end, byte] = part[: max(0, end - element)]
            place += len(part)


def _unfiltered(
    file: Bytes, chunk: Chunk, filters: list[int], wanted: int
) -> Iterator[bytes]:
    """The bytes of a chunk as they were before the filters, but for shuffling."""
    used = {code for i, code in enumerate(filters) if not chunk.skipped >> i & 1}
    pieces = _stored(file, chunk, FLETCHER32 in used)
    if DEFLATE in used:
        pieces = _inflated(pieces)
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > wanted:
            break
        yield piece
    if total != wanted:
        raise DamagedError(f"a chunk of {total} bytes or more, not {wanted}")


def _stored(file: Bytes, chunk: Chunk, summed: bool) -> Iterator[bytes]:
    """The bytes in the file; the Fletcher checksum behind them is compared.

    That is the sum of all 16-bit words, and the sum of all such sums on the way.
    """
    size = chunk.size - 4 * summed
    first = second = 0
    for at in range(0, size, CHUNK):
        piece = file.data(chunk.address + at, min(CHUNK, size - at))
        if summed:
            even = piece if len(piece) % 2 == 0 else piece + b"\0"
            words = np.frombuffer(even, ">u2").astype(np.uint64)
            places = np.arange(len(words), 0, -1, dtype=np.uint64)
            second = (second + len(words) * first + int(words @ places)) % 65535
            first = (first + int(words.sum())) % 65535
        yield piece
    if summed:
        if size < 0:
            raise DamagedError("a chunk that is shorter than its checksum")
        high, low = struct.unpack(">2H", file.data(chunk.address + size, 4)[::-1])
        if (second, first) != (high % 65535, low % 65535):
            raise DamagedError("a chunk whose checksum differs")


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    engine = zlib.decompressobj()
    for piece in pieces:
        rest = piece
        while True:
            data = engine.decompress(rest, CHUNK)
            rest = engine.unconsumed_tail
            yield data
            if not rest and len(data) < CHUNK:
                break
