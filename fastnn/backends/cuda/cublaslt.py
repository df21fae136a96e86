# SPDX-License-Identifier: Apache-2.0
"""Products with what follows them in one call of cuBLASLt: bias, and ReLU or GELU.

CuPy does not bind cuBLASLt; the dozen functions here come from the library that cuBLAS
itself loads, by ctypes. They are called when a plan is made (descriptors, the
algorithm) and once per launch or capture. Which products take this way says `table`.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.backends.cuda import measured
from fastnn.backends.cuda.cublas import library_call
from fastnn.backends.cuda.libraries import WORKSPACE, Library
from fastnn.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.backends.cuda.cublas import Factor, Gemm
    from fastnn.backends.cuda.launches import Product

NAME = "libcublasLt"
TABLE = "epilogues"
# cublasLt.h of CUDA 13; tests compare them with the header.
DESC_TRANSA, DESC_TRANSB, DESC_EPILOGUE, DESC_BIAS_POINTER = 3, 4, 7, 8
PREF_MAX_WORKSPACE_BYTES, PREF_REDUCTION_SCHEME_MASK = 1, 3
# Partial sums that meet in the result by atomics would come in any order, and as 16-bit
# floats they would be rounded on the way: only in the type of the sum (COMPUTE_TYPE).
REDUCTION_SCHEMES = 2
EPILOGUES = {"linear": 4, "relu": 6, "gelu_tanh": 36}  # BIAS, RELU_BIAS, GELU_BIAS
# NVIDIA does not say which GELU it is (PyTorch and TensorRT-LLM take it for this one):
# only where numbers were compared, as the measurement does.
COMPARED = ("gelu_tanh",)
DTYPES = ("float32", "bfloat16", "float16")
REAL_32F = 0  # cudaDataType of the factors alpha and beta


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algo", c_uint64 * 8),
        ("workspace", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    )


class Fused(NamedTuple):
    """The call for a product with an epilogue."""

    gemm: Gemm
    bias: int  # its address
    epilogue: int


def fused_call(product: Product, tf32: bool = False) -> Fused:
    """d = f(a b + bias): the product of cuBLAS, column-major, whose rows are our
    columns; so the bias is added along them as cuBLASLt has it.
    """
    assert product.bias is not None
    plain = product._replace(bias=None, then="linear")
    address, epilogue = product.bias.address, EPILOGUES[product.then]
    return Fused(library_call(plain, tf32), address, epilogue)


class BlasLt(Library):
    """cuBLASLt for the current device.

    Args:
        lib: the loaded library.
        workspace: address of WORKSPACE bytes that products may use, one at a time.

    Raises:
        BackendError: the library does not start.
    """

    prefix = "cublasLt"

    def __init__(self, lib: Any, workspace: int) -> None:
        super().__init__(lib)
        self._workspace = workspace
        self._handle = c_void_p()
        self._check("Create", byref(self._handle))
        self._preference = c_void_p()
        self._check("MatmulPreferenceCreate", byref(self._preference))
        for attribute, value in (
            (PREF_MAX_WORKSPACE_BYTES, c_uint64(WORKSPACE)),
            (PREF_REDUCTION_SCHEME_MASK, ctypes.c_uint32(REDUCTION_SCHEMES)),
        ):
            size = c_size_t(ctypes.sizeof(value))
            self._check(
                "MatmulPreferenceSetAttribute",
                self._preference,
                attribute,
                byref(value),
                size,
            )

    def prepare(self, fused: Fused) -> Callable[[int], None]:
        """What puts the product on a stream, by the best algorithm that the library
        knows of without trying.

        Raises:
            BackendError: it has none for these shapes and types.
        """
        gemm = fused.gemm
        operation = self._operation(fused)
        a = self._layout(gemm.a, gemm.rows, gemm.depth)
        b = self._layout(gemm.b, gemm.depth, gemm.columns)
        d = self._layout(gemm.c, gemm.rows, gemm.columns)
        found, count = Heuristic(), c_int()
        self._check(
            "MatmulAlgoGetHeuristic",
            self._handle,
            operation,
            a,
            b,
            d,
            d,
            self._preference,
            c_int(1),
            byref(found),
            byref(count),
        )
        if not count.value or found.state:
            raise BackendError(f"[cuda] cublasLt has no algorithm for {fused}")
        one, zero = c_float(1), c_float(0)
        pointers = [c_void_p(x.address) for x in (gemm.a, gemm.b, gemm.c)]

        def run(stream: int) -> None:
            self._check(
                "Matmul",
                self._handle,
                operation,
                byref(one),
                pointers[0],
                a,
                pointers[1],
                b,
                byref(zero),
                pointers[2],
                d,
                pointers[2],
                d,
                byref(found.algo),
                c_void_p(self._workspace),
                c_size_t(found.workspace),
                c_void_p(stream),
            )

        return run

    def _operation(self, fused: Fused) -> c_void_p:
        made, gemm = c_void_p(), fused.gemm
        kind, scale = c_int(gemm.compute), c_int(REAL_32F)
        self._check("MatmulDescCreate", byref(made), kind, scale)
        for attribute, value in (
            (DESC_TRANSA, c_int32(gemm.a.transposed)),
            (DESC_TRANSB, c_int32(gemm.b.transposed)),
            (DESC_EPILOGUE, ctypes.c_uint32(fused.epilogue)),
            (DESC_BIAS_POINTER, c_void_p(fused.bias)),
        ):
            size = c_size_t(ctypes.sizeof(value))
            given = byref(value), size
            self._check("MatmulDescSetAttribute", made, attribute, *given)
        return made

    def _layout(self, factor: Factor, rows: int, columns: int) -> c_void_p:
        """Of a matrix as it is stored: before it is transposed."""
        if factor.transposed:
            rows, columns = columns, rows
        made = c_void_p()
        sizes = c_uint64(rows), c_uint64(columns), c_int64(factor.leading)
        kind = c_int(factor.data_type)
        self._check("MatrixLayoutCreate", byref(made), kind, *sizes)
        return made


# -- which products --------------------------------------------------------------------


class Shape(NamedTuple):
    """What the choice depends on."""

    dtype: str
    rows: int
    columns: int
    depth: int
    then: str


# Filled by measurement (`python -m benchmarks.gpu --only epilogues`), for a fused call
# is not always the faster one: llm.c turned its GELU epilogue off again.
table: dict[Shape, bool] = {}


def read_table(architecture: str) -> None:
    """Takes what was measured, if anything was."""
    rows = measured.read(TABLE, architecture)
    table.update({Shape(*shape): bool(fused) for shape, fused in rows})


def write_table(architecture: str) -> None:
    """Keeps what was measured."""
    rows = [[list(shape), fused] for shape, fused in table.items()]
    measured.write(TABLE, architecture, rows)


def takes(shape: Shape) -> bool:
    """Whether a product is computed with its epilogue in one call: FASTNN_CUBLASLT=1
    says so for all whose numbers are known, =0 for none, else what was measured.
    """
    if shape.then not in EPILOGUES or shape.dtype not in DTYPES:
        return False
    if min(shape.rows, shape.columns, shape.depth) == 0:
        return False
    said = os.environ.get("FASTNN_CUBLASLT")
    if said == "0" or (said == "1" and shape.then not in COMPARED):
        return said == "1"
    return table.get(shape, False)
