# SPDX-License-Identifier: Apache-2.0
"""Global pooling layers: one output per image and channel."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer


class BaseGlobalPooling(Layer):
    """One output per image and channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        keepdims: keep the spatial axes, with size 1.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rank: ClassVar[int]
    _op: ClassVar[Any]

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = _images.data_format_of(self, data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        axes = _images.spatial_axes(self, len(inputs.shape))
        return type(self)._op(inputs, axis=axes, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        ones = (1,) * self.rank if self.keepdims else ()
        return _images.with_sizes(self, input_shape, ones)

    def get_config(self) -> dict[str, Any]:
        names = "data_format keepdims"
        return {**super().get_config(), **_parts.config_of(self, names)}


class BaseGlobalMaxPooling(BaseGlobalPooling):
    """See `BaseGlobalPooling`."""

    _op = staticmethod(ops.max)


class BaseGlobalAveragePooling(BaseGlobalPooling):
    """See `BaseGlobalPooling`."""

    _op = staticmethod(ops.mean)


@export("keras.layers", names=("GlobalMaxPool1D",))
class GlobalMaxPooling1D(BaseGlobalMaxPooling):
    """Largest element of each channel.

    (batch, steps, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`.
    """

    rank = 1


@export("keras.layers", names=("GlobalMaxPool2D",))
class GlobalMaxPooling2D(BaseGlobalMaxPooling):
    """Largest element of each channel.

    (batch, height, width, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`.
    """

    rank = 2


@export("keras.layers", names=("GlobalMaxPool3D",))
class GlobalMaxPooling3D(BaseGlobalMaxPooling):
    """Largest element of each channel.

    (batch, depth, height, width, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`.
    """

    rank = 3


@export("keras.layers", names=("GlobalAvgPool1D",))
class GlobalAveragePooling1D(BaseGlobalAveragePooling):
    """Mean of each channel.

    (batch, steps, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`. With a mask (batch, steps), the mean of
    the steps that it keeps.
    """

    rank = 1

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        (axis,) = _images.spatial_axes(self, 3)
        kept = ops.expand_dims(ops.cast(mask, "bool"), 3 - axis)
        total = ops.sum(ops.where(kept, inputs, 0), axis=axis, keepdims=self.keepdims)
        counts = ops.cast(kept, inputs.dtype)
        return total / ops.sum(counts, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@export("keras.layers", names=("GlobalAvgPool2D",))
class GlobalAveragePooling2D(BaseGlobalAveragePooling):
    """Mean of each channel.

    (batch, height, width, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`.

    Example:
        >>> keras.layers.GlobalAveragePooling2D()(np.ones((2, 7, 7, 4))).shape
        (2, 4)
    """

    rank = 2


@export("keras.layers", names=("GlobalAvgPool3D",))
class GlobalAveragePooling3D(BaseGlobalAveragePooling):
    """Mean of each channel.

    (batch, depth, height, width, channels) -> (batch, channels).
    Arguments are those of `BaseGlobalPooling`.
    """

    rank = 3


GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D

__all__ = [
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
]
