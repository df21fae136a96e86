# SPDX-License-Identifier: Apache-2.0
"""Normalization outside of training."""

from __future__ import annotations

from fastnn.onnx.export.emitter import FIRST, PLAIN, CannotExportError, Emitter
from fastnn.onnx.export.open_sizes import Array, Step
from fastnn.onnx.export.reductions import reduce
from fastnn.onnx.export.shapes import reshape_sizes
from fastnn.onnx.export.table import writes


@writes("batch_norm_apply")
def _batch_norm(e: Emitter, step: Step) -> None:
    x, mean, variance, gamma, beta = step.inputs
    y, axis, epsilon = step.outputs[0], step.attrs["axis"], step.attrs["epsilon"]
    numbers = [e.name(a) for a in (gamma, beta, mean, variance)]
    layout = PLAIN if axis == 1 else FIRST if axis == x.rank - 1 else ""
    if layout and x.rank > 1:
        name = e.add("BatchNormalization", e.name(x, layout), *numbers, epsilon=epsilon)
        e.give(y, name, layout)
        return
    shape = tuple(-1 if i == axis else 1 for i in range(x.rank))
    g, b, m, v = (e.add("Reshape", n, e.ints(*shape)) for n in numbers)
    root = e.add("Sqrt", e.add("Add", v, e.number(epsilon, x)))
    scaled = e.add("Mul", e.add("Sub", e.name(x), m), e.add("Div", g, root))
    e.give(y, e.add("Add", scaled, b))


@writes("layer_norm")
def _layer_norm(e: Emitter, step: Step) -> None:
    x, gamma, beta = step.inputs
    y, mean, r = step.outputs
    axis, epsilon = step.attrs["axis"], step.attrs["epsilon"]
    shape = x.shape[axis:]
    if step.attrs["centered"] and not e.used(mean) and not e.used(r):
        numbers = [
            e.add("Reshape", e.name(a), e.shape(shape))
            if a.shape != shape
            else e.name(a)
            for a in (gamma, beta)
        ]
        name = e.name(x)
        given = (name, *numbers)
        e.give(y, e.add("LayerNormalization", *given, axis=axis, epsilon=epsilon))
        return
    axes = list(range(axis, x.rank))
    name = e.name(x)
    if step.attrs["centered"]:
        middle = reduce(e, "ReduceMean", name, axes, True)
        name = e.add("Sub", name, middle)
        e.give(mean, e.add("Squeeze", middle, e.ints(*axes)))
    scale = _inverse_deviation(e, name, axes, epsilon, x)
    e.give(r, e.add("Squeeze", scale, e.ints(*axes)))
    normal = e.add("Mul", e.add("Mul", name, scale), e.name(gamma))
    e.give(y, e.add("Add", normal, e.name(beta)))


def _inverse_deviation(
    e: Emitter, name: str, axes: list[int], epsilon: float, like: Array
) -> str:
    """1 / sqrt(mean of squares + epsilon), with axes of size 1."""
    mean = reduce(e, "ReduceMean", e.add("Mul", name, name), axes, True)
    return e.add(
        "Reciprocal", e.add("Sqrt", e.add("Add", mean, e.number(epsilon, like)))
    )


@writes("group_norm")
def _group_norm(e: Emitter, step: Step) -> None:
    """By instances: (images, groups, all elements of a group)."""
    x, gamma, beta = step.inputs
    y, groups, epsilon = step.outputs[0], step.attrs["groups"], step.attrs["epsilon"]
    name = e.name(x, FIRST) if x.rank > 2 else e.name(x)
    rows = e.add("Reshape", name, e.ints(0, groups, -1))
    ones, zeros = ([v] * groups for v in (1.0, 0.0))
    given = (rows, e.constant(ones, x.dtype), e.constant(zeros, x.dtype))
    normal = e.add("InstanceNormalization", *given, epsilon=epsilon)
    if x.rank > 2:
        first = (x.shape[0], x.shape[-1], *x.shape[1:-1])
        normal = e.add("Reshape", normal, reshape_sizes(e, first[:1], first))
        shape = e.ints(-1, *([1] * (x.rank - 2)))
        g, b = (e.add("Reshape", e.name(a), shape) for a in (gamma, beta))
        e.give(y, e.add("Add", e.add("Mul", normal, g), b), FIRST)
    else:
        normal = e.add("Reshape", normal, reshape_sizes(e, x.shape[:1], x.shape))
        e.give(y, e.add("Add", e.add("Mul", normal, e.name(gamma)), e.name(beta)))
    for array in step.outputs[1:]:
        if e.used(array):
            raise CannotExportError("the moments of groups")


@writes("unit_norm")
def _unit_norm(e: Emitter, step: Step) -> None:
    x, epsilon = step.inputs[0], step.attrs["epsilon"]
    y, scale = step.outputs
    name = e.name(x)
    root = reduce(e, "ReduceL2", name, [x.rank - 1], True)
    most = e.number(1 / epsilon, x)
    factor = e.add("Min", e.add("Reciprocal", root), most)
    e.give(y, e.add("Mul", name, factor))
    if e.used(scale):
        e.give(scale, e.add("Squeeze", factor, e.ints(x.rank - 1)))
