# SPDX-License-Identifier: Apache-2.0
"""CRC-32 of bytes, and of a whole from those of its pieces.

The second is Mark Adler's crc32_combine (https://github.com/madler/zlib), which the
zlib of Python lacks.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

from fastnn import _core

_POLYNOMIAL = 0xEDB88320

# zlib's takes 30 to 45 ms for 100 MB, as long as writing them.
crc32: Callable[..., int] = _core.crc32 if _core.cpu_supports("pclmul") else zlib.crc32


def combined(first: int, second: int, size: int) -> int:
    """CRC-32 of two pieces, from those of each; `size` bytes has the second."""
    power = 0
    while size:
        if size & 1:
            first = _times(_zeros(power), first)
        size, power = size >> 1, power + 1
    return first ^ second


@functools.cache
def _zeros(power: int) -> tuple[int, ...]:
    """What 2**power bytes of zeros make of a CRC, as a matrix of bits."""
    if not power:
        matrix = (_POLYNOMIAL, *(1 << i for i in range(31)))  # one bit
        for _ in range(3):
            matrix = tuple(_times(matrix, column) for column in matrix)
        return matrix
    before = _zeros(power - 1)
    return tuple(_times(before, column) for column in before)


def _times(matrix: tuple[int, ...], vector: int) -> int:
    result, i = 0, 0
    while vector:
        if vector & 1:
            result ^= matrix[i]
        vector, i = vector >> 1, i + 1
    return result
