# SPDX-License-Identifier: Apache-2.0
"""Stacks and splits along the axes that NumPy has names for."""

from __future__ import annotations

from typing import Any

from fastnn._allowance import check_parts
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import axis_of, integer
from fastnn.ops.arrays import concatenate, expand_dims, split


def _at_least(x: Any, rank: int) -> Tensor:
    """x with axes of size 1 as `numpy.atleast_1d`, `_2d` and `_3d` add them."""
    t = convert_to_tensor(x)
    if t.ndim >= rank:
        return t
    if rank == 3 and t.ndim:
        lead = (1,) if t.ndim == 1 else ()
        return raw.reshape(t, (*lead, *t.shape, 1))
    return raw.reshape(t, (1,) * (rank - t.ndim) + t.shape)


def hstack(xs: Any) -> Tensor:
    """Tensors joined along the second axis, or the first of vectors."""
    tensors = [_at_least(x, 1) for x in xs]
    return concatenate(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(xs: Any) -> Tensor:
    """Tensors joined along the first axis; vectors are rows."""
    return concatenate([_at_least(x, 2) for x in xs], 0)


def dstack(xs: Any) -> Tensor:
    """Tensors joined along the third axis; vectors (n,) count as (1, n, 1)."""
    return concatenate([_at_least(x, 3) for x in xs], 2)


def column_stack(xs: Any) -> Tensor:
    """Tensors joined along the second axis; vectors are columns."""
    tensors = [_at_least(x, 1) for x in xs]
    return concatenate([expand_dims(t, 1) if t.ndim == 1 else t for t in tensors], 1)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`split` whose parts may differ by one element: the first ones are longer.

    Raises:
        ValueError: for less than one part.
    """
    if hasattr(indices_or_sections, "__len__"):
        return split(x, indices_or_sections, axis)
    t = convert_to_tensor(x)
    n = t.shape[axis_of(axis, t.ndim, "array_split")]
    parts = integer("array_split", "indices_or_sections", indices_or_sections)
    if parts < 1:
        raise ValueError(f"[array_split] cannot make {parts} parts")
    check_parts(parts, "array_split")
    size, longer = divmod(n, parts)
    cuts = [i * size + min(i, longer) for i in range(1, parts)]
    return split(t, cuts, axis)


def _split(name: str, x: Any, indices_or_sections: Any, rank: int) -> list[Tensor]:
    t = convert_to_tensor(x)
    if t.ndim < rank:
        raise ShapeError(
            f"[{name}] needs rank {rank} or more, received shape {t.shape}"
        )
    axis = 0 if name == "hsplit" and t.ndim == 1 else "vhd".index(name[0])
    return split(t, indices_or_sections, axis)


def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the second axis, or the first of a vector."""
    return _split("hsplit", x, indices_or_sections, 1)


def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the first axis of rank 2 or more."""
    return _split("vsplit", x, indices_or_sections, 2)


def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the third axis."""
    return _split("dsplit", x, indices_or_sections, 3)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, without that axis.

    Raises:
        ValueError: when there are not `num` of them.
    """
    t = convert_to_tensor(x)
    a = axis_of(axis, t.ndim, "unstack")
    if num is not None and num != t.shape[a]:
        raise ValueError(
            f"[unstack] axis {axis} of {t.shape} has no {num} slices but {t.shape[a]}"
        )
    check_parts(t.shape[a], "unstack")
    lead = (slice(None),) * a
    return [t[(*lead, i)] for i in range(t.shape[a])]


__all__ = [
    *"array_split column_stack dsplit dstack hsplit hstack unstack vsplit".split(),
    "vstack",
]
