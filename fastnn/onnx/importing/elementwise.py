# SPDX-License-Identifier: Apache-2.0
"""Ops of ONNX that work element by element."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.table import Node, UnsupportedError, host, reads, tensor
from fastnn.onnx.package import NAMES
from fastnn.opset._dtypes import is_float

# ONNX -> the function of fastnn.ops that takes the same operands.
SAME = {
    "Abs": "abs",
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Add": "add",
    "And": "logical_and",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "Atanh": "arctanh",
    "BitwiseAnd": "bitwise_and",
    "BitwiseNot": "bitwise_not",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Equal": "equal",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Identity": "copy",
    "IsNaN": "isnan",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Log": "log",
    "Mul": "multiply",
    "Neg": "negative",
    "Not": "logical_not",
    "Or": "logical_or",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Sub": "subtract",
    "Tan": "tan",
    "Tanh": "tanh",
    "Where": "where",
    "Xor": "logical_xor",
}


@reads(*SAME, images="each")
def _same(node: Node, *values: Any) -> Any:
    if node.op == "Identity":
        return values[0]
    name = SAME[node.op]
    if node.op == "Reciprocal":
        return raw.reciprocal(tensor(values[0]))
    values = tuple(map(tensor, values))
    if node.op == "Relu" and not is_float(values[0].dtype):
        return ops.maximum(values[0], tensor(np.zeros((), values[0].dtype)))
    return getattr(ops, name)(*values)


@reads("Max", "Min", "Sum", "Mean", images="each")
def _many(node: Node, *values: Any) -> Any:
    function = {"Max": ops.maximum, "Min": ops.minimum}.get(node.op, ops.add)
    found = reduce(function, map(tensor, values))
    return ops.divide(found, like(len(values), found)) if node.op == "Mean" else found


def like(number: float, x: Tensor) -> Tensor:
    """A scalar of a tensor's dtype."""
    return tensor(np.asarray(number, x.dtype))


@reads("Div", images="each")
def _div(node: Node, a: Any, b: Any) -> Any:
    a, b = tensor(a), tensor(b)
    if is_float(a.dtype):
        return ops.divide(a, b)
    quotient = ops.floor_divide(ops.abs(a), ops.abs(b))  # towards zero
    return quotient if a.dtype[0] == "u" else quotient * ops.sign(a) * ops.sign(b)


@reads("Mod", images="each")
def _mod(node: Node, a: Any, b: Any) -> Any:
    a, b = tensor(a), tensor(b)
    if not node.get("fmod", 0):
        return ops.mod(a, b)
    if is_float(a.dtype):
        return ops.fmod(a, b)
    rest = ops.mod(ops.abs(a), ops.abs(b))  # with the sign of a
    return rest if a.dtype[0] == "u" else rest * ops.sign(a)


@reads("Pow", images="each")
def _pow(node: Node, a: Any, b: Any) -> Any:
    a, b = tensor(a), tensor(b)
    if is_float(b.dtype) and not is_float(a.dtype):
        return ops.cast(ops.power(ops.cast(a, b.dtype), b), a.dtype)
    return ops.power(a, ops.cast(b, a.dtype))


@reads("BitShift", images="each")
def _shift(node: Node, a: Any, b: Any) -> Any:
    left = node.get("direction") == "LEFT"
    return (ops.left_shift if left else ops.right_shift)(tensor(a), tensor(b))


@reads("IsInf", images="each")
def _isinf(node: Node, x: Any) -> Any:
    x = tensor(x)
    found = ops.isinf(x)
    if not node.get("detect_negative", 1):
        found = ops.logical_and(found, ops.greater(x, like(0, x)))
    if not node.get("detect_positive", 1):
        found = ops.logical_and(found, ops.less(x, like(0, x)))
    return found


@reads("Clip", constants="1 2", images="each")
def _clip(node: Node, x: Any, low: Any = None, high: Any = None) -> Any:
    x = tensor(x)
    low = node.get("min") if low is None else low
    high = node.get("max") if high is None else high
    if low is not None:
        x = ops.maximum(x, ops.cast(tensor(low), x.dtype))
    if high is not None:
        x = ops.minimum(x, ops.cast(tensor(high), x.dtype))
    return x


# -- activations -----------------------------------------------------------------------


@reads("Elu", images="each")
def _elu(node: Node, x: Any) -> Any:
    return ops.elu(tensor(x), node.get("alpha", 1.0))


@reads("Celu", images="each")
def _celu(node: Node, x: Any) -> Any:
    return ops.celu(tensor(x), node.get("alpha", 1.0))


@reads("LeakyRelu", images="each")
def _leaky(node: Node, x: Any) -> Any:
    return ops.leaky_relu(tensor(x), node.get("alpha", 0.01))


@reads("PRelu", images="each")
def _prelu(node: Node, x: Any, slope: Any) -> Any:
    x, slope = tensor(x), tensor(slope)
    return ops.where(ops.less(x, like(0, x)), ops.multiply(x, slope), x)


@reads("Selu", images="each")
def _selu(node: Node, x: Any) -> Any:
    alpha = node.get("alpha", 1.6732632423543772)
    gamma = node.get("gamma", 1.0507009873554805)
    x = tensor(x)
    return ops.multiply(ops.elu(x, alpha), like(gamma, x))


@reads("HardSigmoid", images="each")
def _hard_sigmoid(node: Node, x: Any) -> Any:
    x = tensor(x)
    line = ops.add(x * like(node.get("alpha", 0.2), x), like(node.get("beta", 0.5), x))
    return ops.clip(line, 0.0, 1.0)


@reads("HardSwish", images="each")
def _hard_swish(node: Node, x: Any) -> Any:
    return ops.hard_silu(tensor(x))


@reads("Mish", images="each")
def _mish(node: Node, x: Any) -> Any:
    x = tensor(x)
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@reads("Gelu", images="each")
def _gelu(node: Node, x: Any) -> Any:
    return ops.gelu(tensor(x), approximate=node.get("approximate", "none") == "tanh")


@reads("Swish", images="each")
def _swish(node: Node, x: Any) -> Any:
    x = tensor(x)
    return ops.multiply(x, ops.sigmoid(x * like(node.get("alpha", 1.0), x)))


@reads("ThresholdedRelu", images="each")
def _thresholded(node: Node, x: Any) -> Any:
    x = tensor(x)
    above = ops.greater(x, like(node.get("alpha", 1.0), x))
    return ops.where(above, x, like(0, x))


@reads("Shrink", images="each")
def _shrink(node: Node, x: Any) -> Any:
    x, lambd, bias = tensor(x), node.get("lambd", 0.5), node.get("bias", 0.0)
    if not is_float(x.dtype):
        wide = _shrunk(ops.cast(x, "float64"), lambd, bias)
        return ops.cast(wide, x.dtype)
    return _shrunk(x, lambd, bias)


def _shrunk(x: Tensor, lambd: float, bias: float) -> Tensor:
    low = ops.where(ops.less(x, like(-lambd, x)), x + like(bias, x), like(0, x))
    return ops.where(ops.greater(x, like(lambd, x)), x - like(bias, x), low)


# -- dtypes ----------------------------------------------------------------------------


def _named(number: int, op: str) -> str:
    name = NAMES.get(number)
    if name is None:
        raise UnsupportedError(f"[onnx] {op}: elements of type {number} are not known")
    return name


@reads("Cast", images="each")
def _cast(node: Node, x: Any) -> Any:
    return cast(tensor(x), _named(node.attrs["to"], node.op))


def cast(x: Tensor, dtype: str) -> Tensor:
    """As C does: floats are cut towards zero."""
    return ops.cast(x, dtype)


@reads("CastLike", constants="1")
def _cast_like(node: Node, x: Any, other: Any) -> Any:
    return cast(tensor(x), tensor(other).dtype)


@reads("Dropout", constants="1 2", images="each")
def _dropout(node: Node, x: Any, ratio: Any = None, training: Any = None) -> Any:
    x = tensor(x)
    if training is not None and bool(host(training, node.op, "training_mode")):
        chance = 0.5 if ratio is None else float(host(ratio, node.op, "ratio"))
        if chance:
            raise UnsupportedError("[onnx] Dropout in training mode is random")
    return x, np.ones(x.shape, bool)
