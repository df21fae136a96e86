# SPDX-License-Identifier: Apache-2.0
"""HDF5 files read without trust: everything is checked before a byte of data is read.

A file may name other files (external links, external and virtual datasets), ask for
libraries (filters that HDF5 would search for), or declare a shape of terabytes that it
does not hold. `Hdf5Reader` walks over all links first and refuses those. libhdf5 is
not asked at all: see `hdf5_structures`.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np

from fastnn.saving import hdf5_chunks, limits
from fastnn.saving import hdf5_structures as h5
from fastnn.saving.reader import Reader, Stored
from fastnn.saving.windows import Window, read_into

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ARRAY = frozenset({h5.DATASPACE, h5.DATATYPE, h5.LAYOUT, h5.FILTERS, h5.FILL})
_ARRAY |= {h5.OLD_FILL, h5.EXTERNAL}
_GROUP = frozenset({h5.SYMBOLS, h5.LINK, h5.LINK_INFO, h5.GROUP_INFO})
_ATTRIBUTES = frozenset({h5.ATTRIBUTE, h5.ATTRIBUTE_INFO})
# What bytes that are no HDF5 make the functions of `hdf5_structures` raise.
_DAMAGE = (h5.DamagedError, struct.error, IndexError, zlib.error)


class Hdf5Stored(Stored):
    """One dataset."""

    _reader: Hdf5Reader

    def __init__(self, reader: Hdf5Reader, path: str, header: _Header) -> None:
        super().__init__(reader, path)
        self._header = header
        self._chunks: list[h5.Chunk] = []
        self._examine()

    def _examine(self) -> None:
        header = self._header
        if header.shape is None:
            self.problem = "it has no shape."
            return
        self.shape = header.shape
        kind = header.kind
        if kind.number not in (h5.INTEGER, h5.FLOAT, h5.ENUM, h5.OPAQUE):
            self.problem = "it holds no numbers."
            return
        if kind.dtype is None:
            self.problem = "it holds numbers of a kind that NumPy does not have."
            return
        self.dtype = kind.dtype
        if kind.number == h5.OPAQUE:
            self._is_bfloat16(kind.dtype)
        self._check_storage(header, kind.dtype)

    def _is_bfloat16(self, dtype: np.dtype) -> None:
        name = None
        if dtype.itemsize == 2:
            name = self._reader.attribute(self._header.place, "dtype", self.path)
        if name == "bfloat16":
            import ml_dtypes

            self.dtype = np.dtype(ml_dtypes.bfloat16)
        else:
            self.problem = f"it holds opaque values of {dtype.itemsize} bytes."

    def _check_storage(self, header: _Header, dtype: np.dtype) -> None:
        layout = header.layout
        if layout.kind == 3:
            raise self._reader.fail("a virtual dataset reads other files.", self.path)
        if header.external:
            raise self._reader.fail("its data lies in another file.", self.path)
        self.problem = self.problem or hdf5_chunks.problem(header.filters)
        stored = layout.size
        if layout.kind == 1 and layout.address == h5.UNDEFINED:
            stored = 0
        elif layout.kind == 1 and not self._reader.has(layout.address, self.nbytes):
            self.problem = "the file ends before its data."
        elif layout.kind == 2:
            stored = self._check_chunks(layout, dtype)
        if self.nbytes > max(limits.HDF5_FREE, limits.HDF5_RATIO * stored):
            self.problem = self.problem or (
                f"shape {self.shape} of {self.nbytes} bytes, of which the file holds "
                f"{stored}."
            )

    def _check_chunks(self, layout: h5.Layout, dtype: np.dtype) -> int:
        """Bytes that all chunks have in the file."""
        shape, rank = layout.chunk, len(self.shape)
        cut = hdf5_chunks.cut(shape, self.shape, dtype.itemsize)
        if cut or 0 in shape:
            self.problem = cut or "chunks without elements."
        if self.problem or not self.nbytes:
            return 0
        pieces = zip(self.shape, shape, strict=True)
        most = math.prod(-(-n // m) for n, m in pieces)
        # An entry of the table takes 40 bytes: smaller chunks are there to take long.
        if most > limits.HDF5_CHUNKS + self.nbytes // 256:
            self.problem = f"{most} chunks for {self.nbytes} bytes."
            return 0
        file = self._reader.bytes
        self._chunks = h5.chunks(file, layout.address, rank, most)
        total = sum(chunk.size for chunk in self._chunks)
        if total > file.size:
            self.problem = "its chunks are larger than the file."
        return total

    def _in_one_piece(self) -> bool:
        layout = self._header.layout
        return layout.kind == 1 and layout.address != h5.UNDEFINED

    def read_into(self, array: np.ndarray) -> bool:
        if not self.fits(array):
            return False
        try:
            self._gather(array)
        except _DAMAGE as error:
            raise self._reader.fail(f"damaged: {error}.", self.path) from None
        return True

    def _read(self) -> np.ndarray:
        array = self._new()
        self.read_into(array)
        return array

    def _gather(self, array: np.ndarray) -> None:
        """Data in one piece, in the header, in chunks, or never written."""
        header, layout = self._header, self._header.layout
        if not array.nbytes:
            return
        bytes_ = array.reshape(-1).view(np.uint8)
        size = array.dtype.itemsize
        if layout.kind == 1 and layout.address != h5.UNDEFINED:
            view = memoryview(bytes_.data)
            if self._reader.read_into(view, layout.address) != array.nbytes:
                raise h5.DamagedError("the file ends before its data")
            return
        if layout.kind == 0:
            data = layout.data
            if len(data) < array.nbytes:
                raise h5.DamagedError("data that is shorter than its shape")
            bytes_[:] = np.frombuffer(data, np.uint8, array.nbytes)
            return
        fill = header.fill if len(header.fill) == size else bytes(size)
        bytes_.reshape(-1, size)[:] = np.frombuffer(fill, np.uint8)
        file, chunks = self._reader.bytes, self._chunks
        hdf5_chunks.gather(file, array, chunks, layout.chunk, header.filters)


class _Header:
    """What the header of a dataset says."""

    def __init__(self, file: h5.Bytes, place: int, found: list[h5.Message]) -> None:
        self.place = place
        one = {message.kind: message for message in found}
        if any(message.shared for message in one.values()):
            raise h5.DamagedError("an array whose type stands elsewhere")
        self.shape = h5.shape_of(one[h5.DATASPACE].body)
        self.kind = h5.kind_of(one[h5.DATATYPE].body)
        self.external = h5.EXTERNAL in one
        self.layout = h5.Layout(0)
        if not self.external:
            self.layout = h5.layout_of(one[h5.LAYOUT].body)
        filters = one.get(h5.FILTERS)
        self.filters = [] if filters is None else h5.filters_of(filters.body)
        fill = one.get(h5.FILL) or one.get(h5.OLD_FILL)
        self.fill = b"" if fill is None else h5.fill_of(fill)


class Hdf5Reader(Reader):
    """An HDF5 file, or one inside an archive, whose links have all been checked.

    Args:
        window: the bytes.
        path: of the file, for messages.
        where: archive member, for messages.
        size: of the file, where the bytes are a part of it.

    Raises:
        ModelFileError: for links and storage that lead out of the file.
    """

    def __init__(
        self, window: Window, path: object, where: str = "", size: int = 0
    ) -> None:
        super().__init__(path, where)
        self._window = window
        self.size = size or window.size
        self._listed: dict[str, list[str]] = {}
        self._asked = -1
        self._told: list[h5.Message] = []
        window.seek(0)
        if window.read(8) != _SIGNATURE:
            raise self.fail("no HDF5 file.")
        self.bytes = h5.Bytes(window)
        try:
            self._walk(h5.root(self.bytes))
        except _DAMAGE as error:
            raise self.fail(f"no HDF5 file that can be read ({error}).") from None

    def has(self, offset: int, size: int) -> bool:
        """Whether the HDF5 file has `size` bytes from an offset on."""
        return offset + size <= self._window.size

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fills `view` from an offset of the HDF5 file."""
        size = max(0, self._window.size - offset)
        view = view[: min(len(view), size)]
        return read_into(self._window.handle, view, self._window.start + offset)

    def _walk(self, root: int) -> None:
        found = h5.messages(self.bytes, root, _GROUP)
        stack, known = [("", root, found, 0)], {root}
        arrays: dict[int, _Header] = {}
        # Objects take memory here, some 500 bytes, and names in the file hardly any.
        most = min(limits.HDF5_OBJECTS, 40_000 + self.bytes.size // 512)
        letters = limits.HDF5_PATHS + self.bytes.size
        while stack:
            path, place, found, depth = stack.pop()
            self.groups[path] = place
            names = self._listed[path] = []
            if depth > limits.HDF5_DEPTH:
                raise self.fail(f"groups more than {limits.HDF5_DEPTH} deep.", path)
            for name, address in h5.links(self.bytes, found):
                child = f"{path}/{name.decode('utf-8', 'replace')}".lstrip("/")
                if address is None:
                    raise self.fail("a link that leads elsewhere.", child)
                letters -= len(child)
                if letters < 0 or (
                    len(self.datasets) + len(self.groups) + len(stack) > most
                ):
                    raise self.fail(f"more than {most} objects, or very long names.")
                if address not in arrays:
                    found = h5.messages(self.bytes, address, _ARRAY | _GROUP)
                    if not any(message.kind in _GROUP for message in found):
                        self._add(arrays, address, found, child)
                    elif address in known:
                        raise self.fail("a group that stands in two places.", child)
                    else:
                        known.add(address)
                        stack.append((child, address, found, depth + 1))
                        continue
                if address in arrays:
                    self.datasets[child] = Hdf5Stored(self, child, arrays[address])
                    names.append(child.rpartition("/")[2])
                    if address not in known:
                        known.add(address)
                        stored = self.datasets[child]
                        self.total += 0 if stored.problem else stored.nbytes

    def _add(
        self, arrays: dict[int, _Header], address: int, found: Any, path: str
    ) -> None:
        kinds = {message.kind for message in found}
        if not kinds & {h5.LAYOUT, h5.EXTERNAL}:
            return  # a type with a name
        try:
            arrays[address] = _Header(self.bytes, address, found)
        except (*_DAMAGE, KeyError) as error:
            raise self.fail(f"damaged ({error}).", path) from None

    def names(self, path: str) -> list[str]:
        return list(self._listed.get(path, ()))

    def attribute(self, owner: str | int, name: str, place: str = "") -> Any:
        """A text, number or list of texts; None when there is none.

        Args:
            owner: path of a group, or address of an object.
            name: of the attribute.
            place: path of the object, for messages.
        """
        address = owner if isinstance(owner, int) else self.groups[owner]
        place = place or str(owner)
        try:
            if address != self._asked:  # several are asked of the same object
                found = h5.messages(self.bytes, address, _ATTRIBUTES)
                self._asked, self._told = address, found
            one = h5.attribute(self._told, name.encode())
            return None if one is None else self._value(one, name, place)
        except _DAMAGE as error:
            raise self.fail(
                f"attribute {name!r} is damaged ({error}).", place
            ) from None

    def _value(self, one: h5.Attribute, name: str, place: str) -> Any:
        if one.shape is None:
            return None
        kind, count = one.kind, math.prod(one.shape)
        size = count * kind.size
        if size > len(one.data):
            raise self.fail(f"attribute {name!r} of {size} bytes.", place)
        data = one.data[:size]
        values: list[Any]
        if kind.text:
            texts = h5.texts(self.bytes, data, count)
            values = [text.decode("utf-8", "replace") for text in texts]
        elif kind.number == h5.STRING:
            parts = (data[at : at + kind.size] for at in range(0, size, kind.size or 1))
            values = [
                part.partition(b"\0")[0].decode("utf-8", "replace") for part in parts
            ]
        elif kind.number in (h5.INTEGER, h5.FLOAT) and kind.dtype is not None:
            values = np.frombuffer(data, kind.dtype).tolist()
        else:
            raise self.fail(f"attribute {name!r} is neither text nor number.", place)
        return values if one.shape else values[0]
