# SPDX-License-Identifier: Apache-2.0
"""A part of a file as a file: HDF5 inside of an archive, without a copy."""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn.saving import atomic
from fastnn.saving.checksums import combined, crc32

CHUNK = 256 << 10  # stays in L2 between reading and checksum: 37 -> 32 ms per 64 MB


class Window(io.RawIOBase):
    """The bytes of a file from `start` on, read and written where they are.

    Args:
        handle: a file descriptor, which stays the caller's.
        start: where the part begins.
        size: its length; None for a part that is being written, at the file's end.
        summed: whether to take checksums of large pieces as they are written, so that
            `checksum` need not read them again (100 MB: 50 ms).

    Attributes:
        error: the first one met in writing. HDF5 cannot close a file after an error and
            would end the process, so it is told of none, and whoever made the window
            looks here.
    """

    def __init__(
        self, handle: int, start: int, size: int | None = None, summed: bool = False
    ) -> None:
        super().__init__()
        self._summed = summed
        self._sums: dict[int, tuple[int, int]] = {}  # place -> (size, checksum)
        self.handle = handle
        self.start = start
        self.size = 0 if size is None else size
        self.error: OSError | None = None
        self._writable = size is None
        self._position = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._writable

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._position, self.size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self.size - self._position)]
        count = read_into(self.handle, view, self.start + self._position)
        if self.error is not None:
            count = len(view)  # as if it had been written
        self._position += count
        return count

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            self._write(view, self._position)
        except OSError as error:
            self.error = self.error or error
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def _write(self, view: memoryview, place: int) -> None:
        if not self._summed:
            write_all(self.handle, view, self.start + place)
            return
        size = len(view)
        self._forget(place, place + size)
        sums = 0
        for i in range(0, size, CHUNK):
            piece = view[i : i + CHUNK]
            write_all(self.handle, piece, self.start + place + i)
            if size >= CHUNK:
                sums = crc32(piece, sums)
        if size >= CHUNK:
            self._sums[place] = size, sums

    def _forget(self, begin: int, end: float) -> None:
        """The checksums of pieces that reach into a range."""
        for place, (size, _) in list(self._sums.items()):
            if place < end and begin < place + size:
                del self._sums[place]

    def checksum(self) -> tuple[int, int]:
        """(CRC-32, number) of the bytes, which may be fewer than `size`."""
        sums, place = 0, 0
        for begin, (length, known) in sorted(self._sums.items()):
            sums = self._read_sum(place, begin, sums)[0]
            sums, place = combined(sums, known, length), begin + length
        sums, count = self._read_sum(place, self.size, sums)
        return sums, place + count

    def _read_sum(self, begin: int, end: int, sums: int) -> tuple[int, int]:
        count = 0
        for chunk in Window(self.handle, self.start + begin, end - begin).chunks():
            sums, count = crc32(chunk, sums), count + len(chunk)
        return sums, count

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
        self._forget(self.size, math.inf)
        try:
            os.ftruncate(self.handle, self.start + self.size)
        except OSError as error:
            self.error = self.error or error
        return self.size

    def chunks(self) -> Iterator[memoryview]:
        """All bytes in pieces; each is valid until the next."""
        buffer = memoryview(bytearray(min(CHUNK, max(1, self.size))))
        for place in range(0, self.size, len(buffer)):
            wanted = buffer[: min(len(buffer), self.size - place)]
            count = read_into(self.handle, wanted, self.start + place)
            if not count:  # the file ends before the size that was given
                return
            yield wanted[:count]


def read_into(handle: int, view: memoryview, place: int) -> int:
    """Fills `view` from a place in a file; returns how many bytes there were."""
    done = 0
    while done < len(view):
        count = os.preadv(handle, [view[done:]], place + done)
        if not count:
            break
        done += count
    return done


def write_all(handle: int, data: Any, place: int) -> None:
    """Writes bytes at a place in a file; a full disk gives short writes first."""
    view, done = memoryview(data), 0
    while done < len(view):
        count = os.pwrite(handle, view[done:], place + done)
        if not count:  # a full disk of some systems; writing on would never end
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += count


def write_hdf5(
    handle: int, start: int, fill: Callable[[Any], None], summed: bool = False
) -> Window:
    """Writes an HDF5 file into a file, from `start` on, and returns where it is.

    Args:
        handle: of a file that is open for reading and writing.
        start: where to write.
        fill: called with the h5py.File.
        summed: whether its checksum will be asked for.

    Raises:
        OSError: the first that writing met.
    """
    import h5py

    window = Window(handle, start, summed=summed)
    try:
        with h5py.File(window, "w") as file:
            fill(file)
    finally:
        if window.error is not None:
            raise window.error
    return window


def put_array(group: Any, name: str, array: np.ndarray) -> Any:
    """A new dataset in a group of h5py; `a/b` makes the group `a`.

    Below h5py's own `create_dataset`, whose settings nobody here wants: 0.2 ms less.
    """
    from h5py import h5d, h5p, h5s, h5t

    array = np.asarray(array, order="C")
    shape = array.shape
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    made = h5p.create(h5p.LINK_CREATE)
    made.set_create_intermediate_group(True)
    # As h5py: a name in ASCII that said UTF-8 would make a link of a newer form.
    made.set_char_encoding(h5t.CSET_ASCII if name.isascii() else h5t.CSET_UTF8)
    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_obj_track_times(False)  # equal arrays make equal files
    kind = h5t.py_create(array.dtype, logical=True)
    stored = h5d.create(group.id, name.encode(), kind, space, settings, made)
    if array.size:
        stored.write(h5s.ALL, h5s.ALL, array)
    return stored


def new_hdf5(path: str, fill: Callable[[Any], None]) -> None:
    """Writes an HDF5 file in place of what is there, whole or not at all."""
    with atomic.replacing(path) as temporary:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            write_hdf5(handle, 0, fill)
        finally:
            os.close(handle)
