# SPDX-License-Identifier: Apache-2.0
"""Arguments of ops on images: data formats, one number per spatial axis, padding."""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.opset._spatial import same_or_valid

Ints = tuple[int, ...]


def is_channels_first(name: str, data_format: str | None) -> bool:
    """Whether axis 1 has the channels; None is `config.image_data_format()`."""
    chosen = data_format or config.image_data_format()
    if chosen not in ("channels_last", "channels_first"):
        raise ValueError(
            f'[{name}] data_format must be "channels_last" or "channels_first", '
            f"received {data_format!r}"
        )
    return chosen == "channels_first"


def channels_last(x: Tensor) -> Tensor:
    """Axis 1 moved to the end, as a view."""
    return raw.transpose(x, (0, *range(2, x.ndim), 1))


def channels_first(x: Tensor) -> Tensor:
    """The last axis moved to place 1, as a view."""
    return raw.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


@lru_cache
def _no_bias(dtype: str) -> Tensor:
    return Tensor(np.zeros(0, dtype))


def bias_of(x: Tensor, bias: Any) -> Tensor:
    """The bias of a convolution of x: of no elements where there is none."""
    if bias is None:
        return _no_bias(x.dtype)
    return bias if bias.dtype == x.dtype else raw.cast(bias, x.dtype)


def per_axis(name: str, label: str, value: Any, rank: int, *, least: int = 1) -> Ints:
    """An integer for each of `rank` axes from one or as many (arrays too)."""
    if type(value) is int and value >= least:
        return (value,) * rank
    given = value.tolist() if isinstance(value, np.ndarray) else value
    given = given if isinstance(given, (tuple, list)) else (given,) * rank
    try:
        numbers = tuple(index(n) for n in given)
    except TypeError:
        numbers = ()
    if len(numbers) != rank or any(n < least for n in numbers):
        kind = "a positive integer" if least else "an integer from 0 on"
        raise ValueError(
            f"[{name}] {label} must be {kind} or {rank} of them, one per axis, "
            f"received {value!r}"
        )
    return numbers


def placement(
    name: str, sizes: Ints, window: Ints, strides: Ints, dilation: Ints, padding: str
) -> tuple[Ints, Ints]:
    """Pads in front and output sizes of windows that slide over `sizes`.

    Raises:
        ValueError: for a padding that is neither "same" nor "valid".
        ShapeError: for a window larger than an unpadded image.
    """
    chosen = str(padding).lower()
    if chosen not in ("same", "valid"):
        raise ValueError(
            f'[{name}] padding must be "same" or "valid", received {padding!r}'
        )
    return _placement(name, sizes, window, strides, dilation, chosen)


@lru_cache(maxsize=512)
def _placement(
    name: str, sizes: Ints, window: Ints, strides: Ints, dilation: Ints, chosen: str
) -> tuple[Ints, Ints]:
    span = tuple((w - 1) * d + 1 for w, d in zip(window, dilation, strict=True))
    if chosen == "valid" and any(s > n for s, n in zip(span, sizes, strict=True)):
        raise ShapeError(
            f"[{name}] windows of {span} do not fit into images of {sizes}: use "
            f'padding="same" or a smaller window'
        )
    return same_or_valid(sizes, window, strides, dilation, chosen)
