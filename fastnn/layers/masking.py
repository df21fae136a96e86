# SPDX-License-Identifier: Apache-2.0
"""The layer that finds padded steps."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object


@export("keras.layers")
class Masking(Layer):
    """Marks steps whose features all equal `mask_value`; they become 0.

    The outputs carry a mask (batch, steps), False for the marked ones: recurrent layers
    skip these, losses and metrics leave them out.

    Args:
        mask_value: number.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Shapes:
        (batch, steps, features) -> the same

    Example:
        >>> x = np.array([[[1.0], [0.0]]])
        >>> keras.layers.Masking()(x)._keras_mask.numpy().tolist()
        [[True, False]]
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config"):
            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.built = True

    def _kept(self, inputs: Any, keepdims: bool) -> Any:
        different = ops.not_equal(inputs, self.mask_value)
        return ops.any(different, axis=-1, keepdims=keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self._kept(inputs, False)

    def call(self, inputs: Any) -> Any:
        return ops.where(self._kept(inputs, True), inputs, 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
