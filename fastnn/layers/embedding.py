# SPDX-License-Identifier: Apache-2.0
"""The layer that turns indices into trained vectors."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.errors import out_of_table
from fastnn.layers import _parts
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]


@export("keras.layers")
class Embedding(Layer):
    """Rows of a trained table: (batch, ...) integers -> (batch, ..., output_dim).

    Args:
        input_dim: number of rows; indices are 0 .. input_dim - 1.
        output_dim: length of a row.
        embeddings_initializer: of the table, (input_dim, output_dim).
        embeddings_regularizer: adds a loss computed from the table.
        embeddings_constraint: replaces the table after each update.
        mask_zero: index 0 is padding: the outputs carry a mask that leaves it out.
        weights: the table, to start with.
        lora_rank: low-rank adaptation; not available.
        lora_alpha: of low-rank adaptation.
        quantization_config: not available.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`; `input_length` is
            accepted and not needed.

    Raises:
        ValueError: for sizes that are no positive integers.
        NotImplementedError: for lora_rank and quantization_config.

    Example:
        >>> layer = keras.layers.Embedding(1000, 8)
        >>> layer(np.array([[4, 7, 0]])).shape
        (1, 3, 8)
    """

    input_dtype = "int32"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        _parts.refuse(
            self,
            lora_rank=lora_rank,
            quantization_config=quantization_config,
        )
        self.input_dim = _parts.positive("Embedding", "input_dim", input_dim)
        self.output_dim = _parts.positive("Embedding", "output_dim", output_dim)
        self.mask_zero = self.supports_masking = bool(mask_zero)
        _parts.keep(
            self,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )
        if weights is not None:
            self.build()
            listed = isinstance(weights, list) and len(weights) == 1
            self.set_weights(weights if listed else [weights])

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            shape = (self.input_dim, self.output_dim)
            self.embeddings = _parts.add_weight(self, "embeddings", shape)

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        try:
            return ops.take(self.embeddings, inputs, axis=0)
        except IndexError as error:
            raise out_of_table(error, {self.name: self.input_dim}) from None

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        names = (
            "input_dim output_dim embeddings_initializer embeddings_regularizer "
            "activity_regularizer embeddings_constraint mask_zero"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}
