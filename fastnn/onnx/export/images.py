# SPDX-License-Identifier: Apache-2.0
"""Convolutions, pooling and resizing: they read and give channels first."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.onnx.export.emitter import FIRST, CannotExportError, Emitter
from fastnn.onnx.export.open_sizes import TRACES, Array, Open, Size, Step, is_open
from fastnn.onnx.export.pointwise import activate
from fastnn.onnx.export.reductions import reduce
from fastnn.onnx.export.table import writes


def _weights(e: Emitter, w: Array, order: tuple[int, ...], shape: Any = None) -> str:
    """A kernel in ONNX's order of axes, turned while exporting where it is known."""
    if w.known is None:
        name = e.add("Transpose", e.name(w), perm=order)
        return name if shape is None else e.add("Reshape", name, e.ints(*shape))
    turned = w.known.transpose(order)
    turned = turned if shape is None else turned.reshape(shape)
    return e.constant(np.ascontiguousarray(turned), hint=w.name or "c")


def _finish(e: Emitter, step: Step, op: str, inputs: list[str], **attrs: Any) -> None:
    """A convolution with its bias, and the activation of its epilogue."""
    bias, y = step.inputs[2], step.outputs[0]
    if bias.shape != (0,):
        inputs.append(e.name(bias))
    name = e.add(op, *inputs, **attrs)
    name = activate(e, step.attrs["activation"], name, y, step.attrs["alpha"])
    e.give(y, name, FIRST)


@writes("conv", opens="pads")
def _conv(e: Emitter, step: Step) -> None:
    x, w, _ = step.inputs
    rank, kernel, attrs = x.rank - 2, w.shape[:-2], step.attrs
    strides, dilations, pads = (
        tuple(attrs[k]) for k in ("strides", "dilations", "pads")
    )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]  # type: ignore
    name, borders = _bordered(
        e, x, pads[:rank], pads[rank:], reach, strides, step.outputs[0]
    )
    order = (rank + 1, rank, *range(rank))
    _finish(
        e,
        step,
        "Conv",
        [name, _weights(e, w, order)],
        strides=strides,
        dilations=dilations,
        group=attrs["groups"],
        kernel_shape=kernel,
        **borders,
    )


def _bordered(
    e: Emitter, x: Array, low: Any, high: Any, reach: Any, strides: Any, y: Array
) -> tuple[str, dict[str, Any]]:
    """The images and the attributes that say what is around them."""
    pads = (*low, *high)
    if is_open(pads):
        if not _as_same(x.shape[1:-1], y.shape[1:-1], low, reach, strides):
            raise CannotExportError("pads that depend on the open axes")
        return e.name(x, FIRST), {"auto_pad": "SAME_UPPER"}
    name = e.name(x, FIRST)
    if min(pads) < 0:  # cut: ONNX's own attribute only pads
        starts = [max(-p, 0) for p in low]
        ends = [min(p, 0) or 2**31 - 1 for p in high]
        axes = range(2, x.rank)
        name = e.add("Slice", name, e.ints(*starts), e.ints(*ends), e.ints(*axes))
    return name, {"pads": [max(p, 0) for p in pads]}


def _as_same(x: Any, y: Any, low: Any, reach: Any, strides: Any) -> bool:
    """Whether pads are those of `same` in all traces, as ONNX computes them."""
    for n, m, begin, span, stride in zip(x, y, low, reach, strides, strict=True):
        for i in range(TRACES):
            size, out = _at(n, i), _at(m, i)
            total = max((out - 1) * stride + span - size, 0)
            if out != -(-size // stride) or _at(begin, i) != total // 2:
                return False
    return True


def _at(size: Size, trace: int) -> int:
    return size.values[trace] if isinstance(size, Open) else size


def _behind(x: Any, y: Any, low: Any, reach: Any, strides: Any) -> list[Any]:
    """Pads behind each axis: what the last window reads beyond the images."""
    found: list[Any] = []
    for n, m, begin, span, stride in zip(x, y, low, reach, strides, strict=True):
        each = [
            max((_at(m, i) - 1) * stride + span - _at(begin, i) - _at(n, i), 0)
            for i in range(TRACES)
        ]
        found.append(each[0] if len(set(each)) == 1 else Open(each))
    return found


@writes("depthwise_conv", opens="low sizes")
def _depthwise(e: Emitter, step: Step) -> None:
    x, w, _ = step.inputs
    y, attrs, kernel = step.outputs[0], step.attrs, w.shape[:-2]
    strides, dilations, low = (tuple(attrs[k]) for k in ("strides", "dilation", "low"))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]  # type: ignore
    high = _behind(x.shape[1:-1], y.shape[1:-1], low, reach, strides)
    name, borders = _bordered(e, x, low, high, reach, strides, y)
    rank = len(kernel)
    shape = (y.shape[-1], 1, *kernel)
    _finish(
        e,
        step,
        "Conv",
        [name, _weights(e, w, (rank, rank + 1, *range(rank)), shape)],
        strides=strides,
        dilations=dilations,
        group=x.shape[-1],
        kernel_shape=kernel,
        **borders,
    )


@writes("conv_transpose", opens="shape pads")
def _conv_transpose(e: Emitter, step: Step) -> None:
    x, w, _ = step.inputs
    y, attrs, rank = step.outputs[0], step.attrs, x.rank - 2
    strides, dilations, pads = (
        tuple(attrs[k]) for k in ("strides", "dilations", "pads")
    )
    # Output i is o * stride + k * dilation - pad of the input o: whole is without pads.
    cut, more = [], []
    for i in range(rank):
        span = (w.shape[i] - 1) * dilations[i] + 1  # type: ignore[operator]
        rest = set()
        for t in range(TRACES):
            whole = (_at(x.shape[1 + i], t) - 1) * strides[i] + span
            rest.add(_at(y.shape[1 + i], t) + _at(pads[i], t) - whole)
        if len(rest) > 1 or isinstance(pads[i], Open):
            raise CannotExportError("pads that depend on the open axes")
        beyond = rest.pop()
        cut.append(max(-beyond, 0))
        more.append(max(beyond, 0))
    begin = [max(p, 0) for p in pads[:rank]]
    outer = [max(-p, 0) for p in pads[:rank]]
    shape: Any = (w.shape[rank + 1], w.shape[rank], *w.shape[:rank])
    kernel = _weights(e, w, (rank + 1, rank, *range(rank)), shape)
    late = any(outer) or any(m >= s for m, s in zip(more, strides, strict=True))
    bias = step.inputs[2]
    if late and bias.shape != (0,):
        raise CannotExportError(
            "a transposed convolution that leaves gaps at its border"
        )
    inputs = [e.name(x, FIRST), kernel]
    _finish(
        e,
        step,
        "ConvTranspose",
        inputs,
        strides=strides,
        dilations=dilations,
        group=attrs["groups"],
        kernel_shape=w.shape[:rank],
        pads=(*begin, *cut),
        output_padding=more,
    )
    if any(outer):
        name = e.name(y, FIRST)
        around = e.ints(0, 0, *outer, *([0] * (rank + 2)))
        e.give(y, e.add("Pad", name, around), FIRST)


@writes("max_pool", "average_pool", opens="low sizes")
def _pool(e: Emitter, step: Step) -> None:
    x, y, attrs = step.inputs[0], step.outputs[0], step.attrs
    window, strides, low = (tuple(attrs[k]) for k in ("window", "strides", "low"))
    if 0 in strides:
        _adaptive(e, step, "ReduceMax" if step.op == "max_pool" else "ReduceMean")
        return
    high = _behind(x.shape[1:-1], y.shape[1:-1], low, window, strides)
    name, borders = _bordered(e, x, low, high, window, strides, y)
    op = "MaxPool" if step.op == "max_pool" else "AveragePool"
    name = e.add(op, name, kernel_shape=window, strides=strides, **borders)
    e.give(y, name, FIRST)


def _adaptive(e: Emitter, step: Step, op: str) -> None:
    """Axis by axis: window o of m is from floor(o n / m) to ceil((o + 1) n / m)."""
    x, y = step.inputs[0], step.outputs[0]
    name = e.name(x, FIRST)
    for axis in range(2, x.rank):
        n, m = x.shape[axis - 1], y.shape[axis - 1]
        if m == 1:
            name = reduce(e, op, name, [axis], True)
        elif n != m:
            n, m, parts = e.fixed(n), e.fixed(m), []
            for o in range(m):
                ends = e.ints(o * n // m), e.ints(-(-(o + 1) * n // m)), e.ints(axis)
                parts.append(reduce(e, op, e.add("Slice", name, *ends), [axis], True))
            name = e.add("Concat", *parts, axis=axis)
    e.give(y, name, FIRST)


@writes("max_pool_with_index", opens="low sizes")
def _pool_with_index(e: Emitter, step: Step) -> None:
    if e.used(step.outputs[1]):
        raise CannotExportError("ONNX numbers the places of maxima otherwise")
    _pool(e, Step("max_pool", step.inputs, step.attrs).giving(step.outputs[:1]))


_MODES = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


@writes("resize", opens="sizes")
def _resize(e: Emitter, step: Step) -> None:
    x, y, attrs = step.inputs[0], step.outputs[0], step.attrs
    mode = _MODES.get(attrs["interpolation"])
    if mode is None:
        raise CannotExportError(f"ONNX has no {attrs['interpolation']}")
    sizes = (x.shape[0], x.shape[-1], *y.shape[1:-1])
    more: dict[str, Any] = {}
    if mode == "cubic":
        more = {"cubic_coeff_a": -0.5, "exclude_outside": 1}
    elif mode == "nearest":
        more = {"nearest_mode": "round_prefer_ceil"}
    if attrs["antialias"]:
        more |= {"antialias": 1, "exclude_outside": 1}
    name = e.add(
        "Resize",
        e.name(x, FIRST),
        "",
        "",
        e.shape(sizes),
        mode=mode,
        coordinate_transformation_mode="half_pixel",
        **more,
    )
    e.give(y, name, FIRST)


@writes("lrn")
def _lrn(e: Emitter, step: Step) -> None:
    x, y, attrs = step.inputs[0], step.outputs[0], step.attrs
    if x.rank < 3:
        raise CannotExportError("ONNX normalizes over channels of images only")
    size = 2 * attrs["radius"] + 1
    name = e.add(
        "LRN",
        e.name(x, FIRST),
        size=size,
        bias=attrs["bias"],
        alpha=attrs["alpha"] * size,
        beta=attrs["beta"],
    )
    e.give(y, name, FIRST)
