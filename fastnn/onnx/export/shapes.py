# SPDX-License-Identifier: Apache-2.0
"""Views, joining and padding."""

from __future__ import annotations

from typing import Any

from fastnn.onnx.export.emitter import FIRST, Emitter, first_axes
from fastnn.onnx.export.open_sizes import Open, Size, Step
from fastnn.onnx.export.table import writes

END = 2**31 - 1


@writes("reshape", opens="shape")
def _reshape(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    e.give(y, e.add("Reshape", e.name(x), reshape_sizes(e, x.shape, y.shape)))


def reshape_sizes(e: Emitter, old: tuple[Size, ...], new: tuple[Size, ...]) -> str:
    """The second input of Reshape: 0 keeps an axis, -1 takes what is left."""
    sizes: list[Any] = list(new)
    if 0 in old or 0 in new:
        return e.shape(new)
    for i, size in enumerate(new):
        if isinstance(size, Open) and i < len(old) and old[i] == size:
            sizes[i] = 0
    still = [i for i, size in enumerate(sizes) if isinstance(size, Open)]
    if len(still) == 1:
        sizes[still[0]] = -1
    return e.shape(sizes)


@writes("transpose")
def _transpose(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    perm = tuple(step.attrs["perm"])
    if y.rank >= 3 and x.known is None:
        if perm == first_axes(y.rank):
            e.give(y, e.name(x, FIRST))
            return
        back = tuple(first_axes(y.rank).index(i) for i in range(y.rank))
        if perm == back:  # what was first is now last: x is y in the other layout
            e.give(y, e.name(x), FIRST)
            return
    e.give(y, e.add("Transpose", e.name(x), perm=perm))


@writes("broadcast_to", opens="shape")
def _broadcast_to(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    sizes = list(y.shape)
    lead = y.rank - x.rank
    for i, size in enumerate(x.shape):
        if sizes[lead + i] == size:
            sizes[lead + i] = 1  # Expand broadcasts both ways
    e.give(y, e.add("Expand", e.name(x), e.shape(sizes)))


@writes("number", opens="value")
def _number(e: Emitter, step: Step) -> None:
    """A scalar that follows from open sizes: the count of a mean."""
    y = step.outputs[0]
    name = e.size(step.attrs["value"])
    name = e.add("Reshape", name, e.shape(y.shape)) if y.rank != 1 else name
    e.give(y, name if y.dtype == "int64" else e.cast(name, y.dtype))


@writes("slice", opens="slices")
def _slice(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    layout = e.layout_for([x], x.rank)
    starts: list[Any] = []
    ends: list[Any] = []
    axes, steps = [], []
    for axis, (cut, size) in enumerate(zip(step.attrs["slices"], x.shape, strict=True)):
        start, stop, stride = cut
        stride = 1 if stride is None else stride
        if start in (None, 0) and stride == 1 and (stop is None or stop == size):
            continue
        starts.append(_place(start, size, 0 if stride > 0 else END))
        ends.append(_place(stop, size, END if stride > 0 else -END))
        axes.append(first_axes(x.rank).index(axis) if layout == FIRST else axis)
        steps.append(stride)
    name = e.name(x, layout)
    if axes:
        given = (e.shape(starts), e.shape(ends), e.ints(*axes), e.ints(*steps))
        name = e.add("Slice", name, *given)
    e.give(y, name, layout)


def _place(place: Any, size: Size, default: int) -> Any:
    """A place on an axis; what is open is counted from the end where that is fixed."""
    if place is None:
        return default
    if isinstance(place, Open) and isinstance(size, Open):
        behind = {a - b for a, b in zip(place.values, size.values, strict=True)}
        if len(behind) == 1:
            return behind.pop() or END
    return place


@writes("concatenate")
def _concatenate(e: Emitter, step: Step) -> None:
    y = step.outputs[0]
    arrays = _joined(e, step, step.attrs["axis"])
    layout = e.layout_for(arrays, y.rank)
    axis = step.attrs["axis"] % y.rank
    axis = first_axes(y.rank).index(axis) if layout == FIRST else axis
    e.give(y, e.add("Concat", *e.aligned(arrays, y.rank, layout), axis=axis), layout)


def _joined(e: Emitter, step: Step, axis: int) -> list[Any]:
    """What is joined: an op of two arrays joins many as a tree, ONNX as one node."""
    found: list[Any] = []
    for array in step.inputs:
        inner = array.step
        same = inner is not None and inner.op == "concatenate"
        if inner and same and inner.attrs["axis"] == axis and e.readers[array] == 1:
            found += _joined(e, inner, axis)
        else:
            found.append(array)
    return found


@writes("pad", opens="low high")
def _pad(e: Emitter, step: Step) -> None:
    x, value = step.inputs
    y = step.outputs[0]
    layout = e.layout_for([x], x.rank)
    low, high = tuple(step.attrs["low"]), tuple(step.attrs["high"])
    if layout == FIRST:
        order = first_axes(x.rank)
        low, high = tuple(low[i] for i in order), tuple(high[i] for i in order)
    pads = e.shape((*low, *high))
    e.give(y, e.add("Pad", e.name(x, layout), pads, e.name(value)), layout)


@writes("diagonal")
def _diagonal(e: Emitter, step: Step) -> None:
    x, y = step.inputs[0], step.outputs[0]
    a, b = step.attrs["axis1"] % x.rank, step.attrs["axis2"] % x.rank
    offset = step.attrs["offset"]
    rest = [i for i in range(x.rank) if i not in (a, b)]
    rows, columns, count = (e.fixed(n) for n in (x.shape[a], x.shape[b], y.shape[-1]))
    name = e.add("Transpose", e.name(x), perm=(*rest, a, b))
    flat = (*[x.shape[i] for i in rest], rows * columns)
    name = e.add("Reshape", name, reshape_sizes(e, (), flat))
    first = offset if offset >= 0 else -offset * columns
    places = [first + k * (columns + 1) for k in range(count)]
    e.give(y, e.add("Gather", name, e.ints(*places), axis=len(rest)))
