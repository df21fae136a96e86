# SPDX-License-Identifier: Apache-2.0
"""Convolutions and pooling. ONNX has channels first, fastnn's ops last: views."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.layout import Images, first, last
from fastnn.onnx.importing.shapes import affordable
from fastnn.onnx.importing.table import Node, UnsupportedError, reads, tensor

Ints = tuple[int, ...]


class Windows:
    """Where the windows of a node lie.

    Attributes:
        kernel, strides, dilations, low, high, sizes: per spatial axis; pads before and
            behind, and the sizes of the output.
    """

    def __init__(self, node: Node, size: Ints, kernel: Ints) -> None:
        rank = len(size)
        if not 1 <= rank <= 3:
            raise UnsupportedError(
                f"[onnx] {node.op} over {rank} spatial axes; 1 to 3 are read"
            )
        self.kernel = tuple(kernel)
        self.strides: Ints = tuple(node.get("strides") or (1,) * rank)
        self.dilations: Ints = tuple(node.get("dilations") or (1,) * rank)
        pads = tuple(node.get("pads") or (0,) * (2 * rank))
        self.low, self.high = pads[:rank], pads[rank:]
        auto = node.get("auto_pad", "NOTSET")
        self.reach = tuple(
            (k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)
        )
        if auto == "VALID":
            self.low = self.high = (0,) * rank
        elif auto.startswith("SAME"):
            self._same(size, auto == "SAME_UPPER")
        self.sizes: Ints = tuple(
            self._count(i, n, bool(node.get("ceil_mode", 0)) and auto == "NOTSET")
            for i, n in enumerate(size)
        )
        affordable(self.sizes, node.op)

    def _same(self, size: Ints, upper: bool) -> None:
        low, high = [], []
        for n, s, span in zip(size, self.strides, self.reach, strict=True):
            total = max((-(-n // s) - 1) * s + span - n, 0)
            small, large = total // 2, total - total // 2
            low.append(small if upper else large)
            high.append(large if upper else small)
        self.low, self.high = tuple(low), tuple(high)

    def _count(self, axis: int, size: int, up: bool) -> int:
        low, stride = self.low[axis], self.strides[axis]
        room = size + low + self.high[axis] - self.reach[axis]
        if not up:
            return room // stride + 1
        count = ceil(room / stride) + 1
        # A window begins within the images or the pads in front of them.
        return count - 1 if (count - 1) * stride >= size + low else count

    @property
    def dilated(self) -> bool:
        return max(self.dilations) > 1

    @property
    def simple(self) -> bool:
        """Whether fastnn's pooling has such windows."""
        inside = all(p < k for p, k in zip(self.low, self.kernel, strict=True))
        return inside and not self.dilated

    def whole(self, x: Tensor, value: float) -> Tensor:
        """Images (channels last) with borders, as far as the last window reads."""
        around = [(0, 0)]
        for i, n in enumerate(x.shape[1:-1]):
            end = (self.sizes[i] - 1) * self.strides[i] + self.reach[i]
            around.append((self.low[i], max(end - self.low[i] - n, 0)))
        around.append((0, 0))
        wide = [n + sum(pair) for n, pair in zip(x.shape, around, strict=True)]
        affordable(wide, "a window")
        return ops.pad(x, around, constant_values=value)

    def taps(self, whole: Tensor) -> Iterator[Tensor]:
        """For each element of the windows, those of all windows."""
        for tap in product(*map(range, self.kernel)):
            key: list[Any] = [slice(None)]
            for i, k in enumerate(tap):
                start, stride = k * self.dilations[i], self.strides[i]
                end = start + (self.sizes[i] - 1) * stride + 1
                key.append(slice(start, end, stride))
            yield ops.get_item(whole, (*key, slice(None)))


def _given(x: Any) -> Any:
    return x if isinstance(x, Images) else tensor(x)


def _bias(b: Any, x: Tensor) -> Tensor:
    return tensor(np.zeros(0, x.dtype) if b is None else b)


@reads("Conv", images="own")
def _conv(node: Node, x: Any, w: Any, b: Any = None) -> Images:
    x, w = _given(x), tensor(w)
    windows = Windows(node, x.shape[2:], node.get("kernel_shape") or w.shape[2:])
    rank, groups, inside = x.ndim - 2, node.get("group", 1), x.shape[1]
    bias = _bias(b, x)
    spatial = tuple(range(2, rank + 2))
    if groups == inside and w.shape[1] == 1 and groups > 1 and min(windows.low) >= 0:
        outputs = w.shape[0] // inside
        split = raw.reshape(w, (inside, outputs, *w.shape[2:]))
        kernel = raw.transpose(split, (*spatial, 0, 1))
        settings = windows.strides, windows.dilations, windows.low, windows.sizes
        return Images(raw.depthwise_conv(last(x), kernel, bias, *settings))
    kernel = raw.transpose(w, (*spatial, 1, 0))
    pads = (*windows.low, *windows.high)
    settings = windows.strides, windows.dilations, pads, groups
    return Images(raw.conv(last(x), kernel, bias, *settings))


def convolved(node: Node, x: Any, w: Any, b: Any = None) -> Tensor:
    """The same as the file's tensor."""
    return _conv(node, x, w, b).first()


@reads("ConvTranspose", images="own")
def _conv_transpose(node: Node, x: Any, w: Any, b: Any = None) -> Any:
    x, w = _given(x), tensor(w)
    rank, groups = x.ndim - 2, node.get("group", 1)
    size, kernel = x.shape[2:], w.shape[2:]
    strides = tuple(node.get("strides") or (1,) * rank)
    dilations = tuple(node.get("dilations") or (1,) * rank)
    more = node.get("output_padding") or (0,) * rank
    asked, auto = node.get("output_shape"), node.get("auto_pad", "NOTSET")
    pads = node.get("pads") or (0,) * (2 * rank)
    out, low, high = [], [], []
    for i in range(rank):
        whole = (size[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
        same = auto.startswith("SAME")
        if asked or same:
            count = asked[i] if asked else size[i] * strides[i]
            total = whole + more[i] - count
            begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
        else:
            begin = 0 if auto == "VALID" else pads[i]
            end = 0 if auto == "VALID" else pads[rank + i]
            count = whole + more[i] - begin - end
        out.append(count)
        low.append(begin)
        high.append(whole - count - begin)
    affordable(out, node.op)
    kernel_last = raw.transpose(w, (*range(2, rank + 2), 1, 0))
    settings = tuple(out), strides, dilations, (*low, *high), groups
    return Images(raw.conv_transpose(last(x), kernel_last, _bias(b, x), *settings))


@reads("ConvInteger")
def _conv_integer(node: Node, x: Any, w: Any, zx: Any = None, zw: Any = None) -> Any:
    def centred(value: Any, zero: Any) -> Tensor:
        value = ops.cast(tensor(value), "float64")
        return value if zero is None else value - ops.cast(tensor(zero), "float64")

    if zw is not None and np.size(zw) > 1:
        zw = ops.reshape(tensor(zw), (-1, *([1] * (np.ndim(w) - 1))))
    return ops.cast(convolved(node, centred(x, zx), centred(w, zw)), "int32")


@reads("MaxPool", images="own")
def _max_pool(node: Node, x: Any) -> Any:
    x = _given(x)
    windows = Windows(node, x.shape[2:], node.attrs["kernel_shape"])
    images = last(x)
    settings = windows.kernel, windows.strides, windows.low, windows.sizes
    if x.dtype not in ("float32", "float64"):
        wide = _max_pool(node, Images(ops.cast(images, "float64")))
        wide = wide if isinstance(wide, tuple) else (wide,)
        return (Images(ops.cast(wide[0].last, x.dtype)), *wide[1:])
    if node.outputs > 1:
        if not windows.simple:
            raise UnsupportedError("[onnx] places of maxima in dilated windows")
        y, index = raw.max_pool_with_index(images, *settings)
        places = _places(x.shape, bool(node.get("storage_order", 0)))
        found = raw.max_pool_take(last(tensor(places)), index, *settings)
        return Images(y), ops.cast(first(found), "int64")
    if windows.simple:
        return Images(raw.max_pool(images, *settings))
    return Images(reduce(ops.maximum, windows.taps(windows.whole(images, -np.inf))))


def _places(shape: Ints, columns: bool) -> np.ndarray:
    """The number of each element; columns first inside of an image if asked for."""
    count = prod(shape[2:])
    line = np.arange(count, dtype=np.float64)
    inner = line.reshape(shape[:1:-1]).T if columns else line.reshape(shape[2:])
    outer = np.arange(shape[0] * shape[1], dtype=np.float64) * count
    return outer.reshape(shape[:2] + (1,) * (len(shape) - 2)) + inner


@reads("AveragePool", images="own")
def _average_pool(node: Node, x: Any) -> Images:
    x = _given(x)
    windows = Windows(node, x.shape[2:], node.attrs["kernel_shape"])
    images, pads = last(x), [*zip(windows.low, windows.high, strict=True)]
    counted = bool(node.get("count_include_pad", 0))
    if windows.simple and not counted:
        settings = windows.kernel, windows.strides, windows.low, windows.sizes
        return Images(raw.average_pool(images, *settings))
    inside = ops.ones_like(images)
    if counted:
        around = [(0, 0), *pads, (0, 0)]
        images = ops.pad(images, around)
        inside = ops.ones_like(images)
        windows.low = windows.high = (0,) * len(pads)
    total = reduce(ops.add, windows.taps(windows.whole(images, 0)))
    count = reduce(ops.add, windows.taps(windows.whole(inside, 0)))
    return Images(total / count)


@reads("LpPool", images="own")
def _lp_pool(node: Node, x: Any) -> Images:
    x, p = _given(x), node.get("p", 2)
    windows = Windows(node, x.shape[2:], node.attrs["kernel_shape"])
    powers = ops.power(ops.abs(last(x)), like(p, x))
    total = reduce(ops.add, windows.taps(windows.whole(powers, 0)))
    return Images(ops.power(total, like(1 / p, x)))


@reads("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", images="own")
def _global_pool(node: Node, x: Any) -> Any:
    if isinstance(x, Images):
        return Images(_global(node, x.last, tuple(range(1, x.ndim - 1))))
    x = tensor(x)
    return _global(node, x, tuple(range(2, x.ndim)))


def _global(node: Node, x: Tensor, axes: Ints) -> Tensor:
    if node.op == "GlobalLpPool":
        p = node.get("p", 2)
        total = ops.sum(ops.power(ops.abs(x), like(p, x)), axis=axes, keepdims=True)
        return ops.power(total, like(1 / p, x))
    function = ops.mean if node.op == "GlobalAveragePool" else ops.max
    return function(x, axis=axes, keepdims=True)
