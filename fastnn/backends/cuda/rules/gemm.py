# SPDX-License-Identifier: Apache-2.0
"""Matrix products by the library, and the kernels after them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fastnn.backends.cuda import cublaslt
from fastnn.backends.cuda.cublas import form
from fastnn.backends.cuda.launches import Launch, Operand, Product, Task, dense
from fastnn.backends.cuda.rules import MAX_BLOCKS, THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.axes import merged
from fastnn.backends.cuda.rules.rows import dense_copy
from fastnn.opset import get_op
from fastnn.opset._dtypes import ITEMSIZE, is_float
from fastnn.opset.gemm import own_attrs

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call, Scratch

_TILE = 16


def zeros(y: Operand) -> Launch:
    """Of a product over nothing."""
    body = f"fill<{y.c_type}>"
    return Launch("copy.cuh", body, (), (y,), (0,), blocks_for(y.size), THREADS)


def product(a: Operand, b: Operand, c: Operand, scratch: Scratch) -> list[Task]:
    """c = a b, by the library where it has the type; c is dense."""
    if not a.shape[-1]:
        return [zeros(c)]
    if is_float(c.dtype):
        return _by_library(a, b, c, scratch)
    batches = prod(c.shape[:-2])
    tiles = batches * -(-c.shape[-2] // _TILE) * -(-c.shape[-1] // _TILE)
    body = f"tiled_product<{c.c_type}>"
    blocks = min(tiles, MAX_BLOCKS)
    return [Launch("gemm.cuh", body, (a, b), (c,), (batches,), blocks, THREADS)]


def _by_library(a: Operand, b: Operand, c: Operand, scratch: Scratch) -> list[Task]:
    """With copies of factors that the library cannot read where they lie."""
    made: list[Task] = []
    factors = [a, b]
    for i, x in enumerate(factors):
        if form(x) is None:
            factors[i], copied = dense_copy(x, scratch)
            made.append(copied)
    heads = merged([head(x) for x in (*factors, c)])
    if len(heads[0].shape) > 1:  # repeated along one of several axes
        for i, x in enumerate(factors):
            if len(merged([head(x)])[0].shape) > 1 or 0 in x.strides[:-2]:
                factors[i], copied = dense_copy(x, scratch)
                made.append(copied)
        heads = merged([head(x) for x in (*factors, c)])
    assert len(heads[0].shape) <= 1, (a, b, c)
    flat = [
        x._replace(shape=h.shape + x.shape[-2:], strides=h.strides + x.strides[-2:])
        for x, h in zip((*factors, c), heads, strict=True)
    ]
    left, right, to = flat
    return [*made, Product(left, right, to)]


def head(x: Operand) -> Operand:
    """The axes before the matrices."""
    return x._replace(shape=x.shape[:-2], strides=x.strides[:-2])


def activation_row(name: str, alpha: float, suffix: str = "") -> tuple[str, tuple]:
    """The kernel's row of an activation, and its numbers."""
    if name == "linear":
        return f"Row_linear{suffix}", ()
    own, attrs = own_attrs(name, alpha)
    record = get_op(own)
    assert len(record.attrs) == len(attrs)
    return f"Row_{own}{suffix}", tuple(
        v if isinstance(v, float) else int(v) for v in attrs
    )


def wide(y: Operand, scratch: Scratch) -> Operand:
    """Where a product for y goes first: float32 for 16-bit floats, rounded once."""
    if y.dtype not in ("bfloat16", "float16"):
        return y
    return dense(scratch(y.size * ITEMSIZE["float32"]), "float32", y.shape)


def finished(
    kind: str, row: str, z: Operand, other: Operand, y: Operand, numbers: tuple
) -> Launch:
    """`bias_then` or `gradient_then`."""
    body = f"{kind}<{row}, {y.c_type}, {z.c_type}>"
    blocks = blocks_for(y.size)
    return Launch("gemm.cuh", body, (z, other), (y,), numbers, blocks, THREADS)


@rule("matmul")
def matmul(call: Call) -> list[Task]:
    """One product, batched over the leading axes."""
    return product(call.ins[0], call.ins[1], call.outs[0], call.scratch)


@rule("linear")
def linear(call: Call) -> list[Task]:
    """The product, then bias and activation; or both by the library."""
    x, w, bias = call.ins
    y = call.outs[0]
    rows, columns = y.shape[-2:]
    shape = cublaslt.Shape(y.dtype, rows, columns, x.shape[-1], call.attrs[0])
    if len(y.shape) == 2 and bias.strides == (1,) and cublaslt.takes(shape):
        *copies, last = product(x, w, y, call.scratch)
        assert isinstance(last, Product)
        return [*copies, last._replace(bias=bias, then=call.attrs[0])]
    z = wide(call.outs[0], call.scratch)
    row, numbers = activation_row(*call.attrs)
    return [
        *product(x, w, z, call.scratch),
        finished("bias_then", row, z, bias, call.outs[0], numbers),
    ]


@rule("linear_grad_input")
def linear_grad_input(call: Call) -> list[Task]:
    """The product, then the gradient of the activation below."""
    dy, w, y = call.ins
    turned = w._replace(shape=w.shape[::-1], strides=w.strides[::-1])
    u = wide(call.outs[0], call.scratch)
    made = product(dy, turned, u, call.scratch)
    if call.attrs[0] != "linear" or u is not call.outs[0]:
        row, numbers = activation_row(call.attrs[0], call.attrs[1], "_grad")
        made.append(finished("gradient_then", row, u, y, call.outs[0], numbers))
    return made
