# SPDX-License-Identifier: Apache-2.0
"""Reductions, softmax, running sums and order."""

from __future__ import annotations

from fastnn.onnx.export.emitter import (
    FIRST,
    PLAIN,
    CannotExportError,
    Emitter,
    first_axes,
)
from fastnn.onnx.export.open_sizes import Array, Step
from fastnn.onnx.export.table import writes
from fastnn.opset._dtypes import is_float

_REDUCE = {
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
}


def reduce_layout(e: Emitter, x: Array, axes: tuple[int, ...], keepdims: bool) -> str:
    """Channels first where the result is the same, or of the same rank."""
    left = [i for i in range(1, x.rank - 1) if i not in axes]
    if keepdims or not left or x.rank - 1 in axes:
        return e.layout_for([x], x.rank)
    return PLAIN


def placed(axes: tuple[int, ...], rank: int, layout: str) -> list[int]:
    order = first_axes(rank)
    return sorted(order.index(a) for a in axes) if layout == FIRST else list(axes)


def result_layout(layout: str, keepdims: bool) -> str:
    return layout if keepdims else PLAIN


def reduce(e: Emitter, op: str, name: str, axes: list[int], keepdims: bool) -> str:
    """A reduction; its axes are an input from opset 13 (sum) or 18 on."""
    if not axes:
        return name
    if op == "ReduceSum" or e.opset >= 18:
        return e.add(op, name, e.ints(*axes), keepdims=int(keepdims))
    return e.add(op, name, axes=axes, keepdims=int(keepdims))


@writes(*_REDUCE)
def _reduce(e: Emitter, step: Step) -> None:
    x, axes, keepdims = step.inputs[0], step.attrs["axes"], step.attrs["keepdims"]
    layout = reduce_layout(e, x, axes, keepdims)
    name = reduce(
        e, _REDUCE[step.op], e.name(x, layout), placed(axes, x.rank, layout), keepdims
    )
    e.give(step.outputs[0], name, result_layout(layout, keepdims))


@writes("any", "all")
def _test(e: Emitter, step: Step) -> None:
    x, axes, keepdims = step.inputs[0], step.attrs["axes"], step.attrs["keepdims"]
    name = e.name(x) if x.dtype == "bool" else e.cast(e.name(x), "bool")
    op = "ReduceMax" if step.op == "any" else "ReduceMin"
    name = reduce(e, op, e.cast(name, "int32"), list(axes), keepdims)
    e.give(step.outputs[0], e.cast(name, "bool"))


@writes("moments")
def _moments(e: Emitter, step: Step) -> None:
    x, axes, keepdims = step.inputs[0], step.attrs["axes"], step.attrs["keepdims"]
    name = e.name(x)
    mean = reduce(e, "ReduceMean", name, list(axes), True)
    apart = e.add("Sub", name, mean)
    variance = reduce(e, "ReduceMean", e.add("Mul", apart, apart), list(axes), keepdims)
    if not keepdims:
        mean = e.add("Squeeze", mean, e.ints(*axes))
    e.give(step.outputs[0], mean)
    e.give(step.outputs[1], variance)


@writes("square_sums")
def _square_sums(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    name = reduce(e, "ReduceSumSquare", e.name(x), list(range(y.rank, x.rank)), False)
    e.give(y, name)


@writes("argmax", "argmin")
def _arg(e: Emitter, step: Step) -> None:
    x, y, keepdims = step.inputs[0], step.outputs[0], step.attrs["keepdims"]
    op = "ArgMax" if step.op == "argmax" else "ArgMin"
    name = e.name(x)
    name = e.add(op, name, axis=step.attrs["axis"] % x.rank, keepdims=int(keepdims))
    e.give(y, e.cast(name, y.dtype))


@writes("softmax", "log_softmax")
def _softmax(e: Emitter, step: Step) -> None:
    x = step.inputs[0]
    layout = e.layout_for([x], x.rank)
    axis = placed((step.attrs["axis"] % x.rank,), x.rank, layout)[0]
    op = "Softmax" if step.op == "softmax" else "LogSoftmax"
    e.give(step.outputs[0], e.add(op, e.name(x, layout), axis=axis), layout)


@writes("cumsum")
def _cumsum(e: Emitter, step: Step) -> None:
    x, attrs = step.inputs[0], step.attrs
    name = e.add(
        "CumSum",
        e.name(x),
        e.constant(attrs["axis"] % x.rank, "int64"),
        exclusive=int(attrs["exclusive"]),
        reverse=int(attrs["reverse"]),
    )
    e.give(step.outputs[0], name)


@writes("sort", "argsort")
def _sort(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    count = e.shape(x.shape[-1:])
    values, places = e.add_many("TopK", [e.name(x), count], 2, axis=-1, largest=0)
    e.give(y, values if step.op == "sort" else e.cast(places, y.dtype))


@writes("top_k")
def _top_k(e: Emitter, step: Step) -> None:
    x = step.inputs[0]
    given = [e.name(x), e.ints(step.attrs["k"])]
    values, places = e.add_many("TopK", given, 2, axis=-1)
    e.give(step.outputs[0], values)
    if e.used(step.outputs[1]):
        e.give(step.outputs[1], e.cast(places, step.outputs[1].dtype))


@writes("searchsorted")
def _searchsorted(e: Emitter, step: Step) -> None:
    """How many elements are below each value."""
    line, values = step.inputs
    y = step.outputs[0]
    if line.rank != 1 or not is_float(line.dtype):
        raise CannotExportError("places in more than one row")
    wide = e.add("Unsqueeze", e.name(values), e.ints(values.rank))
    op = "LessOrEqual" if step.attrs["right"] else "Less"
    below = e.cast(e.add(op, e.name(line), wide), "int64")
    e.give(y, e.cast(reduce(e, "ReduceSum", below, [values.rank], False), y.dtype))
