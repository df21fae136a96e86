# SPDX-License-Identifier: Apache-2.0
"""Transposed convolution layers: the input gradient of a convolution, used forwards."""

from __future__ import annotations

from typing import Any

from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.conv import WindowLayer
from fastnn.ops.convolution import (
    convolve_transpose,
    output_padding_of,
    transpose_shape,
)


class BaseConvTranspose(WindowLayer):
    """`activation(transposed convolution(inputs, kernel) + bias)`, `strides` larger.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: factor by which the output is larger.
        padding: `"valid"` (sizes (n - 1) * stride + max(kernel, stride)) or `"same"`
            (n * stride), without `output_padding`.
        output_padding: added to (n - 1) * stride + kernel (`"valid"`), or to
            (n - 1) * stride + kernel % 2 (`"same"`); less than the stride.
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        dilation_rate: distance of the window's elements.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (filters,) is added.
        kernel_initializer: of the kernel, (*kernel_size, filters, channels).
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss computed from the kernel.
        bias_regularizer: adds a loss computed from the bias.
        activity_regularizer: adds a loss computed from the outputs.
        kernel_constraint: replaces the kernel after each update.
        bias_constraint: replaces the bias after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for arguments out of range.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        name = type(self).__name__
        self.filters = _parts.positive(name, "filters", filters)
        self._keep_windows(kernel_size, strides, padding, data_format, dilation_rate)
        extra = output_padding_of(name, output_padding, self.strides)
        self.output_padding = None if None in extra else extra
        _parts.keep(
            self,
            activation=activation,
            use_bias=bool(use_bias),
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        shape = (*self.kernel_size, self.filters, self._channels(input_shape))
        self.kernel = _parts.add_weight(self, "kernel", shape)
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = convolve_transpose(
            inputs,
            self.kernel,
            self.bias,
            output_padding=self.output_padding,
            **self._options(),
        )
        return self._activated(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def size(n: int, *rest: Any) -> int:
            return transpose_shape(self.padding, n, *rest)[0]

        extra = self.output_padding or (None,) * self.rank
        per_axis = (self.kernel_size, self.strides, self.dilation_rate, extra)
        shape = _images.changed_sizes(self, input_shape, size, *per_axis)
        sizes = [shape[axis] for axis in _images.spatial_axes(self, len(shape))]
        return _images.with_sizes(self, shape, tuple(sizes), self.filters)

    def get_config(self) -> dict[str, Any]:
        names = (
            "filters kernel_size strides padding output_padding data_format "
            "dilation_rate activation use_bias kernel_initializer bias_initializer "
            "kernel_regularizer bias_regularizer activity_regularizer "
            "kernel_constraint bias_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers", names=("Convolution1DTranspose",))
class Conv1DTranspose(BaseConvTranspose):
    """1-D transposed convolution: (batch, steps, channels) -> (batch, ..., filters).

    Arguments and errors are those of `BaseConvTranspose`.
    """

    rank = 1


@export("keras.layers", names=("Convolution2DTranspose",))
class Conv2DTranspose(BaseConvTranspose):
    """2-D transposed convolution.

    (batch, height, width, channels) -> (batch, ..., filters).
    Arguments and errors are those of `BaseConvTranspose`.

    Example:
        >>> layer = keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same")
        >>> layer(np.ones((2, 7, 7, 4))).shape
        (2, 14, 14, 1)
    """

    rank = 2


@export("keras.layers", names=("Convolution3DTranspose",))
class Conv3DTranspose(BaseConvTranspose):
    """3-D transposed convolution.

    (batch, depth, height, width, channels) -> (batch, ..., filters).
    Arguments and errors are those of `BaseConvTranspose`, with `data_format` before
    `output_padding` as in Keras.
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )


Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose

__all__ = [
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Convolution1DTranspose",
    "Convolution2DTranspose",
    "Convolution3DTranspose",
]
