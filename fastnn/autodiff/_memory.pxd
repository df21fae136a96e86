# SPDX-License-Identifier: Apache-2.0
cimport numpy as cnp
from libc.stdint cimport int64_t


cdef cnp.ndarray empty(tuple shape, int type_number, int64_t item)
cdef int64_t ints_address(value) except 0
