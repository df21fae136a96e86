# SPDX-License-Identifier: Apache-2.0
"""A part of a file as a file: HDF5 inside of an archive, without a copy."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

CHUNK = 4 << 20


class Window(io.RawIOBase):
    """The bytes of a file from `start` on, read and written where they are.

    Args:
        handle: a file descriptor, which stays the caller's.
        start: where the part begins.
        size: its length; None for a part that is being written, at the file's end.
    """

    def __init__(self, handle: int, start: int, size: int | None = None) -> None:
        super().__init__()
        self.handle = handle
        self.start = start
        self.size = 0 if size is None else size
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
        self._position += count
        return count

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):  # a full disk gives short writes before it fails
            place = self.start + self._position + done
            done += os.pwrite(self.handle, view[done:], place)
        self._position += done
        self.size = max(self.size, self._position)
        return done

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
        os.ftruncate(self.handle, self.start + self.size)
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
