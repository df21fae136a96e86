# SPDX-License-Identifier: Apache-2.0
"""Attention whose heads share keys and values in groups."""

from __future__ import annotations

from math import sqrt
from typing import Any

from fastnn import ops, regularizers
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers._heads import Heads
from fastnn.layers.input_spec import format_shape

Shape = tuple[int | None, ...]


@export("keras.layers")
class GroupQueryAttention(Heads):
    """Heads of which groups share a key and a value (arXiv:2305.13245).

    Args:
        head_dim: size of a head.
        num_query_heads: number of heads.
        num_key_value_heads: number of keys and values, a divisor of it: 1 for one that
            all share, `num_query_heads` for one each.
        dropout: share of the attention that is dropped while training.
        use_bias: whether projections add biases.
        sliding_window: attend only to places less than so many away.
        flash_attention: Keras's choice of an algorithm; results do not depend on it.
        kernel_initializer, bias_initializer: of all projections.
        kernel_regularizer, bias_regularizer: add losses computed from the weights.
        activity_regularizer: adds losses computed from outputs of layer and
            projections.
        kernel_constraint, bias_constraint: replace the weights after each update.
        use_gate: multiply the heads by a sigmoid projection of the query
            (arXiv:2505.06708).
        seed: of the dropout; None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`.

    Called as `MultiHeadAttention`, on tensors of three axes.

    Raises:
        ValueError: for sizes that are no positive integers, or no divisors.
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = "GroupQueryAttention"
        self.head_dim = _parts.positive(name, "head_dim", head_dim)
        heads = _parts.positive(name, "num_query_heads", num_query_heads)
        pairs = _parts.positive(name, "num_key_value_heads", num_key_value_heads)
        self.num_query_heads, self.num_key_value_heads = heads, pairs
        if heads % pairs != 0:
            raise ValueError(
                "[GroupQueryAttention] num_query_heads must be a multiple of "
                f"num_key_value_heads, received {heads} and {pairs}."
            )
        self.num_repeats = heads // pairs
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.seed = seed
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._keep_heads(
            sliding_window,
            flash_attention,
            dropout,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        heads, pairs = self.num_query_heads, self.num_key_value_heads
        size = self.head_dim

        def project(name: str, shape: Shape, heads: int, act: Any = None) -> Any:
            bias = "uh" if self.use_bias else None
            outputs = (None, heads, size)
            return self._project(name, "bqm,muh->bquh", outputs, bias, shape, act)

        self.feature_dim = query_shape[-1]
        self._query_dense = project("query", query_shape, heads)
        self._key_dense = project("key", key_shape, pairs)
        if self.use_gate:
            self._gate_dense = project("gate", query_shape, heads, "sigmoid")
        self._value_dense = project("value", value_shape, pairs)
        self._make_attention((-1,), self.dropout, self.seed)
        self._output_dense = self._project(
            "attention_output",
            "bquh,uhm->bqm",
            (None, self.feature_dim),
            "m" if self.use_bias else None,
            (None, None, heads, size),
        )

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """(outputs, attention) of projections; keys and values of all groups."""
        self._refuse_scores(return_attention_scores)
        size = query.shape[-1]
        if self.dropout <= 0.0 and not return_attention_scores:
            fused = self._fused(
                query, key, value, attention_mask, size, use_causal_mask
            )
            return fused, None
        if use_causal_mask:
            attention_mask = self._causal(query, value, attention_mask)
        key, value = (ops.repeat(x, self.num_repeats, axis=2) for x in (key, value))
        query = ops.multiply(query, 1 / sqrt(size))
        scores = ops.einsum("bquh,bkuh->buqk", query, key)
        if attention_mask is not None and len(attention_mask.shape) == 3:
            attention_mask = ops.expand_dims(attention_mask, 1)
        scores = self._softmax(scores, mask=attention_mask)
        kept = self._dropout_layer(scores, training=training)
        return ops.einsum("buqk,bkuh->bquh", kept, value), scores

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        return self._attend(
            GroupQueryAttention,
            (query, key, value),
            (query_mask, value_mask, key_mask, attention_mask),
            training,
            return_attention_scores,
            use_causal_mask,
        )

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> Shape:
        key_shape = value_shape if key_shape is None else key_shape
        wide = query_shape[-1] == value_shape[-1]
        if not wide or tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            shapes = (format_shape(s) for s in (query_shape, value_shape, key_shape))
            raise ShapeError(
                f"[GroupQueryAttention] layer '{self.name}': query and value must have "
                "one last axis, key and value agree in the others; received "
                f"{', '.join(shapes)}."
            )
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        names = """head_dim num_query_heads num_key_value_heads use_bias use_gate
        dropout"""
        return {
            **super().get_config(),
            **_parts.config_of(self, names),
            "sliding_window": self._window,
            **self._heads_config(),
            "seed": self.seed,
        }


__all__ = ["GroupQueryAttention"]
