# SPDX-License-Identifier: Apache-2.0
"""Adaptive pooling layers: as many windows as asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.ops._images import per_axis


class BaseAdaptivePooling(Layer):
    """As many windows as asked for, whatever the size of the input.

    Output o of m along an axis covers inputs floor(o n / m) to ceil((o + 1) n / m) of
    n.

    Args:
        output_size: number of windows, one integer or one per spatial axis.
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rank: ClassVar[int]
    _op: ClassVar[Any]

    def __init__(
        self, output_size: Any, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.output_size = per_axis(kind, "output_size", output_size, self.rank)
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, self.output_size, self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return _images.with_sizes(self, input_shape, self.output_size)

    def get_config(self) -> dict[str, Any]:
        names = "output_size data_format"
        return {**super().get_config(), **_parts.config_of(self, names)}


class BaseAdaptiveMaxPooling(BaseAdaptivePooling):
    """See `BaseAdaptivePooling`."""

    _op = staticmethod(ops.adaptive_max_pool)


class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """See `BaseAdaptivePooling`."""

    _op = staticmethod(ops.adaptive_average_pool)


@export("keras.layers")
class AdaptiveMaxPooling1D(BaseAdaptiveMaxPooling):
    """Largest element of each of `output_size` windows of (batch, steps, channels).

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 1


@export("keras.layers")
class AdaptiveMaxPooling2D(BaseAdaptiveMaxPooling):
    """Largest element of each of `output_size` windows of images.

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 2


@export("keras.layers")
class AdaptiveMaxPooling3D(BaseAdaptiveMaxPooling):
    """Largest element of each of `output_size` windows of volumes.

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 3


@export("keras.layers")
class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    """Mean of each of `output_size` windows of (batch, steps, channels).

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 1


@export("keras.layers")
class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    """Mean of each of `output_size` windows of images.

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 2


@export("keras.layers")
class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    """Mean of each of `output_size` windows of volumes.

    Arguments are those of `BaseAdaptivePooling`.
    """

    rank = 3


__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
]
