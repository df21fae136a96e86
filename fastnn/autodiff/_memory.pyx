# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True
"""Arrays for results: their memory comes from csrc/base/buffers and returns to it.

The array owns its memory through its base, so it lives as long as the array or any
view of it, whatever became of the tensor.
"""

cimport cython
cimport numpy as cnp
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._native cimport (
    Buffer, acquire_buffer, buffer_data, buffer_is_zero, kMaxRank, release_buffer,
)

import math

import numpy as np

from fastnn.errors import ShapeError

cnp.import_array()

cdef int64_t POOLED = 2048  # bytes below which NumPy allocates as fast
cdef int64_t ZEROED = 1 << 17  # from here on malloc asks the system
cdef int64_t LARGEST = 1 << 46


@cython.final
@cython.freelist(64)
cdef class Memory:
    """Holds a buffer; gives it back when no array sees it any more."""

    cdef Buffer* buffer

    def __dealloc__(self):
        if self.buffer != NULL:
            release_buffer(self.buffer)


cdef cnp.ndarray empty(tuple shape, int type_number, int64_t item):
    """An array of `item`-byte elements whose contents are undefined."""
    cdef cnp.npy_intp dims[8]
    cdef int64_t count = 1
    cdef int rank = <int>PyTuple_GET_SIZE(shape), i
    cdef cnp.ndarray array
    cdef Memory memory
    if rank > kMaxRank:
        raise ShapeError(f"[tensor] at most {kMaxRank} axes are supported")
    for i in range(rank):
        dims[i] = shape[i]
        count *= dims[i]
    if count * item < POOLED:
        return cnp.PyArray_EMPTY(rank, dims, type_number, 0)
    memory = Memory.__new__(Memory)
    memory.buffer = acquire_buffer(count * item)
    array = cnp.PyArray_SimpleNewFromData(
        rank, dims, type_number, buffer_data(memory.buffer)
    )
    cnp.set_array_base(array, memory)
    return array


def zeros(tuple shape, dtype):
    """An array of zeros.

    A plan reads the state of an optimizer before it writes it: memory of `np.zeros`
    faults twice then, each time for 4 KB.
    """
    kind = np.dtype(dtype)
    if not ZEROED <= math.prod(shape) * kind.itemsize < LARGEST or min(shape) < 0:
        return np.zeros(shape, kind)  # or an error that says what is wrong
    cdef cnp.ndarray array = empty(shape, kind.num, kind.itemsize)
    cdef Memory memory = <Memory>cnp.get_array_base(array)
    if not buffer_is_zero(memory.buffer):
        memset(cnp.PyArray_DATA(array), 0, cnp.PyArray_NBYTES(array))
    return array


# Tuples of integers that kernels were given, as arrays: plans keep their addresses.
cdef dict _INTS = {}


cdef int64_t ints_address(value) except 0:
    """Where the numbers of a tuple lie as int64, for as long as the process lives."""
    cdef cnp.ndarray array = _INTS.get(value)
    if array is None:  # one spare element: an empty tuple has an address too
        array = _INTS.setdefault(value, np.array((*value, 0), np.int64))
    return <int64_t>cnp.PyArray_DATA(array)
