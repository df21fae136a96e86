# SPDX-License-Identifier: Apache-2.0
"""Matrix products."""

from __future__ import annotations

from fastnn.onnx.export.emitter import Emitter
from fastnn.onnx.export.open_sizes import Step
from fastnn.onnx.export.pointwise import activate
from fastnn.onnx.export.table import writes


@writes("matmul")
def _matmul(e: Emitter, step: Step) -> None:
    a, b = step.inputs
    e.give(step.outputs[0], e.add("MatMul", e.name(a), e.name(b)))


@writes("linear")
def _linear(e: Emitter, step: Step) -> None:
    x, w, b = step.inputs
    y = step.outputs[0]
    name = e.add("Gemm", e.name(x), e.name(w), e.name(b))
    e.give(y, activate(e, step.attrs["activation"], name, y, step.attrs["alpha"]))
