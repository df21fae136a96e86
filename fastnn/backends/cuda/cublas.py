# SPDX-License-Identifier: Apache-2.0
"""Matrix products as calls of cuBLAS (`cublasGemmEx`, `cublasGemmStridedBatchedEx`).

cuBLAS knows column-major matrices: a row-major c = a b is its c' = b' a', so the right
factor goes first. A matrix with one unit stride is taken as it lies; nothing is copied,
for what is captured into a graph must not use memory that is given back after the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastnn.backends.cuda.launches import Operand, Product

# cudaDataType and cublasComputeType_t (library_types.h, cublas_api.h)
DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT


class Factor(NamedTuple):
    """A column-major matrix as an argument of the call."""

    address: int
    data_type: int
    transposed: int
    leading: int
    step: int  # elements to the next of the batch; 0 repeats it


class Gemm(NamedTuple):
    """c = a b, column-major: c is (rows, columns), the sum goes over `depth`."""

    rows: int
    columns: int
    depth: int
    a: Factor
    b: Factor
    c: Factor
    batch: int
    compute: int


def form(x: Operand) -> tuple[int, int] | None:
    """Whether a matrix (the last two axes) lies transposed in the view of cuBLAS, which
    is the row-major one turned, and its leading dimension; None where it has neither.
    """
    (rows, columns), (down, across) = x.shape[-2:], x.strides[-2:]
    if (across == 1 or columns == 1) and (rows == 1 or down >= columns):
        return 0, down if rows > 1 else columns
    if (down == 1 or rows == 1) and (columns == 1 or across >= rows):
        return 1, across if columns > 1 else rows
    return None


def factor(x: Operand) -> Factor:
    """An operand with at most one axis before its matrix."""
    found = form(x)
    assert found is not None, x
    assert len(x.shape) <= 3, x
    step = x.strides[0] if len(x.shape) > 2 else 0
    return Factor(x.address, DATA_TYPES[x.dtype], *found, step)


def library_call(product: Product, tf32: bool = False) -> Gemm:
    """The call that computes a product.

    Args:
        product: its factors have a `form`, its result is dense.
        tf32: whether float32 factors may be rounded to 10 bits of mantissa, which is
            what tensor cores take.
    """
    a, b, c = product[:3]
    result = factor(c)
    assert not result.transposed, c
    compute = COMPUTE_64F if c.dtype == "float64" else COMPUTE_32F
    if tf32 and a.dtype == "float32":
        compute = COMPUTE_32F_FAST_TF32
    batch = c.shape[0] if len(c.shape) > 2 else 1
    (rows, columns), depth = c.shape[-2:], a.shape[-1]
    return Gemm(columns, rows, depth, factor(b), factor(a), result, batch, compute)
