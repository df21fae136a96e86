# SPDX-License-Identifier: Apache-2.0
"""Layers that disturb activations while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops, random
from fastnn._registry import export
from fastnn.layers.layer import Layer


@export("keras.layers")
class Dropout(Layer):
    """Sets a share `rate` of its inputs to zero while training, and scales the rest.

    What is kept is multiplied by 1 / (1 - rate), so sums keep their expectation.
    Outside training the inputs pass unchanged.

    Args:
        rate: share to drop, in [0, 1).
        noise_shape: shape of the mask, 1 for axes that share one decision; None decides
            each element alone.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise ValueError(
                "[Dropout] rate is the share of inputs to drop, between 0 and 1; "
                f"received {rate!r}."
            )
        self.rate = float(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed) if self.rate > 0 else None

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.seed_generator is None:
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
