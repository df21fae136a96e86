# SPDX-License-Identifier: Apache-2.0
"""Reductions, softmax, running sums and order."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.table import Node, host, reads, tensor
from fastnn.opset._dtypes import is_float


def _l2(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x), axis=axes, keepdims=keepdims))


_REDUCE: dict[str, Any] = {
    "ReduceSum": ops.sum,
    "ReduceMean": ops.mean,
    "ReduceMax": ops.max,
    "ReduceMin": ops.min,
    "ReduceProd": ops.prod,
    "ReduceL1": lambda x, axis, keepdims: ops.sum(ops.abs(x), axis, keepdims),
    "ReduceL2": _l2,
    "ReduceSumSquare": lambda x, axis, keepdims: ops.sum(ops.square(x), axis, keepdims),
    "ReduceLogSum": lambda x, axis, keepdims: ops.log(ops.sum(x, axis, keepdims)),
    "ReduceLogSumExp": lambda x, axis, keepdims: ops.logsumexp(x, axis, keepdims),
}
_EMPTY = {"ReduceMax": -np.inf, "ReduceMin": np.inf}


@reads(*_REDUCE, constants="1")
def _reduce(node: Node, x: Any, axes: Any = None) -> Any:
    x, keepdims = tensor(x), bool(node.get("keepdims", 1))
    found = node.ints("axes", axes)
    if not found:
        if node.get("noop_with_empty_axes", 0):
            return _elementwise(node.op, x)
        found = tuple(range(x.ndim))
    found = tuple(a % x.ndim for a in found)
    dtype = x.dtype
    if 0 in [x.shape[a] for a in found] and node.op in _EMPTY:
        return _of_nothing(node.op, x, found, keepdims)
    if dtype == "bool" and node.op in ("ReduceMax", "ReduceMin"):
        function = ops.any if node.op == "ReduceMax" else ops.all
        return function(x, axis=found, keepdims=keepdims)
    if not is_float(dtype) and node.op in ("ReduceL2", "ReduceMean"):
        wide = _REDUCE[node.op](ops.cast(x, "float64"), found, keepdims)
        return ops.cast(wide, dtype)
    return ops.cast(_REDUCE[node.op](x, found, keepdims), dtype)


def _elementwise(op: str, x: Tensor) -> Tensor:
    """A reduction over no axes."""
    if op == "ReduceSumSquare":
        return ops.square(x)
    if op in ("ReduceL1", "ReduceL2"):
        return ops.abs(x)
    return ops.log(x) if op == "ReduceLogSum" else x


def _of_nothing(op: str, x: Tensor, axes: Any, keepdims: bool) -> Any:
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    if not keepdims:
        shape = [n for i, n in enumerate(x.shape) if i not in axes]
    if x.dtype == "bool":
        value: Any = op == "ReduceMin"
    elif is_float(x.dtype):
        value = _EMPTY[op]
    else:
        limits = np.iinfo(x.dtype)
        value = limits.min if op == "ReduceMax" else limits.max
    return np.full(shape, value, x.dtype)


@reads("ArgMax", "ArgMin")
def _arg(node: Node, x: Any) -> Any:
    x, axis = tensor(x), node.get("axis", 0)
    keepdims = bool(node.get("keepdims", 1))
    function = ops.argmax if node.op == "ArgMax" else ops.argmin
    if node.get("select_last_index", 0):
        turned = ops.flip(x, axis=axis)
        found = x.shape[axis] - 1 - function(turned, axis=axis, keepdims=keepdims)
    else:
        found = function(x, axis=axis, keepdims=keepdims)
    return ops.cast(found, "int64")


@reads("Softmax", "LogSoftmax", "Hardmax")
def _softmax(node: Node, x: Any) -> Any:
    x = tensor(x)
    if node.opset >= 13:
        return _along(node.op, x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim  # older: all axes from there on are one
    rows = ops.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))
    return ops.reshape(_along(node.op, rows, 1), x.shape)


def _along(op: str, x: Tensor, axis: int) -> Tensor:
    if op == "Hardmax":
        best = ops.argmax(x, axis=axis)
        return ops.one_hot(best, x.shape[axis], axis=axis, dtype=x.dtype)
    return (ops.softmax if op == "Softmax" else ops.log_softmax)(x, axis=axis)


@reads("CumSum", "CumProd", constants="1")
def _cumulative(node: Node, x: Any, axis: Any) -> Any:
    x, place = tensor(x), int(np.ravel(host(axis, node.op, "the axis"))[0])
    place %= x.ndim
    turned = bool(node.get("reverse", 0))
    x = ops.flip(x, axis=place) if turned else x
    function = ops.cumsum if node.op == "CumSum" else ops.cumprod
    y = ops.cast(function(x, axis=place), x.dtype)
    if node.get("exclusive", 0):
        key: list[Any] = [slice(None)] * x.ndim
        key[place] = slice(0, x.shape[place] - 1)
        first = [1 if i == place else n for i, n in enumerate(x.shape)]
        start = np.full(first, 0 if node.op == "CumSum" else 1, x.dtype)
        y = ops.concatenate([tensor(start), ops.get_item(y, tuple(key))], axis=place)
    return ops.flip(y, axis=place) if turned else y


@reads("TopK", constants="1")
def _top_k(node: Node, x: Any, k: Any = None) -> Any:
    x = tensor(x)
    count = node.get("k") if k is None else int(np.ravel(host(k, node.op, "k"))[0])
    axis, largest = node.get("axis", -1) % x.ndim, node.get("largest", 1)
    rows = ops.moveaxis(x, axis, -1)
    given = rows if largest else _turned(rows)
    values, places = ops.top_k(given, count)
    if not largest:
        values = ops.take_along_axis(rows, places, axis=-1)
    places = ops.cast(places, "int64")
    return ops.moveaxis(values, -1, axis), ops.moveaxis(places, -1, axis)


def _turned(x: Tensor) -> Tensor:
    """With the order of values turned round."""
    if x.dtype[0] == "u":
        return like(np.iinfo(x.dtype).max, x) - x
    return ops.negative(x)
