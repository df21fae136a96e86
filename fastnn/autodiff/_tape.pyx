# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, cdivision=True, wraparound=False
"""What happens in one call of an op: trace it or run it, and record it.

This file dispatches and records; `_launch.pyx` runs. See README.md beside it.
"""

from cpython.list cimport PyList_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint64_t

from fastnn.autodiff._launch cimport (
    OpHandle, TensorBase, handle_of, run_all, run_one,
)

from _thread import _local

from fastnn.autodiff import _autocast
from fastnn.opset import get_op

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState* PyThreadState_Get()
    uint64_t PyThreadState_GetID(PyThreadState*)


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


# -- recording -------------------------------------------------------------------------


cdef class Record:
    """One applied op, with what its gradient needs and nothing more."""

    cdef readonly object op
    cdef readonly tuple attrs, in_ids, out_ids, shapes, dtypes, saved


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
            tape.watched.add(t._id)
            used = True
        elif not used and t._id in tape.watched:
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
                record = _make_record(h.op, h.save_index, inputs, attrs, outputs)
            tape._append(record)
    return 0


def record_custom(op, tuple inputs, list outputs):
    """Record outputs computed elsewhere; `op.vjp` gives their gradient."""
    cdef Record record = _make_record(op, (), inputs, (), tuple(outputs))
    cdef Tape tape
    for tape in _current().tapes:
        if _uses(tape, inputs):
            tape._append(record)


cdef Record _make_record(
    op, tuple save_index, tuple inputs, tuple attrs, tuple outputs
):
    cdef Record record = Record.__new__(Record)
    cdef Py_ssize_t count = PyTuple_GET_SIZE(inputs)
    cdef TensorBase t
    record.op = op
    record.attrs = attrs
    record.in_ids = tuple([(<TensorBase>t)._id for t in inputs])
    record.out_ids = tuple([(<TensorBase>t)._id for t in outputs])
    record.shapes = tuple([(<TensorBase>t)._shape for t in inputs])
    record.dtypes = tuple([(<TensorBase>t)._dtype for t in inputs])
    saved = []
    for i in save_index:
        t = inputs[i] if i < count else outputs[i - count]
        # A variable may change before backward: keep what it holds now.
        saved.append(t._snapshot() if t._is_variable else t)
    record.saved = tuple(saved)
    return record


# -- backward --------------------------------------------------------------------------


cdef class ContextBase:
    """What a vjp sees: saved values and attributes by name, ops as `c.op`."""

    cdef dict __dict__
    cdef Record _record
    cdef tuple _names, _needs

    def needs(self, str name):
        """Whether anybody asks for the gradient of this input."""
        return self._needs[self._names.index(name)]

    def shape_of(self, str name):
        return self._record.shapes[self._names.index(name)]

    def dtype_of(self, str name):
        return self._record.dtypes[self._names.index(name)]

    def unbroadcast(self, TensorBase dy, str name):
        """Sum of dy over the axes along which the input was repeated."""
        cdef tuple shape = self._record.shapes[self._names.index(name)]
        cdef tuple wide = dy._shape
        cdef Py_ssize_t i, lead = len(wide) - len(shape)
        if wide == shape:
            return dy
        axes = tuple([
            i for i in range(len(wide))
            if i < lead or (shape[i - lead] == 1 and wide[i] != 1)
        ])
        if axes:
            dy = apply_to(handle_of(get_op("sum")), (dy,), (axes, False))
        if dy._shape == shape:
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
    cdef readonly set watched
    cdef public bint paused, auto_watch

    def __init__(self, bint auto_watch=True):
        self.records = []
        self.watched = set()
        self.paused = False
        self.auto_watch = auto_watch

    cdef int _append(self, Record record) except -1:
        self.records.append(record)
        for k in record.out_ids:
            self.watched.add(k)
        return 0

    def watch(self, tensor):
        self.watched.add((<TensorBase>tensor)._id)

    def clear(self):
        self.records = []
        self.watched = set()

    def backward(self, dict grads, set keep, accumulate):
        """Propagate `grads` (tensor id -> cotangent) back through the records.

        Args:
            grads: cotangents of the targets; filled in with those of everything they
                depend on.
            keep: ids whose cotangents must stay in `grads` (the sources).
            accumulate: sum of two cotangents.
        """
        cdef Record record
        cdef Py_ssize_t i
        cdef set watched = self.watched
        cdef tuple results
        for record in reversed(self.records):
            dys = [grads.get(k) for k in record.out_ids]
            if all([dy is None for dy in dys]):
                continue
            for k in record.out_ids:
                if k not in keep:
                    grads.pop(k, None)
            needs = tuple([k in watched for k in record.in_ids])
            found = record.op.vjp(_context(record, needs), *dys)
            results = found if isinstance(found, tuple) else (found,)
            for i in range(PyTuple_GET_SIZE(record.in_ids)):
                new = results[i]
                if new is None or not needs[i]:
                    continue
                k = record.in_ids[i]
                old = grads.get(k)
                grads[k] = new if old is None else accumulate(old, new)
