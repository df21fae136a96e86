# SPDX-License-Identifier: Apache-2.0
"""Fewer axes for the same elements: kernels divide once per axis and element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Operand

if TYPE_CHECKING:
    from collections.abc import Sequence


def merged(operands: Sequence[Operand]) -> list[Operand]:
    """Operands of one shape, neighbouring axes made one where all strides allow."""
    shape = operands[0].shape
    kept = [d for d in range(len(shape)) if shape[d] != 1]
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in operands]
    for d in kept:
        steps = [o.strides[d] for o in operands]
        if sizes and all(
            before[-1] == step * shape[d]
            for before, step in zip(strides, steps, strict=True)
        ):
            sizes[-1] *= shape[d]
            for before, step in zip(strides, steps, strict=True):
                before[-1] = step
            continue
        sizes.append(shape[d])
        for before, step in zip(strides, steps, strict=True):
            before.append(step)
    return [
        o._replace(shape=tuple(sizes), strides=tuple(s))
        for o, s in zip(operands, strides, strict=True)
    ]


def moved_last(x: Operand, axes: Sequence[int]) -> Operand:
    """The operand with `axes` behind the others, each group in its order."""
    order = [d for d in range(len(x.shape)) if d not in axes] + list(axes)
    return x._replace(
        shape=tuple(x.shape[d] for d in order),
        strides=tuple(x.strides[d] for d in order),
    )
