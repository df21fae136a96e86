# SPDX-License-Identifier: Apache-2.0
"""Attention of one head: dot-product (Luong) and additive (Bahdanau)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops, random
from fastnn._registry import export
from fastnn.layers import _call, _parts
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]


@export("keras.layers")
class Attention(Layer):
    """`softmax(scores(query, key)) @ value` (Luong et al., 2015, arXiv:1508.04025).

    Called on a list [query, value] or [query, value, key]; the key is the value unless
    it is given.

    Args:
        use_scale: whether scores are multiplied by a trained scalar.
        score_mode: "dot" for products of query and key, "concat" for
            `w * sum(tanh(query + key))` with a trained scalar w.
        dropout: share of the attention that is dropped while training.
        seed: of the dropout; None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        mask: list [query mask, value mask] of boolean tensors (batch, targets) and
            (batch, sources), or None: outputs of masked targets are zero, masked
            sources are not attended to.
        training: whether to drop.
        return_attention_scores: return (outputs, attention).
        use_causal_mask: targets see no later source.

    Shapes:
        query (batch, targets, n), value (batch, sources, m), key (batch, sources, n)
        -> (batch, targets, m); the attention is (batch, targets, sources).

    Raises:
        ValueError: for an unknown score mode, and for anything but such lists.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                f"[{type(self).__name__}] score_mode must be 'dot' or 'concat', "
                f"received {score_mode!r}."
            )
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.scale: Any = None
        self.concat_score_weight: Any = None
        self.supports_masking = True

    def _check(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        several = isinstance(inputs, (list, tuple)) and not _call.is_shape(inputs)
        if not several or len(inputs) not in (2, 3):
            kind = len(inputs) if several else "one input"
            raise ValueError(
                f"[{name}] layer '{self.name}' is called on a list [query, value] or "
                f"[query, value, key]; received {kind}."
            )
        good = mask is None or isinstance(mask, (list, tuple))
        if not good or (mask is not None and len(mask) not in (2, 3)):
            raise ValueError(
                f"[{name}] mask of layer '{self.name}' must be a list [query mask, "
                f"value mask]; received {type(mask).__name__}."
            )

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                (), "ones", name="concat_score_weight"
            )

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """(batch, targets, sources); subclasses may define others."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        pairs = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        if self.scale is not None:
            pairs = ops.multiply(pairs, self.scale)
        sums = ops.sum(ops.tanh(pairs), axis=-1)
        return ops.multiply(self.concat_score_weight, sums)

    def _apply_scores(
        self, scores: Any, value: Any, scores_mask: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        """(outputs, attention)."""
        if scores_mask is not None:
            if len(scores_mask.shape) == 2:
                scores_mask = ops.expand_dims(scores_mask, -2)
            low = 65504.0 if scores.dtype == "float16" else 1e9
            scores = ops.where(scores_mask, scores, ops.subtract(scores, low))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return ops.matmul(weights, value), weights

    def _calculate_score_mask(
        self, scores: Any, v_mask: Any, use_causal_mask: bool
    ) -> Any:
        if v_mask is not None:
            v_mask = ops.cast(v_mask, "bool")
        if not use_causal_mask:
            return v_mask
        targets, sources = scores.shape[-2:]
        causal = ops.convert_to_tensor(np.tri(targets, sources, dtype=bool)[None])
        if v_mask is None:
            return causal
        return ops.logical_and(ops.expand_dims(v_mask, -2), causal)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value, *rest = inputs
        key = rest[0] if rest else value
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        scores = self._calculate_scores(query=query, key=key)
        scores_mask = self._calculate_score_mask(scores, value_mask, use_causal_mask)
        outputs, weights = self._apply_scores(
            scores=scores, value=value, scores_mask=scores_mask, training=training
        )
        if query_mask is not None:
            kept = ops.expand_dims(ops.cast(query_mask, "bool"), -1)
            outputs = ops.where(kept, outputs, ops.zeros_like(outputs))
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's mask, if there is one."""
        self._check(inputs, mask)
        if mask is None or mask[0] is None:
            return None
        return ops.convert_to_tensor(mask[0])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        self._check(input_shape)
        return (*input_shape[0][:-1], input_shape[1][-1])

    def get_config(self) -> dict[str, Any]:
        names = "use_scale score_mode dropout seed"
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers")
class AdditiveAttention(Attention):
    """Attention by `sum(scale * tanh(query + key))` (Bahdanau, 2015, arXiv:1409.0473).

    Args:
        use_scale: whether the terms are weighted by a trained vector.
        dropout: share of the attention that is dropped while training.
        **kwargs: `seed`, `name`, `dtype`, `trainable`.

    Called as `Attention`; query and key have the same last axis.
    """

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            size = _parts.known_size(self, input_shape[0], -1)
            self.scale = self.add_weight((size,), "glorot_uniform", name="scale")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        pairs = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        terms = ops.tanh(pairs)
        if self.scale is not None:
            terms = ops.multiply(self.scale, terms)
        return ops.sum(terms, axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config


__all__ = ["AdditiveAttention", "Attention"]
