# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport int64_t


cdef class TensorBase:
    cdef public int64_t _id
    cdef public object _array  # ndarray, or None while tracing
    cdef public object _value  # value of the traced graph, or None
    cdef public tuple _shape
    cdef public str _dtype
    cdef public object _logits  # what a softmax or sigmoid was computed from
    cdef public bint _watch  # recorded by every tape (trainable variables)
    cdef public bint _is_variable
    cdef object __weakref__
