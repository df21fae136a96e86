# SPDX-License-Identifier: Apache-2.0
"""Attention of several heads, over any axes."""

from __future__ import annotations

from math import sqrt
from string import ascii_lowercase
from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers._heads import Heads
from fastnn.layers.input_spec import format_shape

Shape = tuple[int | None, ...]


def _projection(free: int, bound: int, outputs: int) -> tuple[str, str]:
    """Equation and bias axes: 2, 1, 2 -> "abc,cde->abde", "de"."""
    kept = ascii_lowercase[:free]
    summed = ascii_lowercase[free : free + bound]
    units = ascii_lowercase[free + bound : free + bound + outputs]
    return f"{kept}{summed},{summed}{units}->{kept}{units}", units


def _attention(rank: int, axes: tuple[int, ...]) -> tuple[str, str, int]:
    """Equations of (batch axes, attended axes, heads, size): scores of keys and
    queries, their combination with values, and the rank of the scores.
    """
    target = ascii_lowercase[:rank]
    others = iter(ascii_lowercase[rank:])
    source = [next(others) if i in axes else target[i] for i in range(rank)]
    shared = [target[i] for i in range(rank - 1) if i not in axes]
    scores = "".join([*shared, *(target[i] for i in axes), *(source[i] for i in axes)])
    text = "".join(source)
    return f"{text},{target}->{scores}", f"{scores},{text}->{target}", len(scores)


@export("keras.layers")
class MultiHeadAttention(Heads):
    """Heads that attend to projections of a sequence (arXiv:1706.03762).

    Each head computes `softmax(q @ k.T / sqrt(key_dim)) @ v` of its own projections
    of query, key and value; a last projection combines the heads.

    Args:
        num_heads: number of heads.
        key_dim: size of a head's queries and keys.
        value_dim: size of a head's values, `key_dim` by default.
        dropout: share of the attention that is dropped while training.
        use_bias: whether projections add biases.
        output_shape: shape of the result behind batch and sequence; the last axis of
            the query by default.
        attention_axes: axes that are attended over, all but batch and features by
            default.
        sliding_window: attend only to places less than so many away.
        flash_attention: Keras's choice of an algorithm; results do not depend on it.
        kernel_initializer, bias_initializer: of all projections.
        kernel_regularizer, bias_regularizer: add losses computed from the weights.
        activity_regularizer: adds losses computed from the projections' outputs.
        kernel_constraint, bias_constraint: replace the weights after each update.
        use_gate: multiply the heads by a sigmoid projection of the query
            (arXiv:2505.06708).
        seed: of the dropout; None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query, value, key: (batch, targets, n), (batch, sources, m), (batch, sources,
            k); the key is the value by default.
        query_mask, value_mask, key_mask: boolean (batch, targets) or (batch, sources).
            Targets without any source take the mean of all values, and with
            `return_attention_scores` nothing, as in Keras; there a `query_mask` that
            is given, not carried by the query, is not looked at.
        attention_mask: boolean (batch, targets, sources), true to attend.
        return_attention_scores: return (outputs, attention); the attention is
            (batch, heads, targets, sources).
        training: whether to drop.
        use_causal_mask: targets see no later source.

    Raises:
        ValueError: for sizes that are no positive integers, and unusable axes.
        ShapeError: when key and value have different sequences.

    Example:
        >>> layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
        >>> x = np.ones((2, 10, 8))
        >>> layer(x, x).shape
        (2, 10, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
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
        name = "MultiHeadAttention"
        self._num_heads = _parts.positive(name, "num_heads", num_heads)
        self._key_dim = _parts.positive(name, "key_dim", key_dim)
        self._value_dim = self._key_dim
        if value_dim is not None:
            self._value_dim = _parts.positive(name, "value_dim", value_dim)
        self._dropout = dropout
        self._use_bias = use_bias
        self._use_gate = use_gate
        self._output_shape = _axes(name, "output_shape", output_shape or None)
        self._attention_axes = _axes(name, "attention_axes", attention_axes)
        self.seed = seed
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

    num_heads = property(lambda self: self._num_heads, doc="Number of heads.")
    key_dim = property(lambda self: self._key_dim, doc="Size of queries and keys.")
    value_dim = property(lambda self: self._value_dim, doc="Size of values.")
    dropout = property(lambda self: self._dropout, doc="Share that is dropped.")
    use_bias = property(lambda self: self._use_bias, doc="Whether biases are added.")
    attention_axes = property(lambda self: self._attention_axes, doc="Axes attended.")
    query_dense = property(lambda self: self._query_dense, doc="Projects queries.")
    key_dense = property(lambda self: self._key_dense, doc="Projects keys.")
    value_dense = property(lambda self: self._value_dense, doc="Projects values.")
    output_dense = property(lambda self: self._output_dense, doc="The last projection.")

    def _check_shapes(self, value_shape: Shape, key_shape: Shape) -> None:
        if tuple(value_shape)[1:-1] != tuple(key_shape)[1:-1]:
            raise ShapeError(
                f"[MultiHeadAttention] layer '{self.name}': key and value must agree "
                "in all axes but the last; received value "
                f"{format_shape(value_shape)} and key {format_shape(key_shape)}."
            )

    def build(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        heads = self._num_heads

        def project(name: str, shape: Shape, size: int, act: Any = None) -> Any:
            equation, units = _projection(len(shape) - 1, 1, 2)
            free = (None,) * (len(shape) - 2)
            bias = units if self._use_bias else None
            outputs = (*free, heads, size)
            return self._project(name, equation, outputs, bias, shape, act)

        self._query_dense = project("query", query_shape, self._key_dim)
        self._key_dense = project("key", key_shape, self._key_dim)
        if self._use_gate:
            self._gate_dense = project("gate", query_shape, self._value_dim, "sigmoid")
        self._value_dense = project("value", value_shape, self._value_dim)
        self._build_attention(len(value_shape) + 1)
        sizes = self._output_shape or (query_shape[-1],)
        equation, units = _projection(len(query_shape) - 1, 2, len(sizes))
        self._output_dense = self._project(
            "attention_output",
            equation,
            (*(None,) * (len(query_shape) - 2), *sizes),
            units if self._use_bias else None,
            (*query_shape[:-1], heads, self._value_dim),
        )

    def _build_attention(self, rank: int) -> None:
        """Equations for projections of this rank."""
        if self._attention_axes is None:
            self._attention_axes = tuple(range(1, rank - 2))
        else:
            self._attention_axes = tuple(
                axis if axis >= 0 else rank - 1 + axis for axis in self._attention_axes
            )
        self._score_equation, self._combine_equation, scores = _attention(
            rank, self._attention_axes
        )
        axes = tuple(range(scores - len(self._attention_axes), scores))
        self._make_attention(axes, self._dropout, self.seed)

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
        """(outputs, attention) of projections (batch, ..., heads, size).

        Subclasses may override it; the attention may be None unless it is asked for.
        """
        self._refuse_scores(return_attention_scores)
        explicit = self._dropout > 0.0 or return_attention_scores
        if not explicit and len(query.shape) == 4:
            fused = self._fused(
                query, key, value, attention_mask, self._key_dim, use_causal_mask
            )
            return fused, None
        if use_causal_mask:
            attention_mask = self._causal(query, value, attention_mask)
        query = ops.multiply(query, 1 / sqrt(self._key_dim))
        scores = ops.einsum(self._score_equation, key, query)
        scores = self._masked_softmax(scores, attention_mask)
        kept = scores
        if self._dropout > 0.0:
            kept = self._dropout_layer(scores, training=training)
        return ops.einsum(self._combine_equation, kept, value), scores

    def _masked_softmax(self, scores: Any, mask: Any = None) -> Any:
        """Softmax over sources; axes that the mask lacks are those of the heads."""
        if mask is not None:
            at = -2 * len(self._attention_axes or ()) - 1
            while len(mask.shape) < len(scores.shape):
                mask = ops.expand_dims(mask, at)
        return self._softmax(scores, mask=mask)

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
            MultiHeadAttention,
            (query, key, value),
            (query_mask, value_mask, key_mask, attention_mask),
            training,
            return_attention_scores,
            use_causal_mask,
        )

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> Shape:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        if self._output_shape:
            return (*query_shape[:-1], *self._output_shape)
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self._num_heads,
            "key_dim": self._key_dim,
            "value_dim": self._value_dim,
            "dropout": self._dropout,
            "use_bias": self._use_bias,
            "use_gate": self._use_gate,
            "output_shape": self._output_shape,
            "attention_axes": self._attention_axes,
            "sliding_window": self._window,
            **self._heads_config(),
            "seed": self.seed,
        }


def _axes(layer: str, name: str, value: Any) -> tuple[int, ...] | None:
    """An integer or several as a tuple."""
    if value is None or isinstance(value, int):
        return None if value is None else (value,)
    if not isinstance(value, (list, tuple)):
        raise ValueError(
            f"[{layer}] {name} must be an integer or several, received {value!r}."
        )
    return tuple(value)


__all__ = ["MultiHeadAttention"]
