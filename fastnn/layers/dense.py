# SPDX-License-Identifier: Apache-2.0
"""The fully connected layer."""

from __future__ import annotations

from math import prod
from typing import Any

from fastnn import activations, ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer


@export("keras.layers")
class Dense(Layer):
    """`activation(inputs @ kernel + bias)` on the last axis.

    Args:
        units: size of the output's last axis.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (units,) is added.
        kernel_initializer: of the kernel, (inputs, units).
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss computed from the kernel.
        bias_regularizer: adds a loss computed from the bias.
        activity_regularizer: adds a loss computed from the outputs.
        kernel_constraint: replaces the kernel after each update.
        bias_constraint: replaces the bias after each update.
        lora_rank, lora_alpha, quantization_config: not available.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Shapes:
        (batch, ..., inputs) -> (batch, ..., units)

    Example:
        >>> layer = keras.layers.Dense(3, activation="relu")
        >>> layer(np.ones((2, 4))).shape
        (2, 3)
        >>> [w.shape for w in layer.weights]
        [(4, 3), (3,)]
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activity_regularizer=activity_regularizer,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            **kwargs,
        )
        self.units = _parts.positive("Dense", "units", units)
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
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = _parts.known_size(self, input_shape, -1)
        shape = (features, self.units)
        self.kernel = _parts.add_weight(self, "kernel", shape)
        self.bias = None
        if self.use_bias:
            self.bias = _parts.add_weight(self, "bias", (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        if inputs.dtype != self.compute_dtype:
            inputs = ops.cast(inputs, self.compute_dtype)
        rows = inputs
        if len(inputs.shape) > 2:
            rows = ops.reshape(inputs, (prod(inputs.shape[:-1]), inputs.shape[-1]))
        if self.bias is None:
            outputs = raw.matmul(rows, self.kernel)
        else:
            outputs = raw.linear(rows, self.kernel, self.bias)
        if rows is not inputs:
            outputs = ops.reshape(outputs, (*inputs.shape[:-1], self.units))
        activation = self.activation
        if activation is None or activation is activations.linear:
            return outputs
        return activation(outputs)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        names = (
            "units activation use_bias kernel_initializer bias_initializer "
            "kernel_regularizer bias_regularizer activity_regularizer "
            "kernel_constraint bias_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}
