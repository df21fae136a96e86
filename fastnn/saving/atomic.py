# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole: a name holds the old bytes or the new ones, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a temporary name in the same folder, and renames it to `path` at the end.

    What was written there reaches the disk before the rename, and the rename before
    the end of the block: `fsync` of the file, `os.replace`, `fsync` of the folder
    (https://lwn.net/Articles/457667/). After an exception, a full disk or a kill,
    `path` holds what it held before; an exception also removes the temporary file.
    """
    path = os.path.realpath(os.fspath(path))  # a link stays a link to the new file
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"[save] {path} is a folder; give the name of a file.")
    _sweep(folder, name)
    temporary = os.path.join(folder, f".{name}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        yield temporary
        synchronize(temporary)
        with suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    synchronize(folder)


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Replaces a file by these bytes."""
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(data)


def synchronize(path: str) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: str, name: str) -> None:
    """Removes what saves of this name left behind when they were killed."""
    prefix = f".{name}.tmp-"
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(prefix):
                pid = entry.name[len(prefix) :].partition("-")[0]
                if pid.isdecimal() and not _runs(int(pid)):
                    os.unlink(entry.path)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def ask(path: str | os.PathLike[str], overwrite: bool) -> bool:
    """Whether a file may be written; with `overwrite=False` the user is asked."""
    if overwrite or not os.path.exists(path):
        return True
    answer = ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {path} already exists - overwrite? [y/n] ").strip()
    return answer == "y"
