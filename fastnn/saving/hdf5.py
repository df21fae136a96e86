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

from fastnn.saving import hdf5_structures as h5
from fastnn.saving import limits
from fastnn.saving.reader import Reader, Stored
from fastnn.saving.windows import Window, read_into

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ARRAY = frozenset({h5.DATASPACE, h5.DATATYPE, h5.LAYOUT, h5.FILTERS, h5.FILL})
_ARRAY |= {h5.OLD_FILL, h5.EXTERNAL}
_GROUP = frozenset({h5.SYMBOLS, h5.LINK, h5.LINK_INFO, h5.GROUP_INFO})
_ATTRIBUTES = frozenset({h5.ATTRIBUTE, h5.ATTRIBUTE_INFO})
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_FILTERS = {_DEFLATE: "gzip", _SHUFFLE: "shuffle", _FLETCHER32: "fletcher32"}
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
        for code in header.filters:
            if header.filters.count(code) > 1:  # each one takes its time
                self.problem = f"filter {code} more than once."
            elif code not in _FILTERS:
                self.problem = (
                    f"filter {code}; of compressed data only "
                    f"{', '.join(_FILTERS.values())} are read."
                )
        stored = layout.size
        if layout.kind == 1 and layout.address == h5.UNDEFINED:
            stored = 0
        elif layout.kind == 1 and not self._reader.has(layout.address, self.nbytes):
            self.problem = "the file ends before its data."
        elif layout.kind == 2:
            stored = self._check_chunks(layout, dtype)
        if self.nbytes > max(limits.HDF5_FREE, limits.HDF5_RATIO * stored):
            self.problem = (
                f"shape {self.shape} of {self.nbytes} bytes, of which the file holds "
                f"{stored}."
            )

    def _check_chunks(self, layout: h5.Layout, dtype: np.dtype) -> int:
        """Bytes that all chunks have in the file."""
        shape, rank = layout.chunk, len(self.shape)
        size = math.prod(shape) * dtype.itemsize
        if len(shape) != rank or size > max(limits.HDF5_FREE, 2 * self.nbytes):
            self.problem = f"chunks of {size} bytes, larger than the whole."
        elif 0 in shape:
            self.problem = "chunks without elements."
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
        return self._in_one_piece() and self.fits(array) and self._fill(array)

    def _fill(self, array: np.ndarray) -> bool:
        view = memoryview(array.reshape(-1).view(np.uint8).data)
        return self._reader.read_into(view, self._header.layout.address) == array.nbytes

    def read(self) -> np.ndarray:
        array = self._new()
        if not array.nbytes:
            return array
        try:
            if self._in_one_piece():
                if not self._fill(array):
                    raise h5.DamagedError("the file ends before its data")
            else:
                self._gather(array)
        except _DAMAGE as error:
            raise self._reader.fail(f"damaged: {error}.", self.path) from None
        return array

    def _gather(self, array: np.ndarray) -> None:
        """Data in the header, in chunks, or never written."""
        header = self._header
        bytes_ = array.reshape(-1).view(np.uint8)
        size = array.dtype.itemsize
        if header.layout.kind == 0:
            data = header.layout.data
            if len(data) < array.nbytes:
                raise h5.DamagedError("data that is shorter than its shape")
            bytes_[:] = np.frombuffer(data, np.uint8, array.nbytes)
            return
        fill = header.fill if len(header.fill) == size else bytes(size)
        bytes_.reshape(-1, size)[:] = np.frombuffer(fill, np.uint8)
        shape = header.layout.chunk
        for chunk in self._chunks:
            data = _unfiltered(self._reader.bytes, chunk, header.filters, shape, size)
            block = np.frombuffer(data, array.dtype).reshape(shape)
            places, parts = [], []
            for offset, n, whole in zip(chunk.offsets, shape, self.shape, strict=True):
                if offset % n or offset >= whole:
                    raise h5.DamagedError(f"a chunk at {chunk.offsets}")
                places.append(slice(offset, offset + n))
                parts.append(slice(0, min(n, whole - offset)))
            array[tuple(places)] = block[tuple(parts)]


def _unfiltered(
    file: h5.Bytes, chunk: h5.Chunk, filters: list[int], shape: Any, size: int
) -> bytes:
    """The bytes of a chunk as they were before the filters."""
    wanted = math.prod(shape) * size
    data = file.data(chunk.address, chunk.size)
    for i in reversed(range(len(filters))):
        if chunk.skipped >> i & 1:
            continue
        if filters[i] == _DEFLATE:
            data = zlib.decompressobj().decompress(data, wanted + 4 * len(filters) + 1)
        elif filters[i] == _SHUFFLE:
            whole = len(data) // size * size
            table = np.frombuffer(data[:whole], np.uint8).reshape(size, -1)
            data = table.T.tobytes() + data[whole:]
        else:
            data = _checked(data)
    if len(data) != wanted:
        raise h5.DamagedError(f"a chunk of {len(data)} bytes, not {wanted}")
    return data


def _checked(data: bytes) -> bytes:
    """The bytes before a Fletcher checksum: sums of 16-bit words, and sums of these."""
    data, stored = data[:-4], data[-4:]
    words = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype(np.uint64)
    if len(data) % 2:
        words = np.append(words, np.uint64(data[-1] << 8))
    places = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    sums = int((words * places).sum() % 65535), int(words.sum() % 65535)
    high, low = struct.unpack(">2H", stored[::-1])
    if sums != (high % 65535, low % 65535):
        raise h5.DamagedError("a chunk whose checksum differs")
    return data


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

    Raises:
        ModelFileError: for links and storage that lead out of the file.
    """

    def __init__(self, window: Window, path: object, where: str = "") -> None:
        super().__init__(path, where)
        self._window = window
        self.size = window.size
        self._listed: dict[str, list[str]] = {}
        window.seek(0)
        if window.read(8) != _SIGNATURE:
            raise self.fail("no HDF5 file.")
        self.bytes = h5.Bytes(window)
        try:
            self._walk(h5.root(self.bytes))
        except _DAMAGE as error:
            raise self.fail(f"no HDF5 file that can be read ({error}).") from None
        if self.total > max(limits.FREE, limits.RATIO * self.bytes.size):
            raise self.fail(f"{self.bytes.size} bytes claim to hold {self.total}.")

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
            found = h5.messages(self.bytes, address, _ATTRIBUTES)
            one = h5.attribute(found, name.encode())
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
