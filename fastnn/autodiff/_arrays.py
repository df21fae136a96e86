# SPDX-License-Identifier: Apache-2.0
"""What NumPy arrays must be before a tensor may hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config
from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._dtypes import CODES, HALVES, NAMES, RANGE, is_float, know


def native(array: np.ndarray) -> np.ndarray:
    """`array` in a dtype and byte order that kernels read; a copy only if it must be.

    longdouble becomes floatx(), other byte orders the machine's.

    Raises:
        DTypeError: for arrays that hold no real numbers.
    """
    dtype = array.dtype
    if dtype.name in CODES:
        return array if dtype.isnative else array.astype(dtype.name)
    if dtype.kind != "f":
        raise DTypeError(
            f"[Tensor] arrays of dtype {dtype} are not supported; supported: "
            f"{', '.join(NAMES)}"
        )
    return array.astype(config.floatx())


def check_fits(name: str, array: np.ndarray, dtype: str) -> None:
    """DTypeError unless every integer of `array` is one of `dtype`: no wrapping."""
    if is_float(dtype) or not array.size:
        return
    low, high = RANGE[dtype]
    least, most = (
        (array.item(),) * 2 if array.ndim == 0 else (int(array.min()), int(array.max()))
    )
    if least < low or most > high:
        raise DTypeError(
            f"[{name}] {least if least < low else most} does not fit {dtype} "
            f"({low}..{high}): cast the tensor to a wider dtype first"
        )


def holds_arrays(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__array__")


def fits_int32(array: np.ndarray) -> bool:
    return array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)


def scalar_array(name: str, value: Any, dtype: str) -> np.ndarray:
    """A number or array-like in a dtype of its kind that holds it."""
    array = np.asarray(value)
    if not is_float(dtype):
        kind = array.dtype.kind
        if kind == "O" and isinstance(value, int):  # beyond 64 bits
            raise DTypeError(f"[{name}] {value} does not fit {dtype}")
        if kind in "fcO":
            raise DTypeError(
                f"[{name}] cannot use {value!r} with an {dtype} tensor: cast the "
                f'tensor first, cast(x, "float32")'
            )
        if kind in "iu":
            check_fits(name, array, dtype)
    return array.astype(dtype)


def run_reference(op: Any, arrays: list, attrs: tuple, specs: list) -> list[np.ndarray]:
    """Outputs of the record's reference; of 16-bit floats in float32, as kernels do."""
    # The name of a dtype takes NumPy a microsecond.
    wide = [
        a.astype("float32") if a.itemsize == 2 and a.dtype.name in HALVES else a
        for a in arrays
    ]
    with np.errstate(all="ignore"):
        results = op.ref(*wide, *attrs)
    out = []
    for spec, result in zip(
        specs, (results,) if len(op.outputs) == 1 else results, strict=True
    ):
        array = np.asarray(result).astype(know(spec[1]), copy=False)
        if array.shape != tuple(spec[0]):
            raise ShapeError(
                f"[{op.name}] the reference gave shape {array.shape}, the shape rule "
                f"{spec[0]}"
            )
        out.append(array)
    return out
