# SPDX-License-Identifier: Apache-2.0
"""Pointwise ops. They keep the layout of what they read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastnn.onnx.export.emitter import CannotExportError, Emitter
from fastnn.onnx.export.open_sizes import Array, Step, written
from fastnn.onnx.export.table import writes
from fastnn.opset._dtypes import is_float

# Ops that are one node of as many inputs.
SAME = {
    "abs": "Abs",
    "add": "Add",
    "arccos": "Acos",
    "arccosh": "Acosh",
    "arcsin": "Asin",
    "arcsinh": "Asinh",
    "arctan": "Atan",
    "arctanh": "Atanh",
    "bitwise_and": "BitwiseAnd",
    "bitwise_not": "BitwiseNot",
    "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "divide": "Div",
    "equal": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "hard_silu": "HardSwish",
    "isinf": "IsInf",
    "isnan": "IsNaN",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "log": "Log",
    "logical_and": "And",
    "logical_not": "Not",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "maximum": "Max",
    "minimum": "Min",
    "mish": "Mish",
    "multiply": "Mul",
    "negative": "Neg",
    "power": "Pow",
    "reciprocal": "Reciprocal",
    "relu": "Relu",
    "round": "Round",
    "selu": "Selu",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "sqrt": "Sqrt",
    "subtract": "Sub",
    "tan": "Tan",
    "tanh": "Tanh",
    "where": "Where",
}


def in_layout(
    e: Emitter, step: Step, write: Callable[..., str], arrays: list[Array] | None = None
) -> None:
    """Writes a pointwise step in the layout that its operands have."""
    y, arrays = step.outputs[0], step.inputs if arrays is None else arrays
    layout = e.layout_for(arrays, y.rank)
    e.give(y, write(*e.aligned(arrays, y.rank, layout)), layout)


@writes(*SAME)
def _same(e: Emitter, step: Step) -> None:
    in_layout(e, step, lambda *names: e.add(SAME[step.op], *names))


Formula = Callable[..., str]
_FORMULAS: dict[str, Formula] = {}


def formula(function: Formula) -> Formula:
    """Registers `function(e, x, *names, **attrs)`, x the first operand as an Array."""
    name = function.__name__.strip("_")
    _FORMULAS[name] = function
    writes(name)(_formula)
    return function


def _formula(e: Emitter, step: Step) -> None:
    function, x = _FORMULAS[step.op], step.inputs[0]
    in_layout(e, step, lambda *names: function(e, x, *names, **step.attrs))


def activate(e: Emitter, name: str, y: str, like: Array, alpha: float) -> str:
    """What a product's epilogue does with its result."""
    if name == "linear":
        return y
    if name in SAME:
        return e.add(SAME[name], y)
    attrs: dict[str, Any] = {}
    if name == "elu":
        attrs = {"alpha": alpha}
    elif name == "leaky_relu":
        attrs = {"negative_slope": alpha}
    elif name in ("gelu", "gelu_tanh"):
        attrs, name = {"approximate": name == "gelu_tanh"}, "gelu"
    return _FORMULAS[name](e, like, y, **attrs)


@formula
def elu(e: Emitter, x: Array, a: str, alpha: float) -> str:
    return e.add("Elu", a, alpha=alpha)


@formula
def celu(e: Emitter, x: Array, a: str, alpha: float) -> str:
    return e.add("Celu", a, alpha=alpha)


@formula
def leaky_relu(e: Emitter, x: Array, a: str, negative_slope: float) -> str:
    return e.add("LeakyRelu", a, alpha=negative_slope)


@formula
def hard_sigmoid(e: Emitter, x: Array, a: str) -> str:
    return e.add("HardSigmoid", a, alpha=1 / 6, beta=0.5)


@formula
def relu6(e: Emitter, x: Array, a: str) -> str:
    return e.add("Clip", a, e.number(0, x), e.number(6, x))


@formula
def silu(e: Emitter, x: Array, a: str) -> str:
    return e.add("Mul", a, e.add("Sigmoid", a))


@formula
def log_sigmoid(e: Emitter, x: Array, a: str) -> str:
    return e.add("Neg", e.add("Softplus", e.add("Neg", a)))


@formula
def gelu(e: Emitter, x: Array, a: str, approximate: bool) -> str:
    if e.opset >= 20:
        return e.add("Gelu", a, approximate="tanh" if approximate else "none")
    half = e.add("Mul", a, e.number(0.5, x))
    if approximate:
        cube = e.add("Mul", e.add("Mul", a, a), a)
        inner = e.add("Add", a, e.add("Mul", cube, e.number(0.044715, x)))
        inner = e.add("Mul", inner, e.number(math.sqrt(2 / math.pi), x))
        slope = e.add("Tanh", inner)
    else:
        slope = e.add("Erf", e.add("Mul", a, e.number(math.sqrt(0.5), x)))
    return e.add("Mul", half, e.add("Add", slope, e.number(1, x)))


@formula
def square(e: Emitter, x: Array, a: str) -> str:
    return e.add("Mul", a, a)


@formula
def rsqrt(e: Emitter, x: Array, a: str) -> str:
    return e.add("Reciprocal", e.add("Sqrt", a))


@formula
def copy(e: Emitter, x: Array, a: str) -> str:
    return a


@formula
def cast(e: Emitter, x: Array, a: str, dtype: str) -> str:
    return a if written(dtype) == x.dtype else e.cast(a, written(dtype))


@formula
def exp2(e: Emitter, x: Array, a: str) -> str:
    return e.add("Pow", e.number(2, x), a)


@formula
def expm1(e: Emitter, x: Array, a: str) -> str:
    # tanh(x / 2) (exp(x) + 1): no digits are lost near 0.
    half = e.add("Tanh", e.add("Mul", a, e.number(0.5, x)))
    return e.add("Mul", half, e.add("Add", e.add("Exp", a), e.number(1, x)))


@formula
def log1p(e: Emitter, x: Array, a: str) -> str:
    # 2 artanh(x / (x + 2)): no digits are lost near 0.
    ratio = e.add("Div", a, e.add("Add", a, e.number(2, x)))
    return e.add("Mul", e.add("Atanh", ratio), e.number(2, x))


@formula
def log2(e: Emitter, x: Array, a: str) -> str:
    return e.add("Div", e.add("Log", a), e.number(math.log(2), x))


@formula
def log10(e: Emitter, x: Array, a: str) -> str:
    return e.add("Div", e.add("Log", a), e.number(math.log(10), x))


@formula
def erfc(e: Emitter, x: Array, a: str) -> str:
    return e.add("Sub", e.number(1, x), e.add("Erf", a))


@formula
def cbrt(e: Emitter, x: Array, a: str) -> str:
    root = e.add("Pow", e.add("Abs", a), e.number(1 / 3, x))
    return e.add("Mul", e.add("Sign", a), root)


@formula
def trunc(e: Emitter, x: Array, a: str) -> str:
    return e.add("Mul", e.add("Sign", a), e.add("Floor", e.add("Abs", a)))


@formula
def isfinite(e: Emitter, x: Array, a: str) -> str:
    return e.add("Not", e.add("Or", e.add("IsInf", a), e.add("IsNaN", a)))


@formula
def not_equal(e: Emitter, x: Array, a: str, b: str) -> str:
    return e.add("Not", e.add("Equal", a, b))


@formula
def hypot(e: Emitter, x: Array, a: str, b: str) -> str:
    return e.add("Sqrt", e.add("Add", e.add("Mul", a, a), e.add("Mul", b, b)))


@formula
def arctan2(e: Emitter, x: Array, a: str, b: str) -> str:
    """The angle within an eighth of a turn, then mirrored to where (b, a) lies."""

    def negative(name: str) -> str:  # also -0, whose reciprocal is -inf
        below = e.add("Less", e.add("Reciprocal", name), e.number(0, x))
        return e.add("Or", below, e.add("Less", name, e.number(0, x)))

    up, right = e.add("Abs", a), e.add("Abs", b)
    low, high = e.add("Min", up, right), e.add("Max", up, right)
    origin = e.add("Equal", high, e.number(0, x))
    ratio = e.add("Div", low, e.add("Where", origin, e.number(1, x), high))
    angle = e.add("Atan", ratio)
    steep = e.add("Sub", e.number(math.pi / 2, x), angle)
    angle = e.add("Where", e.add("Greater", up, right), steep, angle)
    left = e.add("Sub", e.number(math.pi, x), angle)
    angle = e.add("Where", negative(b), left, angle)
    return e.add("Where", negative(a), e.add("Neg", angle), angle)


@formula
def logaddexp(e: Emitter, x: Array, a: str, b: str) -> str:
    far = e.add("Neg", e.add("Abs", e.add("Sub", a, b)))
    near = e.add("Log", e.add("Add", e.add("Exp", far), e.number(1, x)))
    return e.add("Add", e.add("Max", a, b), near)


@formula
def floor_divide(e: Emitter, x: Array, a: str, b: str) -> str:
    if is_float(x.dtype):
        return e.add("Floor", e.add("Div", a, b))
    # ONNX's Div of integers goes towards zero: take the remainder off before.
    return e.add("Div", e.add("Sub", a, e.add("Mod", a, b)), b)


@formula
def mod(e: Emitter, x: Array, a: str, b: str) -> str:
    if is_float(x.dtype):
        below = e.add("Mul", e.add("Floor", e.add("Div", a, b)), b)
        return e.add("Sub", a, below)
    return e.add("Mod", a, b)


@formula
def fmod(e: Emitter, x: Array, a: str, b: str) -> str:
    return e.add("Mod", a, b, fmod=1)


@formula
def left_shift(e: Emitter, x: Array, a: str, b: str) -> str:
    return _shift(e, x, a, b, "LEFT")


@formula
def right_shift(e: Emitter, x: Array, a: str, b: str) -> str:
    return _shift(e, x, a, b, "RIGHT")


def _shift(e: Emitter, x: Array, a: str, b: str, direction: str) -> str:
    if x.dtype[0] != "u":
        raise CannotExportError("ONNX shifts unsigned integers only")
    return e.add("BitShift", a, b, direction=direction)
