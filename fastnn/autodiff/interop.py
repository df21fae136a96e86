# SPDX-License-Identifier: Apache-2.0
"""Tensors of other libraries, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff._arrays import native
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import BackendError
from fastnn.opset import _dtypes

CUDA = 2  # kDLCUDA


def _of_device(x: Any, index: int) -> Tensor:
    from fastnn.autodiff.on_device import lent
    from fastnn.backends.cuda.arrays import DeviceArray
    from fastnn.backends.cuda.device import device

    try:
        there = device(index)
    except BackendError as error:
        why = f"{error}. Or copy it to CPU memory"
        raise BufferError(_unreadable(x, index, why)) from error
    try:
        memory, operand = there.adopt(x)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise BufferError(_unreadable(x, index, str(error))) from error
    if operand.dtype not in _dtypes.NAMES:
        known = f"dtype {operand.dtype}; supported: {', '.join(_dtypes.NAMES)}"
        raise BufferError(_unreadable(x, index, known))
    return lent(DeviceArray(there, memory, operand), operand.shape, operand.dtype)


def _unreadable(x: Any, index: int, why: str) -> str:
    return (
        f"[from_dlpack] {type(x).__name__} on gpu:{index} cannot be read in place: "
        f"{why}"
    )


def from_dlpack(x: Any) -> Tensor:
    """A tensor in the memory of another library's array (DLPack protocol).

    Nothing is copied: what the other side writes later shows in the tensor.

    Args:
        x: any object with `__dlpack__` in the memory of the CPU or a GPU: torch, JAX,
            NumPy, CuPy...

    Raises:
        TypeError: for an object without `__dlpack__`. BufferError: for memory of other
            devices, or of a GPU that cannot be used here, and dtypes that NumPy, or on
            a GPU fastnn, does not have.
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            f"[from_dlpack] needs an object with __dlpack__, received "
            f"{type(x).__name__}: convert_to_tensor takes anything like an array"
        )
    kind, index = x.__dlpack_device__() if hasattr(x, "__dlpack_device__") else (1, 0)
    if kind == CUDA:
        return _of_device(x, index)
    try:
        return Tensor(native(np.from_dlpack(x)))
    except (BufferError, RuntimeError) as error:
        raise BufferError(
            f"[from_dlpack] {type(x).__name__} cannot be read in place: {error}. Copy "
            f"it to CPU memory, in a dtype that NumPy has"
        ) from None
