# SPDX-License-Identifier: Apache-2.0
"""HDF5 files read without trust: everything is checked before a byte of data is read.

A file may name other files (external links, external and virtual datasets), ask for
libraries (filters that HDF5 would search for), or declare a shape of terabytes that it
does not hold. `Hdf5Reader` walks over all links first and refuses those, and it reads
the numbers itself where they lie in one piece.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.saving import limits
from fastnn.saving.reader import Reader, Stored
from fastnn.saving.windows import Window, read_into

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Hdf5Stored(Stored):
    """One dataset."""

    _reader: Hdf5Reader

    def __init__(self, reader: Hdf5Reader, path: str, dataset: Any) -> None:
        super().__init__(reader, path)
        self._id = dataset
        self._examine(dataset)

    def _examine(self, dataset: Any) -> None:
        import h5py

        space, kind = dataset.get_space(), dataset.get_type()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            self.problem = "it has no shape."
            return
        self.shape = tuple(space.shape)
        classes = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.OPAQUE)
        if kind.get_class() not in classes:
            self.problem = "it holds no numbers."
            return
        try:
            dtype = kind.dtype
        except (TypeError, ValueError):
            self.problem = "it holds numbers of a kind that NumPy does not have."
            return
        self.dtype = dtype
        if dtype.kind == "V":
            self._is_bfloat16(dataset, dtype)
        elif dtype.kind not in "biuf":
            self.problem = f"it holds {dtype}, no numbers."
        self._check_storage(dataset, dtype)

    def _is_bfloat16(self, dataset: Any, dtype: np.dtype) -> None:
        name = self._reader.attribute(dataset, "dtype", self.path)
        if dtype.itemsize == 2 and name == "bfloat16":
            import ml_dtypes

            self.dtype = np.dtype(ml_dtypes.bfloat16)
        else:
            self.problem = f"it holds opaque values of {dtype.itemsize} bytes."

    def _check_storage(self, dataset: Any, dtype: np.dtype) -> None:
        import h5py

        settings = dataset.get_create_plist()
        layout = settings.get_layout()
        if layout == h5py.h5d.VIRTUAL:
            raise self._reader.fail("a virtual dataset reads other files.", self.path)
        if settings.get_external_count():
            raise self._reader.fail("its data lies in another file.", self.path)
        allowed = {
            h5py.h5z.FILTER_DEFLATE: "gzip",
            h5py.h5z.FILTER_SHUFFLE: "shuffle",
            h5py.h5z.FILTER_FLETCHER32: "fletcher32",
        }
        for i in range(settings.get_nfilters()):
            code = settings.get_filter(i)[0]
            if code not in allowed:
                self.problem = (
                    f"filter {code}; of compressed data only "
                    f"{', '.join(allowed.values())} are read."
                )
        if layout == h5py.h5d.CHUNKED:
            chunk = math.prod(settings.get_chunk()) * dtype.itemsize
            if chunk > max(limits.HDF5_FREE, 2 * self.nbytes):
                self.problem = f"chunks of {chunk} bytes, larger than the whole."
        offset = dataset.get_offset()
        if offset is not None and not self._reader.has(offset, self.nbytes):
            self.problem = "the file ends before its data."
        stored = dataset.get_storage_size()
        if self.nbytes > max(limits.HDF5_FREE, limits.HDF5_RATIO * stored):
            self.problem = (
                f"shape {self.shape} of {self.nbytes} bytes, of which the file holds "
                f"{stored}."
            )

    def read_into(self, array: np.ndarray) -> bool:
        offset = self._id.get_offset()
        if offset is None or not self.fits(array):
            return False
        view = memoryview(array.reshape(-1).view(np.uint8).data)
        return self._reader.read_into(view, offset) == array.nbytes

    def read(self) -> np.ndarray:
        import h5py

        if self.problem or self.dtype is None:
            raise self._reader.fail(self.problem, self.path)
        # bfloat16 is opaque to HDF5, which leaves the bytes as they are.
        raw = np.dtype("V2") if self.dtype.kind == "V" else self.dtype
        array = np.empty(self.shape, raw)
        offset = self._id.get_offset()
        if offset is not None and array.nbytes:
            view = memoryview(array.reshape(-1).view(np.uint8).data)
            count = self._reader.read_into(view, offset)
            if count != array.nbytes:
                raise self._reader.fail("the file ends before its data.", self.path)
        elif array.size:
            self._id.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        return array.view(self.dtype)


class Hdf5Reader(Reader):
    """An HDF5 file, or one inside an archive, whose links have all been checked.

    Args:
        window: the bytes.
        path: of the file, for messages.
        where: archive member, for messages.

    Raises:
        ModelFileError: for links and storage that lead out of the file.
    """

    def __init__(self, window: Window, path: object, where: str = "") -> None:
        import h5py

        super().__init__(path, where)
        self._window = window
        self._heap: int | None = None
        window.seek(0)
        if window.read(8) != _SIGNATURE:
            raise self.fail("no HDF5 file.")
        try:
            self.file = h5py.File(window, "r")
        except OSError as error:
            raise self.fail(f"no HDF5 file that can be read ({error}).") from None
        try:
            self._walk()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for stored in self.datasets.values():
            stored._id = None  # type: ignore[attr-defined]
        self.groups.clear()
        self.file.close()

    def has(self, offset: int, size: int) -> bool:
        """Whether the HDF5 file has `size` bytes from an offset on."""
        return offset + size <= self._window.size

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fills `view` from an offset of the HDF5 file."""
        size = max(0, self._window.size - offset)
        view = view[: min(len(view), size)]
        return read_into(self._window.handle, view, self._window.start + offset)

    def _walk(self) -> None:
        import h5py

        seen: set[Any] = set()
        stack: list[tuple[str, Any, int]] = [("", h5py.h5g.open(self.file.id, b"/"), 0)]
        while stack:
            path, group, depth = stack.pop()
            self.groups[path] = group
            if depth > limits.HDF5_DEPTH:
                raise self.fail(f"groups more than {limits.HDF5_DEPTH} deep.", path)
            for name in _names(group):
                place = f"{path}/{name.decode('utf-8', 'replace')}".lstrip("/")
                if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                    raise self.fail("a link that leads elsewhere.", place)
                info = h5py.h5o.get_info(group, name)
                if info.type == h5py.h5o.TYPE_GROUP:
                    if info.addr in seen:
                        raise self.fail("a group that stands in two places.", place)
                    seen.add(info.addr)
                    stack.append((place, h5py.h5g.open(group, name), depth + 1))
                elif info.type == h5py.h5o.TYPE_DATASET:
                    stored = Hdf5Stored(self, place, h5py.h5d.open(group, name))
                    self.datasets[place] = stored
                    if info.addr not in seen:
                        seen.add(info.addr)
                        self.total += 0 if stored.problem else stored.nbytes
                if len(self.datasets) + len(self.groups) > limits.HDF5_OBJECTS:
                    raise self.fail(f"more than {limits.HDF5_OBJECTS} objects.")

    def names(self, path: str) -> list[str]:
        prefix = f"{path}/" if path else ""
        group = self.groups.get(path)
        if group is None:
            return []
        found = (name.decode("utf-8", "replace") for name in _names(group))
        return [name for name in found if prefix + name in self.datasets]

    def attribute(self, owner: Any, name: str, place: str = "") -> Any:
        """A text, number or list of texts; None when there is none.

        Args:
            owner: path of a group, or an HDF5 object.
            name: of the attribute.
            place: path of the object, for messages.
        """
        import h5py

        if isinstance(owner, str):
            owner, place = self.groups[owner], owner
        if not h5py.h5a.exists(owner, name.encode()):
            return None
        found = h5py.h5a.open(owner, name.encode())
        kind, count = found.get_type(), math.prod(found.shape)
        size, most = count * kind.get_size(), limits.ATTRIBUTE_BYTES
        if kind.get_class() == h5py.h5t.STRING:
            if kind.is_variable_str():
                size = count * self._longest_text()
                most += 4 * self._window.size
        elif kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
            raise self.fail(f"attribute {name!r} is neither text nor number.", place)
        if size > most:
            raise self.fail(f"attribute {name!r} of {size} bytes.", place)
        value = h5py.AttributeManager(_Owner(owner))[name]
        return _plain(value)

    def _longest_text(self) -> int:
        """Bytes that one text of variable length has at most.

        They lie in heaps, in which any number of texts may be one and the same: the
        file could hold a list whose texts together are far larger than itself.
        """
        if self._heap is None:
            self._heap, signature = 0, b"GCOL\1\0\0\0"
            before = b""
            for chunk in self._window.chunks():
                data = before + bytes(chunk)
                place = data.find(signature)
                while place >= 0 and place + 16 <= len(data):
                    size = int.from_bytes(data[place + 8 : place + 16], "little")
                    self._heap = max(self._heap, min(size, self._window.size))
                    place = data.find(signature, place + 1)
                before = data[-15:]
        return self._heap


class _Owner:
    """What h5py's AttributeManager asks of the object it belongs to."""

    def __init__(self, identifier: Any) -> None:
        self.id = identifier


def _names(group: Any) -> list[bytes]:
    found: list[bytes] = []
    group.links.iterate(found.append)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.reshape(-1).tolist()]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
