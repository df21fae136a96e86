# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True
"""What happens in one call of an op: infer, allocate, launch, record.

This file dispatches and records; it computes nothing. See README.md beside it.
"""

cimport numpy as cnp
from cpython.buffer cimport PyBUF_WRITABLE, PyObject_GetBuffer
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport int64_t

from fastnn._native cimport (
    AttrValue, DType, KernelEntry, TensorView, dtype_size, find_kernel, kMaxRank,
    launch,
)
from fastnn.autodiff._memory cimport empty, ints_address

import numpy as np
from _thread import _local

from fastnn import config
from fastnn.autodiff._arrays import run_reference
from fastnn.errors import BackendError, DTypeError, PlanError, ShapeError
from fastnn.opset import _dtypes
from fastnn.opset._infer import BROADCAST, COMPARE, SAME
from fastnn.opset._infer import broadcast_shapes, check_same_dtype
from fastnn.opset._opdef import HOST, Spec, VIEW

cnp.import_array()

cdef int RULE_SAME = SAME, RULE_BROADCAST = BROADCAST, RULE_COMPARE = COMPARE
cdef int MAX_INPUTS = 8, MAX_OUTPUTS = 4, MAX_ATTRS = 8
cdef int64_t SMALL = 4096  # elements below which threads and the GIL are not thought of

# NumPy type number -> (dtype name, ABI code), and name -> NumPy type number.
# bfloat16 gets its number when ml_dtypes is imported: it is learnt when first met.
cdef dict _NAME_OF = {np.dtype(n).num: n for n in _dtypes.NAMES if n != "bfloat16"}
cdef dict _NUMBER_OF = {name: number for number, name in _NAME_OF.items()}
cdef dict _CODE_OF = dict(_dtypes.CODES)
_NAME_OF[np.dtype(np.longlong).num] = "int64"
_NAME_OF[np.dtype(np.ulonglong).num] = "uint64"

cdef enum:
    ATTR_INT, ATTR_FLOAT, ATTR_AXES, ATTR_DTYPE, ATTR_ENUM, ATTR_INTS, ATTR_STATIC

cdef dict _ATTR_KINDS = {
    "int": ATTR_INT, "bool": ATTR_INT, "float": ATTR_FLOAT, "axes": ATTR_AXES,
    "dtype": ATTR_DTYPE, "enum": ATTR_ENUM, "ints": ATTR_INTS, "static": ATTR_STATIC,
}


cdef class TensorBase:
    """Storage of a tensor: an array, or a value of the graph being traced."""

    def __init__(self, array=None, value=None, shape=None, dtype=None):
        cdef cnp.ndarray arr
        self._id = _next_id()
        self._array = array
        self._value = value
        if array is not None:
            if not cnp.PyArray_ISBEHAVED_RO(array):  # aligned, bytes in our order
                self._array = np.array(array, array.dtype.newbyteorder("="))
            arr = self._array
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


def set_tensor_class(cls):
    """Outputs of ops are instances of `cls` (fastnn.Tensor)."""
    global _tensor_class
    _tensor_class = cls


cdef class _State:
    """What the running thread records into."""

    cdef public object tracer
    cdef public list tapes

    def __init__(self):
        self.tracer = None
        self.tapes = []


class _Local(_local):
    def __init__(self):
        self.state = _State()


_thread_state = _Local()


def state():
    """The calling thread's tracer and stack of tapes."""
    return _thread_state.state


cdef class OpHandle:
    """The engine's view of an OpDef, resolved once."""

    cdef object op, infer, ref, cost
    cdef str name
    cdef int code, n_out, n_attrs
    cdef bint pointwise, batched, view, host, has_vjp
    cdef const KernelEntry* entry
    cdef int attr_kinds[8]
    cdef tuple choices
    cdef double unit_cost
    cdef dict known  # output specs by attributes, shapes and dtypes
    cdef tuple save_index  # positions in inputs + outputs

    def __init__(self, op):
        self.op = op
        self.name = op.name
        self.infer = op.infer
        self.ref = op.ref
        self.code = op.code
        self.n_out = len(op.outputs)
        self.n_attrs = len(op.attrs)
        self.pointwise = op.broadcast == "all"
        self.batched = op.broadcast == "batch"
        self.view = op.kind == VIEW
        self.host = op.kind == HOST
        self.has_vjp = op.vjp is not None
        self.entry = find_kernel(op.name.encode())
        for i, attr in enumerate(op.attrs):
            self.attr_kinds[i] = _ATTR_KINDS[attr.kind]
        self.choices = tuple(a.choices for a in op.attrs)
        self.cost = op.cost if callable(op.cost) else None
        self.unit_cost = 0.0 if callable(op.cost) else op.cost
        self.known = {}
        names = op.inputs + op.outputs
        self.save_index = tuple(names.index(s) for s in op.saves)


cdef OpHandle _handle(op):
    handle = op.handle
    if handle is None:
        handle = OpHandle(op)
        op.handle = handle
    return <OpHandle>handle


cdef object _infer_fast(OpHandle h, tuple inputs):
    """(shape, dtype) by one of the elementwise rules."""
    cdef TensorBase other, first = <TensorBase>inputs[0]
    cdef Py_ssize_t i
    cdef object shape = first._shape
    cdef object dtype = first._dtype
    cdef bint equal = True
    for i in range(1, PyTuple_GET_SIZE(inputs)):
        other = <TensorBase>inputs[i]
        if other._dtype != dtype:
            check_same_dtype(h.name, [(<TensorBase>t)._dtype for t in inputs])
        if other._shape != shape:
            equal = False
    if not equal:
        shape = broadcast_shapes(h.name, *[(<TensorBase>t)._shape for t in inputs])
    return shape, ("bool" if h.code == RULE_COMPARE else dtype)


cdef list _infer(OpHandle h, tuple inputs, tuple attrs):
    """Output specs; a rule in Python is asked once per shapes and attributes."""
    if h.code != 0:
        return [_infer_fast(h, inputs)]
    cdef tuple known = (attrs, *[(t._shape, t._dtype) for t in inputs])
    specs = h.known.get(known)
    if specs is None:
        specs = h.infer([Spec(*spec) for spec in known[1:]], attrs)
        if len(h.known) >= 256:
            h.known.clear()
        h.known[known] = specs
    return specs


def infer_specs(op, inputs, attrs):
    """Output specs of an op applied to tensors."""
    return [Spec(*spec) for spec in _infer(_handle(op), tuple(inputs), attrs)]


cdef int _fill_view(TensorView* view, cnp.ndarray array, tuple shape) except -1:
    """Describe `array`, broadcast to `shape` when one is given."""
    cdef int rank = cnp.PyArray_NDIM(array)
    cdef int out_rank = rank if shape is None else <int>len(shape)
    cdef int i, j
    cdef int64_t item = cnp.PyArray_ITEMSIZE(array)
    if out_rank > kMaxRank:
        raise ShapeError(f"[tensor] at most {kMaxRank} axes are supported")
    view.data = cnp.PyArray_DATA(array)
    view.dtype = <DType><int>_CODE_OF[_NAME_OF[cnp.PyArray_TYPE(array)]]
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
            out[n].i = _CODE_OF[value]
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
    cdef OpHandle h = _handle(op)
    cdef int n = _fill_attrs(h, attrs, values)
    kinds = [
        h.attr_kinds[i] for i in range(h.n_attrs) if h.attr_kinds[i] != ATTR_STATIC
    ]
    return [values[i].f if kinds[i] == ATTR_FLOAT else values[i].i for i in range(n)]


cdef object _new_tensor(cnp.ndarray array, object shape, object dtype):
    cdef TensorBase t = _tensor_class.__new__(_tensor_class)
    t._id = _next_id()
    t._array = array
    t._shape = shape
    t._dtype = dtype
    return t


cdef cnp.ndarray _empty(tuple shape, str dtype):
    type_number = _NUMBER_OF.get(dtype)
    if type_number is None:
        type_number = _NUMBER_OF[dtype] = np.dtype(_dtypes.know(dtype)).num
        _NAME_OF[type_number] = dtype
    return empty(shape, type_number, dtype_size(<DType><int>_CODE_OF[dtype]))


cdef list _run_cpu(OpHandle h, tuple inputs, tuple attrs, list specs):
    cdef TensorView views_in[8]
    cdef TensorView views_out[4]
    cdef AttrValue values[8]
    cdef int n_in = <int>len(inputs), i
    cdef int64_t total = 0
    cdef double cost
    cdef list outputs = []
    cdef cnp.ndarray array
    cdef tuple shape
    if h.entry == NULL:
        raise BackendError(f"[{h.name}] no kernel on the cpu backend")
    for i in range(len(specs)):
        shape = specs[i][0]
        array = _empty(shape, specs[i][1])
        _fill_view(&views_out[i], array, None)
        total += cnp.PyArray_SIZE(array)
        outputs.append(_new_tensor(array, shape, specs[i][1]))
    shape = specs[0][0] if h.pointwise else None
    for i in range(n_in):
        array = (<TensorBase>inputs[i])._array
        total += cnp.PyArray_SIZE(array)
        if h.batched:
            shape = h.op.operand_shape((<TensorBase>inputs[i])._shape, specs[0][0])
        _fill_view(&views_in[i], array, shape)
    _fill_attrs(h, attrs, values)
    if total < SMALL:
        launch(h.entry, views_in, views_out, values, 0.0)
    else:
        if h.cost is None:
            cost = h.unit_cost * total
        else:
            ins = [Spec((<TensorBase>t)._shape, (<TensorBase>t)._dtype) for t in inputs]
            cost = h.cost(ins, specs, attrs)
        with nogil:
            launch(h.entry, views_in, views_out, values, cost)
    return outputs


cdef list _run_reference(OpHandle h, tuple inputs, tuple attrs, list specs):
    arrays = [(<TensorBase>t)._array for t in inputs]
    results = run_reference(h.op, arrays, attrs, specs)
    return [_new_tensor(a, s[0], s[1]) for a, s in zip(results, specs)]


cdef list _eager(OpHandle h, tuple inputs, tuple attrs):
    specs = _infer(h, inputs, attrs)
    for t in inputs:
        if (<TensorBase>t)._array is None:
            raise PlanError(
                f"[{h.name}] a tensor of a traced function is used outside of it, "
                f"where it has no value: return it from the function instead"
            )
    if h.view:
        t = inputs[0]
        if (<TensorBase>t)._is_variable:
            t._shared = True  # plans write variables in place: they copy it first
        array = h.ref((<TensorBase>t)._array, *attrs)
        return [_new_tensor(array, array.shape, specs[0][1])]
    if h.host or config._backend == "reference":
        return _run_reference(h, inputs, attrs, specs)
    return _run_cpu(h, inputs, attrs, specs)


def apply(op, tuple inputs, tuple attrs=()):
    """Apply an op to tensors: the one way anything is computed.

    Args:
        op: the OpDef.
        inputs: tensors, dtypes as the op wants them.
        attrs: attribute values in record order.

    Returns:
        The output tensor, or a tuple of them when the op has several.
    """
    cdef OpHandle h = _handle(op)
    cdef _State state = _thread_state.state
    cdef list outputs
    if len(inputs) != len(op.inputs):
        raise TypeError(f"[{h.name}] takes {len(op.inputs)} inputs, got {len(inputs)}")
    if state.tracer is not None:
        outputs = state.tracer.emit(op, inputs, attrs)
    else:
        outputs = _eager(h, inputs, attrs)
    if state.tapes:
        _record(state, h, inputs, attrs, outputs)
    return outputs[0] if h.n_out == 1 else tuple(outputs)


cdef class Record:
    """One applied op, with what its gradient needs and nothing more."""

    cdef readonly object op
    cdef readonly tuple attrs, in_ids, out_ids, specs, saved


cdef object _record(_State state, OpHandle h, tuple inputs, tuple attrs, list outputs):
    cdef Record record = None
    cdef TensorBase t
    cdef Tape tape
    for tape in state.tapes:
        if tape.paused:
            continue
        used = False
        for t in inputs:
            if t._watch and tape.auto_watch:
                tape.watched.add(t._id)
            if t._id in tape.watched:
                used = True
        if not used or not h.has_vjp:
            continue
        if record is None:
            record = _make_record(h.op, h.save_index, inputs, attrs, outputs)
        tape.records.append(record)
        tape.watched.update(record.out_ids)


def record_custom(op, tuple inputs, list outputs):
    """Record outputs computed elsewhere; `op.vjp` gives their gradient."""
    cdef _State state = _thread_state.state
    cdef Record record = _make_record(op, (), inputs, (), outputs)
    cdef Tape tape
    cdef TensorBase t
    for tape in state.tapes:
        if tape.paused:
            continue
        for t in inputs:
            if t._watch and tape.auto_watch:
                tape.watched.add(t._id)
        if not tape.watched.isdisjoint(record.in_ids):
            tape.records.append(record)
            tape.watched.update(record.out_ids)


cdef Record _make_record(op, tuple save_index, tuple inputs, tuple attrs, list outputs):
    cdef Record record = Record.__new__(Record)
    cdef TensorBase t
    everything = (*inputs, *outputs)
    record.op = op
    record.attrs = attrs
    record.in_ids = tuple([(<TensorBase>t)._id for t in inputs])
    record.out_ids = tuple([(<TensorBase>t)._id for t in outputs])
    record.specs = tuple([Spec((<TensorBase>t)._shape, (<TensorBase>t)._dtype)
                          for t in inputs])
    saved = []
    for i in save_index:
        t = everything[i]
        # A variable may change before backward: keep what it holds now.
        saved.append(t._snapshot() if t._is_variable else t)
    record.saved = tuple(saved)
    return record


cdef class Tape:
    """Append-only list of records; its order is already topological."""

    cdef readonly list records
    cdef readonly set watched
    cdef public bint paused, auto_watch

    def __init__(self, bint auto_watch=True):
        self.records = []
        self.watched = set()
        self.paused = False
        self.auto_watch = auto_watch

    def watch(self, tensor):
        self.watched.add((<TensorBase>tensor)._id)

    def clear(self):
        self.records = []
        self.watched = set()

    def backward(self, dict grads, set keep, make_context, accumulate):
        """Propagate `grads` (tensor id -> cotangent) back through the records.

        Args:
            grads: cotangents of the targets; filled in with those of everything they
                depend on.
            keep: ids whose cotangents must stay in `grads` (the sources).
            make_context: `make_context(record, needs)` builds what a vjp sees.
            accumulate: sum of two cotangents.
        """
        cdef Record record
        cdef Py_ssize_t i
        watched = self.watched
        for record in reversed(self.records):
            dys = [grads.get(k) for k in record.out_ids]
            if all([dy is None for dy in dys]):
                continue
            for k in record.out_ids:
                if k not in keep:
                    grads.pop(k, None)
            needs = tuple([k in watched for k in record.in_ids])
            results = record.op.vjp(make_context(record, needs), *dys)
            if not isinstance(results, tuple):
                results = (results,)
            for i in range(len(record.in_ids)):
                if results[i] is None or not needs[i]:
                    continue
                k = record.in_ids[i]
                old = grads.get(k)
                grads[k] = results[i] if old is None else accumulate(old, results[i])
