# SPDX-License-Identifier: Apache-2.0
"""How files are opened: files only, and of those beside them only what lies there."""

from __future__ import annotations

import os
import stat

from fastnn.errors import ModelFileError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_WAIT_FOR_NOBODY = getattr(os, "O_NONBLOCK", 0)


def open_file(path: str) -> int:
    """The descriptor of a file with bytes and an end, open for reading.

    A pipe would be waited for, and `/dev/zero` read until the memory is full. Looked at
    before it is opened, which does things to some devices, and again afterwards.

    Raises:
        FileNotFoundError, PermissionError: when there is none.
        ModelFileError: for anything else under the name.
    """
    _require_file(path, os.stat(path))
    handle = os.open(path, os.O_RDONLY | _WAIT_FOR_NOBODY)
    try:
        _require_file(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_file(path: str, found: os.stat_result) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise ModelFileError(path, f"it is {_KINDS.get(kind, 'no file')}, not a file.")


def read_file(path: str, most: int) -> bytes:
    """The bytes of a file; one more than `most` where it has more.

    Raises:
        FileNotFoundError, PermissionError, ModelFileError: as `open_file`.
    """
    handle = open_file(path)
    try:
        left, parts = min(os.fstat(handle).st_size, most + 1), []
        while left and (part := os.read(handle, left)):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(handle)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def beside(path: str, name: str) -> str | None:
    """The place of a file that another one names; None where that is not beside it.

    That is in the folder under which it is known, or in the one where it really lies,
    where download caches have links to files. Links are followed before the comparison.

    Args:
        path: of the file.
        name: what it says, relative to its folder.
    """
    known = os.path.realpath(os.path.dirname(path))
    folders = dict.fromkeys((known, os.path.dirname(os.path.realpath(path))))
    places = [os.path.realpath(os.path.join(folder, name)) for folder in folders]
    place = next(filter(os.path.exists, places), places[0])
    inside = any(place.startswith(os.path.join(folder, "")) for folder in folders)
    return place if inside else None
