# SPDX-License-Identifier: Apache-2.0
"""Layers that only move axes: views, no arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]


def _product(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else prod(sizes)  # type: ignore[arg-type]


@export("keras.layers")
class Flatten(Layer):
    """One row per sample: (batch, a, b, ...) -> (batch, a * b * ...).

    Args:
        data_format: `"channels_last"` or `"channels_first"`; the latter moves the
            channels to the end first, so that both give the same order.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Example:
        >>> keras.layers.Flatten()(np.ones((2, 28, 28))).shape
        (2, 784)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or config.image_data_format()
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "[Flatten] data_format must be 'channels_last' or 'channels_first', "
                f"received {data_format!r}."
            )
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        shape = inputs.shape
        if self.data_format == "channels_first" and len(shape) > 2:
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        return ops.reshape(inputs, (shape[0], prod(shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], _product(input_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@export("keras.layers")
class Reshape(Layer):
    """Gives each sample another shape.

    Args:
        target_shape: shape without the batch; one -1 takes what is left.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Example:
        >>> keras.layers.Reshape((4, -1))(np.ones((2, 12))).shape
        (2, 4, 3)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = target_shape if isinstance(target_shape, Sequence) else (target_shape,)
        if any(not isinstance(n, (int, np.integer)) or n < -1 for n in sizes):
            raise ShapeError(
                f"[Reshape] target_shape must hold integers, received {target_shape!r}."
            )
        if list(sizes).count(-1) > 1:
            raise ShapeError(
                f"[Reshape] only one size can be -1, received {tuple(target_shape)}."
            )
        self.target_shape = tuple(int(n) for n in sizes)

    def _sizes(self, sample: Sequence[int | None]) -> Shape:
        total = _product(sample)
        if total is None:
            return tuple(None if n == -1 else n for n in self.target_shape)
        known = prod(n for n in self.target_shape if n != -1)
        free = -1 in self.target_shape
        if known != total and not (free and known and total % known == 0):
            raise ShapeError(
                f"[Reshape] layer '{self.name}' cannot reshape samples of shape "
                f"{format_shape(sample)} ({total} values) to "
                f"{format_shape(self.target_shape)}."
            )
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self._sizes(input_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


@export("keras.layers")
class Permute(Layer):
    """Reorders the axes of each sample.

    Args:
        dims: for each output axis, the input axis, counted from 1 (0 is the batch).
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(int(axis) for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ShapeError(
                f"[Permute] dims must be a permutation of 1..{len(self.dims)}, "
                f"received {tuple(dims)}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


@export("keras.layers")
class RepeatVector(Layer):
    """Repeats each row n times: (batch, features) -> (batch, n, features).

    Args:
        n: number of copies.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"[RepeatVector] n must be a positive integer, got {n!r}.")
        self.n = int(n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        rows = ops.reshape(inputs, (batch, 1, features))
        return ops.broadcast_to(rows, (batch, self.n, features))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
