# SPDX-License-Identifier: Apache-2.0
"""Which way a convolution is computed: the one place that decides."""

from __future__ import annotations

from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda.rules import tiled, unfolded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastnn.backends.cuda.launches import Operand

TILED = "tiled"  # conv_tiled.cuh: one kernel, on tensor cores where they may be used
UNFOLDED = "unfolded"  # windows as rows in memory, then the library's product
GENERAL = "general"  # conv.cuh: any strides, groups, float64
WAYS = (TILED, UNFOLDED, GENERAL)

_preferred: str | None = None


@contextmanager
def prefer(way: str) -> Iterator[None]:
    """Within, convolutions that can be computed that way are: for measurements."""
    global _preferred
    before, _preferred = _preferred, way
    try:
        yield
    finally:
        _preferred = before


def way(
    operands: Sequence[Operand], numbers: tuple[int, ...], pixels: int, depth: int
) -> str:
    """How to compute a convolution or one of its gradients.

    Args:
        operands: the image that windows slide over first.
        numbers: of the geometry and the channels.
        pixels, depth: rows and columns of the unfolded image.
    """
    possible = [GENERAL]
    if unfolded.fits(operands[0], numbers, pixels, depth):
        possible.insert(0, UNFOLDED)
    if tiled.fits(operands, numbers):
        possible.insert(0, TILED)
    if _preferred in possible:
        return _preferred
    # Windows of one pixel are rows already: the product alone, by the library, where it
    # may use tensor cores. Which of the ways is faster was not measured on a device:
    # benchmarks/gpu.py has a part for it, "convolutions".
    pointwise = prod(numbers[6:9]) == prod(numbers[9:12]) == 1
    if pointwise and UNFOLDED in possible:
        return UNFOLDED
    return possible[0]
