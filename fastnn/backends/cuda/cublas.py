# SPDX-License-Identifier: Apache-2.0
"""Matrix products as calls of cuBLAS (`cublasGemmEx`, `cublasGemmStridedBatchedEx`).

cuBLAS knows column-major matrices: a row-major c = a b is its c' = b' a', so the right
factor goes first. A matrix with one unit stride is taken as it lies; nothing is copied,
for what is captured into a graph must not use memory that is given back after the call.

The functions are called by ctypes: CuPy's refuse a stream that is being captured
("calling cuBLAS API during stream capture is currently unsupported"), which cuBLAS
itself allows: it keeps the scalars, and with a workspace of ours allocates nothing.
"""

from __future__ import annotations

import threading
from ctypes import byref, c_double, c_float, c_int, c_int64, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.backends.cuda.libraries import WORKSPACE, Library

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.backends.cuda.launches import Operand, Product

NAME = "libcublas"

# cudaDataType and cublasComputeType_t (library_types.h, cublas_api.h)
DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
# Partial sums of 16-bit products meet as float32, not as what is stored.
MATH_MODE = 16  # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION
INT_MAX = (1 << 31) - 1


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


class Blas(Library):
    """cuBLAS for the current device.

    Args:
        lib: the loaded library.
        workspace: address of WORKSPACE bytes that products may use, one at a time.

    Raises:
        BackendError: the library does not start.
    """

    prefix = "cublas"

    def __init__(self, lib: Any, workspace: int) -> None:
        super().__init__(lib)
        for name, types in SIGNATURES.items():
            getattr(lib, f"{self.prefix}{name}").argtypes = types
        self._workspace = workspace
        self._handle = c_void_p()
        self._check("Create_v2", byref(self._handle))
        self._check("SetMathMode", self._handle, MATH_MODE)
        self._turn = threading.Lock()

    def prepare(self, gemm: Gemm) -> Callable[[int], None]:
        """What puts the product on a stream, which may be one that is captured."""
        scalar = c_double if gemm.compute == COMPUTE_64F else c_float
        one, zero = scalar(1), scalar(0)
        sizes = gemm.rows, gemm.columns, gemm.depth
        batched = gemm.batch > 1
        a, b, c = (
            (x.address, x.data_type, x.leading, *((x.step,) if batched else ()))
            for x in (gemm.a, gemm.b, gemm.c)
        )
        kinds = gemm.a.transposed, gemm.b.transposed
        factors = (*kinds, *sizes, byref(one), *a, *b, byref(zero), *c)
        how = (gemm.compute, DEFAULT_ALGORITHM)
        last = (gemm.batch, *how) if batched else how
        name = "GemmStridedBatchedEx" if batched else "GemmEx"
        leading = (x.leading for x in (gemm.a, gemm.b, gemm.c))
        if max(*sizes, *leading, gemm.batch) > INT_MAX:
            name += "_64"

        def run(stream: int) -> None:
            with self._turn:  # the stream is the handle's until the product is there
                self._check("SetStream_v2", self._handle, stream)
                # which gave the handle a workspace of its own again
                self._check("SetWorkspace_v2", self._handle, self._workspace, WORKSPACE)
                self._check(name, self._handle, *factors, *last)

        return run


def _gemm_types(size: Any, *, batched: bool) -> list[Any]:
    """Of the arguments, with sizes of 32 or 64 bits."""
    step = [c_int64] if batched else []
    count = [size] if batched else []
    factor = [c_void_p, c_int, size, *step]
    scaled = [c_void_p, *factor, *factor, c_void_p, *factor]
    return [c_void_p, c_int, c_int, size, size, size, *scaled, *count, c_int, c_int]


# Types of the arguments (cublas_api.h); the result is a status.
SIGNATURES: dict[str, list[Any]] = {
    "Create_v2": [c_void_p],
    "SetMathMode": [c_void_p, c_int],
    "SetStream_v2": [c_void_p, c_void_p],
    "SetWorkspace_v2": [c_void_p, c_void_p, c_size_t],
    "GemmEx": _gemm_types(c_int, batched=False),
    "GemmEx_64": _gemm_types(c_int64, batched=False),
    "GemmStridedBatchedEx": _gemm_types(c_int, batched=True),
    "GemmStridedBatchedEx_64": _gemm_types(c_int64, batched=True),
}
