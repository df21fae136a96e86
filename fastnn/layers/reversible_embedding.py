# SPDX-License-Identifier: Apache-2.0
"""An embedding that also leads back, from vectors to scores of indices."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _parts
from fastnn.layers.embedding import Embedding


@export("keras.layers")
class ReversibleEmbedding(Embedding):
    """An `Embedding` that multiplies by its transposed table when called in reverse.

    `layer(indices)` gives vectors, `layer(vectors, reverse=True)` one number per index
    (Press and Wolf, 2016, arXiv:1608.05859).

    Args:
        input_dim: number of rows; indices are 0 .. input_dim - 1.
        output_dim: length of a row.
        tie_weights: whether the way back uses the same table, or a trained one of its
            own, (output_dim, input_dim).
        embeddings_initializer: of the tables.
        embeddings_regularizer: adds a loss computed from the table.
        embeddings_constraint: replaces the table after each update.
        mask_zero: see `Embedding`.
        reverse_dtype: dtype of the way back, by default that of inputs and table.
        logit_soft_cap: c in `c * tanh(scores / c)`, which bounds the scores.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: str | None = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.tie_weights = tie_weights  # first: given weights make it build
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        # As in Keras, the way back is in the dtypes of the inputs and the table: logits
        # of a mixed policy are float32.
        self.autocast = False
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim),
                self.embeddings_initializer,
                name="reverse_embeddings",
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return ops.cast(super().call(inputs), self.compute_dtype)
        table = self.embeddings
        kernel = ops.transpose(table) if self.tie_weights else self.reverse_embeddings
        if self.reverse_dtype is not None:
            inputs = ops.cast(inputs, self.reverse_dtype)
            kernel = ops.cast(kernel, self.reverse_dtype)
        scores = ops.matmul(inputs, kernel)
        if self.logit_soft_cap is None:
            return scores
        cap = self.logit_soft_cap
        return ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> Any:
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        names = "tie_weights reverse_dtype logit_soft_cap"
        return {**super().get_config(), **_parts.config_of(self, names)}


__all__ = ["ReversibleEmbedding"]
