# SPDX-License-Identifier: Apache-2.0
"""What functions on images have in common: batches with channels last, and back."""

from __future__ import annotations

from typing import Any

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._images import channels_first, channels_last, is_channels_first
from fastnn.opset._dtypes import is_float


def open_images(
    name: str, images: Any, data_format: str | None, rank: int = 4
) -> tuple[Tensor, bool, bool]:
    """A batch with channels last; whether there was none; whether they were first."""
    x = convert_to_tensor(images)
    if x.ndim not in (rank - 1, rank):
        what = "images" if rank == 4 else "volumes"
        raise ShapeError(
            f"[{name}] needs {what} of rank {rank - 1} or {rank}, received shape "
            f"{x.shape}"
        )
    single, first = x.ndim == rank - 1, is_channels_first(name, data_format)
    if single:
        x = raw.reshape(x, (1, *x.shape))
    return (channels_last(x) if first else x), single, first


def close_images(y: Tensor, single: bool, first: bool) -> Tensor:
    """The way back of `open_images`."""
    y = channels_first(y) if first else y
    return raw.reshape(y, y.shape[1:]) if single else y


def back_to(dtype: str, y: Tensor, *, rounded: bool = False) -> Tensor:
    """y in the dtype that the images had; integers cut off, or rounded."""
    if y.dtype == dtype:
        return y
    if rounded and not is_float(dtype):
        y = away_from_zero(y)
    return raw.cast(y, dtype)


def away_from_zero(x: Tensor) -> Tensor:
    """x rounded, halves away from zero."""
    whole = raw.trunc(x)
    return raw.add(whole, raw.trunc(raw.multiply(raw.subtract(x, whole), 2.0)))


def one_of(name: str, label: str, value: Any, choices: Any) -> Any:
    """value, which must be among the choices.

    Raises:
        ValueError: where it is not.
    """
    if value not in choices:
        names = ", ".join(map(repr, choices))
        raise ValueError(f"[{name}] {label} must be one of {names}, received {value!r}")
    return value
