# SPDX-License-Identifier: Apache-2.0
"""Taking elements by their places."""

from __future__ import annotations

from fastnn.onnx.export.emitter import Emitter
from fastnn.onnx.export.open_sizes import Step
from fastnn.onnx.export.table import writes


@writes("take")
def _take(e: Emitter, step: Step) -> None:
    x, indices = step.inputs
    e.give(step.outputs[0], e.add("Gather", e.name(x), e.name(indices), axis=0))


@writes("batch_take")
def _batch_take(e: Emitter, step: Step) -> None:
    """Row i takes its own elements: y[i, j] = x[i, indices[i, j]]."""
    x, indices = step.inputs
    name = e.name(indices)
    if indices.dtype != "int64":
        name = e.cast(name, "int64")
    places = e.add("Unsqueeze", name, e.ints(indices.rank))
    e.give(step.outputs[0], e.add("GatherND", e.name(x), places, batch_dims=1))


@writes("one_hot")
def _one_hot(e: Emitter, step: Step) -> None:
    indices, y = step.inputs[0], step.outputs[0]
    # Compared, not OneHot: places outside of the classes give zeros, below 0 as well.
    wide = e.add("Unsqueeze", e.name(indices), e.ints(indices.rank))
    classes = e.constant(range(step.attrs["classes"]), indices.dtype)
    e.give(y, e.cast(e.add("Equal", wide, classes), y.dtype))


@writes("dynamic_slice")
def _dynamic_slice(e: Emitter, step: Step) -> None:
    x, starts = step.inputs
    y = step.outputs[0]
    last = [a - b for a, b in zip(x.shape, y.shape, strict=True)]  # type: ignore
    first = e.cast(e.name(starts), "int64")
    first = e.add("Min", e.add("Max", first, e.ints(0)), e.ints(*last))
    end = e.add("Add", first, e.shape(y.shape))
    e.give(y, e.add("Slice", e.name(x), first, end, e.ints(*range(x.rank))))
