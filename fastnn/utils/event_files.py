# SPDX-License-Identifier: Apache-2.0
"""Event files of TensorBoard, without TensorFlow or protobuf.

A file is a row of records (TFRecord): u64 length, masked CRC-32C of the length, data,
masked CRC-32C of the data, little-endian. Each datum is an `Event` in protobuf's wire
format; the numbers of fields are those of event.proto, summary.proto and tensor.proto.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_counter = itertools.count()

# ---- records -----------------------------------------------------------------------

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reversed


def _table() -> list[int]:
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
        rows.append(byte)
    return rows


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The CRC-32C of bytes (RFC 3720); that of b"123456789" is 0xE3069283."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> bytes:
    """Four bytes of a CRC that may itself be in data that has one."""
    crc = crc32c(data)
    mixed = ((crc >> 15) | (crc << 17)) + 0xA282EAD8
    return struct.pack("<I", mixed & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


# ---- protobuf ----------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF  # two's complement, as int64 has it
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """A field of type int32, int64, bool or enum."""
    return _varint(field << 3) + _varint(value)


def double(field: int, value: float) -> bytes:
    """A field of type double."""
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def blob(field: int, value: bytes | str) -> bytes:
    """A field of type string, bytes or message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(value: Any) -> bytes:
    """A TensorProto: of bytes where there is a list of them, else of numbers."""
    if isinstance(value, (list, bytes)):
        items = value if isinstance(value, list) else [value]
        shape = blob(2, integer(1, len(items))) if isinstance(value, list) else b""
        return (
            integer(1, 7) + blob(2, shape) + b"".join(blob(8, item) for item in items)
        )
    array = np.asarray(value)
    array = array.astype("<f8" if array.dtype == np.float64 else "<f4")
    dims = b"".join(blob(2, integer(1, size)) for size in array.shape)
    dtype = 2 if array.itemsize == 8 else 1
    return integer(1, dtype) + blob(2, dims) + blob(4, array.tobytes())


# ---- summaries ---------------------------------------------------------------------

_SCALAR, _TENSOR, _BLOBS = 1, 2, 3  # classes of data: what readers may expect


def histogram_rows(values: Any, buckets: int = 30) -> np.ndarray:
    """float64 (buckets, 3): left edge, right edge and count, as TensorBoard has them.

    Values that are not finite are left out. Where all are equal, the last bucket has
    them all; without values all counts are 0.
    """
    flat = np.asarray(values, "float64").ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return np.zeros((buckets, 3))
    if flat.min() == flat.max():
        rows = np.full((buckets, 3), flat[0])
        rows[:, 2] = 0
        rows[-1, 2] = flat.size
        return rows
    counts, edges = np.histogram(flat, buckets)
    return np.column_stack([edges[:-1], edges[1:], counts])


def png(image: Any) -> bytes:
    """An image (height, width, 1, 3 or 4) of uint8 as a PNG file (RFC 2083)."""
    array = np.ascontiguousarray(image, "uint8")
    height, width, channels = array.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    lines = np.zeros((height, 1 + width * channels), "uint8")  # filter 0 before each
    lines[:, 1:] = array.reshape(height, -1)
    body = b"\x89PNG\r\n\x1a\n"
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    for name, data in parts:
        check = struct.pack(">I", zlib.crc32(name + data))
        body += struct.pack(">I", len(data)) + name + data + check
    return body


class EventWriter:
    """Writes one event file, for TensorBoard to show.

    The folder and the file are made with the first event. Every method takes the step
    at which its summary belongs.

    Args:
        folder: TensorBoard calls it a run; its parents are made too.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file: Any = None

    @property
    def path(self) -> Path | None:
        """The file; None before the first event."""
        return None if self._file is None else Path(self._file.name)

    def _open(self) -> Any:
        import socket

        self.folder.mkdir(parents=True, exist_ok=True)
        host, number = socket.gethostname(), next(_counter)
        name = f"events.out.tfevents.{int(time.time())}.{host}.{os.getpid()}.{number}"
        file = open(self.folder / f"{name}.v2", "wb")  # noqa: SIM115
        file.write(record(double(1, time.time()) + blob(3, "brain.Event:2")))
        return file

    def add_event(self, fields: bytes, step: int = 0) -> None:
        """Writes an `Event` with these fields besides its time and step."""
        if self._file is None:
            self._file = self._open()
        event = double(1, time.time()) + integer(2, step) + fields
        self._file.write(record(event))

    def add_tensor(
        self, tag: str, value: bytes, plugin: str, kind: int, step: int, content: Any
    ) -> None:
        """Writes a summary with a TensorProto for one of TensorBoard's plugins."""
        data = blob(1, plugin) + (blob(2, content) if content else b"")
        metadata = blob(1, data) + integer(4, kind)
        summary = blob(1, tag) + blob(8, value) + blob(9, metadata)
        self.add_event(blob(5, blob(1, summary)), step)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A point of a curve."""
        self.add_tensor(tag, tensor(np.float32(value)), "scalars", _SCALAR, step, b"")

    def histogram(self, tag: str, values: Any, step: int, buckets: int = 30) -> None:
        """How the values of an array are spread."""
        rows = tensor(histogram_rows(values, buckets))
        self.add_tensor(tag, rows, "histograms", _TENSOR, step, b"")

    def images(self, tag: str, images: Any, step: int) -> None:
        """Pictures (count, height, width, 1, 3 or 4), float in 0..1 or uint8."""
        array = np.asarray(images)
        if array.dtype != np.uint8:
            array = (np.clip(array, 0, 1) * 255 + 0.5).astype("uint8")
        height, width = array.shape[1:3]
        sizes = [str(width).encode(), str(height).encode()]
        value = tensor([*sizes, *(png(image) for image in array)])
        self.add_tensor(tag, value, "images", _BLOBS, step, b"")

    def text(self, tag: str, text: str, step: int) -> None:
        """Text in Markdown."""
        self.add_tensor(tag, tensor([text.encode()]), "text", _TENSOR, step, b"")

    def keras_model(self, tag: str, config: str, step: int) -> None:
        """A model, as the JSON text of its config, for the page of graphs."""
        value = tensor(config.encode())
        self.add_tensor(tag, value, "graph_keras_model", _BLOBS, step, b"1")

    def graph(self, graph_def: bytes) -> None:
        """A GraphDef, the graph of the run."""
        self.add_event(blob(4, graph_def))

    def run_metadata(self, tag: str, data: bytes, step: int) -> None:
        """Times of the graph's nodes, a RunMetadata."""
        value = tensor(data)
        self.add_tensor(tag, value, "graph_run_metadata", _BLOBS, step, b"1")

    def flush(self) -> None:
        """Makes what was written visible to readers."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Ends the file; a later event begins another one."""
        if self._file is not None:
            self._file.close()
            self._file = None


__all__ = ["EventWriter"]
