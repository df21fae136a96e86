# SPDX-License-Identifier: Apache-2.0
"""Convolution over 1 to 3 spatial axes and its gradients.

Arrays are (images, *spatial, channels), kernels (*spatial, inputs per group, outputs),
both any strided view. With o an output, i an input and k a kernel position per axis,

    i = o * stride + k * dilation - pad

`pads` holds the zeros before every axis, then those behind; negative ones crop. The
three ops here are closed under differentiation: each one's gradients are the others.
A bias of size 0 is no bias.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import CONTRACT, Attr, Sample, Spec, op
from fastnn.opset._samples import typical, uniform
from fastnn.opset._spatial import bias_gradient, check_bias, check_extent, no_bias
from fastnn.opset.gemm import (
    ACTIVATION,
    BY_OUTPUT,
    EPILOGUES,
    GEMM_TOL,
    GRADIENT,
    NS_PER_FLOP,
    apply_activation,
    apply_gradient,
    case_alpha,
    gradient,
    slope_of_output,
)

GEOMETRY = (
    Attr("strides", "ints"),
    Attr("dilations", "ints"),
    Attr("pads", "ints"),
    Attr("groups", "int", 1),
)
Ints = tuple[int, ...]


def output_size(size: Ints, kernel: Ints, strides: Ints, dil: Ints, pads: Ints) -> Ints:
    """Spatial shape of a convolution; 0 or less where the kernel does not fit."""
    rank = len(size)
    return tuple(
        (size[i] + pads[i] + pads[rank + i] - (kernel[i] - 1) * dil[i] - 1)
        // strides[i]
        + 1
        for i in range(rank)
    )


def _check(name: str, x: Spec, w: Spec, attrs: tuple) -> int:
    """The number of spatial axes; ShapeError where ranks or attributes do not fit."""
    strides, dilations, pads, groups = attrs[:4]
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3 or len(w.shape) != rank + 2:
        raise ShapeError(
            f"[{name}] expected arrays of rank 3 to 5 and a kernel of the same rank, "
            f"received {x.shape} and {w.shape}"
        )
    if not len(strides) == len(dilations) == len(pads) // 2 == rank:
        raise ShapeError(
            f"[{name}] {rank} spatial axes need {rank} strides and dilations and "
            f"{2 * rank} pads, received {strides}, {dilations} and {pads}"
        )
    if min((*strides, *dilations, groups)) < 1:
        raise ShapeError(
            f"[{name}] strides {strides}, dilations {dilations} and groups {groups} "
            f"must be positive"
        )
    return rank


def _check_channels(name: str, x: Ints, w: Ints, y: Ints, groups: int) -> None:
    if x[-1] != w[-2] * groups or w[-1] % groups or y[-1] != w[-1]:
        raise ShapeError(
            f"[{name}] kernel {w} in {groups} group(s) takes {w[-2] * groups} channels "
            f"to {w[-1]}, received {x[-1]} and {y[-1]}; the outputs must be a multiple "
            f"of the groups"
        )


def _check_size(name: str, x: Ints, w: Ints, y: Ints, attrs: tuple) -> None:
    check_extent(name, x[1:-1], w[:-2], *attrs[:3])
    expected = output_size(x[1:-1], w[:-2], *attrs[:3])
    if y[1:-1] != expected or x[0] != y[0]:
        raise ShapeError(
            f"[{name}] a convolution of {x} with kernel {w}, strides {attrs[0]}, "
            f"dilations {attrs[1]} and pads {attrs[2]} has shape "
            f"{(x[0], *expected, w[-1])}, received {y}"
        )


def _same_floats(name: str, specs: list[Spec]) -> None:
    check_float(name, check_same_dtype(name, [s.dtype for s in specs]))


def _flops(y: Spec, w: Ints) -> float:
    return 2.0 * prod(y.shape) * prod(w[:-1]) * NS_PER_FLOP


# ---- references ----------------------------------------------------------------------


def _taps(x: Any, kernel: Ints, out: Ints, attrs: tuple) -> Any:
    """(kernel position, the view of padded x that it multiplies) for all of them."""
    strides, dilations, _ = attrs
    for tap in np.ndindex(*kernel):
        index: list[Any] = [slice(None)]
        for i, k in enumerate(tap):
            first, step = k * dilations[i], strides[i]
            index.append(slice(first, first + (out[i] - 1) * step + 1, step))
        yield tap, x[tuple(index)]


def _padded(x: Any, kernel: Ints, out: Ints, attrs: tuple) -> tuple[Any, Any]:
    """Zeros that hold all that the kernel reads of x, and where x lies in them."""
    strides, dilations, pads = attrs
    shape, inside, source = [x.shape[0]], [slice(None)], [slice(None)]
    for i, n in enumerate(x.shape[1:-1]):
        reach = (out[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
        shape.append(max(reach, 0))
        begin, end = max(pads[i], 0), min(pads[i] + n, max(reach, 0))
        inside.append(slice(begin, max(begin, end)))
        source.append(slice(begin - pads[i], max(begin, end) - pads[i]))
    return np.zeros((*shape, x.shape[-1]), x.dtype), (tuple(inside), tuple(source))


def _grouped(a: Any, groups: int) -> Any:
    return a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)


def _conv_ref(
    x: Any,
    w: Any,
    b: Any,
    strides: Any,
    dilations: Any,
    pads: Any,
    groups: Any,
    act: Any,
    alpha: Any,
) -> Any:
    attrs = (strides, dilations, pads)
    kernel = w.shape[:-2]
    out = output_size(x.shape[1:-1], kernel, *attrs)
    whole, (inside, source) = _padded(x, kernel, out, attrs)
    whole[inside] = x[source]
    y = np.zeros((x.shape[0], *out, w.shape[-1]), x.dtype)
    for tap, part in _taps(whole, kernel, out, attrs):
        product = np.einsum(
            "...gc,cgo->...go", _grouped(part, groups), _grouped(w[tap], groups)
        )
        y += product.reshape(y.shape)
    return apply_activation(act, y + b if b.size else y, alpha)


def _transpose_ref(dy: Any, w: Any, spatial: Any, attrs: Any, groups: int) -> Any:
    out = dy.shape[1:-1]
    dx = np.zeros((dy.shape[0], *spatial, w.shape[-2] * groups), dy.dtype)
    whole, (inside, source) = _padded(dx, w.shape[:-2], out, attrs)
    for tap, part in _taps(whole, w.shape[:-2], out, attrs):
        product = np.einsum(
            "...go,cgo->...gc", _grouped(dy, groups), _grouped(w[tap], groups)
        )
        part += product.reshape(part.shape)
    dx[source] = whole[inside]
    return dx


def _conv_transpose_ref(
    x: Any,
    w: Any,
    b: Any,
    spatial: Any,
    strides: Any,
    dilations: Any,
    pads: Any,
    groups: Any,
    act: Any,
    alpha: Any,
) -> Any:
    y = _transpose_ref(x, w, spatial, (strides, dilations, pads), groups)
    return apply_activation(act, y + b if b.size else y, alpha)


def _grad_input_ref(
    dy: Any,
    w: Any,
    y: Any,
    strides: Any,
    dilations: Any,
    pads: Any,
    groups: Any,
    act: Any,
    alpha: Any,
) -> Any:
    attrs = (strides, dilations, pads)
    dx = _transpose_ref(dy, w, y.shape[1:-1], attrs, groups)
    return apply_gradient(act, dx, y, alpha)


def _grad_kernel_ref(
    x: Any, dy: Any, size: Any, strides: Any, dilations: Any, pads: Any, groups: Any
) -> Any:
    attrs = (strides, dilations, pads)
    whole, (inside, source) = _padded(x, size, dy.shape[1:-1], attrs)
    whole[inside] = x[source]
    dw = np.zeros((*size, x.shape[-1] // groups, dy.shape[-1]), x.dtype)
    for tap, part in _taps(whole, size, dy.shape[1:-1], attrs):
        product = np.einsum(
            "pgc,pgo->cgo",
            _grouped(part.reshape(-1, part.shape[-1]), groups),
            _grouped(dy.reshape(-1, dy.shape[-1]), groups),
        )
        dw[tap] = product.reshape(dw[tap].shape)
    return dw


# ---- samples -------------------------------------------------------------------------

# x, kernel without outputs, outputs, strides, dilations, low and high pads, groups
CASES: tuple[tuple[Any, ...], ...] = (
    ((1, 1, 1), (1,), 1, (1,), (1,), (0, 0), 1),
    ((2, 7, 3), (3,), 5, (1,), (2,), (4, 0), 1),  # causal
    ((3, 9, 4), (2,), 6, (3,), (1,), (0, 0), 2),
    ((0, 5, 5, 2), (3, 3), 4, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((2, 6, 7, 3), (3, 3), 5, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((2, 6, 7, 3), (3, 3), 17, (2, 2), (1, 1), (0, 1, 1, 1), 1),
    ((1, 9, 6, 1), (5, 4), 4, (1, 2), (2, 1), (4, 1, 4, 2), 1),
    ((2, 5, 6, 6), (2, 3), 9, (2, 1), (1, 2), (0, 2, 1, 2), 3),
    ((9, 4, 3, 20), (1, 1), 3, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((2, 5, 5, 3), (1, 2), 4, (3, 3), (1, 1), (0, 0, 0, 0), 1),
    ((17, 3, 2, 2), (2, 2), 3, (1, 1), (1, 1), (-1, 1, 0, 0), 1),
    ((1, 3, 4, 5, 2), (2, 3, 2), 3, (1, 2, 1), (1, 1, 2), (1, 1, 1, 0, 1, 1), 1),
)


def _arrays(rng: Any, dtype: str, case: tuple) -> tuple[Any, Any, Any]:
    """x, w and something of the shape of y."""
    x, kernel, outputs, strides, dilations, pads, groups = case
    out = output_size(x[1:-1], kernel, strides, dilations, pads)
    return (
        uniform(rng, x, dtype, -1, 1),
        uniform(rng, (*kernel, x[-1] // groups, outputs), dtype, -1, 1),
        uniform(rng, (x[0], *out, outputs), dtype, -1, 1),
    )


# The second layer of a small image network.
TYPICAL = (((8, 28, 28, 64), (3, 3), 64, (1, 1), (1, 1), (1, 1, 1, 1), 1),)


def _with_activations(
    rng: Any, dtype: str, make: Any, cases: Any, names: tuple[str, ...] = EPILOGUES
) -> Any:
    for i, case in enumerate(cases):
        x, w, y = _arrays(rng, dtype, case)
        for act in names if i == 4 else ("linear", "relu")[i % 2 :]:
            yield make(x, w, y, case, act)


def _conv_samples(rng: Any, dtype: str, cases: Any = CASES) -> Any:
    def make(x: Any, w: Any, y: Any, case: tuple, act: str) -> Sample:
        size = 0 if act == "linear" else w.shape[-1]
        bias = uniform(rng, (size,), dtype, -1, 1)
        return Sample((x, w, bias), (*case[3:], act, case_alpha(act)))

    return _with_activations(rng, dtype, make, cases)


def _transpose_samples(rng: Any, dtype: str, cases: Any = CASES) -> Any:
    def make(x: Any, w: Any, y: Any, case: tuple, act: str) -> Sample:
        size = 0 if act == "linear" else x.shape[-1]
        bias = uniform(rng, (size,), dtype, -1, 1)
        attrs = (x.shape[1:-1], *case[3:], act, case_alpha(act))
        return Sample((y, w, bias), attrs)

    return _with_activations(rng, dtype, make, cases)


def _grad_input_samples(rng: Any, dtype: str, cases: Any = CASES) -> Any:
    def make(x: Any, w: Any, y: Any, case: tuple, act: str) -> Sample:
        out = np.where(np.abs(x) < 0.1, x + np.copysign(0.2, x), 0.9 * x).astype(dtype)
        return Sample((y, w, out), (*case[3:], act, case_alpha(act)))

    return _with_activations(rng, dtype, make, cases, BY_OUTPUT)


def _grad_kernel_samples(rng: Any, dtype: str, cases: Any = CASES) -> Any:
    for case in cases:
        x, _, y = _arrays(rng, dtype, case)
        yield Sample((x, y), (case[1], *case[3:]))


# ---- records -------------------------------------------------------------------------


def _geometry(c: Any) -> tuple:
    return (c.strides, c.dilations, c.pads, c.groups)


def _conv_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, w, b = specs
    _same_floats("conv", specs)
    _check("conv", x, w, attrs)
    check_extent("conv", x.shape[1:-1], w.shape[:-2], *attrs[:3])
    size = output_size(x.shape[1:-1], w.shape[:-2], *attrs[:3])
    if min(size) < 1:
        raise ShapeError(
            f"[conv] the kernel {w.shape} with dilations {attrs[1]} is larger than the "
            f"input {x.shape} with pads {attrs[2]}"
        )
    shape = (x.shape[0], *size, w.shape[-1])
    _check_channels("conv", x.shape, w.shape, shape, attrs[3])
    check_bias("conv", b, w.shape[-1])
    return [Spec(shape, x.dtype)]


def _conv_vjp(c: Any, dy: Any) -> Any:
    dz = gradient(c, dy, lambda: c.op.conv(c.x, c.w, c.b, *_geometry(c), "linear"))
    dx = dw = None
    if c.needs("x"):
        spatial = c.shape_of("x")[1:-1]
        dx = c.op.conv_transpose(
            dz, c.w, no_bias(c, dz), spatial, *_geometry(c), "linear"
        )
    if c.needs("w"):
        size = c.shape_of("w")[:-2]
        dw = c.op.conv_grad_kernel(c.x, dz, size, *_geometry(c))
    return dx, dw, bias_gradient(c, dz)


op(
    "conv",
    inputs="x w b",
    attrs=GEOMETRY + ACTIVATION,
    infer=_conv_infer,
    kind=CONTRACT,
    ref=_conv_ref,
    vjp=_conv_vjp,
    saves=("x", "w", "b", "y"),
    samples=_conv_samples,
    typical=typical(_conv_samples, cases=TYPICAL),
    tol=GEMM_TOL,
    cost=lambda ins, outs, attrs: _flops(outs[0], ins[1].shape),
    doc="activation(b + sum_k x[o stride + k dilation - pad] w[k])",
)


def _transpose_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, w, b = specs
    name, spatial, geometry = "conv_transpose", attrs[0], attrs[1:]
    _same_floats(name, specs)
    if _check(name, x, w, geometry) != len(spatial):
        raise ShapeError(f"[{name}] spatial shape {spatial} does not suit {x.shape}")
    shape = (x.shape[0], *spatial, w.shape[-2] * geometry[3])
    _check_channels(name, shape, w.shape, x.shape, geometry[3])
    _check_size(name, shape, w.shape, x.shape, geometry)
    check_bias(name, b, shape[-1])
    return [Spec(shape, x.dtype)]


def _transpose_vjp(c: Any, dy: Any) -> Any:
    def z() -> Any:
        return c.op.conv_transpose(c.x, c.w, c.b, c.shape, *_geometry(c), "linear")

    dz = gradient(c, dy, z)
    dx = dw = None
    if c.needs("x"):
        dx = c.op.conv(dz, c.w, no_bias(c, dz), *_geometry(c), "linear")
    if c.needs("w"):
        size = c.shape_of("w")[:-2]
        dw = c.op.conv_grad_kernel(dz, c.x, size, *_geometry(c))
    return dx, dw, bias_gradient(c, dz)


op(
    "conv_transpose",
    inputs="x w b",
    attrs=(Attr("shape", "static"), *GEOMETRY, *ACTIVATION),
    infer=_transpose_infer,
    kind=CONTRACT,
    ref=_conv_transpose_ref,
    vjp=_transpose_vjp,
    saves=("x", "w", "b", "y"),
    samples=_transpose_samples,
    typical=typical(_transpose_samples, cases=TYPICAL),
    tol=GEMM_TOL,
    cost=lambda ins, outs, attrs: _flops(ins[0], ins[1].shape),
    doc="activation(b + the input gradient of a conv whose input has spatial shape)",
)


def _grad_kernel_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, dy = specs
    name, size, geometry = "conv_grad_kernel", attrs[0], attrs[1:]
    _same_floats(name, specs)
    groups = geometry[3]
    w = Spec((*size, x.shape[-1] // max(groups, 1), dy.shape[-1]), x.dtype)
    _check(name, x, w, geometry)
    _check_channels(name, x.shape, w.shape, dy.shape, groups)
    _check_size(name, x.shape, w.shape, dy.shape, geometry)
    return [w]


def _grad_kernel_vjp(c: Any, g: Any) -> Any:
    # dw is linear in x and in dy: g takes the place of the kernel.
    none = no_bias(c, g)
    dx = d_dy = None
    if c.needs("x"):
        spatial = c.shape_of("x")[1:-1]
        dx = c.op.conv_transpose(c.dy, g, none, spatial, *_geometry(c), "linear")
    if c.needs("dy"):
        d_dy = c.op.conv(c.x, g, none, *_geometry(c), "linear")
    return dx, d_dy


op(
    "conv_grad_kernel",
    inputs="x dy",
    outputs="dw",
    attrs=(Attr("shape", "static"), *GEOMETRY),
    infer=_grad_kernel_infer,
    kind=CONTRACT,
    ref=_grad_kernel_ref,
    vjp=_grad_kernel_vjp,
    saves=("x", "dy"),
    samples=_grad_kernel_samples,
    typical=typical(_grad_kernel_samples, cases=TYPICAL),
    tol=GEMM_TOL,
    cost=lambda ins, outs, attrs: _flops(ins[1], outs[0].shape),
    doc="dw[k] = sum over images and o of x[o stride + k dilation - pad]^T dy[o]",
)


def _grad_input_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    dy, w, y = specs
    name = "conv_grad_input"
    _same_floats(name, specs)
    _check(name, dy, w, attrs)
    _check_channels(name, y.shape, w.shape, dy.shape, attrs[3])
    _check_size(name, y.shape, w.shape, dy.shape, attrs)
    return [y]


def _grad_input_vjp(c: Any, g: Any) -> Any:
    # out = u * act'(y) with u the plain input gradient, as linear_grad_input.
    gu = gradient(c, g)
    d_dy = c.op.conv(gu, c.w, no_bias(c, g), *_geometry(c), "linear")
    dw = c.op.conv_grad_kernel(gu, c.dy, c.shape_of("w")[:-2], *_geometry(c))

    def u() -> Any:
        spatial = c.shape_of("y")[1:-1]
        return c.op.conv_transpose(
            c.dy, c.w, no_bias(c, g), spatial, *_geometry(c), "linear"
        )

    return d_dy, dw, slope_of_output(c, g, u)


op(
    "conv_grad_input",
    inputs="dy w y",
    outputs="dx",
    attrs=GEOMETRY + GRADIENT,
    infer=_grad_input_infer,
    kind=CONTRACT,
    ref=_grad_input_ref,
    vjp=_grad_input_vjp,
    saves=("dy", "w", "y"),
    samples=_grad_input_samples,
    typical=typical(_grad_input_samples, cases=TYPICAL),
    tol=GEMM_TOL,
    cost=lambda ins, outs, attrs: _flops(ins[0], ins[1].shape),
    doc="conv_transpose(dy, w) * act'(z), y = act(z) the output of the layer below",
)
