# SPDX-License-Identifier: Apache-2.0
"""Which way a convolution is computed: the one place that decides."""

from __future__ import annotations

import os
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fastnn import config
from fastnn.backends.cuda import cudnn, measured
from fastnn.backends.cuda.rules import by_cudnn, tiled, unfolded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastnn.backends.cuda.launches import Operand

TILED = "tiled"  # conv_tiled.cuh: one kernel, on tensor cores where they may be used
UNFOLDED = "unfolded"  # windows as rows in memory, then the library's product
GENERAL = "general"  # conv.cuh: any strides, groups, float64
CUDNN = "cudnn"  # where it is installed, and was faster or is asked for
WAYS = (TILED, UNFOLDED, GENERAL, CUDNN)
TABLE = "convolutions"


class Shape(NamedTuple):
    """What the choice depends on; not on the number of images."""

    problem: str
    dtype: str
    rounded: bool  # whether float32 may be
    numbers: tuple[int, ...]  # of the geometry and the channels


# The way that was the fastest (`python -m benchmarks.gpu --only convolutions`).
table: dict[Shape, str] = {}


def read_table(architecture: str) -> None:
    """Takes what was measured, if anything was."""
    for problem, dtype, rounded, numbers, found in measured.read(TABLE, architecture):
        table[Shape(problem, dtype, rounded, tuple(numbers))] = found


def write_table(architecture: str) -> None:
    """Keeps what was measured."""
    measured.write(TABLE, architecture, [[*shape, way] for shape, way in table.items()])


_preferred: str | None = None
_asked: list[Shape] = []


@contextmanager
def prefer(way: str) -> Iterator[list[Shape]]:
    """Within, convolutions that can be computed that way are: for measurements. Gives
    what was asked for meanwhile.
    """
    global _preferred, _asked
    before = _preferred, _asked
    _preferred, _asked = way, []
    try:
        yield _asked
    finally:
        _preferred, _asked = before


def shape_of(problem: str, dtype: str, numbers: tuple[int, ...]) -> Shape:
    """Of a convolution in the precision that is set."""
    rounded = dtype == "float32" and config.float32_matmul_precision() == "high"
    return Shape(problem, dtype, rounded, numbers[:21])


def way(
    problem: str,
    operands: Sequence[Operand],
    numbers: tuple[int, ...],
    pixels: int,
    depth: int,
) -> str:
    """How to compute a convolution or one of its gradients.

    FASTNN_CUDNN=1 takes cuDNN for all that it can compute, =0 for none; else what was
    measured decides, where anything was.

    Args:
        problem: "Forward", "InputGradient" or "FilterGradient".
        operands: the image that windows slide over first.
        numbers: of the geometry and the channels.
        pixels, depth: rows and columns of the unfolded image.
    """
    possible = [GENERAL]
    if unfolded.fits(operands[0], numbers, pixels, depth):
        possible.insert(0, UNFOLDED)
    if tiled.fits(operands, numbers):
        possible.insert(0, TILED)
    said = os.environ.get("FASTNN_CUDNN")
    if said != "0" and by_cudnn.fits(operands, numbers):
        possible.append(CUDNN)
    shape = shape_of(problem, operands[0].dtype, numbers)
    if _preferred is not None:
        _asked.append(shape)
    if _preferred in possible:
        return _preferred
    if said == "1" and CUDNN in possible:
        return CUDNN
    fastest = table.get(shape)
    if fastest in possible and (fastest != CUDNN or cudnn.installed()):
        return fastest
    # Windows of one pixel are rows already: the product alone, by the library, where it
    # may use tensor cores.
    pointwise = prod(numbers[6:9]) == prod(numbers[9:12]) == 1
    if pointwise and UNFOLDED in possible:
        return UNFOLDED
    return possible[0]
