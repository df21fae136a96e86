# SPDX-License-Identifier: Apache-2.0
"""The fully connected layer."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn import activations, constraints, initializers, ops, regularizers
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.layers.input_spec import InputSpec, format_shape
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
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Shapes:
        (batch, ..., inputs) -> (batch, ..., units)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)):
            units_ok = False
        else:
            units_ok = units > 0
        if not units_ok:
            raise ValueError(
                f"[Dense] units must be a positive integer, received {units!r}."
            )
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        if features is None:
            raise ShapeError(
                f"[Dense] layer '{self.name}' needs the size of the last axis; "
                f"received shape {format_shape(input_shape)}."
            )
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
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
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
