# SPDX-License-Identifier: Apache-2.0
cimport numpy as cnp
from libc.stdint cimport int64_t


cdef class TensorBase:
    cdef public int64_t _id
    cdef public object _host  # ndarray; None while tracing, or on a device only
    cdef public object _remote  # what a device holds of it (on_device.py), or None
    cdef public object _value  # value of the traced graph, or None
    cdef readonly tuple _shape
    cdef readonly str _dtype
    cdef readonly int _code  # of the dtype, in the kernels' table
    cdef public object _logits  # what a softmax or sigmoid was computed from
    cdef public object _keras_mask  # which places count: layers/_masks.py
    cdef public bint _watch  # recorded by every tape (trainable variables)
    cdef public bint _is_variable
    cdef public bint _shared  # of a variable: somebody else may hold its array
    cdef object __weakref__


cdef int code_of(str dtype) except -1
cdef int code_of_array(cnp.ndarray array) except -1
cdef bint same_shape(tuple a, tuple b)
cdef cnp.ndarray new_array(tuple shape, str dtype, int code)
cdef object new_tensor(cnp.ndarray array, tuple shape, str dtype)
