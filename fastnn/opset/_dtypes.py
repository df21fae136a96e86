# SPDX-License-Identifier: Apache-2.0
"""Dtype names, kernel-ABI codes and promotion, as plain strings and integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastnn._registry import suggest
from fastnn.errors import DTypeError

# Order = the enumerators of csrc/base/dtype.hpp (tests/architecture compares them).
NAMES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
    "bfloat16",
    "float16",
)
CODES = {name: code for code, name in enumerate(NAMES)}
FLOATS = ("float32", "float64", "bfloat16", "float16")
HALVES = FLOATS[2:]  # stored in 16 bits, computed on as float32
INTEGERS = NAMES[1:9]
# Dtypes of arithmetic kernels; `autodiff/integers.py` computes the others in these.
COMPUTED = (*FLOATS, "int32", "int64", "uint64")
ITEMSIZE = dict(zip(NAMES, (1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 2, 2), strict=True))

# Smallest and largest value of what is not a float.
RANGE = {
    name: (0, 2 ** (8 * size) - 1)
    if name[0] == "u"
    else (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1)
    for name, size in ITEMSIZE.items()
    if name not in FLOATS
}
RANGE["bool"] = (0, 1)


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def result_type(*dtypes: str, floatx: str = "float32") -> str:
    """Dtype of an op over mixed operands, as `keras.backend.result_type`.

    Floats win over integers and keep their own width (int64 + float32 is float32;
    bfloat16 + float16 is float32),
    integers promote as in NumPy except that uint64 with a signed type gives `floatx`,
    bool gives way to everything.
    """
    floats = {d for d in dtypes if d in FLOATS}
    if floats:
        if "float64" in floats:
            return "float64"
        return "float32" if len(floats) > 1 else floats.pop()
    import numpy as np

    out = np.dtype("bool")
    for d in dtypes:
        out = np.promote_types(out, d)
    name = out.name
    return floatx if name in FLOATS else name


def beside_numbers(dtype: str, numbers: Iterable[Any], floatx: str) -> str:
    """Dtype of tensors of `dtype` together with Python numbers, which are weak.

    A float beside integers gives `floatx`, an integer beside bool int32.
    """
    for number in numbers:
        if isinstance(number, float) and not is_float(dtype):
            return floatx
        if dtype == "bool" and not isinstance(number, bool):
            dtype = "int32"
    return dtype


def know(dtype: str) -> str:
    """Make NumPy understand the name `dtype`: bfloat16 comes with ml_dtypes, which is
    not imported before somebody asks for it.

    Raises:
        DTypeError: for what NumPy does not know either.
    """
    if dtype == "bfloat16":
        import ml_dtypes  # noqa: F401
    elif dtype not in CODES:
        import numpy as np

        try:
            np.dtype(dtype)
        except TypeError:
            raise DTypeError(
                f"[dtype] there is no dtype {dtype!r}.{suggest(dtype, NAMES)} "
                f"Supported: {', '.join(NAMES)}"
            ) from None
    return dtype
