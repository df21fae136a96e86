# SPDX-License-Identifier: Apache-2.0
"""A part of a file as a file: HDF5 inside of an archive, without a copy."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

from fastnn.saving import atomic

CHUNK = 4 << 20


class Window(io.RawIOBase):
    """The bytes of a file from `start` on, read and written where they are.

    Args:
        handle: a file descriptor, which stays the caller's.
        start: where the part begins.
        size: its length; None for a part that is being written, at the file's end.

    Attributes:
        error: the first one met in writing. HDF5 cannot close a file after an error and
            would end the process, so it is told of none, and whoever made the window
            looks here.
    """

    def __init__(self, handle: int, start: int, size: int | None = None) -> None:
        super().__init__()
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
            write_all(self.handle, view, self.start + self._position)
        except OSError as error:
            self.error = self.error or error
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
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


def write_hdf5(handle: int, start: int, fill: Callable[[Any], None]) -> Window:
    """Writes an HDF5 file into a file, from `start` on, and returns where it is.

    Args:
        handle: of a file that is open for reading and writing.
        start: where to write.
        fill: called with the h5py.File.

    Raises:
        OSError: the first that writing met.
    """
    import h5py

    window = Window(handle, start)
    try:
        with h5py.File(window, "w") as file:
            fill(file)
    finally:
        if window.error is not None:
            raise window.error
    return window


def new_hdf5(path: str, fill: Callable[[Any], None]) -> None:
    """Writes an HDF5 file in place of what is there, whole or not at all."""
    with atomic.replacing(path) as temporary:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            write_hdf5(handle, 0, fill)
        finally:
            os.close(handle)
