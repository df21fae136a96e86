# SPDX-License-Identifier: Apache-2.0
"""Depthwise and separable convolution layers."""

from __future__ import annotations

from typing import Any

from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.conv import WindowLayer
from fastnn.ops.depthwise import convolve_depthwise, convolve_separable


class BaseDepthwiseConv(WindowLayer):
    """`activation(convolution of every channel with filters of its own + bias)`.

    Args:
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: step of the window, one integer or one per spatial axis.
        padding: `"valid"` (whole windows only) or `"same"` (ceil(size / stride)
            outputs).
        depth_multiplier: number of outputs per channel.
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        dilation_rate: distance of the window's elements.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (channels * depth_multiplier,) is added.
        depthwise_initializer: of the kernel,
            (*kernel_size, channels, depth_multiplier).
        bias_initializer: of the bias.
        depthwise_regularizer: adds a loss computed from the kernel.
        bias_regularizer: adds a loss computed from the bias.
        activity_regularizer: adds a loss computed from the outputs.
        depthwise_constraint: replaces the kernel after each update.
        bias_constraint: replaces the bias after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for arguments out of range.
        ShapeError: when no window fits.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        name = type(self).__name__
        self.depth_multiplier = _parts.positive(
            name, "depth_multiplier", depth_multiplier
        )
        self._keep_windows(kernel_size, strides, padding, data_format, dilation_rate)
        _parts.keep(
            self,
            activation=activation,
            use_bias=bool(use_bias),
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)  # before there are weights
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = _parts.add_weight(self, "kernel", shape, "depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        outputs = convolve_depthwise(inputs, self.kernel, self.bias, **self._options())
        return self._activated(outputs)

    def _output_channels(self, shape: Shape) -> int | None:
        channels = shape[_images.channel_axis(self)]
        return None if channels is None else channels * self.depth_multiplier

    def get_config(self) -> dict[str, Any]:
        names = (
            "depth_multiplier kernel_size strides padding data_format dilation_rate "
            "activation use_bias depthwise_initializer bias_initializer "
            "depthwise_regularizer bias_regularizer activity_regularizer "
            "depthwise_constraint bias_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers")
class DepthwiseConv1D(BaseDepthwiseConv):
    """1-D depthwise convolution of (batch, steps, channels).

    Arguments and errors are those of `BaseDepthwiseConv`.
    """

    rank = 1


@export("keras.layers")
class DepthwiseConv2D(BaseDepthwiseConv):
    """2-D depthwise convolution of (batch, height, width, channels).

    Arguments and errors are those of `BaseDepthwiseConv`.

    Example:
        >>> layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
        >>> layer(np.ones((2, 9, 9, 4))).shape
        (2, 7, 7, 8)
    """

    rank = 2


class BaseSeparableConv(WindowLayer):
    """A depthwise convolution, then one of size 1 that mixes the channels.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides: step of the window, one integer or one per spatial axis.
        padding: `"valid"` (whole windows only) or `"same"` (ceil(size / stride)
            outputs).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        dilation_rate: distance of the window's elements.
        depth_multiplier: number of depthwise outputs per channel.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (filters,) is added.
        depthwise_initializer: of the depthwise kernel,
            (*kernel_size, channels, depth_multiplier).
        pointwise_initializer: of the pointwise kernel,
            (1, ..., channels * depth_multiplier, filters).
        bias_initializer: of the bias.
        depthwise_regularizer: adds a loss computed from the depthwise kernel.
        pointwise_regularizer: adds a loss computed from the pointwise kernel.
        bias_regularizer: adds a loss computed from the bias.
        activity_regularizer: adds a loss computed from the outputs.
        depthwise_constraint: replaces the depthwise kernel after each update.
        pointwise_constraint: replaces the pointwise kernel after each update.
        bias_constraint: replaces the bias after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for arguments out of range.
        ShapeError: when no window fits.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        name = type(self).__name__
        self.filters = _parts.positive(name, "filters", filters)
        self.depth_multiplier = _parts.positive(
            name, "depth_multiplier", depth_multiplier
        )
        self._keep_windows(kernel_size, strides, padding, data_format, dilation_rate)
        _parts.keep(
            self,
            activation=activation,
            use_bias=bool(use_bias),
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)  # before there are weights
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (*[1] * self.rank, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = _parts.add_weight(
            self, "depthwise_kernel", depthwise, "depthwise"
        )
        self.pointwise_kernel = _parts.add_weight(
            self, "pointwise_kernel", pointwise, "pointwise"
        )
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        kernels = (self.depthwise_kernel, self.pointwise_kernel)
        outputs = convolve_separable(inputs, *kernels, self.bias, **self._options())
        return self._activated(outputs)

    def get_config(self) -> dict[str, Any]:
        names = (
            "depth_multiplier filters kernel_size strides padding data_format "
            "dilation_rate activation use_bias depthwise_initializer "
            "pointwise_initializer bias_initializer depthwise_regularizer "
            "pointwise_regularizer bias_regularizer activity_regularizer "
            "depthwise_constraint pointwise_constraint bias_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers", names=("SeparableConvolution1D",))
class SeparableConv1D(BaseSeparableConv):
    """1-D separable convolution: (batch, steps, channels) -> (batch, ..., filters).

    Arguments and errors are those of `BaseSeparableConv`.
    """

    rank = 1


@export("keras.layers", names=("SeparableConvolution2D",))
class SeparableConv2D(BaseSeparableConv):
    """2-D separable convolution (arXiv:1610.02357).

    (batch, height, width, channels) -> (batch, ..., filters).
    Arguments and errors are those of `BaseSeparableConv`.

    Example:
        >>> layer = keras.layers.SeparableConv2D(8, 3)
        >>> layer(np.ones((2, 9, 9, 4))).shape
        (2, 7, 7, 8)
        >>> [w.shape for w in layer.weights]
        [(3, 3, 4, 1), (1, 1, 4, 8), (8,)]
    """

    rank = 2


SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
]
