# SPDX-License-Identifier: Apache-2.0
"""Layers that disturb activations while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops, random
from fastnn._registry import export
from fastnn.layers.layer import Layer


class Strength:
    """The attribute that says how much a layer disturbs: a number of [0, 1].

    The first value above 0 gives the layer its `seed_generator`: as in Keras, a layer
    that never disturbs has no variable and takes no seed from the process-wide stream.

    Args:
        high: "]" when 1 is allowed, else ")".
    """

    def __init__(self, high: str) -> None:
        self.high = high

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else layer.__dict__[self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        number = isinstance(value, (int, float, np.number))
        if not number or not 0 <= value <= 1 or (value == 1 and self.high == ")"):
            raise ValueError(
                f"[{type(layer).__name__}] {self.name} must be in [0, 1{self.high}; "
                f"received {value!r}."
            )
        layer.__dict__[self.name] = float(value)
        if value > 0 and layer.seed_generator is None:
            layer.seed_generator = random.SeedGenerator(layer.seed)


@export("keras.layers")
class Dropout(Layer):
    """Sets a share `rate` of its inputs to zero while training, and scales the rest.

    What is kept is multiplied by 1 / (1 - rate), so sums keep their expectation.
    Outside training the inputs pass unchanged.

    Args:
        rate: share to drop, in [0, 1].
        noise_shape: shape of the mask, 1 for axes that share one decision; None decides
            each element alone.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Example:
        >>> layer = keras.layers.Dropout(0.5, seed=1)
        >>> layer(np.ones(4)).numpy().tolist()
        [1.0, 1.0, 1.0, 1.0]
        >>> sorted(set(layer(np.ones(100), training=True).numpy().tolist()))
        [0.0, 2.0]
    """

    rate = Strength("]")

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.seed = seed
        self.seed_generator: random.SeedGenerator | None = None
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1.0:
            return ops.zeros_like(inputs)
        shape = self._mask_shape(inputs.shape)
        return random.dropout(
            inputs, self.rate, noise_shape=shape, seed=self.seed_generator
        )

    def _mask_shape(self, shape: Any) -> Any:
        """Shape of the decisions for inputs of a shape; None decides each element."""
        return self.noise_shape

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }
