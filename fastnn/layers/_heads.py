# SPDX-License-Identifier: Apache-2.0
"""What layers with several attention heads share: masks, projections, arguments."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.autodiff.tensor import Tensor
from fastnn.layers import _masks, _parts
from fastnn.layers.activation import Softmax
from fastnn.layers.dropout import Dropout
from fastnn.layers.einsum_dense import EinsumDense
from fastnn.layers.layer import Layer


class Heads(Layer):
    """Projects query, key and value, attends head by head, projects the result."""

    _window: int | None = None
    _flash: bool = False
    _kernel_initializer: Any
    _bias_initializer: Any
    _kernel_regularizer: Any
    _bias_regularizer: Any
    _activity_regularizer: Any
    _kernel_constraint: Any
    _bias_constraint: Any

    def _keep_heads(
        self,
        sliding_window: int | None,
        flash_attention: bool | None,
        dropout: float,
        **parts: Any,
    ) -> None:
        """Checks and keeps the arguments that both kinds have.

        Args:
            sliding_window, flash_attention, dropout: as of the layers.
            parts: initializers, regularizers and constraints of the projections.

        Raises:
            ValueError: for a window that is no positive integer, and for dropout with
                flash attention.
        """
        name = type(self).__name__
        self.supports_masking = True
        if sliding_window is not None:
            self._window = _parts.positive(name, "sliding_window", sliding_window)
        self._flash = bool(flash_attention or config.is_flash_attention_enabled())
        if self._flash and dropout > 0.0:
            raise ValueError(
                f"[{name}] dropout={dropout} is not supported with flash attention."
            )
        _parts.keep(self, **{f"_{name}": value for name, value in parts.items()})

    def _project(
        self,
        name: str,
        equation: str,
        output_shape: Any,
        bias_axes: str | None,
        input_shape: Any,
        activation: Any = None,
    ) -> EinsumDense:
        """A projection, built for the shape of its inputs."""
        layer = EinsumDense(
            equation,
            output_shape,
            activation,
            bias_axes,
            # Clones: an unseeded initializer gives all its kernels the same values.
            _clone(self._kernel_initializer),
            _clone(self._bias_initializer),
            self._kernel_regularizer,
            self._bias_regularizer,
            self._kernel_constraint,
            self._bias_constraint,
            activity_regularizer=self._activity_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(input_shape)
        return layer

    def _make_attention(
        self, axes: tuple[int, ...], dropout: float, seed: int | None
    ) -> None:
        axis = axes if len(axes) > 1 else axes[0]  # one axis has a kernel
        self._softmax = Softmax(axis=axis, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def _attend(
        self,
        base: Any,
        given: tuple[Any, Any, Any],
        masks: tuple[Any, Any, Any, Any],
        training: bool | None,
        scores: bool,
        causal: bool,
    ) -> Any:
        """What a call returns for (query, key, value) and their masks."""
        own: Any = self
        query, key, value = given
        alone = self._only_causal(base, causal, *masks)
        mask = None
        if not alone:
            mask = self._compute_attention_mask(query, value, *masks, causal)
        gate = getattr(self, "_gate_dense", None)
        with _masks.hidden(*(x for x in given if _masks.mask_of(x) is not None)):
            projected = (
                own._query_dense(query),
                own._key_dense(key),
                own._value_dense(value),
            )
            opened = None if gate is None else gate(query)
        outputs, attention = own._compute_attention(
            *projected,
            mask,
            training,
            scores,
            **({"use_causal_mask": True} if alone else {}),
        )
        if opened is not None:
            outputs = ops.multiply(outputs, opened)
        outputs = own._output_dense(outputs)
        return (outputs, attention) if scores else outputs

    def _fused(
        self, query: Any, key: Any, value: Any, mask: Any, size: int, causal: bool
    ) -> Any:
        """All heads by `ops.dot_product_attention`."""
        if mask is not None:
            mask = ops.cast(mask, "bool")
            while len(mask.shape) < 4:
                mask = ops.expand_dims(mask, -3)
        return ops.dot_product_attention(
            query, key, value, mask=mask, scale=1 / sqrt(size), is_causal=causal
        )

    def _refuse_scores(self, scores: bool) -> None:
        if self._flash and scores:
            raise ValueError(
                f"[{type(self).__name__}] return_attention_scores is not supported "
                "with flash attention."
            )

    # -- masks -----------------------------------------------------------------------

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Which sources count for which targets, broadcast to (batch, targets,
        sources); None for all.
        """
        return _all_of(
            None if query_mask is None else ops.expand_dims(query_mask, -1),
            None if value_mask is None else ops.expand_dims(value_mask, -2),
            None if key_mask is None else ops.expand_dims(key_mask, -2),
            self._compute_causal_mask(query, value) if use_causal_mask else None,
            None if self._window is None else self._band(query, value, self._window),
            attention_mask,
        )

    def _causal(self, query: Any, value: Any, mask: Any) -> Any:
        """`mask`, which may be None, without later sources."""
        return _all_of(mask, self._compute_causal_mask(query, value))

    def _compute_causal_mask(self, query: Any, value: Any = None) -> Tensor:
        """(1, targets, sources), true where the source is not later."""
        sources = query.shape[1] if value is None else value.shape[1]
        return Tensor(np.tri(query.shape[1], sources, dtype=bool)[None])

    def _band(self, query: Any, value: Any, width: int) -> Tensor:
        """(1, targets, sources), true less than `width` places away."""
        places = np.arange(query.shape[1])[:, None], np.arange(value.shape[1])
        return Tensor((np.abs(places[0] - places[1]) < width)[None])

    def _only_causal(self, base: Any, causal: bool, *masks: Any) -> bool:
        """Whether the causal mask is the only one and can be left to the op: a
        subclass that attends in its own way would not know of it.
        """
        own: Any = type(self)
        known = own._compute_attention is base._compute_attention
        return causal and known and all(m is None for m in (*masks, self._window))

    def _heads_config(self) -> dict[str, Any]:
        names = """_kernel_initializer _bias_initializer _kernel_regularizer
        _bias_regularizer _activity_regularizer _kernel_constraint _bias_constraint"""
        found = _parts.config_of(self, names)
        return {name[1:]: value for name, value in found.items()}


def _all_of(*masks: Any) -> Any:
    """True where all masks are; None when all are None."""
    whole = None
    for mask in masks:
        if mask is not None:
            kept = ops.cast(mask, "bool")
            whole = kept if whole is None else ops.logical_and(whole, kept)
    return whole


def _clone(initializer: Any) -> Any:
    clone = getattr(initializer, "clone", None)
    return initializer if clone is None else clone()
