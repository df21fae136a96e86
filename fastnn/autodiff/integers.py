# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on integer dtypes and bool, also on those without kernels of their own.

Kernels compute in int32, int64, uint64 and floats. Narrower integers are computed in
int32, uint32 in int64, and cast back, which wraps as NumPy does. Powers with a tensor
as exponent are computed in float64: exact while results stay below 2^53.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError
from fastnn.opset._dtypes import COMPUTED, is_float
from fastnn.opset._infer import check_same_dtype

COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
COUNTS_BOOLS = (
    "floor_divide",
    "mod",
    "fmod",
    "square",
    "sign",
    "power",
)  # bool gives int32
NOT_OF_BOOLS = {"subtract": "logical_xor", "negative": "logical_not"}


def wide_dtype(name: str, dtype: str) -> str:
    """The dtype in which op `name` computes operands of `dtype`."""
    if dtype in COMPUTED or (name in COMPARISONS and dtype in ("bool", "uint8")):
        return dtype
    return "int64" if dtype == "uint32" else "int32"


def call(name: str, *operands: Tensor) -> Tensor:
    """`raw.<name>` of operands of one dtype, with a result of that dtype."""
    function = getattr(raw, name)
    dtype = operands[0]._dtype
    if dtype in COMPUTED:
        return function(*operands)
    check_same_dtype(name, [t.dtype for t in operands])
    if dtype == "bool" and name in NOT_OF_BOOLS:
        raise DTypeError(
            f"[{name}] is not defined for bool: use {NOT_OF_BOOLS[name]}, or "
            f'cast(x, "int32")'
        )
    if name == "abs" and dtype[0] in "ub":
        return operands[0]
    wide = wide_dtype(name, dtype)
    y = function(*[cast(t, wide) for t in operands])
    if name in COMPARISONS or (dtype == "bool" and name in COUNTS_BOOLS):
        return y
    return cast(y, dtype)


def cast(x: Tensor, dtype: str) -> Tensor:
    return x if x.dtype == dtype else raw.cast(x, dtype)


def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """`raw.where` of any dtype."""
    dtype = x1.dtype
    if dtype in COMPUTED or dtype == "bool":
        return raw.where(condition, x1, x2)
    wide = wide_dtype("where", check_same_dtype("where", [dtype, x2.dtype]))
    return cast(raw.where(condition, cast(x1, wide), cast(x2, wide)), dtype)


def power(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 ** x2; of integers an integer, exact for a constant exponent.

    Raises:
        DTypeError: for integers to a constant negative power.
    """
    dtype = check_same_dtype("power", [x1.dtype, x2.dtype])
    if is_float(dtype):
        return raw.power(x1, x2)
    target = "int32" if dtype == "bool" else dtype
    exponent = _constant(x2)
    if exponent is None:
        return cast(raw.power(cast(x1, "float64"), cast(x2, "float64")), target)
    if exponent < 0:
        raise DTypeError(
            f"[power] an integer to the power {exponent} is no integer: "
            f'cast(x, "float32") first'
        )
    return _repeated(cast(x1, target), exponent)


def _constant(x: Tensor) -> int | None:
    if x.ndim or x._is_variable or x.is_symbolic:
        return None
    return int(x._concrete("power"))


def _repeated(x: Tensor, exponent: int) -> Tensor:
    """x multiplied with itself, by squaring."""
    result = None
    while exponent:
        if exponent % 2:
            result = x if result is None else call("multiply", result, x)
        exponent //= 2
        if exponent:
            x = call("square", x)
    return Tensor(np.ones(x.shape, x.dtype)) if result is None else result


def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """`raw.matmul` of integers; int8 gives int32, others their own dtype."""
    dtype = check_same_dtype("matmul", [x1.dtype, x2.dtype])
    wide = "int64" if dtype in ("uint32", "uint64", "int64") else "int32"
    y = raw.matmul(cast(x1, wide), cast(x2, wide))
    return cast(y, "int32" if dtype == "int8" else dtype)


def ordered(x: Tensor) -> Tensor:
    """uint64 as int64 in the same order: the top bit inverted."""
    return cast(raw.bitwise_xor(x, Tensor(np.array(2**63, "uint64"))), "int64")


def unordered(x: Tensor) -> Tensor:
    """What `ordered` made of uint64, back again."""
    return raw.bitwise_xor(cast(x, "uint64"), Tensor(np.array(2**63, "uint64")))


def reduce(name: str, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """`raw.<name>` over axes: sums and products widen, extrema keep the dtype.

    bool, int8 and int16 sum to int32, uint8 and uint16 to uint32, as in Keras.
    """
    function: Any = getattr(raw, name)
    dtype = x.dtype
    if dtype == "uint64" and name in ("max", "min"):
        return unordered(function(ordered(x), axes, keepdims))
    if dtype in COMPUTED and dtype != "uint64":
        return function(x, axes, keepdims)
    if name in ("sum", "prod"):
        wide = "int64" if dtype[0] == "u" else "int32"
        y = function(cast(x, wide), axes, keepdims)
        small = {"uint8": "uint32", "uint16": "uint32"}
        return y if wide == "int32" else cast(y, small.get(dtype, dtype))
    if dtype == "bool":
        return (raw.any if name in ("max", "any") else raw.all)(x, axes, keepdims)
    return cast(function(cast(x, wide_dtype(name, dtype)), axes, keepdims), dtype)
