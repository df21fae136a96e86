# SPDX-License-Identifier: Apache-2.0
"""Normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.layout import Images, first, last, plain
from fastnn.onnx.importing.table import Node, UnsupportedError, reads, tensor


@reads("BatchNormalization", images="own")
def _batch(node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    numbers = [tensor(n) for n in (mean, variance, scale, bias)]
    if isinstance(x, Images) and node.outputs == 1 and not node.get("training_mode", 0):
        numbers = [ops.cast(n, x.dtype) for n in numbers]
        epsilon = node.get("epsilon", 1e-5)
        return Images(_applied(x.last, numbers, epsilon, x.ndim - 1))
    x = x.first() if isinstance(x, Images) else tensor(x)
    epsilon = node.get("epsilon", 1e-5)
    numbers = [ops.cast(n, x.dtype) for n in numbers]
    if node.get("training_mode", 0):
        axes = (0, *range(2, x.ndim))
        old = numbers[:2]
        now = list(ops.moments(x, axes))
        momentum = node.get("momentum", 0.9)
        kept = [
            o * like(momentum, o) + n * like(1 - momentum, n)
            for o, n in zip(old, now, strict=True)
        ]
        return _applied(x, [*now, *numbers[2:]], epsilon), *kept
    if node.outputs > 1:
        raise UnsupportedError("[onnx] BatchNormalization with moments as outputs")
    return _applied(x, numbers, epsilon)


def _applied(x: Tensor, numbers: list[Tensor], epsilon: float, axis: int = 1) -> Tensor:
    mean, variance, scale, bias = numbers
    return raw.batch_norm_apply(x, mean, variance, scale, bias, axis, epsilon)


def _per_channel(value: Tensor, rank: int) -> Tensor:
    return ops.reshape(value, (-1, *([1] * (rank - 2))))


@reads("InstanceNormalization")
def _instance(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    x, scale, bias = map(tensor, (x, scale, bias))
    normal = _normal(x, tuple(range(2, x.ndim)), node.get("epsilon", 1e-5))
    return normal * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)


def _normal(x: Tensor, axes: Any, epsilon: float) -> Tensor:
    mean, variance = ops.moments(x, axes, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + like(epsilon, x))


@reads("LayerNormalization")
def _layer(node: Node, x: Any, scale: Any, bias: Any = None) -> Any:
    x, scale = tensor(x), tensor(scale)
    axis = node.get("axis", -1) % x.ndim
    bias = tensor(np.zeros(scale.shape, scale.dtype) if bias is None else bias)
    shape = x.shape[axis:]
    scale, bias = (ops.broadcast_to(v, shape) for v in (scale, bias))
    rows = x if axis else ops.expand_dims(x, 0)
    given = rows, scale, bias, axis or 1, node.get("epsilon", 1e-5), True
    y, mean, r = raw.layer_norm(*given)
    y = y if axis else ops.squeeze(y, 0)
    ones = (1,) * len(shape)
    wide = [ops.reshape(v, (*x.shape[:axis], *ones)) for v in (mean, r)]
    return y, *wide


@reads("RMSNormalization")
def _rms(node: Node, x: Any, scale: Any) -> Any:
    x, scale = tensor(x), tensor(scale)
    axes = tuple(range(node.get("axis", -1) % x.ndim, x.ndim))
    mean = ops.mean(ops.square(x), axis=axes, keepdims=True)
    return x * ops.rsqrt(mean + like(node.get("epsilon", 1e-5), x)) * scale


@reads("GroupNormalization")
def _group(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    x, scale, bias = map(tensor, (x, scale, bias))
    groups, channels = node.attrs["num_groups"], x.shape[1]
    if node.opset < 21:  # a number per group
        scale, bias = (ops.repeat(v, channels // groups) for v in (scale, bias))
    y, _, _ = raw.group_norm(last(x), scale, bias, groups, node.get("epsilon", 1e-5))
    return first(y)


@reads("LRN", images="own")
def _lrn(node: Node, x: Any) -> Any:
    x, size = (x if isinstance(x, Images) else tensor(x)), node.attrs["size"]
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)
    bias = node.get("bias", 1.0)
    if size % 2:
        settings = (size - 1) // 2, bias, alpha / size, beta
        return Images(raw.lrn(last(x), *settings))
    x = plain(x)
    squares = ops.square(x)
    low, high = (size - 1) // 2, size // 2
    around = [(0, 0), (low, high)] + [(0, 0)] * (x.ndim - 2)
    padded = ops.pad(squares, around)
    total = sum(
        ops.get_item(padded, (slice(None), slice(k, k + x.shape[1])))
        for k in range(size)
    )
    return x / ops.power(like(bias, x) + like(alpha / size, x) * total, like(beta, x))


@reads("LpNormalization")
def _lp(node: Node, x: Any) -> Any:
    x, axis = tensor(x), node.get("axis", -1)
    if node.get("p", 2) == 1:
        size = ops.sum(ops.abs(x), axis=axis, keepdims=True)
    else:
        size = ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=True))
    zero = ops.equal(size, like(0, x))
    return ops.where(zero, like(0, x), x / ops.where(zero, like(1, x), size))


@reads("MeanVarianceNormalization")
def _mvn(node: Node, x: Any) -> Any:
    x = tensor(x)
    axes = tuple(node.get("axes", (0, 2, 3)))
    mean, variance = ops.moments(x, axes, keepdims=True)
    return (x - mean) / (ops.sqrt(variance) + like(1e-9, x))
