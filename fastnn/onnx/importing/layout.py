# SPDX-License-Identifier: Apache-2.0
"""Images whose channels stand last in memory, while the file has them first.

fastnn's convolutions and pools take and give channels last. A node between two of them
that works element by element would read such a result across its rows and write it
channels first, only for the next convolution to turn it back: half of a ResNet's time.
So what windows give is kept as it is, as `Images`, and each op says in the table what
it does with them (`reads(..., images=...)`):

* `"own"`: its function takes them;
* `"each"`: element by element, so the operands are turned in place of the result;
* `"shuffle"`: its function takes them and `Grouped` ones, see below;
* nothing: it gets the array of the file, a view.

A shuffle of channels, which splits their axis, swaps the parts and joins them again,
keeps them last as well: between its first step and its last it has `Grouped` images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor


def last(x: Any) -> Tensor:
    """Channels first to channels last, as a view."""
    if isinstance(x, Images):
        return x.last
    return raw.transpose(x, (0, *range(2, x.ndim), 1))


def first(x: Tensor) -> Tensor:
    """The way back."""
    return raw.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


class Images:
    """A tensor (N, C, ...) that is kept as (N, ..., C).

    Attributes:
        last: the tensor as it is kept.
        shape, ndim, dtype: those of the file's tensor.
    """

    __slots__ = ("last",)

    def __init__(self, last: Tensor) -> None:
        self.last = last

    @property
    def shape(self) -> tuple[int, ...]:
        batch, *size, channels = self.last.shape
        return (batch, channels, *size)

    @property
    def ndim(self) -> int:
        return self.last.ndim

    @property
    def dtype(self) -> str:
        return self.last.dtype

    def first(self) -> Tensor:
        """The file's tensor, a view."""
        return first(self.last)

    def axis(self, axis: int) -> int:
        """Where an axis of the file's tensor is kept."""
        return (0, self.ndim - 1, *range(1, self.ndim - 1))[axis]


class Grouped:
    """A tensor (N, G, C, ...) whose two axes of channels are kept last: (N, ..., G, C).

    Attributes:
        last: the tensor as it is kept.
    """

    __slots__ = ("last",)

    def __init__(self, last: Tensor) -> None:
        self.last = last

    @property
    def shape(self) -> tuple[int, ...]:
        batch, *size, groups, channels = self.last.shape
        return (batch, groups, channels, *size)

    def first(self) -> Tensor:
        """The file's tensor, a view."""
        rank = self.last.ndim
        return raw.transpose(self.last, (0, rank - 2, rank - 1, *range(1, rank - 2)))

    def swapped(self, axes: Any) -> Grouped | None:
        """Transposed by the file's axes, where these only swap the two of channels."""
        rank = self.last.ndim
        if tuple(axes or ()) != (0, 2, 1, *range(3, rank)):
            return None
        order = (*range(rank - 2), rank - 1, rank - 2)
        return Grouped(raw.transpose(self.last, order))


def regrouped(x: Images | Grouped, shape: Any) -> Images | Grouped | None:
    """A reshape that splits the channels in two, or joins them; None for any other.

    Args:
        x: the images.
        shape: what the file asks for, with all sizes known.
    """
    batch, *size = x.last.shape[: x.last.ndim - (1 if isinstance(x, Images) else 2)]
    channels = len(shape) - 1 - len(size)
    if tuple(shape) != (batch, *shape[1 : 1 + channels], *size):
        return None
    kind = Images if isinstance(x, Grouped) else Grouped
    if channels != (1 if kind is Images else 2):
        return None
    return kind(raw.reshape(x.last, (batch, *size, *shape[1 : 1 + channels])))


def plain(value: Any) -> Any:
    """Any value as the file has it."""
    return value.first() if isinstance(value, (Images, Grouped)) else value


def turned(values: list[Any]) -> list[Any] | None:
    """Operands of an elementwise op, channels last; None where ranks differ."""
    rank = next(v.ndim for v in values if isinstance(v, Images))
    found = []
    for value in values:
        size = 0 if value is None else value.ndim
        if size > rank or (isinstance(value, Images) and size != rank):
            return None
        found.append(_spread(value, rank) if size else value)
    return found


def _spread(value: Any, rank: int) -> Tensor:
    """An operand with all axes, as broadcasting adds them, channels last."""
    if isinstance(value, Images):
        return value.last
    tensor = convert_to_tensor(value)
    return last(raw.reshape(tensor, (1,) * (rank - tensor.ndim) + tensor.shape))


def apply_each(call: Any, values: list[Any]) -> tuple[Any, ...]:
    """An elementwise op on operands of which some are images.

    Args:
        call: `call(*operands)` gives a value or a tuple of them.
        values: the operands.
    """
    operands = turned(values)
    if operands is None:
        found = call(*map(plain, values))
        return found if isinstance(found, tuple) else (found,)
    found = call(*operands)
    found = found if isinstance(found, tuple) else (found,)
    return tuple(Images(v) if isinstance(v, Tensor) else _array_first(v) for v in found)


def _array_first(value: Any) -> Any:
    """A result that is known now, such as the mask of a dropout that drops nothing."""
    return np.moveaxis(value, -1, 1) if isinstance(value, np.ndarray) else value
