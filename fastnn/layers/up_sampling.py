# SPDX-License-Identifier: Apache-2.0
"""Layers that make images larger by whole factors."""

from __future__ import annotations

from operator import mul
from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Ints, Shape
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.ops._images import per_axis
from fastnn.opset.resize import METHODS


def repeated(x: Any, axes: Ints, factors: Ints) -> Any:
    """Every element `factors` times along axes: a view, copied once."""
    split: list[int] = []
    wide: list[int] = []
    shape: list[int] = []
    for axis, n in enumerate(x.shape):
        factor = factors[axes.index(axis)] if axis in axes else 1
        split += [n] if factor == 1 else [n, 1]
        wide += [n] if factor == 1 else [n, factor]
        shape.append(n * factor)
    return ops.reshape(ops.broadcast_to(ops.reshape(x, split), wide), shape)


class BaseUpSampling(Layer):
    """Repeats rows, columns and so on.

    Args:
        size: factor, one integer or one per spatial axis.
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for anything but positive integers.
    """

    rank: ClassVar[int]
    size: Any

    def __init__(
        self, size: Any = 2, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = per_axis(type(self).__name__, "size", size, self.rank)
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def _factors(self) -> Ints:
        return (self.size,) if self.rank == 1 else self.size

    def call(self, inputs: Any) -> Any:
        axes = _images.spatial_axes(self, len(inputs.shape))
        return repeated(inputs, axes, self._factors)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return _images.changed_sizes(self, input_shape, mul, self._factors)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "size data_format")}


@export("keras.layers")
class UpSampling1D(BaseUpSampling):
    """Repeats each step of (batch, steps, channels) `size` times.

    Args:
        size: a positive integer.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(
            _parts.positive("UpSampling1D", "size", size), "channels_last", **kwargs
        )
        self.size = self.size[0]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


@export("keras.layers")
class UpSampling2D(BaseUpSampling):
    """Images larger by `size`: (batch, height, width, channels).

    Args:
        size: factor, one integer or (rows, columns).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        interpolation: `"nearest"` (repeats), `"bilinear"`, `"bicubic"`, `"lanczos3"` or
            `"lanczos5"`, with half-pixel centres.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for another interpolation, or a size that is not positive.

    Example:
        >>> keras.layers.UpSampling2D(2)(np.ones((1, 3, 3, 1))).shape
        (1, 6, 6, 1)
    """

    rank = 2

    def __init__(
        self,
        size: Any = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in METHODS:
            raise ValueError(
                f"[UpSampling2D] interpolation must be one of {', '.join(METHODS)}; "
                f"received {interpolation!r}."
            )

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        axes = _images.spatial_axes(self, 4)
        size = [inputs.shape[a] * f for a, f in zip(axes, self.size, strict=True)]
        return ops.image.resize(
            inputs, size, self.interpolation, data_format=self.data_format
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


@export("keras.layers")
class UpSampling3D(BaseUpSampling):
    """Volumes repeated `size` times: (batch, depth, height, width, channels).

    Arguments and errors are those of `BaseUpSampling`.
    """

    rank = 3


__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]
