# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
"""The views that are made most often, by NumPy's C functions."""

cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE

from fastnn._native cimport kMaxRank

from fastnn.errors import ShapeError

cnp.import_array()

cdef extern from "Python.h":
    ctypedef struct TypeObject "PyTypeObject":
        pass

cdef extern from "numpy/arrayobject.h":
    object PyArray_New(
        TypeObject* subtype, int nd, const cnp.npy_intp* dims, int type_num,
        const cnp.npy_intp* strides, void* data, int itemsize, int flags, PyObject* obj
    )
    TypeObject PyArray_Type


cdef cnp.ndarray reshaped(cnp.ndarray array, tuple shape):
    cdef cnp.npy_intp dims[8]
    cdef cnp.PyArray_Dims wanted
    cdef int i
    wanted.len = <int>PyTuple_GET_SIZE(shape)
    if wanted.len > kMaxRank:
        raise ShapeError(f"[reshape] at most {kMaxRank} axes are supported")
    for i in range(wanted.len):
        dims[i] = shape[i]
    wanted.ptr = dims
    return cnp.PyArray_Newshape(array, &wanted, cnp.NPY_CORDER)


cdef cnp.ndarray transposed(cnp.ndarray array, tuple order):
    cdef cnp.npy_intp axes[8]
    cdef cnp.PyArray_Dims wanted
    cdef int i
    wanted.len = <int>PyTuple_GET_SIZE(order)
    for i in range(wanted.len):
        axes[i] = order[i]
    wanted.ptr = axes
    return cnp.PyArray_Transpose(array, &wanted)


cdef cnp.ndarray repeated(cnp.ndarray array, tuple shape):
    """`np.broadcast_to`, which takes 4 us."""
    cdef cnp.npy_intp dims[8]
    cdef cnp.npy_intp strides[8]
    cdef int rank = <int>PyTuple_GET_SIZE(shape), lead, i
    cdef cnp.ndarray out
    if rank > kMaxRank:
        raise ShapeError(f"[broadcast_to] at most {kMaxRank} axes are supported")
    lead = rank - cnp.PyArray_NDIM(array)
    for i in range(rank):
        dims[i] = shape[i]
        strides[i] = 0
        if i >= lead and cnp.PyArray_DIM(array, i - lead) != 1:
            strides[i] = cnp.PyArray_STRIDE(array, i - lead)
    out = PyArray_New(
        &PyArray_Type, rank, dims, cnp.PyArray_TYPE(array), strides,
        cnp.PyArray_DATA(array), 0, cnp.NPY_ARRAY_ALIGNED, NULL,
    )
    cnp.set_array_base(out, array)
    return out
