# SPDX-License-Identifier: Apache-2.0
"""Files that layers keep beside their weights: `save_assets` and `load_assets`.

In an archive they stand below `assets/`, at the path of the object. A layer that has
`load_assets` finds its own ones, and no others, in a folder that is removed afterwards.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn.errors import ModelFileError
from fastnn.saving import atomic, limits
from fastnn.saving.archive import ArchiveReader, ArchiveWriter
from fastnn.saving.paths import saveables
from fastnn.saving.reader import Reader
from fastnn.saving.variables import Problems
from fastnn.saving.windows import CHUNK

_ROOT = "assets"


def _owners(root: Any, method: str) -> Iterator[tuple[str, Any]]:
    """(path below `assets`, object) of all that have a method."""
    for path, obj in saveables(root).items():
        if hasattr(type(obj), method):
            yield f"{_ROOT}/{path}" if path else _ROOT, obj


# ---- writing -----------------------------------------------------------------------


def write_files(model: Any, folder: str) -> list[str]:
    """Lets all layers write their assets below a folder; paths of the files."""
    for place, obj in _owners(model, "save_assets"):
        target = os.path.join(folder, place)
        os.makedirs(target, exist_ok=True)
        obj.save_assets(target)
    return sorted(
        os.path.join(base, name)
        for base, _, names in os.walk(os.path.join(folder, _ROOT))
        for name in names
    )


def add_members(model: Any, archive: ArchiveWriter) -> None:
    """Puts the assets of all layers into an archive."""
    if next(_owners(model, "save_assets"), None) is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in write_files(model, folder):
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if not size:
                    archive.add(name)
                    continue
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    archive.add(name, data)


def write_folder(model: Any, folder: str) -> None:
    """Writes the assets of all layers into the folder of an archive."""
    for path in write_files(model, folder):
        atomic.synchronize(path)


# ---- reading -----------------------------------------------------------------------


def load(model: Any, path: str, handle: int | None, reader: Reader) -> None:
    """Gives each layer the folder of its assets, if the archive has one.

    Args:
        model: with its variables loaded.
        path: of the archive, or of its folder.
        handle: the open archive; None for a folder.
        reader: of the variables, for messages.

    Raises:
        ModelFileError: listing every object that could not read them.
    """
    owners = list(_owners(model, "load_assets"))
    if not owners:
        return
    problems = Problems()
    for place, obj in owners:
        with _folder(place, path, handle) as folder:
            if folder is None:
                continue
            try:
                obj.load_assets(folder)
            except Exception as error:
                problems.note(place, obj, f"{type(error).__name__}: {error}")
    problems.report(reader, False)


@contextmanager
def _folder(place: str, path: str, handle: int | None) -> Iterator[str | None]:
    if handle is None:
        folder = os.path.join(path, place)
        yield folder if os.path.isdir(folder) else None
        return
    with ArchiveReader(path, handle) as archive:
        names = [name for name in archive.members if name.startswith(f"{place}/")]
        if not names:
            yield None
            return
        size = sum(archive.members[name].file_size for name in names)
        if size > os.fstat(handle).st_size + limits.GROWTH:
            raise ModelFileError(path, f"deflated assets of {size} bytes.", place)
        with tempfile.TemporaryDirectory() as folder:
            for name in names:  # which ArchiveReader has checked: none leads out
                if not name.endswith("/"):
                    _extract(archive, name, os.path.join(folder, name))
            yield os.path.join(folder, place)


def _extract(archive: ArchiveReader, name: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with archive.open(name) as source, open(target, "xb") as file:
        shutil.copyfileobj(source, file, CHUNK)
