# SPDX-License-Identifier: Apache-2.0
"""Layers around a layer: the base of wrappers, and one layer for every step."""

from __future__ import annotations

from typing import Any

from fastnn import ops, tree
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _call
from fastnn.layers.input_spec import format_shape
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object


@export("keras.layers")
class Wrapper(Layer):
    """Base of layers that hold another one.

    Args:
        layer: the layer inside.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for anything but a layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"[{type(self).__name__}] wraps a layer; received {layer!r}."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Wrapper:
        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"), custom_objects)
        return cls(layer, **config)


@export("keras.layers")
class TimeDistributed(Wrapper):
    """Applies one layer to every step: (batch, steps, ...) -> (batch, steps, ...).

    Args:
        layer: the layer, with inputs (batch, ...).
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    A layer of fastnn without state runs on all steps at once; others run step by step,
    so that a BatchNormalization sees a batch per step, as in Keras.

    Raises:
        ValueError: for inputs of less than three axes, and masks of another shape.

    Example:
        >>> layer = keras.layers.TimeDistributed(keras.layers.Dense(5))
        >>> layer(np.ones((2, 10, 3))).shape
        (2, 10, 5)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _shape_of_step(self, shape: Any) -> tuple[int | None, ...]:
        if not isinstance(shape, (tuple, list)) or len(shape) < 3:
            raise ShapeError(
                f"[TimeDistributed] layer '{self.name}' needs inputs (batch, steps, "
                f"...) of three axes or more; received shape {shape}."
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._shape_of_step(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        step = self.layer.compute_output_shape(self._shape_of_step(input_shape))
        return (step[0], input_shape[1], *step[1:])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        self._shape_of_step(inputs.shape)
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ShapeError(
                f"[TimeDistributed] layer '{self.name}': a mask begins with (batch, "
                f"steps); received shapes {format_shape(mask.shape)} and "
                f"{format_shape(inputs.shape)}."
            )
        options: dict[str, Any] = {}
        if _call.takes_argument(type(self.layer).call, "training"):
            options["training"] = training
        takes_mask = _call.takes_argument(type(self.layer).call, "mask")
        if mask is None or not takes_mask:
            mask = None
        if self._rows_are_apart():
            return self._at_once(inputs, mask, options)
        steps = []
        for t in range(inputs.shape[1]):
            given = options if mask is None else {**options, "mask": mask[:, t]}
            steps.append(self.layer.call(inputs[:, t], **given))
        return ops.stack(steps, axis=1)

    def _rows_are_apart(self) -> bool:
        layers = self.layer._all_layers()
        own = all(type(x).__module__.startswith("fastnn.layers.") for x in layers)
        return own and not self.layer.non_trainable_variables

    def _at_once(self, inputs: Any, mask: Any, options: dict[str, Any]) -> Any:
        batch, steps = inputs.shape[:2]

        def merged(x: Any) -> Any:
            return ops.reshape(x, (batch * steps, *x.shape[2:]))

        given = options if mask is None else {**options, "mask": merged(mask)}
        y = self.layer.call(merged(inputs), **given)
        return tree.map_structure(
            lambda t: ops.reshape(t, (batch, steps, *t.shape[1:])), y
        )


__all__ = ["TimeDistributed", "Wrapper"]
