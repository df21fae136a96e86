# SPDX-License-Identifier: Apache-2.0
"""CRC-32 of a whole from those of its pieces.

Mark Adler's crc32_combine (https://github.com/madler/zlib), which Python's zlib lacks.
"""

from __future__ import annotations

import functools

_POLYNOMIAL = 0xEDB88320


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
