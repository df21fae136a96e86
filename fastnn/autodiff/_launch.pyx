# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
"""An op computed now: infer, allocate, launch. It records nothing (see `_tape.pyx`).

The interpreter's share of a small call is its cost, so this file keeps away from
dictionaries and temporary objects where it can: `add` of ten numbers takes a third of
a microsecond.
"""

cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int64_t

from fastnn._native cimport (
    AttrValue, DType, TensorView, find_kernel, kMaxRank, launch,
)
from fastnn.autodiff._base cimport (
    TensorBase, code_of, code_of_array, new_array, new_tensor, same_shape,
)
from fastnn.autodiff._memory cimport ints_address
from fastnn.autodiff._views cimport repeated, reshaped, transposed

from fastnn import config
from fastnn.autodiff._arrays import run_reference
from fastnn.errors import BackendError, PlanError, ShapeError
from fastnn.opset._infer import BROADCAST, COMPARE, SAME
from fastnn.opset._infer import broadcast_shapes, check_same_dtype
from fastnn.opset._opdef import HOST, Spec, VIEW

cnp.import_array()

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject*)

cdef dict _settings = config.__dict__  # a lookup less than the module's attribute
cdef int RULE_SAME = SAME, RULE_BROADCAST = BROADCAST, RULE_COMPARE = COMPARE
cdef int64_t SMALL = 4096  # elements below which threads and the GIL are not thought of
# Nanoseconds of work below which the GIL is kept: to give and take it costs 0.1 us.
cdef double BRIEF = 5_000

cdef enum:
    ATTR_INT, ATTR_FLOAT, ATTR_AXES, ATTR_DTYPE, ATTR_ENUM, ATTR_INTS, ATTR_STATIC

cdef dict _ATTR_KINDS = {
    "int": ATTR_INT, "bool": ATTR_INT, "float": ATTR_FLOAT, "axes": ATTR_AXES,
    "dtype": ATTR_DTYPE, "enum": ATTR_ENUM, "ints": ATTR_INTS, "static": ATTR_STATIC,
}

cdef enum:
    NO_VIEW, VIEW_BY_REF, SLICE, RESHAPE, TRANSPOSE, REPEAT

# Views that are made here; the others are what the record's reference returns.
cdef dict _VIEWS = {
    "slice": SLICE, "reshape": RESHAPE, "transpose": TRANSPOSE, "broadcast_to": REPEAT,
}


cdef class OpHandle:
    def __init__(self, op):
        self.op = op
        self.name = op.name
        self.infer = op.infer
        self.ref = op.ref
        self.code = op.code
        self.n_in = len(op.inputs)
        self.n_out = len(op.outputs)
        self.n_attrs = len(op.attrs)
        self.pointwise = op.broadcast == "all"
        self.batched = op.broadcast == "batch"
        self.view = _VIEWS.get(op.name, VIEW_BY_REF) if op.kind == VIEW else NO_VIEW
        self.host = op.kind == HOST
        self.has_vjp = op.vjp is not None
        self.entry = find_kernel(op.name.encode())
        for i, attr in enumerate(op.attrs):
            self.attr_kinds[i] = _ATTR_KINDS[attr.kind]
        self.choices = tuple([a.choices for a in op.attrs])
        self.attr_names = tuple([a.name for a in op.attrs])
        self.cost = op.cost if callable(op.cost) else None
        self.unit_cost = 0.0 if callable(op.cost) else op.cost
        self.known = {}
        self.inplace = tuple(op.inplace)
        names = op.inputs + op.outputs
        self.saves = tuple(op.saves)
        self.save_index = tuple([names.index(s) for s in op.saves])


cdef OpHandle handle_of(op):
    handle = op.handle
    if handle is None:
        handle = OpHandle(op)
        op.handle = handle
    return <OpHandle>handle


# -- shapes and dtypes -----------------------------------------------------------------


cdef class Known:
    """What follows from the attributes, shapes and dtypes of a call."""

    cdef list specs  # one per output
    cdef double cost  # ns on one thread; below 0: not asked for yet


cdef tuple _common_shape(OpHandle h, tuple inputs):
    """Shape of an elementwise result, whose inputs must have one dtype."""
    cdef TensorBase other, first = <TensorBase>inputs[0]
    cdef tuple shape = first._shape
    cdef Py_ssize_t i
    for i in range(1, PyTuple_GET_SIZE(inputs)):
        other = <TensorBase>PyTuple_GET_ITEM(inputs, i)
        if other._code != first._code:
            check_same_dtype(h.name, [(<TensorBase>t)._dtype for t in inputs])
        if not same_shape(other._shape, shape):
            shape = _broadcast(shape, other._shape)
            if shape is None:  # raises
                broadcast_shapes(h.name, *[(<TensorBase>t)._shape for t in inputs])
    return shape


cdef tuple _broadcast(tuple a, tuple b):
    """NumPy broadcasting of two shapes; None where they do not fit."""
    cdef Py_ssize_t lead, i
    cdef int64_t m, n
    cdef list sizes
    if len(a) < len(b):
        a, b = b, a
    lead = len(a) - len(b)
    sizes = list(a)
    for i in range(len(b)):
        m, n = a[lead + i], b[i]
        if m == 1:
            sizes[lead + i] = n
        elif n != 1 and n != m:
            return None
    return tuple(sizes)


cdef Known _known(OpHandle h, tuple inputs, tuple attrs):
    """Asks the record's rule once per shapes, dtypes and attributes."""
    cdef list parts = [attrs]
    cdef Known found
    for t in inputs:
        parts.append((<TensorBase>t)._shape)
        parts.append((<TensorBase>t)._dtype)
    cdef tuple key = tuple(parts)
    answer = h.known.get(key)
    if answer is not None:
        return <Known>answer
    found = Known.__new__(Known)
    found.specs = h.infer(_specs(inputs), attrs)
    found.cost = -1.0
    if len(h.known) >= 256:
        h.known.clear()
    h.known[key] = found
    return found


cdef list _specs(tuple inputs):
    return [Spec((<TensorBase>t)._shape, (<TensorBase>t)._dtype) for t in inputs]


cdef list _infer(OpHandle h, tuple inputs, tuple attrs):
    if h.code == 0:
        return _known(h, inputs, attrs).specs
    dtype = (<TensorBase>inputs[0])._dtype
    shape = _common_shape(h, inputs)
    return [(shape, "bool" if h.code == RULE_COMPARE else dtype)]


def infer_specs(op, inputs, attrs):
    """Output specs of an op applied to tensors."""
    return [Spec(*spec) for spec in _infer(handle_of(op), tuple(inputs), attrs)]


# -- operands --------------------------------------------------------------------------


cdef int _fill_dense(TensorView* view, cnp.ndarray array, int code) except -1:
    """Describe a C-contiguous array."""
    cdef int i
    cdef int64_t step = 1
    view.data = cnp.PyArray_DATA(array)
    view.dtype = <DType>code
    view.ndim = cnp.PyArray_NDIM(array)
    for i in range(view.ndim - 1, -1, -1):
        view.shape[i] = cnp.PyArray_DIM(array, i)
        view.stride[i] = step
        step *= view.shape[i]
    return 0


cdef int _fill_view(TensorView* view, cnp.ndarray array, tuple shape) except -1:
    """Describe `array`, broadcast to `shape` when one is given."""
    cdef int rank = cnp.PyArray_NDIM(array)
    cdef int out_rank = rank if shape is None else <int>len(shape)
    cdef int i, j
    cdef int64_t item = cnp.PyArray_ITEMSIZE(array)
    if out_rank > kMaxRank:
        raise ShapeError(f"[tensor] at most {kMaxRank} axes are supported")
    if shape is None and cnp.PyArray_IS_C_CONTIGUOUS(array):
        return _fill_dense(view, array, code_of_array(array))
    view.data = cnp.PyArray_DATA(array)
    view.dtype = <DType>code_of_array(array)
    view.ndim = out_rank
    for i in range(out_rank):
        j = i - (out_rank - rank)
        if shape is None:
            view.shape[i] = cnp.PyArray_DIM(array, i)
            view.stride[i] = cnp.PyArray_STRIDE(array, i) // item
        else:
            view.shape[i] = shape[i]
            if j < 0 or (cnp.PyArray_DIM(array, j) == 1 and view.shape[i] != 1):
                view.stride[i] = 0
            else:
                view.stride[i] = cnp.PyArray_STRIDE(array, j) // item
    return 0


cdef int _fill_attrs(OpHandle h, tuple attrs, AttrValue* out) except -1:
    """Attributes as the kernel receives them; returns how many."""
    cdef int n = 0, i
    cdef int64_t mask
    for i in range(h.n_attrs):
        kind = h.attr_kinds[i]
        value = attrs[i]
        if kind == ATTR_STATIC:
            continue
        if kind == ATTR_FLOAT:
            out[n].f = value
        elif kind == ATTR_AXES:
            mask = 0
            for axis in value:
                mask |= (<int64_t>1) << <int>axis
            out[n].i = mask
        elif kind == ATTR_DTYPE:
            out[n].i = code_of(value)
        elif kind == ATTR_ENUM:
            out[n].i = h.choices[i].index(value)
        elif kind == ATTR_INTS:
            out[n].i = ints_address(value)
        else:
            out[n].i = int(value)
        n += 1
    return n


def encode_attrs(op, attrs):
    """Attribute values as a plan's instruction takes them."""
    cdef AttrValue values[8]
    cdef OpHandle h = handle_of(op)
    cdef int n = _fill_attrs(h, attrs, values)
    kinds = [
        h.attr_kinds[i] for i in range(h.n_attrs) if h.attr_kinds[i] != ATTR_STATIC
    ]
    return [values[i].f if kinds[i] == ATTR_FLOAT else values[i].i for i in range(n)]


# -- running ---------------------------------------------------------------------------


cdef int _scopes = 0  # contexts that name a device, in all threads
cdef object _on_device = None  # the module, when a device is first met


def scopes_open(int change=0):
    """How many contexts name a device, after so many more."""
    global _scopes
    _scopes += change
    return _scopes


cdef object _devices():
    global _on_device
    if _on_device is None:
        from fastnn.autodiff import on_device
        _on_device = on_device
    return _on_device


cdef bint _elsewhere(OpHandle h, tuple inputs) except -1:
    """Whether a device computes this; else the inputs are on the host afterwards."""
    cdef Py_ssize_t i
    cdef TensorBase t
    cdef bint remote = False
    for i in range(PyTuple_GET_SIZE(inputs)):
        t = <TensorBase>PyTuple_GET_ITEM(inputs, i)
        if t._remote is not None:
            remote = True
        elif t._host is None:
            raise PlanError(
                f"[{h.name}] a tensor of a traced function is used outside of it, "
                f"where it has no value: return it from the function instead"
            )
    if not remote and not _scopes:
        return False
    return _devices().computes(inputs)


cdef int _launch(
    OpHandle h, tuple inputs, tuple attrs, tuple out_shape, TensorView* views_out,
    int64_t total, Known known,
) except -1:
    """Calls the kernel; `total` counts the elements of the outputs."""
    cdef TensorView views_in[8]
    cdef AttrValue values[8]
    cdef Py_ssize_t i
    cdef double cost
    cdef TensorBase t
    cdef cnp.ndarray array
    cdef tuple shape
    # What variables hold now: another thread may assign to one while the GIL is free.
    cdef list held = None
    for i in range(PyTuple_GET_SIZE(inputs)):
        t = <TensorBase>PyTuple_GET_ITEM(inputs, i)
        array = t._host
        if t._is_variable:
            if held is None:
                held = []
            held.append(array)
        total += cnp.PyArray_SIZE(array)
        shape = None
        if h.pointwise:
            if not same_shape(t._shape, out_shape):
                shape = out_shape
        elif h.batched and len(out_shape) > 2:
            shape = h.op.operand_shape(t._shape, out_shape)
        _fill_view(&views_in[i], array, shape)
    if h.n_attrs:
        _fill_attrs(h, attrs, values)
    if total < SMALL:
        launch(h.entry, views_in, views_out, values, 0.0)
        return 0
    if h.cost is None:
        cost = h.unit_cost * total
    elif known is None:
        cost = h.cost(_specs(inputs), _infer(h, inputs, attrs), attrs)
    else:
        if known.cost < 0:
            known.cost = h.cost(_specs(inputs), known.specs, attrs)
        cost = known.cost
    if cost < BRIEF:
        launch(h.entry, views_in, views_out, values, cost)
        return 0
    with nogil:
        launch(h.entry, views_in, views_out, values, cost)
    return 0


cdef list _run_reference(OpHandle h, tuple inputs, tuple attrs):
    specs = _infer(h, inputs, attrs)
    arrays = [(<TensorBase>t)._host for t in inputs]
    results = run_reference(h.op, arrays, attrs, specs)
    return [new_tensor(a, s[0], s[1]) for a, s in zip(results, specs)]


cdef object _view(OpHandle h, TensorBase x, tuple attrs):
    cdef tuple shape
    cdef str dtype
    cdef cnp.ndarray array
    if x._is_variable:
        x._shared = True  # plans write variables in place: they copy it first
    if h.view == SLICE:  # every batch has bounds of its own: its rule would be asked
        array = h.ref(x._host, *attrs)
        return new_tensor(array, (<object>array).shape, x._dtype)
    shape, dtype = _known(h, (x,), attrs).specs[0]
    if h.view == RESHAPE:
        array = reshaped(x._host, shape)
    elif h.view == TRANSPOSE:
        array = transposed(x._host, attrs[0])
    elif h.view == REPEAT:
        array = repeated(x._host, shape)
    else:
        array = h.ref(x._host, *attrs)
    return new_tensor(array, shape, dtype)


cdef object run_one(OpHandle h, tuple inputs, tuple attrs):
    """The output of an op that has one."""
    cdef TensorView out
    cdef TensorBase first = <TensorBase>inputs[0] if h.n_in else None
    cdef Known known = None
    cdef cnp.ndarray array
    cdef tuple shape
    cdef str dtype
    cdef int code
    if _elsewhere(h, inputs):
        return _devices().run(h.op, inputs, attrs, _infer(h, inputs, attrs))[0]
    if h.view:
        return _view(h, first, attrs)
    if h.host or _settings["_backend"] == "reference":
        return _run_reference(h, inputs, attrs)[0]
    if h.entry == NULL:
        raise BackendError(f"[{h.name}] no kernel on the cpu backend")
    if h.code:
        shape = _common_shape(h, inputs)
        dtype = "bool" if h.code == RULE_COMPARE else first._dtype
    else:
        known = _known(h, inputs, attrs)
        shape, dtype = known.specs[0]
    code = code_of(dtype)
    array = new_array(shape, dtype, code)
    _fill_dense(&out, array, code)
    _launch(h, inputs, attrs, shape, &out, cnp.PyArray_SIZE(array), known)
    return new_tensor(array, shape, dtype)


cdef bint _owns(TensorBase t) except -1:
    """Whether nobody but this variable holds its array."""
    cdef cnp.ndarray array
    if not t._is_variable or Py_REFCNT(<PyObject*>t._host) != 1:
        return False
    array = t._host
    return cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_ISWRITEABLE(array)


cdef bint overwrite(OpHandle h, tuple inputs, tuple attrs) except -1:
    """Writes the outputs of an update into the variables they replace.

    False, and nothing is written, where that would be seen by others: their arrays are
    held elsewhere. Fresh results would be three arrays in the caches instead of two.
    """
    cdef TensorView views[4]
    cdef cnp.ndarray array
    cdef TensorBase t
    cdef int64_t total = 0
    cdef Py_ssize_t i
    cdef Known known
    if h.host or _settings["_backend"] == "reference" or h.entry == NULL:
        return False
    if _scopes:
        return False
    for i in range(h.n_in):
        if (<TensorBase>inputs[i])._remote is not None:
            return False
    for i in range(h.n_out):
        if not _owns(<TensorBase>inputs[h.inplace[i]]):
            return False
    known = _known(h, inputs, attrs)
    for i in range(h.n_out):
        t = <TensorBase>inputs[h.inplace[i]]
        array = t._host
        _fill_dense(&views[i], array, t._code)
        total += cnp.PyArray_SIZE(array)
    _launch(h, inputs, attrs, known.specs[0][0], views, total, known)
    return True


cdef list run_all(OpHandle h, tuple inputs, tuple attrs):
    """The outputs of an op, however many it has."""
    cdef TensorView views[4]
    cdef Known known
    cdef cnp.ndarray array
    cdef list outputs = []
    cdef int64_t total = 0
    cdef tuple shape
    cdef str dtype
    cdef int code
    if h.n_out == 1:
        return [run_one(h, inputs, attrs)]
    if _elsewhere(h, inputs):
        return _devices().run(h.op, inputs, attrs, _infer(h, inputs, attrs))
    if h.host or _settings["_backend"] == "reference":
        return _run_reference(h, inputs, attrs)
    if h.entry == NULL:
        raise BackendError(f"[{h.name}] no kernel on the cpu backend")
    known = _known(h, inputs, attrs)
    for i, spec in enumerate(known.specs):
        shape, dtype = spec
        code = code_of(dtype)
        array = new_array(shape, dtype, code)
        _fill_dense(&views[<int>i], array, code)
        total += cnp.PyArray_SIZE(array)
        outputs.append(new_tensor(array, shape, dtype))
    _launch(h, inputs, attrs, known.specs[0][0], views, total, known)
    return outputs
