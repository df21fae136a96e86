# SPDX-License-Identifier: Apache-2.0
"""Numbers in few bits: y = scale (x - zero point)."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.images import convolved
from fastnn.onnx.importing.table import Node, UnsupportedError, reads, tensor
from fastnn.onnx.package import NAMES
from fastnn.opset._dtypes import RANGE


def _placed(value: Tensor, x: Tensor, node: Node) -> Tensor:
    """A scale or zero point beside x: one for all, per axis, or per block."""
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    if value.size == 1:
        return ops.reshape(value, ())
    axis %= x.ndim
    if block:
        wide = ops.repeat(value, block, axis=axis)
        key: list[Any] = [slice(None)] * x.ndim
        key[axis] = slice(0, x.shape[axis])
        return ops.get_item(wide, tuple(key))
    return ops.reshape(value, [-1 if i == axis else 1 for i in range(x.ndim)])


@reads("DequantizeLinear", constants="2")
def _dequantize(node: Node, x: Any, scale: Any, zero: Any = None) -> Any:
    x, scale = tensor(x), tensor(scale)
    number = ops.cast(x, "float32")
    if zero is not None:
        number = number - ops.cast(_placed(tensor(zero), x, node), "float32")
    y = number * ops.cast(_placed(scale, x, node), "float32")
    return ops.cast(y, NAMES.get(node.get("output_dtype", 0), scale.dtype))


@reads("QuantizeLinear", constants="2")
def _quantize(node: Node, x: Any, scale: Any, zero: Any = None) -> Any:
    x, scale = tensor(x), tensor(scale)
    kind = NAMES.get(node.get("output_dtype", 0), "uint8")
    zero = None if zero is None else tensor(zero)
    kind = kind if zero is None else zero.dtype
    if kind not in RANGE:
        raise UnsupportedError(f"[onnx] QuantizeLinear to {kind}")
    steps = ops.cast(x, "float32") / ops.cast(_placed(scale, x, node), "float32")
    offset = None if zero is None else _placed(zero, x, node)
    return quantized(steps, offset, kind)


def quantized(steps: Tensor, zero: Tensor | None, dtype: str) -> Tensor:
    """Rounded to even, moved and clipped."""
    number = ops.round(ops.cast(steps, "float64"))
    if zero is not None:
        number = number + ops.cast(zero, "float64")
    low, high = RANGE[dtype]
    clipped = ops.minimum(ops.maximum(number, like(low, number)), like(high, number))
    return ops.cast(clipped, dtype)


@reads("DynamicQuantizeLinear")
def _dynamic(node: Node, x: Any) -> Any:
    x = tensor(x)
    low = ops.minimum(ops.min(x), like(0, x))
    high = ops.maximum(ops.max(x), like(0, x))
    scale = (high - low) / like(255, x)
    zero = quantized(-low / scale, None, "uint8")
    return quantized(x / scale, zero, "uint8"), scale, zero


@reads("QLinearMatMul", constants="2 5 7")
def _matmul(
    node: Node, a: Any, sa: Any, za: Any, b: Any, sb: Any, zb: Any, sy: Any, zy: Any
) -> Any:
    def centred(x: Any, zero: Any, rows: bool) -> Tensor:
        zero = ops.cast(tensor(zero), "float64")
        zero = (
            ops.expand_dims(zero, -1)
            if rows and zero.ndim == 1 and zero.size > 1
            else zero
        )
        return ops.cast(tensor(x), "float64") - zero

    product = ops.matmul(centred(a, za, True), centred(b, zb, False))
    scale = [ops.cast(tensor(s), "float64") for s in (sa, sb, sy)]
    left = ops.expand_dims(scale[0], -1) if scale[0].size > 1 else scale[0]
    zy = tensor(zy)
    return quantized(product * left * scale[1] / scale[2], zy, zy.dtype)


@reads("QLinearConv", constants="2 5 7")
def _conv(
    node: Node,
    x: Any,
    sx: Any,
    zx: Any,
    w: Any,
    sw: Any,
    zw: Any,
    sy: Any,
    zy: Any,
    b: Any = None,
) -> Any:
    wide = [ops.cast(tensor(v), "float64") for v in (x, zx, w, zw, sx, sw, sy)]
    x, zx, w, zw, sx, sw, sy = wide
    per_filter = (-1, *([1] * (w.ndim - 1)))
    zw = ops.reshape(zw, per_filter) if zw.size > 1 else ops.reshape(zw, ())
    bias = None if b is None else ops.cast(tensor(b), "float64")
    y = convolved(node, x - ops.reshape(zx, ()), w - zw, bias)
    sw = ops.reshape(sw, (-1, *([1] * (w.ndim - 2)))) if sw.size > 1 else sw
    zy = tensor(zy)
    return quantized(y * sx * sw / sy, zy, zy.dtype)
