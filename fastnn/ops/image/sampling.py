# SPDX-License-Identifier: Apache-2.0
"""Images read at any places between their pixels."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import promote, to_float
from fastnn.ops.image._batches import away_from_zero, back_to, one_of
from fastnn.opset._dtypes import is_float

ORDERS = {"nearest": 0, "bilinear": 1}
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _triangle(i: Tensor, half: int) -> Tensor:
    """|i| within -half..half, continued as a triangular wave."""
    moved = raw.mod(raw.add(i, half), 2 * half)
    return raw.abs(raw.subtract(moved, half))


def _inside(i: Tensor, size: int, mode: str) -> Tensor:
    """The pixel that stands for place i of an axis."""
    if mode == "wrap":
        return raw.mod(i, size)
    if mode == "mirror" and size > 1:
        return _triangle(i, size - 1)
    if mode == "reflect":
        folded = _triangle(raw.add(raw.multiply(i, 2), 1), 2 * size)
        return raw.floor_divide(raw.subtract(folded, 1), 2)
    return raw.minimum(raw.maximum(i, 0), size - 1)


def _neighbours(place: Tensor, size: int, order: int, mode: str) -> Any:
    """(pixel, weight or None, whether there is one or None) of 1 or 2 neighbours."""
    if mode in ("constant", "nearest"):  # all further pixels look the same
        place = raw.minimum(raw.maximum(place, -2.0), size + 1.0)
    if order == 0:
        low, share = away_from_zero(place), None
    else:
        low = raw.floor(place)
        share = raw.subtract(place, low)
    first = raw.cast(low, "int32")
    found = [(first, None if share is None else raw.subtract(1.0, share))]
    if share is not None:
        found.append((raw.add(first, 1), share))
    out = []
    for i, weight in found:
        there = None
        if mode == "constant":
            there = raw.logical_and(raw.greater_equal(i, 0), raw.less(i, size))
        out.append((_inside(i, size, mode), weight, there))
    return out


def sample(
    rows: Tensor,
    sizes: tuple[int, ...],
    places: list[Tensor],
    order: int,
    mode: str,
    fill_value: Any,
    start: Tensor | None = None,
) -> Tensor:
    """Values between the elements of a grid.

    Args:
        rows: (..., channels): the grid's elements in C order, several grids in a row.
        sizes: axes of a grid.
        places: coordinates along each axis, floats of one shape.
        order: 0 takes the nearest element, 1 weighs the neighbours.
        mode: what lies outside.
        fill_value: what lies outside in mode "constant".
        start: number of the row where the grid of a place begins; int32.

    Returns:
        (*shape of places, channels), the dtype of the weights.
    """
    axes = [_neighbours(p, n, order, mode) for p, n in zip(places, sizes, strict=True)]
    total = None
    shape = (*places[0].shape, 1)
    for corner in itertools.product(*axes):
        at, weight, there = None, None, None
        for (i, share, exists), n in zip(corner, sizes, strict=True):
            at = i if at is None else raw.add(raw.multiply(at, n), i)
            if share is not None:
                weight = share if weight is None else raw.multiply(weight, share)
            if exists is not None:
                there = exists if there is None else raw.logical_and(there, exists)
        assert at is not None
        values = raw.take(rows, at if start is None else raw.add(at, start))
        if there is not None:
            values = raw.where(raw.reshape(there, shape), values, fill_value)
        if weight is not None:
            values = raw.multiply(values, raw.reshape(weight, shape))
        total = values if total is None else raw.add(total, values)
    assert total is not None
    return total


def sampled_images(
    x: Tensor, y_places: Tensor, x_places: Tensor, order: int, mode: str, fill: Any
) -> Tensor:
    """Images (batch, height, width, channels) at places (batch, rows, columns)."""
    batch, height, width, channels = x.shape
    shape = (*y_places.shape, channels)
    if 0 in (*x.shape, *shape):
        return Tensor(np.zeros(shape, x.dtype))
    rows, b, a = promote(to_float(x), y_places, x_places)
    rows = raw.reshape(rows, (batch * height * width, channels))
    step = np.arange(batch, dtype="int32") * (height * width)
    start = Tensor(step.reshape(batch, 1, 1))
    fill = _as_dtype(fill, x.dtype)
    y = sample(rows, (height, width), [b, a], order, mode, fill, start)
    return back_to(x.dtype, y, rounded=True)


def _as_dtype(fill: Any, dtype: str) -> Any:
    """A fill value as an element of images: cut off and wrapped where those have
    integers.
    """
    return fill if is_float(dtype) else int(np.asarray(math.trunc(fill)).astype(dtype))


def map_coordinates(
    inputs: Any,
    coordinates: Any,
    order: int,
    fill_mode: str = "constant",
    fill_value: Any = 0,
) -> Tensor:
    """inputs read at coordinates, as `scipy.ndimage.map_coordinates`.

    Args:
        inputs: tensor of rank n from 1 on.
        coordinates: (n, ...): where to read, in elements along each axis.
        order: 0 for the nearest element (halves away from zero), 1 for linear
            interpolation.
        fill_mode: what lies outside: "constant" (fill_value), "nearest" (the last
            element), "wrap" (a b c | a b c), "mirror" (c b | a b c | b a) or "reflect"
            (b a | a b c | c b). SciPy calls the first and third "grid-constant" and
            "grid-wrap".
        fill_value: used by "constant".

    Returns:
        The shape of coordinates without its first axis, in the dtype of inputs.
        Integers are interpolated as floats and rounded. Coordinates have gradients
        with order 1.

    Raises:
        ShapeError: where coordinates have not one entry per axis of inputs.
        ValueError: for an order or fill_mode that does not exist.
    """
    name = "map_coordinates"
    one_of(name, "order", order, (0, 1))
    one_of(name, "fill_mode", fill_mode, FILL_MODES)
    x, places = convert_to_tensor(inputs), to_float(coordinates)
    if places.ndim < 2 or places.shape[0] != x.ndim:
        raise ShapeError(
            f"[{name}] coordinates must be ({x.ndim}, ...), one entry per axis of "
            f"inputs {x.shape}, and of rank 2 at least; received {places.shape}"
        )
    shape = places.shape[1:]
    if x.size == 0 or places.size == 0:
        if places.size:
            raise ShapeError(f"[{name}] inputs of shape {x.shape} have no elements")
        return Tensor(np.zeros(shape, x.dtype))
    rows, places = promote(to_float(x), places)
    y = sample(
        raw.reshape(rows, (x.size, 1)),
        x.shape,
        [places[axis] for axis in range(x.ndim)],
        order,
        fill_mode,
        _as_dtype(fill_value, x.dtype),
    )
    return back_to(x.dtype, raw.reshape(y, shape), rounded=True)


__all__ = ["map_coordinates"]
