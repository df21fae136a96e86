# SPDX-License-Identifier: Apache-2.0
"""Tensors of other libraries, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff._arrays import native
from fastnn.autodiff.tensor import Tensor


def from_dlpack(x: Any) -> Tensor:
    """A tensor in the memory of another library's array (DLPack protocol).

    Nothing is copied: what the other side writes later shows in the tensor.

    Args:
        x: any object with `__dlpack__` in CPU memory: torch, JAX, NumPy, CuPy's host
            arrays...

    Raises:
        TypeError: for an object without `__dlpack__`. BufferError: for memory that is
            not the CPU's, and dtypes that NumPy does not take.
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            f"[from_dlpack] needs an object with __dlpack__, received "
            f"{type(x).__name__}: convert_to_tensor takes anything like an array"
        )
    try:
        return Tensor(native(np.from_dlpack(x)))
    except (BufferError, RuntimeError) as error:
        raise BufferError(
            f"[from_dlpack] {type(x).__name__} cannot be read in place: {error}. Copy "
            f"it to CPU memory, in a dtype that NumPy has"
        ) from None
