# SPDX-License-Identifier: Apache-2.0
"""Layers around a function: Identity and Lambda."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn._registry import export
from fastnn.layers import _call
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object


@export("keras.layers")
class Identity(Layer):
    """Passes its inputs on, whatever their structure."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@export("keras.layers")
class Lambda(Layer):
    """A function of tensors as a layer.

    Variables that the function uses are not tracked: a subclass of `Layer` tracks them.

    Args:
        function: of the inputs; gets `training` and `mask` when it names them.
        output_shape: shape of one sample's output, or a function from the input shape
            to the output shape; found by a call on zeros if None.
        mask: of the outputs, a tensor or a function of the inputs and their mask.
        arguments: further keyword arguments of the function.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Only named functions that are registered can be written to a config; see
    `saving.register_keras_serializable`.

    Example:
        >>> keras.layers.Lambda(lambda x: x**2)(np.array([3.0])).numpy().tolist()
        [9.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(
                f"[Lambda] function must be callable, received {function!r}."
            )
        self.mask = mask
        self.supports_masking = mask is not None
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        options = {"mask": mask, "training": training}
        known = {k: v for k, v in options.items() if self._takes(k)}
        return self.function(inputs, **self.arguments, **known)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = self.mask
        return mask(inputs, previous_mask) if callable(mask) else mask

    def _takes(self, name: str) -> bool:
        return _call.takes_argument(self.function, name)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return tuple(self._output_shape(input_shape))
        first = input_shape
        while isinstance(first, (list, tuple)) and isinstance(first[0], (list, tuple)):
            first = first[0]
        return (first[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        config = {
            "function": serialize_keras_object(self.function),
            "arguments": serialize_keras_object(self.arguments),
        }
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        if self._output_shape is not None:
            config["output_shape"] = serialize_keras_object(self._output_shape)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Lambda:
        config = dict(config)
        for key in ("function", "arguments", "output_shape", "mask"):
            if key in config:
                config[key] = deserialize_keras_object(config[key])
        return cls(**config)


__all__ = ["Identity", "Lambda"]
