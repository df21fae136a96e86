# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
# cython: binding=True
"""Functions made of records, and the operators of tensors: the way to `apply`.

What needs a conversion first is left to Python (`slow`); tensors as the kernels take
them go straight on.
"""

from cpython.tuple cimport PyTuple_GET_SIZE
from libc.math cimport signbit

from fastnn.autodiff._base cimport TensorBase, code_of
from fastnn.autodiff._launch cimport OpHandle, handle_of
from fastnn.autodiff._tape cimport apply_to

from fastnn.opset import get_op
from fastnn.opset._dtypes import COMPUTED, FLOATS

cdef enum:
    REMEMBERED = 512  # combinations of attributes per function

# Python numbers as tensors, by (number, type, dtype): filled by `scalar_like`.
numbers = {}
cdef dict _numbers = numbers


cdef int _bits(dtypes) except -1:
    """A set of dtypes: bit `code` of each."""
    cdef int found = 0
    for dtype in dtypes:
        found |= 1 << code_of(dtype)
    return found


cdef int _computed = _bits(COMPUTED), _floats = _bits(FLOATS)


cdef object _number(value, str dtype):
    """The tensor of a Python number that was met before, or None."""
    kind = type(value)
    if kind is float:
        if value == 0 and signbit(<double>value):  # the same key as 0.0
            return None
    elif kind is not int:
        return None
    return _numbers.get((value, kind, dtype))


cdef tuple _tensors(op, tuple values, as_tensors):
    """Operands with tensors in the place of numbers, which follow the others' dtype."""
    cdef str dtype = None
    cdef list found = []
    for value in values:
        if isinstance(value, TensorBase):
            dtype = (<TensorBase>value)._dtype
            if dtype != "bool":
                break
    if dtype is None:
        return as_tensors(op, values)
    for value in values:
        if not isinstance(value, TensorBase):
            value = _number(value, dtype)
            if value is None:
                return as_tensors(op, values)
        found.append(value)
    return tuple(found)


def unary(op, integers, slow):
    """A function of one tensor; `slow(x)` where x is none of a dtype with kernels."""
    cdef OpHandle h = handle_of(op)
    cdef int ready = _computed if integers else _floats

    def function(x):
        if isinstance(x, TensorBase) and ready >> (<TensorBase>x)._code & 1:
            return apply_to(h, (x,), ())
        return slow(x)

    return function


def binary(op, integers, slow, Py_ssize_t least=0):
    """A function of two tensors with `least` axes each, or more.

    `slow(x1, x2)` where they must be promoted or have fewer.
    """
    cdef OpHandle h = handle_of(op)
    cdef int ready = _computed if integers else _floats

    def function(x1, x2):
        cdef int code
        if isinstance(x1, TensorBase) and isinstance(x2, TensorBase):
            code = (<TensorBase>x1)._code
            if code == (<TensorBase>x2)._code and ready >> code & 1 and (
                least == 0
                or len((<TensorBase>x1)._shape) >= least
                <= len((<TensorBase>x2)._shape)
            ):
                return apply_to(h, (x1, x2), ())
        return slow(x1, x2)

    return function


def strict(op, converters, as_tensors):
    """A function of an op's inputs and then its attributes.

    Args:
        op: the OpDef.
        converters: per attribute, `convert(op name, value, rank of the first input)`.
        as_tensors: `as_tensors(op, values)` makes tensors of inputs that are none.
    """
    cdef OpHandle h = handle_of(op)
    cdef Py_ssize_t count = h.n_in
    # 0.0 and -0.0 are the same key, but not the same attribute.
    cdef dict seen = None if any([a.kind == "float" for a in op.attrs]) else {}
    name = op.name

    def function(*args, **kwargs):
        cdef Py_ssize_t given = PyTuple_GET_SIZE(args)
        cdef tuple values = args if given == count else args[:count]
        for value in values:
            if not isinstance(value, TensorBase):
                values = _tensors(op, values, as_tensors)
                break
        if PyTuple_GET_SIZE(values) != count:
            raise TypeError(f"[{name}] takes {count} inputs, got {len(values)}")
        if h.n_attrs == 0 and given <= count and not kwargs:
            return apply_to(h, values, ())
        cdef tuple attrs = args[count:]
        if kwargs or given != count + h.n_attrs:
            attrs = op.bind_attrs(attrs, kwargs)
        if count:
            attrs = _converted(
                name, converters, seen, attrs, len((<TensorBase>values[0])._shape)
            )
        return apply_to(h, values, attrs)

    return function


cdef tuple _converted(name, converters, dict seen, tuple attrs, Py_ssize_t rank):
    key = (rank, attrs)
    if seen is not None:
        try:
            found = seen.get(key)
        except TypeError:  # a list
            seen = None
        else:
            if found is not None:
                return <tuple>found
    made = tuple([f(name, v, rank) for f, v in zip(converters, attrs)])
    if seen is not None:
        if len(seen) >= REMEMBERED:
            seen.clear()
        seen[key] = made
    return made


# -- operators -------------------------------------------------------------------------

cdef enum:
    ADD, SUBTRACT, MULTIPLY, DIVIDE, MATMUL, NEGATIVE

cdef tuple _NAMES = ("add", "subtract", "multiply", "divide", "matmul", "negative")
cdef list _handles = [None] * 6  # of the ops that were used: their records are loaded
cdef object _combine = None


def set_combine(function):
    """`function(name, x, other, swapped)`: operators whose operands must be adapted."""
    global _combine
    _combine = function


cdef OpHandle _handle(int which):
    found = _handles[which]
    if found is None:
        found = _handles[which] = handle_of(get_op(_NAMES[which]))
    return <OpHandle>found


cdef object _operate(
    int which, int ready, TensorBase x, other, bint swapped, int least
):
    if isinstance(other, TensorBase):
        if x._code == (<TensorBase>other)._code and ready >> x._code & 1 and (
            least == 0
            or len(x._shape) >= least <= len((<TensorBase>other)._shape)
        ):
            return apply_to(
                _handle(which), (other, x) if swapped else (x, other), ()
            )
    elif least == 0 and ready >> x._code & 1:
        number = _number(other, x._dtype)
        if number is not None:
            return apply_to(
                _handle(which), (number, x) if swapped else (x, number), ()
            )
    return _combine(_NAMES[which], x, other, swapped)


cdef class Operators(TensorBase):
    """The operators that are used most; tensor.py has the others."""

    def __add__(self, other):
        return _operate(ADD, _computed, self, other, False, 0)

    def __radd__(self, other):
        return _operate(ADD, _computed, self, other, True, 0)

    def __sub__(self, other):
        return _operate(SUBTRACT, _computed, self, other, False, 0)

    def __rsub__(self, other):
        return _operate(SUBTRACT, _computed, self, other, True, 0)

    def __mul__(self, other):
        return _operate(MULTIPLY, _computed, self, other, False, 0)

    def __rmul__(self, other):
        return _operate(MULTIPLY, _computed, self, other, True, 0)

    def __truediv__(self, other):
        return _operate(DIVIDE, _floats, self, other, False, 0)

    def __rtruediv__(self, other):
        return _operate(DIVIDE, _floats, self, other, True, 0)

    def __matmul__(self, other):
        return _operate(MATMUL, _floats, self, other, False, 2)

    def __rmatmul__(self, other):
        return _operate(MATMUL, _floats, self, other, True, 2)

    def __neg__(self):
        if _computed >> self._code & 1:
            return apply_to(_handle(NEGATIVE), (self,), ())
        return _combine("negative", self, None, False)
