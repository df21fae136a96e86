# SPDX-License-Identifier: Apache-2.0
cimport numpy as cnp
from libc.stdint cimport int64_t

from fastnn._native cimport KernelEntry


cdef class TensorBase:
    cdef public int64_t _id
    cdef public object _array  # ndarray, or None while tracing
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


cdef class OpHandle:
    """The engine's view of an OpDef, resolved once."""

    cdef readonly object op
    cdef object infer, ref, cost
    cdef str name
    cdef int code, n_in, n_out, n_attrs, view
    cdef bint pointwise, batched, host, has_vjp
    cdef const KernelEntry* entry
    cdef int attr_kinds[8]
    cdef tuple choices, attr_names
    cdef double unit_cost
    cdef dict known  # what follows from attributes, shapes and dtypes
    cdef tuple saves, save_index  # names, and positions in inputs + outputs


cdef int code_of(str dtype) except -1
cdef bint same_shape(tuple a, tuple b)
cdef OpHandle handle_of(op)
cdef object new_tensor(cnp.ndarray array, tuple shape, str dtype)
cdef object run_one(OpHandle h, tuple inputs, tuple attrs)
cdef list run_all(OpHandle h, tuple inputs, tuple attrs)
