# SPDX-License-Identifier: Apache-2.0
"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.table import Node, host, reads, tensor


@reads("MatMul")
def _matmul(node: Node, a: Any, b: Any) -> Any:
    return ops.matmul(tensor(a), tensor(b))


@reads("Gemm")
def _gemm(node: Node, a: Any, b: Any, c: Any = None) -> Any:
    a, b = tensor(a), tensor(b)
    a = ops.transpose(a) if node.get("transA", 0) else a
    b = ops.transpose(b) if node.get("transB", 0) else b
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    y = ops.matmul(a, b)
    y = y if alpha == 1 else y * like(alpha, y)
    if c is None or beta == 0:
        return y
    c = tensor(c)
    return ops.add(y, c if beta == 1 else c * like(beta, c))


@reads("Einsum")
def _einsum(node: Node, *values: Any) -> Any:
    return ops.einsum(node.attrs["equation"], *map(tensor, values))


@reads("Det")
def _det(node: Node, x: Any) -> Any:
    return ops.det(tensor(x))


@reads("MatMulInteger")
def _matmul_integer(node: Node, a: Any, b: Any, za: Any = None, zb: Any = None) -> Any:
    def centred(x: Any, zero: Any, row: bool) -> Any:
        x = ops.cast(tensor(x), "int32")
        if zero is None:
            return x
        zero = ops.cast(tensor(zero), "int32")
        wide = row and zero.ndim == 1
        return x - (ops.expand_dims(zero, -1) if wide else zero)

    return ops.matmul(centred(a, za, True), centred(b, zb, False))


@reads("Trilu", constants="1")
def _trilu(node: Node, x: Any, k: Any = None) -> Any:
    x = tensor(x)
    offset = 0 if k is None else int(np.ravel(host(k, node.op, "k"))[0])
    function = ops.triu if node.get("upper", 1) else ops.tril
    return function(x, offset)
