# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
"""What happens in one call of an op: trace it or run it, and record it.

This file dispatches and records; `_launch.pyx` runs. See README.md beside it.
"""

cimport cython
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport (
    PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM,
)
from libc.stdint cimport int64_t, uint64_t
from libcpp.vector cimport vector

from fastnn.autodiff._base cimport TensorBase, new_tensor, same_shape
from fastnn.autodiff._launch cimport OpHandle, handle_of, overwrite, run_all, run_one

from _thread import _local

from fastnn.autodiff import _autocast
from fastnn.opset import get_op

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState* PyThreadState_Get()
    uint64_t PyThreadState_GetID(PyThreadState*)


cdef extern from "base/id_set.hpp" namespace "fastnn" nogil:
    cdef cppclass IdSet:
        void insert(int64_t) except +
        bint contains(int64_t)
        void clear()
        const vector[int64_t]& slots()


cdef class _State:
    """What the running thread records into."""

    cdef public object tracer
    cdef public list tapes
    cdef uint64_t owner  # number of the thread
    cdef public object autocast  # dtype that float variables are read in, or None
    cdef public object stateless  # the open StatelessScope, or None

    def __init__(self):
        self.tapes = []
        self.owner = PyThreadState_GetID(PyThreadState_Get())


class _Local(_local):
    def __init__(self):
        self.state = _State()


_thread_state = _Local()
cdef _State _latest = _State()  # of the thread that asked last: a lookup less


cdef _State _current():
    global _latest
    cdef _State found = _latest
    if found.owner != PyThreadState_GetID(PyThreadState_Get()):
        found = _thread_state.state
        _latest = found
    return found


def state():
    """The calling thread's tracer and stack of tapes."""
    return _current()


cdef object apply_to(OpHandle h, tuple inputs, tuple attrs):
    cdef _State state = _current()
    cdef list outputs
    if state.autocast is not None:
        inputs = _autocast.read(inputs)
    if state.tracer is None:
        if h.n_out == 1:
            out = run_one(h, inputs, attrs)
            if PyList_GET_SIZE(state.tapes):
                _record(state, h, inputs, attrs, (out,))
            return out
        outputs = run_all(h, inputs, attrs)
    else:
        outputs = state.tracer.emit(h.op, inputs, attrs)
    results = tuple(outputs)
    if PyList_GET_SIZE(state.tapes):
        _record(state, h, inputs, attrs, results)
    return outputs[0] if h.n_out == 1 else results


def apply(op, tuple inputs, tuple attrs=()):
    """Apply an op to tensors: the one way anything is computed.

    Args:
        op: the OpDef.
        inputs: tensors, dtypes as the op wants them.
        attrs: attribute values in record order.

    Returns:
        The output tensor, or a tuple of them when the op has several.
    """
    cdef OpHandle h = handle_of(op)
    if PyTuple_GET_SIZE(inputs) != h.n_in:
        raise TypeError(f"[{h.name}] takes {h.n_in} inputs, got {len(inputs)}")
    return apply_to(h, inputs, attrs)


def update(op, tuple inputs, tuple attrs):
    """Applies an op whose outputs replace variables among its inputs, in their memory.

    False, and nothing is done, where results must be tensors of their own: under a
    tape, a trace or a scope, and where somebody else holds the array of a variable.
    """
    cdef _State state = _current()
    if (
        state.tracer is not None or state.autocast is not None
        or state.stateless is not None or PyList_GET_SIZE(state.tapes)
    ):
        return False
    for t in inputs:
        if not isinstance(t, TensorBase):
            return False
    return overwrite(handle_of(op), inputs, attrs)


# -- recording -------------------------------------------------------------------------


cdef enum:
    FEW = 5  # ids of a record that need no memory of their own


@cython.final
@cython.freelist(256)
cdef class Record:
    """One applied op, with what its gradient needs and nothing more."""

    cdef readonly object op
    cdef readonly tuple attrs, saved
    cdef tuple specs  # shape and dtype of each input, one after the other
    cdef int n_in, n_out
    cdef int64_t* ids  # of the inputs, then of the outputs
    cdef int64_t[FEW] few

    def __dealloc__(self):
        if self.ids != self.few:
            PyMem_Free(self.ids)


cdef bint _uses(Tape tape, tuple inputs) except -1:
    """Whether a gradient can flow into one of the inputs."""
    cdef bint used = False
    cdef TensorBase t
    cdef Py_ssize_t i
    if tape.paused:
        return False
    for i in range(PyTuple_GET_SIZE(inputs)):
        t = <TensorBase>PyTuple_GET_ITEM(inputs, i)
        if t._watch and tape.auto_watch:
            tape.ids.insert(t._id)
            used = True
        elif not used and tape.ids.contains(t._id):
            used = True
    return used


cdef int _record(
    _State state, OpHandle h, tuple inputs, tuple attrs, tuple outputs
) except -1:
    cdef Record record = None
    cdef Tape tape
    for tape in state.tapes:
        if _uses(tape, inputs) and h.has_vjp:
            if record is None:
                record = _make_record(
                    state, h.op, h.save_index, inputs, attrs, outputs
                )
            tape._append(record)
    return 0


def record_custom(op, tuple inputs, list outputs):
    """Record outputs computed elsewhere; `op.vjp` gives their gradient."""
    cdef _State state = _current()
    cdef Record record = _make_record(state, op, (), inputs, (), tuple(outputs))
    cdef Tape tape
    for tape in state.tapes:
        if _uses(tape, inputs):
            tape._append(record)


cdef tuple _specs(tuple inputs):
    cdef Py_ssize_t i, count = PyTuple_GET_SIZE(inputs)
    cdef tuple specs = PyTuple_New(2 * count)
    cdef TensorBase t
    for i in range(count):
        t = <TensorBase>PyTuple_GET_ITEM(inputs, i)
        Py_INCREF(t._shape)
        PyTuple_SET_ITEM(specs, 2 * i, t._shape)
        Py_INCREF(t._dtype)
        PyTuple_SET_ITEM(specs, 2 * i + 1, t._dtype)
    return specs


cdef object _kept(_State state, TensorBase t):
    """A tensor for the way back. A variable may change before: what it holds now."""
    cdef TensorBase now
    if not t._is_variable:
        return t
    if state.tracer is not None or t._remote is not None:
        return t._snapshot()
    t._shared = True
    now = new_tensor(t._host, t._shape, t._dtype)
    now._id = t._id
    now._watch = t._watch
    return now


cdef Record _make_record(
    _State state, op, tuple save_index, tuple inputs, tuple attrs, tuple outputs
):
    cdef Record record = Record.__new__(Record)
    cdef Py_ssize_t count = PyTuple_GET_SIZE(inputs), made = PyTuple_GET_SIZE(outputs)
    cdef Py_ssize_t i, at
    cdef tuple saved
    record.ids = record.few
    if count + made > FEW:
        record.ids = <int64_t*>PyMem_Malloc((count + made) * sizeof(int64_t))
        if record.ids == NULL:
            record.ids = record.few
            raise MemoryError()
    record.n_in = <int>count
    record.n_out = <int>made
    for i in range(count):
        record.ids[i] = (<TensorBase>PyTuple_GET_ITEM(inputs, i))._id
    for i in range(made):
        record.ids[count + i] = (<TensorBase>PyTuple_GET_ITEM(outputs, i))._id
    record.op = op
    record.attrs = attrs
    record.specs = _specs(inputs)
    saved = PyTuple_New(PyTuple_GET_SIZE(save_index))
    for i in range(PyTuple_GET_SIZE(save_index)):
        at = save_index[i]
        value = _kept(
            state,
            <TensorBase>(
                PyTuple_GET_ITEM(inputs, at) if at < count
                else PyTuple_GET_ITEM(outputs, at - count)
            ),
        )
        Py_INCREF(value)
        PyTuple_SET_ITEM(saved, i, value)
    record.saved = saved
    return record


# -- backward --------------------------------------------------------------------------


cdef class ContextBase:
    """What a vjp sees: saved values and attributes by name, ops as `c.op`."""

    cdef dict __dict__
    cdef Record _record
    cdef tuple _names, _needs

    cdef Py_ssize_t _index(self, str name) except -1:
        cdef Py_ssize_t i
        for i in range(PyTuple_GET_SIZE(self._names)):
            if PyTuple_GET_ITEM(self._names, i) == <PyObject*>name:
                return i
        return self._names.index(name)

    def needs(self, str name):
        """Whether anybody asks for the gradient of this input."""
        return self._needs[self._index(name)]

    def shape_of(self, str name):
        return self._record.specs[2 * self._index(name)]

    def dtype_of(self, str name):
        return self._record.specs[2 * self._index(name) + 1]

    def unbroadcast(self, TensorBase dy, str name):
        """Sum of dy over the axes along which the input was repeated."""
        cdef tuple shape = self._record.specs[2 * self._index(name)]
        cdef tuple wide = dy._shape
        cdef Py_ssize_t i, lead = len(wide) - len(shape)
        if same_shape(wide, shape):
            return dy
        axes = tuple([
            i for i in range(len(wide))
            if i < lead or (shape[i - lead] == 1 and wide[i] != 1)
        ])
        if axes:
            dy = apply_to(handle_of(get_op("sum")), (dy,), (axes, False))
        if same_shape(dy._shape, shape):
            return dy
        return apply_to(handle_of(get_op("reshape")), (dy,), (shape,))


cdef object _context_class = ContextBase


def set_context_class(cls):
    """What `backward` hands to gradient functions: a subclass of ContextBase."""
    global _context_class
    _context_class = cls


cdef ContextBase _context(Record record, tuple needs):
    cdef ContextBase c = _context_class()
    cdef OpHandle h
    cdef Py_ssize_t i
    op = record.op
    c._record = record
    c._names = op.inputs
    c._needs = needs
    if PyTuple_GET_SIZE(record.saved) or PyTuple_GET_SIZE(record.attrs):
        h = handle_of(op)
        for i in range(PyTuple_GET_SIZE(record.saved)):
            setattr(c, h.saves[i], record.saved[i])
        for i in range(PyTuple_GET_SIZE(record.attrs)):
            setattr(c, h.attr_names[i], record.attrs[i])
    return c


cdef class Tape:
    """Append-only list of records; its order is already topological."""

    cdef readonly list records
    cdef IdSet ids
    cdef public bint paused, auto_watch

    def __init__(self, bint auto_watch=True):
        self.records = []
        self.paused = False
        self.auto_watch = auto_watch

    cdef int _append(self, Record record) except -1:
        cdef int i
        self.records.append(record)
        for i in range(record.n_out):
            self.ids.insert(record.ids[record.n_in + i])
        return 0

    @property
    def watched(self):
        """The ids of what is watched or was recorded, as a new set."""
        cdef size_t i
        cdef int64_t k
        found = set()
        for i in range(self.ids.slots().size()):
            k = self.ids.slots()[i]
            if k:
                found.add(k)
        return found

    def watches(self, tensor):
        return self.ids.contains((<TensorBase>tensor)._id)

    def watch(self, tensor):
        self.ids.insert((<TensorBase>tensor)._id)

    def clear(self):
        self.records = []
        self.ids.clear()

    def backward(self, dict grads, set keep, accumulate, bint once=False):
        """Propagate `grads` (tensor id -> cotangent) back through the records.

        Args:
            grads: cotangents of the targets; filled in with those of everything they
                depend on.
            keep: ids whose cotangents must stay in `grads` (the sources).
            accumulate: sum of two cotangents.
            once: lose each record as its gradient is taken.
        """
        cdef Record record
        cdef int i
        cdef tuple results
        cdef list dys
        cdef bint reached
        cdef Py_ssize_t at = PyList_GET_SIZE(self.records)
        while at > 0:
            at -= 1
            record = self.records.pop() if once else self.records[at]
            dys = []
            reached = False
            for i in range(record.n_in, record.n_in + record.n_out):
                k = record.ids[i]
                dy = grads.get(k) if k in keep else grads.pop(k, None)
                reached |= dy is not None
                dys.append(dy)
            if not reached:
                continue
            needs = tuple([
                self.ids.contains(record.ids[i]) for i in range(record.n_in)
            ])
            found = record.op.vjp(_context(record, needs), *dys)
            results = found if isinstance(found, tuple) else (found,)
            for i in range(record.n_in):
                new = results[i]
                if new is None or not needs[i]:
                    continue
                k = record.ids[i]
                old = grads.get(k)
                grads[k] = new if old is None else accumulate(old, new)
