# SPDX-License-Identifier: Apache-2.0
"""Arrays as a plan reads them: dense, or where they lie with the steps they have."""

from __future__ import annotations

import numpy as np

# Up to this size an array that is not dense is copied, once for all epochs: rows whose
# elements lie together are read several times as fast. What is larger (a slice of a
# memory-mapped file, say) is read where it lies, and never held in memory as a whole.
DENSE_BYTES = 256 << 20


class _Memory:
    """The bytes that an array spans, as an array; keeps the array alive."""

    def __init__(self, array: np.ndarray, count: int) -> None:
        self.array = array
        pointer = array.__array_interface__["data"][0]
        self.__array_interface__ = {
            "data": (pointer, True),
            "shape": (count,),
            "typestr": "|u1",
            "version": 3,
        }


class Window:
    """An array and how a plan finds it.

    Attributes:
        shape, dtype: of the array.
        memory: a C-contiguous array to bind, the array itself where it is dense.
        strides: in elements, None for a dense array.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self.strides: tuple[int, ...] | None = None
        if array.flags.c_contiguous:
            self.memory = np.asarray(array)
        elif array.nbytes <= DENSE_BYTES or not _readable(array):
            self.memory = np.ascontiguousarray(array)
        else:
            spans = zip(array.shape, array.strides, strict=True)
            last = sum((n - 1) * step for n, step in spans)
            self.memory = np.asarray(_Memory(array, last + array.itemsize))
            self.strides = tuple(s // array.itemsize for s in array.strides)

    def __len__(self) -> int:
        return int(self.shape[0])


def _readable(array: np.ndarray) -> bool:
    """Whether kernels can walk through it: whole elements, forwards."""
    whole = all(step >= 0 and step % array.itemsize == 0 for step in array.strides)
    return whole and array.flags.aligned
