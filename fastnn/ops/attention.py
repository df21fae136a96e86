# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._promote import as_dtype, promote, to_float
from fastnn.opset._dtypes import HALVES

_NAME = "dot_product_attention"


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    """ShapeError for shapes that do not go together."""
    q, k, v = query.shape, key.shape, value.shape
    good = len(q) == len(k) == len(v) == 4
    if good:
        good = q[0] == k[0] == v[0] and k[1:3] == v[1:3] and q[3] == k[3]
        good = good and k[2] > 0 and q[2] % k[2] == 0
    if not good:
        raise ShapeError(
            f"[{_NAME}] needs query (batch, targets, heads, size), key (batch, "
            f"sources, key heads, size) and value (batch, sources, key heads, any), "
            f"heads a multiple of key heads; received {q}, {k} and {v}"
        )


def _kept(mask: Any, is_causal: bool, targets: int, sources: int) -> Tensor | None:
    """Which logits count, in 4 axes that broadcast; None for all."""
    kept = None
    if mask is not None:
        kept = raw.cast(convert_to_tensor(mask), "bool")
        kept = raw.reshape(kept, (*(1,) * (4 - kept.ndim), *kept.shape))
    if is_causal:
        shape = (1, 1, targets, sources)
        past = constant(shape, "bool", lambda: np.tri(*shape[2:])[None, None])
        kept = past if kept is None else raw.logical_and(kept, past)
    return kept


def _adjusted(logits: Tensor, bias: Any, kept: Tensor | None) -> Tensor:
    """Logits plus bias, and as low as can be where they do not count."""
    wide = logits.shape
    if bias is not None:
        logits = raw.add(logits, as_dtype(bias, logits.dtype))
    if kept is not None:
        lowest = -0.7 * float(np.finfo(np.dtype(logits.dtype)).max)
        logits = raw.where(kept, logits, lowest)
    if logits.shape != wide:
        raise ShapeError(
            f"[{_NAME}] bias and mask must broadcast to {wide}, which became "
            f"{logits.shape}"
        )
    return logits


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(scale * query key^T + bias) value, head by head (arXiv:1706.03762).

    Args:
        query: (batch, targets, heads, size).
        key: (batch, sources, key heads, size); heads is a multiple of key heads, whose
            neighbouring heads share a key (grouped queries, arXiv:2305.13245).
        value: (batch, sources, key heads, any size).
        bias: added to the logits (batch, heads, targets, sources); broadcasts.
        mask: true where a source counts for a target; broadcasts like bias. A target
            for which none counts attends to all alike.
        scale: 1 / sqrt(size) when None.
        is_causal: targets see no later source.
        flash_attention: Keras's choice of an algorithm; it makes no difference here.
        attn_logits_soft_cap: must be None; Keras has it on TPUs only.

    Returns:
        (batch, targets, heads, size of value). 16-bit floats are computed on in float32
        and rounded once.

    Raises:
        ShapeError: for shapes that do not go together.
        ValueError: for a soft cap.
    """
    if attn_logits_soft_cap is not None:
        raise ValueError(f"[{_NAME}] attn_logits_soft_cap must be None without a TPU")
    q, k, v = promote(to_float(query), to_float(key), to_float(value))
    _check(q, k, v)
    dtype = q.dtype
    if dtype in HALVES:
        q, k, v = (raw.cast(t, "float32") for t in (q, k, v))
    batch, targets, heads, size = q.shape
    sources, key_heads = k.shape[1:3]
    group = heads // key_heads
    # (batch, key heads, group * targets, size): queries that share a key are its rows.
    q = raw.reshape(q, (batch, targets, key_heads, group, size))
    q = raw.transpose(q, (0, 2, 3, 1, 4))
    q = raw.multiply(q, 1 / sqrt(max(size, 1)) if scale is None else scale)
    rows = (batch, key_heads, group * targets)
    logits = raw.matmul(raw.reshape(q, (*rows, size)), raw.transpose(k, (0, 2, 3, 1)))
    kept = _kept(mask, is_causal, targets, sources)
    if bias is not None or kept is not None:
        wide = (batch, heads, targets, sources)
        logits = _adjusted(raw.reshape(logits, wide), bias, kept)
        logits = raw.reshape(logits, (*rows, sources))
    y = raw.matmul(raw.softmax(logits, 3), raw.transpose(v, (0, 2, 1, 3)))
    y = raw.reshape(y, (batch, key_heads, group, targets, v.shape[-1]))
    y = raw.transpose(y, (0, 3, 1, 2, 4))
    y = raw.reshape(y, (batch, targets, heads, v.shape[-1]))
    return y if y.dtype == dtype else raw.cast(y, dtype)


__all__ = ["dot_product_attention"]
