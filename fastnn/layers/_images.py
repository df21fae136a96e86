# SPDX-License-Identifier: Apache-2.0
"""What layers on images share: data formats, windows and the shapes they lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.errors import ShapeError
from fastnn.layers.input_spec import format_shape
from fastnn.ops._images import is_channels_first
from fastnn.opset._spatial import same_or_valid

Ints = tuple[int, ...]
Shape = tuple[int | None, ...]


def data_format_of(layer: Any, given: str | None) -> str:
    """The data format's name; None is the configured one.

    Raises:
        ValueError: for another name.
    """
    first = is_channels_first(type(layer).__name__, given)
    return "channels_first" if first else "channels_last"


def padding_of(layer: Any, given: Any, *, causal: bool = False) -> str:
    """The padding's name in lower case.

    Raises:
        ValueError: for another name.
    """
    names = ("valid", "same", "causal") if causal else ("valid", "same")
    name = str(given).lower()
    if name not in names:
        raise ValueError(
            f"[{type(layer).__name__}] padding must be one of {', '.join(names)}; "
            f"received {given!r}."
        )
    return name


def channel_axis(layer: Any) -> int:
    """The axis with the channels."""
    return 1 if layer.data_format == "channels_first" else -1


def spatial_axes(layer: Any, rank: int) -> Ints:
    """The axes that are neither batch nor channels, of `rank` axes in all."""
    first = layer.data_format == "channels_first"
    return tuple(range(2, rank)) if first else tuple(range(1, rank - 1))


def with_sizes(
    layer: Any, shape: Shape, sizes: Shape, channels: int | None = None
) -> Shape:
    """The shape with other spatial sizes, and other channels if given."""
    if channels is None:
        channels = shape[channel_axis(layer)]
    if layer.data_format == "channels_first":
        return (shape[0], channels, *sizes)
    return (shape[0], *sizes, channels)


def changed_sizes(
    layer: Any, shape: Shape, change: Callable[..., int], *per_axis: Any
) -> Shape:
    """The shape with `change(size, *entries)` for each known spatial size.

    Args:
        layer: has the data format.
        shape: input shape.
        change: from a size, and the entries of its axis, to the new size.
        *per_axis: sequences of one entry per spatial axis.
    """
    sizes = [shape[axis] for axis in spatial_axes(layer, len(shape))]
    new = [
        None if n is None else change(n, *entries)
        for n, *entries in zip(sizes, *per_axis, strict=True)
    ]
    return with_sizes(layer, shape, tuple(new))


def window_sizes(
    layer: Any,
    shape: Shape,
    window: Ints,
    strides: Ints,
    padding: str,
    dilation: Ints | None = None,
) -> Shape:
    """How many windows fit along each spatial axis; None where the size is open.

    Raises:
        ShapeError: when not even one fits.
    """
    sizes = tuple(shape[axis] for axis in spatial_axes(layer, len(shape)))
    rates = dilation or (1,) * len(window)
    kind = "valid" if padding == "valid" else "same"
    out: list[int | None] = []
    for n, w, s, d in zip(sizes, window, strides, rates, strict=True):
        found = None
        if n is not None:
            found = same_or_valid((n,), (w,), (s,), (d,), kind)[1][0]
        out.append(found)
    if 0 in out:
        span = tuple((w - 1) * d + 1 for w, d in zip(window, rates, strict=True))
        raise ShapeError(
            f"[{type(layer).__name__}] layer '{layer.name}': windows of {span} do not "
            f"fit into an input of shape {format_shape(shape)} "
            f"({layer.data_format}); use padding='same', a smaller window, or fewer "
            "pooling layers before it."
        )
    return tuple(out)
