# SPDX-License-Identifier: Apache-2.0
"""Checksums taken while a part of a file is written are zlib's of the whole."""

from __future__ import annotations

import os
import zlib

import numpy as np
import pytest

from fastnn.saving import windows
from fastnn.saving.checksums import combined, crc32


@pytest.mark.parametrize("size", [0, 1, 7, 8, 255, 65_537])
def test_two_pieces(size):
    a, b = np.random.default_rng(size).bytes(100), bytes(range(256)) * 257
    b = b[:size]
    assert combined(zlib.crc32(a), zlib.crc32(b), size) == zlib.crc32(a + b)


@pytest.mark.parametrize("size", [0, 1, 15, 63, 64, 65, 4096, 1_000_003])
def test_one_piece(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32(data) == zlib.crc32(data)
    for part in (data, memoryview(data)[size // 3 :], bytearray(data)):
        assert crc32(part, 77) == zlib.crc32(part, 77)
    numbers = np.frombuffer(data[: size // 4 * 4], "<f4")
    assert crc32(memoryview(numbers)) == zlib.crc32(numbers)
    with pytest.raises(TypeError):
        crc32("text")


@pytest.mark.parametrize("seed", range(30))
def test_writes_in_any_order(seed, tmp_path, monkeypatch):
    """Pieces large and small, over each other, with holes and cuts."""
    monkeypatch.setattr(windows, "CHUNK", 64)
    rng = np.random.default_rng(seed)
    handle = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    try:
        window = windows.Window(handle, 7, summed=True)
        for _ in range(rng.integers(1, 20)):
            window.seek(int(rng.integers(0, 3000)))
            window.write(rng.bytes(rng.choice([1, 10, 64, 100, 500, 1000])))
        if seed % 3 == 0:
            window.truncate(int(rng.integers(0, window.size + 100)))
        data = (tmp_path / "a").read_bytes()[7:]
        assert window.checksum() == (zlib.crc32(data), len(data))
    finally:
        os.close(handle)
