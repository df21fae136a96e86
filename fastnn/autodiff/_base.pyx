# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
"""What a tensor is: an array with a shape, a dtype and a number."""

cimport numpy as cnp
from cpython.buffer cimport PyBUF_WRITABLE, PyObject_GetBuffer
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int64_t

from fastnn._native cimport DType, dtype_size, kNumDTypes
from fastnn.autodiff._memory cimport empty

import numpy as np

from fastnn.errors import DTypeError
from fastnn.opset import _dtypes

cnp.import_array()

cdef extern from "Python.h":
    ctypedef struct TypeObject "PyTypeObject":
        object (*tp_new)(TypeObject*, PyObject*, PyObject*)

# NumPy type number -> dtype name; name -> ABI code; code -> name, type number, bytes.
# bfloat16 gets its number when ml_dtypes is imported: it is learnt when first met.
cdef dict _NAME_OF = {np.dtype(n).num: n for n in _dtypes.NAMES if n != "bfloat16"}
cdef dict _CODE_OF = dict(_dtypes.CODES)
cdef tuple _NAMES = _dtypes.NAMES
cdef int _COUNT = len(_NAMES)
cdef int[kNumDTypes] _NUMBERS
cdef int[kNumDTypes] _SIZES
for _code in range(_COUNT):
    _NUMBERS[_code] = -1
    _SIZES[_code] = dtype_size(<DType><int>_code)
for _number, _name in _NAME_OF.items():
    _NUMBERS[<int>_CODE_OF[_name]] = _number
_NAME_OF[np.dtype(np.longlong).num] = "int64"
_NAME_OF[np.dtype(np.ulonglong).num] = "uint64"

cdef enum:
    BUILTIN = 32  # NumPy's own type numbers are smaller

cdef int _CODE_OF_NUMBER[BUILTIN]  # -1: none of ours
for _number in range(BUILTIN):
    _CODE_OF_NUMBER[_number] = _CODE_OF.get(_NAME_OF.get(_number), -1)

cdef class TensorBase:
    """Storage of a tensor: an array, or a value of the graph being traced."""

    def __init__(self, array=None, value=None, tuple shape=None, str dtype=None):
        cdef cnp.ndarray arr
        self._id = _next_id()
        self._host = array
        self._value = value
        if array is not None:
            if not cnp.PyArray_ISBEHAVED_RO(array):  # aligned, bytes in our order
                self._host = np.array(array, array.dtype.newbyteorder("="))
            arr = self._host
            shape = array.shape
            dtype = _NAME_OF.get(cnp.PyArray_TYPE(arr))
            if dtype is None and arr.dtype.name == "bfloat16":
                dtype = _NAME_OF[cnp.PyArray_TYPE(arr)] = "bfloat16"
            if dtype is None:
                raise DTypeError(
                    f"[Tensor] arrays of dtype {arr.dtype} are not supported; "
                    f"supported: {', '.join(_dtypes.NAMES)}"
                )
        self._shape = shape
        self._dtype = dtype
        self._code = code_of(dtype)

    @property
    def _array(self):
        """The values; what only a device has is fetched."""
        if self._remote is not None:
            self._remote.fetch(self)
        return self._host

    @_array.setter
    def _array(self, array):
        if self._remote is not None:
            self._remote.replaced()
        self._host = array

    def _alias(self):
        """The same value as another tensor, with an id of its own."""
        cdef TensorBase t = new_tensor(None, self._shape, self._dtype)
        t._host, t._remote, t._value = self._host, self._remote, self._value
        return t

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        """Read-only memory of the values: `memoryview(t)`, `hashlib.sha256(t)`."""
        if flags & PyBUF_WRITABLE:
            raise BufferError("[Tensor] immutable: its buffer is read-only")
        PyObject_GetBuffer(self._exported("a buffer"), buffer, flags)
        buffer.readonly = 1


cdef int64_t _counter = 0


cdef int64_t _next_id() noexcept:
    global _counter
    _counter += 1
    return _counter


def fresh_id():
    return _next_id()


cdef object _tensor_class = TensorBase
cdef tuple _no_arguments = ()


def set_tensor_class(cls):
    """Outputs of ops are instances of `cls` (fastnn.Tensor)."""
    global _tensor_class
    _tensor_class = cls


cdef int code_of(str dtype) except -1:
    cdef int code
    for code in range(_COUNT - 1, -1, -1):  # the floats first
        if PyTuple_GET_ITEM(_NAMES, code) == <PyObject*>dtype:
            return code
    return _CODE_OF[dtype]


cdef bint same_shape(tuple a, tuple b):
    cdef Py_ssize_t i
    if a is b:
        return True
    if PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b):
        return False
    for i in range(PyTuple_GET_SIZE(a)):
        if PyTuple_GET_ITEM(a, i) != PyTuple_GET_ITEM(b, i) and a[i] != b[i]:
            return False
    return True


cdef object new_tensor(cnp.ndarray array, tuple shape, str dtype):
    cdef TypeObject* cls = <TypeObject*><PyObject*>_tensor_class
    cdef TensorBase t = cls.tp_new(cls, <PyObject*>_no_arguments, NULL)
    t._id = _next_id()
    t._host = array
    t._shape = shape
    t._dtype = dtype
    t._code = code_of(dtype)
    return t


def device_tensor(remote, tuple shape, str dtype):
    """A tensor whose values lie on a device."""
    cdef TensorBase t = new_tensor(None, shape, dtype)
    t._remote = remote
    return t


cdef int code_of_array(cnp.ndarray array) except -1:
    cdef int number = cnp.PyArray_TYPE(array)
    if number < BUILTIN and _CODE_OF_NUMBER[number] >= 0:
        return _CODE_OF_NUMBER[number]
    return _CODE_OF[_NAME_OF[number]]


cdef cnp.ndarray new_array(tuple shape, str dtype, int code):
    if _NUMBERS[code] < 0:
        _NUMBERS[code] = np.dtype(_dtypes.know(dtype)).num
        _NAME_OF[_NUMBERS[code]] = dtype
    return empty(shape, _NUMBERS[code], _SIZES[code])
