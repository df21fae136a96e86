# SPDX-License-Identifier: Apache-2.0
cimport numpy as cnp


cdef cnp.ndarray reshaped(cnp.ndarray array, tuple shape)
cdef cnp.ndarray transposed(cnp.ndarray array, tuple order)
cdef cnp.ndarray repeated(cnp.ndarray array, tuple shape)
