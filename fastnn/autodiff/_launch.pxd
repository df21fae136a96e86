# SPDX-License-Identifier: Apache-2.0
from fastnn._native cimport KernelEntry


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
    cdef tuple inplace  # of each output: the input that it may overwrite
    cdef tuple saves, save_index  # names, and positions in inputs + outputs


cdef OpHandle handle_of(op)
cdef object run_one(OpHandle h, tuple inputs, tuple attrs)
cdef bint overwrite(OpHandle h, tuple inputs, tuple attrs) except -1
cdef list run_all(OpHandle h, tuple inputs, tuple attrs)
