# SPDX-License-Identifier: Apache-2.0
"""Convolution layers over 1, 2 and 3 spatial axes."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import activations, ops
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.ops._images import per_axis
from fastnn.ops.convolution import convolve


class WindowLayer(Layer):
    """What convolutions share: windows, bias, activation, output shape.

    Attributes:
        rank: number of spatial axes.
    """

    rank: ClassVar[int]

    def _keep_windows(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
    ) -> None:
        name = type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.rank)
        self.strides = per_axis(name, "strides", strides, self.rank)
        self.dilation_rate = per_axis(name, "dilation_rate", dilation_rate, self.rank)
        self.padding = _images.padding_of(self, padding, causal=self._causal())
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"[{name}] strides and dilation_rate cannot both be greater than 1; "
                f"received strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}."
            )

    def _causal(self) -> bool:
        return False

    def _channels(self, shape: Any) -> int:
        """Number of input channels, which the input specification then demands."""
        axis = _images.channel_axis(self)
        channels = _parts.known_size(self, shape, axis)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _add_bias(self, size: int) -> None:
        self.bias = _parts.add_weight(self, "bias", (size,)) if self.use_bias else None

    def _activated(self, outputs: Any) -> Any:
        function = self.activation
        if function is None or function is activations.linear:
            return outputs
        return function(outputs)

    def _options(self) -> dict[str, Any]:
        """The arguments of the op."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def _output_channels(self, shape: Shape) -> int | None:
        return self.filters

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = _images.window_sizes(
            self,
            input_shape,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
        )
        channels = self._output_channels(input_shape)
        return _images.with_sizes(self, input_shape, sizes, channels)


class BaseConv(WindowLayer):
    """`activation(convolution(inputs, kernel) + bias)`.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: step of the window, one integer or one per spatial axis.
        padding: `"valid"` (whole windows only), `"same"` (ceil(size / stride)
            outputs); in 1-D also `"causal"` (output t sees no input after t).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        dilation_rate: distance of the window's elements.
        groups: number of groups of channels that are convolved apart.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (filters,) is added.
        kernel_initializer: of the kernel, (*kernel_size, channels / groups, filters).
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss computed from the kernel.
        bias_regularizer: adds a loss computed from the bias.
        activity_regularizer: adds a loss computed from the outputs.
        kernel_constraint: replaces the kernel after each update.
        bias_constraint: replaces the bias after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for arguments out of range.
        ShapeError: when channels and groups, or sizes and windows, do not fit.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        self.groups = _parts.positive(name, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"[{name}] filters must be a multiple of groups; received filters="
                f"{filters} and groups={groups}."
            )
        self._keep_windows(kernel_size, strides, padding, data_format, dilation_rate)
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

    def _causal(self) -> bool:
        return self.rank == 1

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"[{type(self).__name__}] layer '{self.name}': {channels} input "
                f"channels are no multiple of groups={self.groups}; received shape "
                f"{format_shape(input_shape)}."
            )
        self.compute_output_shape(input_shape)  # before there are weights
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = _parts.add_weight(self, "kernel", shape)
        self._add_bias(self.filters)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution without bias; a subclass may replace it.

        Args:
            inputs: the layer's inputs.
            kernel: what to convolve with, in the place of `self.kernel`.
        """
        return ops.conv(inputs, kernel, **self._options())

    def call(self, inputs: Any) -> Any:
        if type(self).convolution_op is BaseConv.convolution_op:
            outputs = convolve(inputs, self.kernel, self.bias, **self._options())
        else:
            outputs = self.convolution_op(inputs, self.kernel)
            if self.bias is not None:
                wide = [1] * (self.rank + 2)
                wide[_images.channel_axis(self)] = self.filters
                outputs = ops.add(outputs, ops.reshape(self.bias, wide))
        return self._activated(outputs)

    def get_config(self) -> dict[str, Any]:
        names = (
            "filters kernel_size strides padding data_format dilation_rate groups "
            "activation use_bias kernel_initializer bias_initializer "
            "kernel_regularizer bias_regularizer activity_regularizer "
            "kernel_constraint bias_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers", names=("Convolution1D",))
class Conv1D(BaseConv):
    """1-D convolution: (batch, steps, channels) -> (batch, ..., filters).

    Arguments and errors are those of `BaseConv`.

    Example:
        >>> layer = keras.layers.Conv1D(4, 3, padding="causal")
        >>> layer(np.ones((2, 10, 6))).shape
        (2, 10, 4)
    """

    rank = 1


@export("keras.layers", names=("Convolution2D",))
class Conv2D(BaseConv):
    """2-D convolution: (batch, height, width, channels) -> (batch, ..., filters).

    Arguments and errors are those of `BaseConv`.

    Example:
        >>> layer = keras.layers.Conv2D(8, 3, strides=2, padding="same")
        >>> layer(np.ones((2, 28, 28, 1))).shape
        (2, 14, 14, 8)
        >>> layer.count_params()
        80
    """

    rank = 2


@export("keras.layers", names=("Convolution3D",))
class Conv3D(BaseConv):
    """3-D convolution.

    (batch, depth, height, width, channels) -> (batch, ..., filters).
    Arguments and errors are those of `BaseConv`.
    """

    rank = 3


Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D

__all__ = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
]
