# SPDX-License-Identifier: Apache-2.0
"""Pooling layers: windows that keep their largest element or their mean."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.ops._images import per_axis


class BasePooling(Layer):
    """One output per window.

    Args:
        pool_size: size of the window, one integer or one per spatial axis.
        strides: step of the window; `pool_size` if None.
        padding: `"valid"` (whole windows only) or `"same"` (ceil(size / stride)
            outputs; what lies outside does not count).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        name: name of the layer.
        **kwargs: `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for arguments out of range.
        ShapeError: when no window fits.
    """

    rank: ClassVar[int]
    _op: ClassVar[Any]

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        kind = type(self).__name__
        self.pool_size = per_axis(kind, "pool_size", pool_size, self.rank)
        steps = self.pool_size if strides is None else strides
        self.strides = per_axis(kind, "strides", steps, self.rank)
        self.padding = _images.padding_of(self, padding)
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return type(self)._op(
            inputs, self.pool_size, self.strides, self.padding, self.data_format
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = _images.window_sizes(
            self, input_shape, self.pool_size, self.strides, self.padding
        )
        return _images.with_sizes(self, input_shape, sizes)

    def get_config(self) -> dict[str, Any]:
        names = "pool_size padding strides data_format"
        return {**super().get_config(), **_parts.config_of(self, names)}


class BaseMaxPooling(BasePooling):
    """Windows of 2 by default; see `BasePooling`."""

    _op = staticmethod(ops.max_pool)

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class BaseAveragePooling(BasePooling):
    """See `BasePooling`."""

    _op = staticmethod(ops.average_pool)


@export("keras.layers", names=("MaxPool1D",))
class MaxPooling1D(BaseMaxPooling):
    """Largest element of each window of (batch, steps, channels).

    Arguments and errors are those of `BasePooling`.
    """

    rank = 1


@export("keras.layers", names=("MaxPool2D",))
class MaxPooling2D(BaseMaxPooling):
    """Largest element of each window of (batch, height, width, channels).

    Arguments and errors are those of `BasePooling`.

    Example:
        >>> x = np.array([[1.0, 5.0], [3.0, 2.0]]).reshape(1, 2, 2, 1)
        >>> keras.layers.MaxPooling2D(2)(x).numpy().ravel().tolist()
        [5.0]
    """

    rank = 2


@export("keras.layers", names=("MaxPool3D",))
class MaxPooling3D(BaseMaxPooling):
    """Largest element of each window of (batch, depth, height, width, channels).

    Arguments and errors are those of `BasePooling`.
    """

    rank = 3


@export("keras.layers", names=("AvgPool1D",))
class AveragePooling1D(BaseAveragePooling):
    """Mean of each window of (batch, steps, channels).

    Arguments and errors are those of `BasePooling`.
    """

    rank = 1


@export("keras.layers", names=("AvgPool2D",))
class AveragePooling2D(BaseAveragePooling):
    """Mean of each window of (batch, height, width, channels).

    Arguments and errors are those of `BasePooling`.

    Example:
        >>> x = np.array([[1.0, 5.0], [3.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> keras.layers.AveragePooling2D(2)(x).numpy().ravel().tolist()
        [3.0]
    """

    rank = 2


@export("keras.layers", names=("AvgPool3D",))
class AveragePooling3D(BaseAveragePooling):
    """Mean of each window of (batch, depth, height, width, channels).

    Arguments and errors are those of `BasePooling`.
    """

    rank = 3


MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]
