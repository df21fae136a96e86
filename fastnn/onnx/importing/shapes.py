# SPDX-License-Identifier: Apache-2.0
"""Shapes, views, joining and what makes tensors."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.layout import Grouped, Images, last, plain, regrouped
from fastnn.onnx.importing.table import Node, UnsupportedError, host, reads, tensor
from fastnn.onnx.package import NAMES

# A file may ask for a tensor of any size in a few bytes.
MOST_ELEMENTS = 1 << 31


def affordable(shape: Any, op: str) -> tuple[int, ...]:
    """A shape that a file asks for.

    Raises:
        UnsupportedError: when it is beyond 2^31 elements, or negative.
    """
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=0) < 0 or prod(sizes) > MOST_ELEMENTS:
        raise UnsupportedError(
            f"[onnx] {op} asks for a tensor of shape {sizes}; at most {MOST_ELEMENTS} "
            f"elements are made"
        )
    return sizes


@reads("Constant")
def _constant(node: Node) -> Any:
    for name, dtype in (("float", "float32"), ("int", "int64")):
        if f"value_{name}" in node.attrs:
            return np.asarray(node.attrs[f"value_{name}"], dtype)
        if f"value_{name}s" in node.attrs:
            return np.asarray(node.attrs[f"value_{name}s"], dtype)
    if "value" not in node.attrs:
        raise UnsupportedError("[onnx] a Constant without numbers")
    return node.attrs["value"]


@reads("Shape")
def _shape(node: Node, x: Any) -> Any:
    return np.array(np.shape(x)[slice(node.get("start", 0), node.get("end"))], np.int64)


@reads("Size")
def _size(node: Node, x: Any) -> Any:
    return np.array(prod(np.shape(x)), np.int64)


@reads("ConstantOfShape", constants="0")
def _constant_of_shape(node: Node, shape: Any) -> Any:
    value = np.ravel(node.get("value", np.zeros(1, np.float32)))
    shape = affordable(host(shape, node.op, "the shape"), node.op)
    return np.full(shape, value[0], value.dtype)


@reads("Range", constants="0 1 2")
def _range(node: Node, start: Any, limit: Any, delta: Any) -> Any:
    start, limit, delta = (np.ravel(host(v, node.op))[0] for v in (start, limit, delta))
    if not delta:
        raise UnsupportedError("[onnx] Range with steps of 0")
    count = max(int(np.ceil((limit - start) / delta)), 0)
    affordable((count,), node.op)
    return (start + np.arange(count, dtype=start.dtype) * delta).astype(start.dtype)


@reads("EyeLike")
def _eye_like(node: Node, x: Any) -> Any:
    dtype = NAMES[node.attrs["dtype"]] if "dtype" in node.attrs else tensor(x).dtype
    rows, columns = np.shape(x)
    return np.eye(rows, columns, node.get("k", 0)).astype(dtype)


@reads("Reshape", constants="1", images="shuffle")
def _reshape(node: Node, x: Any, shape: Any = None) -> Any:
    sizes = list(node.ints("shape", shape) or ())
    if isinstance(x, (Images, Grouped)):
        found = regrouped(x, _known_sizes(node, x, sizes))
        if found is not None:
            return found
        x = plain(x)
    x = tensor(x)
    return ops.reshape(x, _known_sizes(node, x, sizes))


def _known_sizes(node: Node, x: Any, sizes: list[int]) -> tuple[int, ...]:
    """Sizes of a Reshape, where 0 stands for the size of x, and -1 for the rest."""
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    elif 0 in sizes:
        return tuple(sizes)
    if -1 in sizes and 0 in sizes:
        sizes[sizes.index(-1)] = 0
    rest = prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and rest > 0 and prod(x.shape) % rest == 0:
        sizes[sizes.index(-1)] = prod(x.shape) // rest
    return tuple(sizes)


@reads("Flatten")
def _flatten(node: Node, x: Any) -> Any:
    x, axis = tensor(x), node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return ops.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@reads("Squeeze", constants="1")
def _squeeze(node: Node, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    found = node.ints("axes", axes)
    if found is None:
        found = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return ops.squeeze(x, tuple(a % x.ndim for a in found)) if found else x


@reads("Unsqueeze", constants="1")
def _unsqueeze(node: Node, x: Any, axes: Any = None) -> Any:
    x = tensor(x)
    found = node.ints("axes", axes) or ()
    rank = x.ndim + len(found)
    sizes = iter(x.shape)
    places = {a % rank for a in found}
    shape = tuple(1 if i in places else next(sizes) for i in range(rank))
    return ops.reshape(x, shape)


@reads("Transpose", images="shuffle")
def _transpose(node: Node, x: Any) -> Any:
    if isinstance(x, Grouped):
        swapped = x.swapped(node.get("perm"))
        if swapped is not None:
            return swapped
    x = tensor(plain(x))
    return ops.transpose(x, node.get("perm") or tuple(range(x.ndim))[::-1])


@reads("Expand", constants="1")
def _expand(node: Node, x: Any, shape: Any) -> Any:
    x = tensor(x)
    sizes = node.ints("shape", shape) or ()
    whole = np.broadcast_shapes(x.shape, affordable(sizes, node.op))
    return ops.broadcast_to(x, affordable(whole, node.op))


@reads("Tile", constants="1")
def _tile(node: Node, x: Any, repeats: Any) -> Any:
    x = tensor(x)
    times = node.ints("repeats", repeats) or ()
    affordable([n * t for n, t in zip(x.shape, times, strict=True)], node.op)
    return ops.tile(x, times)


@reads("Concat", images="own")
def _concat(node: Node, *values: Any) -> Any:
    if len(values) == 1:
        return values[0]
    images = next((v for v in values if isinstance(v, Images)), None)
    if images is not None:
        axis = images.axis(node.attrs["axis"])
        found = [last(v if isinstance(v, Images) else tensor(v)) for v in values]
        return Images(ops.concatenate(found, axis=axis))
    return ops.concatenate([tensor(v) for v in values], axis=node.attrs["axis"])


@reads("Split", constants="1")
def _split(node: Node, x: Any, split: Any = None) -> Any:
    x, axis = tensor(x), node.get("axis", 0)
    size, given = x.shape[axis], node.ints("split", split)
    if given is not None:
        sizes = list(given)
    else:
        count = node.get("num_outputs", node.outputs)
        each = -(-size // count)
        sizes = [each] * (count - 1) + [size - each * (count - 1)]
    ends = np.cumsum(np.array(sizes, np.int64))
    return tuple(
        cut(x, axis, int(end - n), int(end)) for n, end in zip(sizes, ends, strict=True)
    )


def cut(x: Tensor, axis: int, start: int, end: int) -> Tensor:
    """The places from start to end of one axis."""
    key: list[Any] = [slice(None)] * x.ndim
    key[axis] = slice(start, end)
    return ops.get_item(x, tuple(key))


@reads("Slice", constants="1 2 3 4")
def _slice(node: Node, x: Any, *given: Any) -> Any:
    x = tensor(x)
    given = (*given, *([None] * (4 - len(given))))
    starts, ends, axes, steps = (
        node.ints(name, value)
        for name, value in zip(("starts", "ends", "axes", "steps"), given, strict=True)
    )
    assert starts is not None
    assert ends is not None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    key: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        low, high = (0, size) if step > 0 else (-1, size - 1)
        start = start + size if start < 0 else start
        end = end + size if end < 0 else end
        start = min(max(start, 0), high)
        end = min(max(end, low), size)
        stop = None if end < 0 else end
        key[axis] = slice(start, stop, step)
    return ops.get_item(x, tuple(key))


@reads("Pad", constants="1 2 3")
def _pad(
    node: Node, x: Any, pads: Any = None, value: Any = None, axes: Any = None
) -> Any:
    x, mode = tensor(x), node.get("mode", "constant")
    places = node.ints("axes", axes)
    amounts = node.ints("pads", pads) or ()
    places = tuple(range(x.ndim)) if places is None else places
    half = len(amounts) // 2
    around = [(0, 0)] * x.ndim
    for axis, low, high in zip(places, amounts[:half], amounts[half:], strict=True):
        around[axis] = low, high
    key = tuple(
        slice(max(-a, 0), n - max(-b, 0))
        for n, (a, b) in zip(x.shape, around, strict=True)
    )
    if any(a < 0 or b < 0 for a, b in around):
        x = ops.get_item(x, key)
        around = [(max(a, 0), max(b, 0)) for a, b in around]
    affordable([n + a + b for n, (a, b) in zip(x.shape, around, strict=True)], node.op)
    if mode == "constant":
        value = node.get("value", 0.0) if value is None else host(value).item()
        return ops.pad(x, around, mode="constant", constant_values=value)
    if mode == "edge" or mode == "reflect":
        return _padded(x, around, mode)
    return _padded(x, around, "wrap")


def _padded(x: Tensor, around: Any, mode: str) -> Tensor:
    """Each axis takes the places that NumPy's `pad` would take."""
    for axis, (low, high) in enumerate(around):
        if low or high:
            places = np.pad(np.arange(x.shape[axis]), (low, high), mode=mode)  # type: ignore[call-overload]
            x = ops.take(x, places, axis=axis)
    return x


@reads("DepthToSpace")
def _depth_to_space(node: Node, x: Any) -> Any:
    x, b = tensor(x), node.attrs["blocksize"]
    n, c, h, w = x.shape
    if node.get("mode", "DCR") == "DCR":
        parts = ops.reshape(x, (n, b, b, c // (b * b), h, w))
        parts = ops.transpose(parts, (0, 3, 4, 1, 5, 2))
    else:
        parts = ops.reshape(x, (n, c // (b * b), b, b, h, w))
        parts = ops.transpose(parts, (0, 1, 4, 2, 5, 3))
    return ops.reshape(parts, (n, c // (b * b), h * b, w * b))


@reads("SpaceToDepth")
def _space_to_depth(node: Node, x: Any) -> Any:
    x, b = tensor(x), node.attrs["blocksize"]
    n, c, h, w = x.shape
    parts = ops.reshape(x, (n, c, h // b, b, w // b, b))
    crd = node.get("mode", "DCR") == "CRD"
    parts = ops.transpose(parts, (0, 1, 3, 5, 2, 4) if crd else (0, 3, 5, 1, 2, 4))
    return ops.reshape(parts, (n, c * b * b, h // b, w // b))


@reads("CenterCropPad", constants="1")
def _center_crop_pad(node: Node, x: Any, shape: Any) -> Any:
    x, sizes = tensor(x), node.ints("shape", shape) or ()
    affordable(sizes, node.op)
    for axis, size in zip(node.get("axes") or range(x.ndim), sizes, strict=True):
        axis, extra = axis % x.ndim, size - x.shape[axis]
        if extra < 0:
            start = (-extra) // 2
            x = cut(x, axis, start, start + size)
        elif extra > 0:
            around = [(0, 0)] * x.ndim
            around[axis] = extra // 2, extra - extra // 2
            x = ops.pad(x, around)
    return x
