# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution of images with filters (spatial sizes, channels, multiplier).

Output channel c * multiplier + m is input channel c convolved with filter [..., c, m].
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_same_dtype
from fastnn.opset._opdef import ROW, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform
from fastnn.opset._spatial import (
    Ints,
    bias_gradient,
    check_axes,
    check_bias,
    check_extent,
    no_bias,
    same_or_valid,
    sizes_of,
    spatial_rank,
)
from fastnn.opset.gemm import (
    ACTIVATION,
    EPILOGUES,
    apply_activation,
    case_alpha,
    gradient,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# `sizes`: spatial sizes of the output, of the input or of the filter: of the result.
WINDOW = (
    Attr("strides", "ints"),
    Attr("dilation", "ints"),
    Attr("low", "ints"),
    Attr("sizes", "static"),
)


def _check(name: str, specs: list[Spec], attrs: tuple) -> int:
    rank = spatial_rank(name, specs[0])
    check_same_dtype(name, [s.dtype for s in specs])
    check_axes(name, rank, strides=attrs[0], dilation=attrs[1], low=attrs[2])
    check_axes(name, rank, sizes=attrs[3])
    if any(n < 1 for n in (*attrs[0], *attrs[1])):
        raise ShapeError(
            f"[{name}] strides and dilation must be positive, received {attrs[0]} and "
            f"{attrs[1]}"
        )
    return rank


def _misfit(name: str, specs: list[Spec]) -> ShapeError:
    shapes = " and ".join(str(s.shape) for s in specs)
    return ShapeError(
        f"[{name}] {shapes} do not match: images are (batch, spatial axes, channels), "
        f"filters (spatial axes, input channels, multiplier)"
    )


def _forward_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name = "depthwise_conv"
    rank = _check(name, specs, attrs)
    x, w, b = specs
    if len(w.shape) != rank + 2 or w.shape[-2] != x.shape[-1]:
        raise _misfit(name, specs[:2])
    check_extent(name, x.shape[1:-1], w.shape[:-2], *attrs[:3])
    channels = w.shape[-2] * w.shape[-1]
    check_bias(name, b, channels)
    return [Spec((x.shape[0], *attrs[3], channels), x.dtype)]


def _grad_input_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name = "depthwise_conv_grad_input"
    rank = _check(name, specs, attrs)
    dy, w = specs
    if len(w.shape) != rank + 2 or w.shape[-2] * w.shape[-1] != dy.shape[-1]:
        raise _misfit(name, specs)
    check_extent(name, attrs[3], w.shape[:-2], *attrs[:3])
    return [Spec((dy.shape[0], *attrs[3], w.shape[-2]), dy.dtype)]


def _grad_kernel_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    name = "depthwise_conv_grad_kernel"
    rank = _check(name, specs, attrs)
    x, dy = specs
    channels = x.shape[-1]
    if len(dy.shape) != rank + 2 or dy.shape[0] != x.shape[0]:
        raise _misfit(name, specs)
    if channels == 0 or dy.shape[-1] % channels:
        raise _misfit(name, specs)
    check_extent(name, x.shape[1:-1], attrs[3], *attrs[:3])
    return [Spec((*attrs[3], channels, dy.shape[-1] // channels), x.dtype)]


# ---- reference: a loop over the elements of the filter -----------------------------


def _taps(
    inner: Ints, outer: Ints, window: Ints, strides: Ints, dilation: Ints, low: Ints
) -> Iterator[tuple[Ints, Any, Any]]:
    """Per element of the filter: it, the inputs it reads, the outputs it adds to."""
    for tap in np.ndindex(*window):
        reads, adds = [slice(None)], [slice(None)]
        geometry = zip(tap, inner, outer, strides, dilation, low, strict=True)
        for k, n, m, s, d, pad in geometry:
            shift = k * d - pad
            first = max(-(shift // s), 0)
            last = min((n - 1 - shift) // s + 1, m)
            last = max(first, last)
            start = first * s + shift
            reads.append(slice(start, start + (last - first - 1) * s + 1, s))
            if first == last:
                reads[-1] = slice(0, 0)
            adds.append(slice(first, last))
        yield tap, tuple(reads), tuple(adds)


def _forward_ref(
    x: Any,
    w: Any,
    b: Any,
    strides: Ints,
    dilation: Ints,
    low: Ints,
    sizes: Ints,
    act: str,
    alpha: float,
) -> Any:
    y = np.zeros((x.shape[0], *sizes, *w.shape[-2:]), x.dtype)
    window = w.shape[:-2]
    for tap, i, o in _taps(sizes_of(x), sizes, window, strides, dilation, low):
        y[o] += x[i][..., None] * w[tap]
    y = y.reshape(_flat(y.shape))
    return apply_activation(act, y + b if b.size else y, alpha)


def _flat(shape: Ints) -> Ints:
    return (*shape[:-2], shape[-2] * shape[-1])


def _grad_input_ref(
    dy: Any, w: Any, strides: Ints, dilation: Ints, low: Ints, sizes: Ints
) -> Any:
    dx = np.zeros((dy.shape[0], *sizes, w.shape[-2]), dy.dtype)
    split = dy.reshape(*dy.shape[:-1], *w.shape[-2:])
    window = w.shape[:-2]
    for tap, i, o in _taps(sizes, sizes_of(dy), window, strides, dilation, low):
        dx[i] += (split[o] * w[tap]).sum(-1)
    return dx


def _grad_kernel_ref(
    x: Any, dy: Any, strides: Ints, dilation: Ints, low: Ints, sizes: Ints
) -> Any:
    channels = x.shape[-1]
    dw = np.zeros((*sizes, channels, dy.shape[-1] // channels), x.dtype)
    split = dy.reshape(*dy.shape[:-1], *dw.shape[-2:])
    axes = tuple(range(x.ndim - 1))
    for tap, i, o in _taps(sizes_of(x), sizes_of(dy), sizes, strides, dilation, low):
        dw[tap] = (x[i][..., None] * split[o]).sum(axes)
    return dw


# ---- samples -----------------------------------------------------------------------

# image shape, filter sizes and multiplier, strides, dilation, padding
CASES: tuple = (
    ((2, 6, 6, 3), (3, 3, 1), (1, 1), (1, 1), "same"),
    ((3, 7, 12, 17), (3, 3, 1), (2, 2), (1, 1), "same"),
    ((1, 5, 13, 20), (2, 3, 1), (1, 1), (1, 2), "valid"),
    ((2, 6, 7, 5), (3, 2, 3), (2, 1), (1, 1), "same"),
    ((2, 19, 33), (5, 1), (1,), (1,), "same"),
    ((3, 11, 4), (3, 2), (3,), (1,), "valid"),
    ((2, 3, 4, 3, 6), (2, 2, 2, 1), (1, 2, 1), (1, 1, 1), "same"),
    ((1, 2, 3, 2), (5, 5, 1), (1, 1), (1, 1), "same"),
    ((1, 3, 4), (13, 1), (1,), (1,), "same"),
    ((0, 4, 4, 3), (3, 3, 1), (1, 1), (1, 1), "same"),
)


def _samples(first: str, second: str, result: str) -> Any:
    def make(rng: Any, dtype: str, cases: tuple = CASES) -> Iterator[Sample]:
        for i, case in enumerate(cases):
            shape, (*window, multiplier), strides, dilation, padding = case
            sizes = shape[1:-1]
            low, out = same_or_valid(sizes, tuple(window), strides, dilation, padding)
            channels = shape[-1] * multiplier
            shapes = {
                "x": shape,
                "w": (*window, shape[-1], multiplier),
                "y": (shape[0], *out, channels),
            }
            operands = [uniform(rng, shapes[k], dtype, -1, 1) for k in (first, second)]
            wanted = {"x": sizes, "w": tuple(window), "y": out}[result]
            attrs = (strides, dilation, low, wanted)
            if result != "y":
                yield Sample(tuple(operands), attrs)
                continue
            for act in EPILOGUES if i == 3 else ("linear", "relu")[i % 2 :]:
                size = 0 if act == "linear" else channels
                bias = uniform(rng, (size,), dtype, -1, 1)
                yield Sample((*operands, bias), (*attrs, act, case_alpha(act)))

    return make


# ---- records -----------------------------------------------------------------------

TOL = Tol(4e-6, 2e-14, 4e-5)


def _window_size(ins: list[Spec], outs: list[Spec]) -> float:
    # Two of the three shapes are images; the filter has the smaller product.
    return float(min([prod(s.shape[:-1]) for s in (*ins, *outs)]))


def _cost(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
    images = max([prod(s.shape) for s in (*ins, *outs)])
    return images * (0.3 + 0.02 * _window_size(ins, outs))


def _sizes(c: Any, name: str, *, kernel: bool = False) -> Ints:
    shape = c.shape_of(name)
    return shape[:-2] if kernel else shape[1:-1]


def _convolve(c: Any, x: Any, w: Any, sizes: Ints, bias: Any = None) -> Any:
    """Without an activation; no `bias`: without one."""
    b = no_bias(c, x) if bias is None else bias
    return c.op.depthwise_conv(x, w, b, c.strides, c.dilation, c.low, sizes)


def _forward_vjp(c: Any, dy: Any) -> Any:
    at = (c.strides, c.dilation, c.low)
    dz = gradient(c, dy, lambda: _convolve(c, c.x, c.w, c.sizes, c.b))
    dx = dw = None
    if c.needs("x"):
        dx = c.op.depthwise_conv_grad_input(dz, c.w, *at, _sizes(c, "x"))
    if c.needs("w"):
        sizes = _sizes(c, "w", kernel=True)
        dw = c.op.depthwise_conv_grad_kernel(c.x, dz, *at, sizes)
    return dx, dw, bias_gradient(c, dz)


def _grad_input_vjp(c: Any, g: Any) -> Any:
    at = (c.strides, c.dilation, c.low)
    ddy = dw = None
    if c.needs("dy"):
        ddy = _convolve(c, g, c.w, _sizes(c, "dy"))
    if c.needs("w"):
        sizes = _sizes(c, "w", kernel=True)
        dw = c.op.depthwise_conv_grad_kernel(g, c.dy, *at, sizes)
    return ddy, dw


def _grad_kernel_vjp(c: Any, g: Any) -> Any:
    at = (c.strides, c.dilation, c.low)
    dx = ddy = None
    if c.needs("x"):
        dx = c.op.depthwise_conv_grad_input(c.dy, g, *at, _sizes(c, "x"))
    if c.needs("dy"):
        ddy = _convolve(c, c.x, g, _sizes(c, "dy"))
    return dx, ddy


op(
    "depthwise_conv",
    inputs="x w b",
    attrs=WINDOW + ACTIVATION,
    infer=_forward_infer,
    kind=ROW,
    ref=_forward_ref,
    vjp=_forward_vjp,
    saves=("x", "w", "b", "y"),
    samples=_samples("x", "w", "y"),
    tol=TOL,
    cost=_cost,
    doc="activation(b + sum_k x[o * stride - low + k * dilation, c] w[k, c, m])",
)
op(
    "depthwise_conv_grad_input",
    inputs="dy w",
    outputs="dx",
    attrs=WINDOW,
    infer=_grad_input_infer,
    kind=ROW,
    ref=_grad_input_ref,
    vjp=_grad_input_vjp,
    saves=("dy", "w"),
    samples=_samples("y", "w", "x"),
    tol=TOL,
    cost=_cost,
    doc="gradient of depthwise_conv with respect to x",
)
op(
    "depthwise_conv_grad_kernel",
    inputs="x dy",
    outputs="dw",
    attrs=WINDOW,
    infer=_grad_kernel_infer,
    kind=ROW,
    ref=_grad_kernel_ref,
    vjp=_grad_kernel_vjp,
    saves=("x", "dy"),
    samples=_samples("x", "y", "w"),
    tol=TOL,
    cost=_cost,
    doc="gradient of depthwise_conv with respect to w, images added in order",
)
