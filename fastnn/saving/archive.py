# SPDX-License-Identifier: Apache-2.0
"""`.keras` archives: zip files whose members are stored as they are.

Nothing is ever extracted: members are read where they lie, and the weights are written
where they will lie, so that neither direction holds a second copy of them.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple

from fastnn.errors import ModelFileError
from fastnn.saving import limits
from fastnn.saving.checksums import crc32
from fastnn.saving.windows import CHUNK, Window, read_into, write_all

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_FULL = 0xFFFFFFFF  # in a field of 32 bits: the number stands elsewhere
_LIMIT = _FULL  # above it, it has to
_ORIGIN = (1980, 1, 1, 0, 0, 0)


# ---- reading -----------------------------------------------------------------------


class _Table(io.BufferedReader):
    """A file that is being opened as an archive.

    `zipfile` reads its table in one piece of any size, and makes an object of each 46
    bytes.
    """

    opened = False

    def read(self, size: int | None = -1) -> bytes:
        if not self.opened and size is not None and size > limits.ARCHIVE_TABLE:
            raise ValueError(
                f"a table of {size} bytes, at most {limits.ARCHIVE_TABLE} are read"
            )
        return super().read(size)


class ArchiveReader:
    """The members of an archive, whose table has been checked.

    Raises:
        ModelFileError: for names that lead elsewhere or stand twice, links, encryption,
            other methods than stored and deflate, and members that grow more than
            `ratio` times.
    """

    def __init__(self, path: str, handle: int, ratio: int = limits.RATIO) -> None:
        self.path = path
        self.handle = handle
        self._ratio = ratio
        file = _Table(io.FileIO(os.dup(handle), "rb"))
        try:
            self._zip = zipfile.ZipFile(file)
            file.opened = True
        except Exception as error:  # also OverflowError, struct.error, ...
            file.close()
            raise ModelFileError(path, f"no zip archive ({error}).") from None
        try:
            self.members = self._checked()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the archive's own handle."""
        assert self._zip.fp is not None
        file = self._zip.fp
        self._zip.close()
        file.close()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        end = os.fstat(self.handle).st_size
        for entry in self._zip.infolist():
            problem = _problem(entry, self._ratio)
            # A size of 2**63 is a field of 64 bits; to go over it took for ever.
            if not problem and entry.header_offset + entry.compress_size > end:
                problem = f"{entry.compress_size} bytes, more than the archive has."
            if not problem and entry.filename in found:
                problem = "this name stands twice."
            if problem:
                raise ModelFileError(self.path, problem, entry.filename)
            found[entry.filename] = entry
        return found

    def read(self, name: str, most: int, most_deflated: int | None = None) -> bytes:
        """A small member, whose checksum has been compared.

        Args:
            name: of the member.
            most: bytes of it.
            most_deflated: the same, where it is not stored as it is.

        Raises:
            ModelFileError: when it is missing, larger than `most`, or damaged.
        """
        entry = self._entry(name)
        if most_deflated is not None and entry.compress_type != zipfile.ZIP_STORED:
            most = most_deflated
        if entry.file_size > most:
            problem = f"{entry.file_size} bytes, at most {most} are read."
            raise ModelFileError(self.path, problem, name)
        try:
            return self._zip.read(entry)
        except Exception as error:  # BadZipFile, zlib.error, EOFError, ...
            raise ModelFileError(self.path, f"damaged ({error}).", name) from None

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self.members:
            names = ", ".join(list(self.members)[:8]) or "none"
            problem = f"the archive has no such member; it has {names}."
            raise ModelFileError(self.path, problem, name)
        return self.members[name]

    def open(self, name: str) -> zipfile.ZipExtFile:
        """A member to be read in pieces; at its end its checksum is compared."""
        found = self._zip.open(self._entry(name))
        assert isinstance(found, zipfile.ZipExtFile)
        return found

    def window(self, name: str) -> Window:
        """A stored member where it lies, or a deflated one in memory; verified."""
        entry = self._entry(name)
        if entry.compress_type != zipfile.ZIP_STORED:
            return self._in_memory(name, entry.file_size)
        header = bytearray(_LOCAL.size)
        read_into(self.handle, memoryview(header), entry.header_offset)
        fields = _LOCAL.unpack(header)
        start = entry.header_offset + _LOCAL.size + fields[9] + fields[10]
        window = Window(self.handle, start, entry.file_size)
        damaged = fields[0] != b"PK\x03\x04" or entry.compress_size != entry.file_size
        if damaged or window.checksum() != (entry.CRC, entry.file_size):
            raise ModelFileError(self.path, "damaged: its checksum differs.", name)
        return window

    def _in_memory(self, name: str, size: int) -> Window:
        most = os.fstat(self.handle).st_size + limits.GROWTH
        if size > most:
            problem = f"deflated, of {size} bytes; at most {most} are read."
            raise ModelFileError(self.path, problem, name)
        window = _Owned(_new_memory(), 0)
        try:
            with self.open(name) as source:
                shutil.copyfileobj(source, window, CHUNK)
        except Exception as error:  # BadZipFile, zlib.error, EOFError, ...
            window.close()
            raise ModelFileError(self.path, f"damaged ({error}).", name) from None
        return window


def _problem(entry: zipfile.ZipInfo, ratio: int) -> str:
    name = entry.filename
    # `orig_filename` keeps what follows a NUL, which `filename` loses.
    parts = name.split("/")
    strange = name != entry.orig_filename or "\\" in name or ":" in name
    if strange or name.startswith("/") or ".." in parts or not name:
        return "a name that leads out of the archive."
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or device, no file."
    if entry.flag_bits & 0x1:
        return "encrypted."
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"compressed by method {entry.compress_type}."
    if entry.file_size > ratio * max(entry.compress_size, 1):
        return (
            f"{entry.compress_size} bytes claim to hold {entry.file_size}, more than "
            f"{ratio} times as many."
        )
    return ""


def _new_memory() -> int:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fastnn-weights")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class _Owned(Window):
    """A window that closes its file."""

    def close(self) -> None:
        if not self.closed:
            os.close(self.handle)
        super().close()


# ---- writing -----------------------------------------------------------------------


class _Member(NamedTuple):
    name: bytes
    date: tuple[int, ...]
    checksum: int
    size: int
    offset: int
    large: bool


class ArchiveWriter:
    """Writes an archive of stored members into an open file, front to back."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._end = 0
        self._members: list[_Member] = []

    def add(self, name: str, *parts: Any) -> None:
        """A member from bytes, dated as Keras dates them."""
        checksum = 0
        for part in parts:
            checksum = crc32(part, checksum)
        size = sum(map(len, parts))
        member = _Member(
            name.encode(), _ORIGIN, checksum, size, self._end, size > _LIMIT
        )
        for part in (_local(member), *parts):
            self._append(part)
        self._members.append(member)

    def add_written(
        self, name: str, write: Callable[[int, int], Window], expected: int
    ) -> None:
        """A member that a function writes where it will lie.

        Args:
            name: of the member.
            write: gets the file's descriptor and a place, and says what it wrote.
            expected: about how many bytes it will be; decides about the large format.
        """
        date = datetime.now().timetuple()[:6]
        large = expected > _LIMIT // 2
        draft = _Member(name.encode(), date, 0, 0, self._end, large)
        header = len(_local(draft))
        window = write(self.handle, self._end + header)
        member = draft._replace(checksum=window.checksum()[0], size=window.size)
        if window.size > _LIMIT and not large:
            raise OverflowError(f"[save] {name} became larger than expected.")
        write_all(self.handle, _local(member), self._end)
        self._end += header + window.size
        self._members.append(member)

    def finish(self) -> None:
        """Writes the table of members."""
        start = self._end
        for member in self._members:
            self._append(_central(member))
        size, count = self._end - start, len(self._members)
        if self._end > _LIMIT or start > _LIMIT:
            record = _END64.pack(
                *(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
            )
            locator = _LOCATOR.pack(b"PK\x06\x07", 0, self._end, 1)
            self._append(record + locator)
            start = _FULL
        self._append(
            _END.pack(b"PK\x05\x06", 0, 0, count, count, min(size, _FULL), start, 0)
        )

    def _append(self, data: Any) -> None:
        write_all(self.handle, data, self._end)
        self._end += len(data)


def _stamps(date: tuple[int, ...]) -> tuple[int, int]:
    """(time, date) as DOS counts them."""
    year, month, day, hour, minute, second = date
    time = hour << 11 | minute << 5 | second // 2
    return time, (year - 1980) << 9 | month << 5 | day


def _local(member: _Member) -> bytes:
    sizes = (_FULL, _FULL) if member.large else (member.size, member.size)
    extra = b""
    if member.large:
        extra = struct.pack("<2H2Q", 1, 16, member.size, member.size)
    version = 45 if member.large else 20
    fields = (b"PK\x03\x04", version, 0, 0, *_stamps(member.date), member.checksum)
    tail = (*sizes, len(member.name), len(extra))
    return _LOCAL.pack(*fields, *tail) + member.name + extra


def _central(member: _Member) -> bytes:
    far = member.offset > _LIMIT
    sizes = (_FULL, _FULL) if member.large else (member.size, member.size)
    values = [member.size, member.size] * member.large + [member.offset] * far
    extra = b""
    if values:
        extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)
    version = 45 if values else 20
    head = (b"PK\x01\x02", version | 3 << 8, version, 0, 0, *_stamps(member.date))
    tail = (len(member.name), len(extra), 0, 0, 0, 0o600 << 16)
    offset = _FULL if far else member.offset
    return (
        _CENTRAL.pack(*head, member.checksum, *sizes, *tail, offset)
        + member.name
        + extra
    )
