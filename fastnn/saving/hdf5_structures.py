# SPDX-License-Identifier: Apache-2.0
"""HDF5's structures, read from bytes by fastnn itself.

libhdf5 must not see a file of unknown origin: a few flipped bits in one make version
1.14 loop for ever in a heap of texts, and it follows names of other files. Here every
address and size is compared with the file, every structure is visited once, and what
the format can say beyond arrays of numbers in groups does not exist. Names of fields
are those of the specification, version 3
(https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).

What h5py writes by default, and so Keras, is read; of `libver="latest"` the compact
forms are.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastnn.saving.windows import Window

UNDEFINED = (1 << 64) - 1
NAME_BYTES = 1024
_MESSAGES = 1 << 16
_SMALL = 64 << 10  # a file that is read at once

# Kinds of messages in object headers.
DATASPACE, LINK_INFO, DATATYPE, OLD_FILL, FILL, LINK, EXTERNAL = 1, 2, 3, 4, 5, 6, 7
LAYOUT, GROUP_INFO, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS = 8, 10, 11, 12, 16, 17
ATTRIBUTE_INFO = 21

_LATEST = (
    "stored in a form of libver='latest' that is not read; h5py.File(path, 'w') "
    "writes the usual one."
)


class DamagedError(ValueError):
    """The bytes are not what the format says."""


class Bytes:
    """The file, of which no more is read than there is.

    Nor is much of it read again and again: a thousand groups could name one large heap.
    """

    def __init__(self, window: Window) -> None:
        self.size = window.size
        self._handle = window.handle
        self._start = window.start
        self._left = 2 * self.size + (16 << 20)
        # A question to the system for each structure is a fifth of a small file's time.
        small = self.size <= _SMALL
        self._all = os.pread(self._handle, self.size, self._start) if small else None

    def take(self, place: int, size: int) -> bytes:
        """`size` bytes of a structure, from a place on."""
        self._left -= size
        if self._left < 0:
            raise DamagedError("structures that stand one in the other")
        return self.data(place, size)

    def data(self, place: int, size: int) -> bytes:
        """`size` bytes of an array."""
        if place + size > self.size:
            raise DamagedError(f"{size} bytes at {place} of a file of {self.size}")
        if self._all is not None:
            data = self._all[place : place + size]
        else:
            data = os.pread(self._handle, size, self._start + place)
        if len(data) != size:
            raise DamagedError(f"the file ends before {place + size}")
        return data

    def signed(self, place: int, size: int, signature: bytes) -> bytes:
        """The same, where a structure begins with four letters."""
        data = self.take(place, size)
        if data[:4] != signature:
            raise DamagedError(f"no {signature.decode()} at {place}")
        return data


def root(file: Bytes) -> int:
    """Address of the root group's header."""
    head = file.take(0, 96 if file.size >= 96 else 48)
    version = head[8]
    sizes = head[13:15] if version < 2 else head[9:11]
    if version > 3 or sizes != b"\x08\x08":
        raise DamagedError(f"superblock version {version}, sizes {tuple(sizes)}")
    if version < 2:
        at = 24 + 4 * version
        base, _, end, _, _, address = struct.unpack_from("<6Q", head, at)
    else:
        base, _, end, address = struct.unpack_from("<4Q", head, 12)
    if base:
        raise DamagedError("a user block comes before it")
    if end > file.size:
        raise DamagedError(f"truncated: {file.size} of {end} bytes")
    return address


# ---- object headers ----------------------------------------------------------------


_WIDE = struct.Struct("<2HB3x")
_NARROW = struct.Struct("<BHB")


class Message(NamedTuple):
    kind: int
    shared: bool
    body: bytes


def messages(file: Bytes, place: int, wanted: frozenset[int]) -> list[Message]:
    """The messages of an object header that are of wanted kinds."""
    head = file.take(place, min(32, max(0, file.size - place)))
    wide = head[:4] != b"OHDR"
    if wide:
        version, _, count, _, size = struct.unpack_from("<2BH2I", head)
        if version != 1:
            raise DamagedError(f"no object header at {place}")
        blocks, extra, flags = [(place + 16, size)], 0, 0
    else:
        flags, count = head[5], _MESSAGES
        at = 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[at : at + width], "little")
        blocks, extra = [(place + at + width, size)], 2 * bool(flags & 4)
    found: list[Message] = []
    total, seen, most = 0, 0, min(count, _MESSAGES)
    for start, size in blocks:  # grows
        total += size
        if total > file.size:
            raise DamagedError(f"the header at {place} is larger than the file")
        data = file.take(start, size)
        at, form = 0, _WIDE if wide else _NARROW
        while at + form.size + extra <= size and seen < most:
            kind, length, flags = form.unpack_from(data, at)
            at += form.size + extra
            if at + length > size:
                raise DamagedError("a message that is longer than its header")
            if kind == CONTINUATION:
                blocks.append(_continued(file, data[at : at + length], wide))
            elif kind in wanted:
                found.append(Message(kind, bool(flags & 2), data[at : at + length]))
            at += length
            seen += 1
    return found


def _continued(file: Bytes, body: bytes, wide: bool) -> tuple[int, int]:
    start, size = struct.unpack_from("<2Q", body)
    if wide:
        return start, size
    if size < 8:
        raise DamagedError("a continued header without content")
    file.signed(start, 4, b"OCHK")
    return start + 4, size - 8  # a checksum ends it


# ---- links -------------------------------------------------------------------------


class Link(NamedTuple):
    """A name in a group; address None for one that leads elsewhere."""

    name: bytes
    address: int | None


def links(file: Bytes, found: list[Message]) -> Iterator[Link]:
    """The links of a group, from the messages of its header."""
    for message in found:
        body = message.body
        if message.kind == SYMBOLS:
            yield from _symbols(file, *struct.unpack_from("<2Q", body))
        elif message.kind == LINK:
            yield _link(body)
        elif message.kind == LINK_INFO:
            at = 2 + 8 * (body[1] & 1)
            if struct.unpack_from("<Q", body, at)[0] != UNDEFINED:
                raise DamagedError(f"links {_LATEST}")


def _link(body: bytes) -> Link:
    flags, at = body[1], 2
    kind = 0
    if flags & 8:
        kind, at = body[at], at + 1
    at += 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    size = int.from_bytes(body[at : at + width], "little")
    at += width
    name = body[at : at + size]
    if not 0 < len(name) == size <= NAME_BYTES:
        raise DamagedError("a link whose name is longer than its message")
    if kind:
        return Link(name, None)
    return Link(name, struct.unpack_from("<Q", body, at + size)[0])


def _symbols(file: Bytes, tree: int, heap: int) -> Iterator[Link]:
    head = file.signed(heap, 32, b"HEAP")
    size, _, place = struct.unpack_from("<3Q", head, 8)
    names = file.take(place, size)
    for node in _leaves(file, tree, 0, 8):
        (address,) = struct.unpack_from("<Q", node, 8)
        head = file.signed(address, 8, b"SNOD")
        (count,) = struct.unpack_from("<H", head, 6)
        entries = file.take(address + 8, 40 * count)
        for at in range(0, len(entries), 40):
            offset, target, kind = struct.unpack_from("<2QI", entries, at)
            end = names.find(b"\0", offset, offset + NAME_BYTES + 1)
            if end <= offset:
                raise DamagedError("a link without a name")
            yield Link(names[offset:end], None if kind == 2 else target)


def _leaves(file: Bytes, place: int, kind: int, key: int) -> Iterator[bytes]:
    """(key, address) of each entry on the lowest level of a B-tree, as bytes."""
    if place == UNDEFINED:
        return
    stack, seen, height = [(place, -1)], {place}, -1
    while stack:
        place, height = stack.pop()
        head = file.signed(place, 24, b"TREE")
        found, level, used = struct.unpack_from("<2BH", head, 4)
        if found != kind or height not in (-1, level):
            raise DamagedError(f"a B-tree of kind {found} and level {level}")
        entries = file.take(place + 24, used * (key + 8))
        parts = [entries[at : at + key + 8] for at in range(0, len(entries), key + 8)]
        if not level:
            yield from parts
            continue
        for part in reversed(parts):
            (child,) = struct.unpack_from("<Q", part, key)
            if child in seen:
                raise DamagedError("a B-tree that leads back to itself")
            seen.add(child)
            stack.append((child, level - 1))


# ---- types and shapes --------------------------------------------------------------


class Kind(NamedTuple):
    """A datatype; dtype None where NumPy has none."""

    number: int
    size: int
    dtype: np.dtype | None
    text: bool = False  # of variable length


_FLOATS = {
    # size: (exponent's place, its bits, mantissa's place, its bits, bias)
    2: (10, 5, 0, 10, 15),
    4: (23, 8, 0, 23, 127),
    8: (52, 11, 0, 52, 1023),
}
INTEGER, FLOAT, STRING, OPAQUE, ENUM, VARIABLE = 0, 1, 3, 5, 8, 9


def kind_of(body: bytes) -> Kind:
    """The datatype that a message describes."""
    number, first, second, size = struct.unpack_from("<3BxI", body)
    number &= 15
    if number == INTEGER and size in (1, 2, 4, 8):
        place, bits = struct.unpack_from("<2H", body, 8)
        order = ">" if first & 1 else "<"
        whole = (place, bits) == (0, 8 * size)
        sign = "i" if first & 8 else "u"
        return Kind(number, size, np.dtype(f"{order}{sign}{size}") if whole else None)
    if number == FLOAT and size in _FLOATS:
        place, bits, *parts = struct.unpack_from("<2H4BI", body, 8)
        order = ">" if first & 1 else "<"
        usual = (place, bits, second) == (0, 8 * size, 8 * size - 1)
        vax = first & 64
        if vax or not usual or tuple(parts) != _FLOATS[size]:
            return Kind(number, size, None)
        return Kind(number, size, np.dtype(f"{order}f{size}"))
    if number == STRING:
        return Kind(number, size, None)
    if number == OPAQUE and 0 < size < 1 << 16:
        return Kind(number, size, np.dtype(f"V{size}"))
    if number == ENUM:
        return _enum(body, first | second << 8)
    return Kind(number, size, None, number == VARIABLE and first & 15 == 1)


def _enum(body: bytes, count: int) -> Kind:
    """A whole number; h5py's truth values are 0 FALSE and 1 TRUE."""
    base = kind_of(body[8:])
    if base.dtype is None or base.number != INTEGER:
        return Kind(ENUM, base.size, None)
    if count == 2 and base.size == 1 and body[20:].startswith(b"FALSE\0"):
        return Kind(ENUM, 1, np.dtype(bool))
    return Kind(ENUM, base.size, base.dtype)


def shape_of(body: bytes) -> tuple[int, ...] | None:
    """The shape that a message describes; None for no elements at all."""
    version, rank, _, kind = struct.unpack_from("<4B", body)
    if version == 2 and kind == 2:
        return None
    if rank > 32 or version not in (1, 2):
        raise DamagedError(f"a shape of {rank} axes, version {version}")
    return struct.unpack_from(f"<{rank}Q", body, 8 if version == 1 else 4)


class Layout(NamedTuple):
    """Where the bytes of an array are.

    Attributes:
        kind: 0 in the header, 1 in one piece, 2 in chunks, 3 in other files.
        address: of the piece, or of the tree of chunks.
        size: of the piece.
        chunk: shape of the chunks.
        data: in the header.
    """

    kind: int
    address: int = UNDEFINED
    size: int = 0
    chunk: tuple[int, ...] = ()
    data: bytes = b""


def layout_of(body: bytes) -> Layout:
    version, kind = body[:2]
    if version not in (3, 4) or (version == 4 and kind == 2):
        raise DamagedError(f"numbers {_LATEST}")
    if kind == 0:
        (size,) = struct.unpack_from("<H", body, 2)
        return Layout(kind, size=size, data=body[4 : 4 + size])
    if kind == 1:
        return Layout(kind, *struct.unpack_from("<2Q", body, 2))
    if kind == 2:
        rank = body[2] - 1
        address, *chunk = struct.unpack_from(f"<Q{rank}I", body, 3)
        return Layout(kind, address, chunk=tuple(chunk))
    return Layout(3)


def filters_of(body: bytes) -> list[int]:
    """Numbers of the filters that chunks went through, in that order."""
    version, count = body[:2]
    at, found = (8 if version == 1 else 2), []
    for _ in range(count):
        (number,) = struct.unpack_from("<H", body, at)
        at += 2
        name = 0
        if version == 1 or number >= 256:
            (name,) = struct.unpack_from("<H", body, at)
            at += 2
        _, values = struct.unpack_from("<2H", body, at)
        if version == 1:
            name, values = -(-name // 8) * 8, values + values % 2
        at += 4 + name + 4 * values
        found.append(number)
    return found


def fill_of(message: Message) -> bytes:
    """The value of what was never written; empty for zeros."""
    body = message.body
    if message.kind == OLD_FILL:
        at = 0
    elif body[0] in (1, 2):
        at = 4 if body[0] == 1 or body[3] else len(body)
    else:
        at = 2 if body[1] & 32 else len(body)
    if at + 4 > len(body):
        return b""
    (size,) = struct.unpack_from("<i", body, at)
    return body[at + 4 : at + 4 + max(0, size)]


class Chunk(NamedTuple):
    offsets: tuple[int, ...]
    size: int
    skipped: int  # filters, as bits
    address: int


def chunks(file: Bytes, tree: int, rank: int, most: int) -> list[Chunk]:
    """All chunks of an array, at most `most`."""
    found: list[Chunk] = []
    key = 8 + 8 * (rank + 1)
    for entry in _leaves(file, tree, 1, key):
        size, skipped, *offsets = struct.unpack_from(f"<2I{rank}Q", entry)
        (address,) = struct.unpack_from("<Q", entry, key)
        found.append(Chunk(tuple(offsets), size, skipped, address))
        if len(found) > most:
            raise DamagedError(f"more than {most} chunks")
    return found


# ---- attributes --------------------------------------------------------------------


class Attribute(NamedTuple):
    kind: Kind
    shape: tuple[int, ...] | None
    data: bytes


def attribute(found: list[Message], name: bytes) -> Attribute | None:
    """The attribute of a name, from the messages of a header."""
    for message in found:
        body = message.body
        if message.kind == ATTRIBUTE_INFO:
            at = 2 + 2 * (body[1] & 1)
            if struct.unpack_from("<Q", body, at)[0] != UNDEFINED:
                raise DamagedError(f"attributes {_LATEST}")
            continue
        if message.kind != ATTRIBUTE:
            continue
        version, flags, *sizes = struct.unpack_from("<2B3H", body)
        at, round_to = (9, 1) if version == 3 else (8, 8 if version == 1 else 1)
        parts = []
        for size in sizes:
            parts.append(body[at : at + size])
            at += -(-size // round_to) * round_to
        if parts[0].rstrip(b"\0") != name:
            continue
        if message.shared or (version > 1 and flags & 3):
            raise DamagedError("an attribute whose type stands elsewhere")
        return Attribute(kind_of(parts[1]), shape_of(parts[2]), body[at:])
    return None


def texts(file: Bytes, data: bytes, count: int) -> list[bytes]:
    """Texts of variable length, which lie in heaps; any number may be one and the same.

    Raises:
        DamagedError: when together they are larger than the file.
    """
    heaps: dict[int, dict[int, tuple[int, int]]] = {}
    found, total = [], 0
    for i in range(count):
        size, heap, index = struct.unpack_from("<IQI", data, 16 * i)
        if not size or not heap or heap == UNDEFINED:
            found.append(b"")
            continue
        if heap not in heaps:
            heaps[heap] = _heap(file, heap)
        place, held = heaps[heap].get(index, (0, 0))
        total += size
        if size > held or total > file.size:
            raise DamagedError(f"texts of {total} bytes, which the file does not hold")
        found.append(file.take(place, size))
    return found


def _heap(file: Bytes, place: int) -> dict[int, tuple[int, int]]:
    """index -> (place, size) of what a global heap holds."""
    (size,) = struct.unpack_from("<Q", file.signed(place, 16, b"GCOL"), 8)
    data = file.take(place, size)
    found: dict[int, tuple[int, int]] = {}
    at = 16
    while at + 16 <= size:
        index, held = struct.unpack_from("<H6xQ", data, at)
        if not index:
            break
        found[index] = (place + at + 16, held)
        at += 16 + -(-held // 8) * 8
    return found
