# SPDX-License-Identifier: Apache-2.0
"""`Tensor` and `Variable`: arrays with operators that the tape can record."""

from __future__ import annotations

import sys
from copy import deepcopy
from functools import cache
from math import copysign
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from fastnn import config
from fastnn._names import scoped
from fastnn.autodiff import _autocast, _shown, on_device
from fastnn.autodiff._arrays import (
    check_fits,
    fits_int32,
    holds_arrays,
    native,
    scalar_array,
)
from fastnn.autodiff._base import set_tensor_class
from fastnn.autodiff._calls import Operators, numbers, set_combine
from fastnn.autodiff._launch import scopes_open
from fastnn.autodiff._protocols import Protocols
from fastnn.autodiff._tape import apply, state
from fastnn.autodiff.assignments import Assignments, noted, own_array
from fastnn.autodiff.initial import check_options, first_value
from fastnn.errors import (
    DTypeError,
    PlanError,
    ShapeError,
    StructureError,
    SymbolicTensorError,
    user_line,
)
from fastnn.opset import _dtypes, get_op
from fastnn.opset._dtypes import COMPUTED


def _raw() -> Any:
    from fastnn.autodiff import raw

    return raw


@cache
def _indexing() -> Any:
    from fastnn.autodiff import indexing

    return indexing


_PLAIN = ("add", "subtract", "multiply")


def _combine(name: str, x: Tensor, other: Any, swapped: bool) -> Any:
    """An operator whose other side is no tensor, or whose dtypes have no kernels."""
    if not isinstance(other, Tensor) and name in _PLAIN and x._dtype in COMPUTED:
        other = _operand(x, other, name)
        if other is NotImplemented:
            return other
        return apply(get_op(name), (other, x) if swapped else (x, other))
    from fastnn.autodiff import integers

    if name == "negative":
        return integers.call(name, x)
    if name == "divide":
        return _divide(x, other, swapped=swapped)
    if not isinstance(other, Tensor):
        other = _operand(x, other, name)
        if other is NotImplemented:
            return other
    pair = (other, x) if swapped else (x, other)
    if name == "matmul":
        from fastnn.autodiff.indexing import matmul

        return matmul(*pair)
    if name == "power":
        return integers.power(*pair)
    if x._dtype in COMPUTED:
        return apply(get_op(name), pair)
    return integers.call(name, *pair)


set_combine(_combine)


def _binary(name: str, *, swapped: bool = False) -> Any:
    return lambda self, other: _combine(name, self, other, swapped)


def _check_bool(name: str, *tensors: Tensor) -> None:
    for t in tensors:
        if t.dtype != "bool":
            raise DTypeError(
                f"[{name}] the operators & | ^ ~ are logical, for bool tensors, "
                f'received {t.dtype}: compare, or cast(x, "bool") first'
            )


def _logical(name: str, *, swapped: bool = False) -> Any:
    def method(self: Tensor, other: Any) -> Any:
        other = _operand(self, other, name)
        if other is NotImplemented:
            return other
        _check_bool(name, self, other)
        function = getattr(_raw(), name)
        return function(other, self) if swapped else function(self, other)

    return method


def _operand(self: Tensor, other: Any, name: str) -> Any:
    """The other side of an operator: tensors as they are, numbers and arrays adapt."""
    if isinstance(other, Tensor):
        return other
    if isinstance(other, (bool, int, float, np.ndarray, np.generic, list, tuple)):
        return scalar_like(name, other, self._dtype)
    return NotImplemented


def scalar_like(name: str, value: Any, dtype: str) -> Tensor:
    """A Python number or array-like as a tensor of `dtype`, if that loses no kind.

    Numbers give the same tensor again: making it takes longer than adding it.
    """
    kind = type(value)
    key = (value, kind, dtype) if kind is float or kind is int else None
    if key is None or (value == 0 and kind is float and copysign(1, value) < 0):
        return Tensor(scalar_array(name, value, dtype))
    found: Tensor | None = numbers.get(key)
    if found is None:
        found = Tensor(scalar_array(name, value, dtype))
        if len(numbers) >= 1024:
            numbers.clear()
        numbers[key] = found
    return found


class Tensor(Protocols, Operators):
    """An immutable n-dimensional array whose operations are recorded by tapes.

    Operators broadcast like NumPy's. Two tensors of different dtypes raise DTypeError;
    Python numbers and NumPy arrays adapt to the tensor beside them.

    Args:
        array: a NumPy array of a supported dtype; it is not copied, so do not write
            to it afterwards (`convert_to_tensor` copies what it must).
    """

    __slots__ = ()
    __array_priority__ = 100  # ndarray + Tensor is Tensor's business

    # -- what it is ------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int:
        n = 1
        for s in self._shape:
            n *= s
        return n

    @property
    def is_symbolic(self) -> bool:
        """True while a function is being traced: the value does not exist yet."""
        return self._host is None and self._remote is None

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array of its own (a copy).

        Raises:
            PlanError: while tracing, where there are no values.
        """
        return np.array(self._concrete("numpy()"))

    def _concrete(self, what: str) -> np.ndarray:
        if self._array is None:
            where = user_line()
            raise PlanError(
                f"[function] {what} at {where} needs the value of a tensor while the "
                f"function is being traced, when only its shape {self._shape} and "
                f"dtype {self._dtype} are known. Keep the value inside fastnn.ops, or "
                f"run eagerly (run_eagerly=True)."
            )
        return self._array

    def __bool__(self) -> bool:
        if self._array is None or (self._is_variable and state().tracer is not None):
            raise PlanError(
                f"[function] the condition at {user_line()} depends on the value of a "
                f"tensor, which does not exist while tracing. Use ops.where(condition, "
                f"a, b), or run eagerly (run_eagerly=True)."
            )
        return bool(self._array)

    def __int__(self) -> int:
        return int(self._concrete("int()"))

    def __float__(self) -> float:
        return float(self._concrete("float()"))

    def __index__(self) -> int:
        return self._concrete("an index").__index__()

    def __format__(self, spec: str) -> str:
        if self._array is not None and self._array.ndim == 0 and spec:
            return format(self._array.item(), spec)
        return format(str(self), spec)

    def item(self) -> Any:
        return self._concrete("item()").item()

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("[Tensor] len() of a scalar tensor")
        return self._shape[0]

    __repr__ = _shown.described
    __str__ = _shown.printed

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        return Tensor, (self.numpy(),)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return Tensor(self.numpy())

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "[Tensor] tensors are immutable: use ops.where, or a Variable's assign()"
        )

    def __getitem__(self, key: Any) -> Tensor:
        return _indexing().getitem(self, key)

    def _snapshot(self) -> Tensor:
        return self

    # -- operators -------------------------------------------------------------------

    __pow__, __rpow__ = _binary("power"), _binary("power", swapped=True)
    __floordiv__ = _binary("floor_divide")
    __rfloordiv__ = _binary("floor_divide", swapped=True)
    __mod__, __rmod__ = _binary("mod"), _binary("mod", swapped=True)
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __eq__ = _binary("equal")
    __ne__ = _binary("not_equal")
    __and__, __rand__ = _logical("logical_and"), _logical("logical_and", swapped=True)
    __or__, __ror__ = _logical("logical_or"), _logical("logical_or", swapped=True)
    __xor__, __rxor__ = _logical("logical_xor"), _logical("logical_xor", swapped=True)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        from fastnn.autodiff import integers

        return integers.call("abs", self)

    def __invert__(self) -> Any:
        _check_bool("logical_not", self)
        return _raw().logical_not(self)


def _divide(self: Tensor, other: Any, *, swapped: bool) -> Any:
    raw = _raw()
    x = self
    if not _dtypes.is_float(x.dtype):
        x = raw.cast(x, config.floatx())  # true division of integers gives floats
        if isinstance(other, Tensor) and not _dtypes.is_float(other.dtype):
            other = raw.cast(other, config.floatx())
    other = _operand(x, other, "divide")
    if other is NotImplemented:
        return other
    return raw.divide(other, x) if swapped else raw.divide(x, other)


set_tensor_class(Tensor)


_variables: WeakValueDictionary[int, Variable] = WeakValueDictionary()


def living_variables() -> list[Variable]:
    """All variables that exist, in no particular order."""
    return list(_variables.values())


def variables_among(ids: set[int]) -> list[Variable]:
    """The living variables that tapes know by these ids, oldest first."""
    found = (_variables.get(i) for i in sorted(ids))
    return [v for v in found if v is not None]


class Variable(Assignments, Tensor):
    """A tensor whose value can be replaced in place.

    Args:
        initializer: array-like, Tensor, a function that returns one, or an initializer
            (or its name) for a `shape`. TensorFlow calls it `initial_value`.
        shape: for an initializer; a bool is TensorFlow's second argument, `trainable`.
        dtype: of the variable; that of the value when None (Python floats: `floatx()`).
        trainable: whether tapes record it without being told to.
        autocast: whether layers with mixed precision read it in 16 bits.
        aggregation, synchronization, layout: accepted; there is one machine.
        name: shown in `path` and in errors.
        **kwargs: TensorFlow's `initial_value` and `constraint`.
    """

    autocast = True
    regularizer = noted("regularizer")
    constraint = noted("constraint")

    def __init__(
        self,
        initializer: Any = None,
        shape: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(shape, bool):
            shape, trainable = None, shape
        self.autocast = autocast
        check_options(aggregation, synchronization, kwargs)
        value = first_value(kwargs.get("initial_value", initializer), shape, dtype)
        if isinstance(value, Variable):
            value = value._array  # what it holds now, also while tracing
        with config.device_scoped(config.CPU):  # a device gets it when it reads it
            tensor = convert_to_tensor(value, dtype)
        # True: someone else may hold this very array.
        array, self._shared = own_array(tensor._concrete("Variable()"))
        super().__init__(array)
        self._is_variable = True
        self.trainable = trainable
        self.name = name or "variable"
        self.path = scoped(self.name)
        self.regularizer = None
        self.constraint = kwargs.get("constraint")
        _variables[self._id] = self
        tracer = state().tracer
        if tracer is not None:
            tracer.variable_created(self)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        Assignments.changes += 1
        self._watch = self._trainable and _dtypes.is_float(self._dtype)

    @property
    def dtype(self) -> str:
        """What it is read in: its own dtype, but in calls of mixed-precision layers."""
        return _autocast.dtype_of(self)

    @property
    def value(self) -> Tensor:
        """The current value as a Tensor; later assignments do not change it."""
        return _autocast.as_read(self, self._snapshot())

    def _snapshot(self) -> Tensor:
        tracer = state().tracer
        if tracer is not None:
            return self._same_to_tapes(tracer.read_variable(self))
        if self._remote is not None or scopes_open():
            found = on_device.snapshot(self)
            if found is not None:
                return self._same_to_tapes(found)
        array = self._array  # what is fetched is shared with nobody yet
        self._shared = True
        return self._same_to_tapes(Tensor(array))

    def _same_to_tapes(self, tensor: Tensor) -> Tensor:
        """`tensor`, recorded and differentiated as this variable."""
        tensor._id = self._id
        tensor._watch = self._watch
        return tensor

    def _buffer(self) -> np.ndarray:
        """The array itself, for writing in place: nobody else sees it change."""
        if self._shared:
            # One reference is the variable's, one the call's. First weights and what
            # was assigned are held by nobody else: copies of 2048 x 2048 cost 4 ms.
            if sys.getrefcount(self._array) > 2:
                self._array = self._array.copy()
            self._shared = False
        array: np.ndarray = self._array
        if self._remote is not None:
            self._remote.replaced()
        return array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = super().__array__(dtype, copy)
        self._shared = True
        return array

    def _exported(self, what: str) -> np.ndarray:
        array = self._concrete(what)
        self._shared = True  # plans write into a copy from now on
        return array

    def _concrete(self, what: str) -> np.ndarray:
        if state().tracer is not None:
            raise PlanError(
                f"[function] {what} at {user_line()} would build the present value of "
                f"variable {self.path} into the function being traced: later "
                f"assignments would not be seen. Use the variable itself in "
                f"fastnn.ops, or run eagerly (run_eagerly=True)."
            )
        return self._array

    __repr__ = __str__ = _shown.variable

    def __reduce__(self) -> Any:
        begun = self.numpy(), None, self._dtype, self.trainable
        return Variable, (*begun, True, "none", "auto", self.name), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __deepcopy__(self, memo: Any) -> Variable:
        _, begun, attributes = self.__reduce__()
        memo[id(self)] = copy = Variable(*begun)
        copy.__dict__.update(deepcopy(attributes, memo))
        return copy


def convert_to_tensor(value: Any, dtype: str | None = None) -> Tensor:
    """A tensor of `value`: Python floats become `floatx()`, ints int32, arrays keep.

    Raises:
        DTypeError: for values that are no numbers (strings, ragged lists, objects).
    """
    if isinstance(value, Tensor):
        if dtype is None or value.dtype == dtype:
            return value
        return _raw().cast(value, dtype)
    if isinstance(value, (list, tuple)):
        from fastnn.autodiff.indexing import common_dtype, holds_tensors, stacked

        if holds_tensors(value):
            dtype = dtype or common_dtype(value)
            if state().tracer or state().tapes:  # as an array they would be constants
                return stacked(value, dtype)
    try:
        array = np.array(value)
    except SymbolicTensorError:
        raise
    except ValueError as error:
        raise ShapeError(f"[convert_to_tensor] not a regular array: {error}") from None
    if dtype is None and not isinstance(value, (np.ndarray, np.generic)):
        if array.dtype.kind == "f" and not holds_arrays(value):
            dtype = config.floatx()
        elif array.dtype == np.int64 and not holds_arrays(value):
            dtype = "int32" if fits_int32(array) else "int64"
    if array.dtype.kind not in "biuf" and array.dtype.name not in _dtypes.FLOATS:
        raise (StructureError if array.dtype.kind in "OSU" else DTypeError)(
            f"[convert_to_tensor] cannot make a tensor of {type(value).__name__} with "
            f"dtype {array.dtype}; supported: {', '.join(_dtypes.NAMES)}"
        )
    if dtype is None:
        return on_device.made(Tensor(native(array)))
    _dtypes.know(dtype)
    if array.dtype.kind in "iu" and not isinstance(value, (np.ndarray, np.generic)):
        check_fits("convert_to_tensor", array, dtype)
    return on_device.made(Tensor(array.astype(dtype, copy=False)))
