# SPDX-License-Identifier: Apache-2.0
"""How a variable's value is replaced: whole, by slice and by scatter."""

from __future__ import annotations

import _thread
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from fastnn.autodiff._base import TensorBase
from fastnn.autodiff._memory import Memory
from fastnn.autodiff._tape import state
from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._dtypes import is_float

if TYPE_CHECKING:
    from typing import Self

    from fastnn.autodiff.tensor import Tensor, Variable


class IndexedSlices(NamedTuple):
    """Rows of a tensor: `values[i]` belongs to row `indices[i]` (TensorFlow's name).

    Attributes:
        values: tensor (n, ...).
        indices: integer tensor (n,).
        dense_shape: shape of the whole, or None.
    """

    values: Any
    indices: Any
    dense_shape: Any = None


def own_array(array: np.ndarray, of_variable: bool = False) -> tuple[np.ndarray, bool]:
    """What a variable holds of the array of a tensor, and whether others may hold it.

    The array itself, for tensors do not change, and a plan copies before it writes what
    others hold; a copy where it lies in a larger one, or is a variable's.
    """
    base: Any = array.base
    whole = base is None or isinstance(base, Memory)
    if whole and array.flags.carray and not of_variable:
        return array, True
    return np.array(array, order="C"), False


def noted(name: str) -> Any:
    """An attribute whose changes are counted: plans are traced from its value."""

    def get(self: Assignments) -> Any:
        return self.__dict__[name]

    def put(self: Assignments, value: Any) -> None:
        if self.__dict__.get(name) is not value:
            Assignments.changes += 1
        self.__dict__[name] = value

    return property(get, put)


class Assignments:
    """The part of Variable that writes. All methods return the variable.

    Nothing here is differentiated: a tape records what is read from a variable.
    """

    changes = 0  # of the settings of any variable
    _shape: tuple[int, ...]
    _dtype: str
    _array: Any
    _remote: Any
    _shared: bool
    path: str

    def _buffer(self) -> np.ndarray:
        raise NotImplementedError

    def assign(self, value: Any) -> Self:
        """Replace the value; shape must match, numbers and arrays take the dtype.

        Raises:
            ShapeError: for another shape. DTypeError: for a tensor of another dtype.
        """
        current = state()
        if isinstance(value, np.ndarray) and self._overwritten(value):
            return self
        fits = isinstance(value, TensorBase) and value._dtype == self._dtype
        tensor: Tensor = value if fits else self._fitting(value, "assign")
        if tensor._shape != self._shape:
            raise ShapeError(
                f"[Variable.assign] {self.path} has shape {self._shape}, received "
                f"{tensor.shape}"
            )
        if current.stateless is not None and current.stateless.takes(self, tensor):
            return self
        if current.tracer is not None:
            current.tracer.assign_variable(self, tensor)
        else:
            if tensor._remote is not None:
                from fastnn.autodiff import on_device

                if on_device.assigned(cast("Variable", self), tensor):
                    return self
            array = tensor._concrete("assign()")
            self._array, self._shared = own_array(array, tensor._is_variable)
        return self

    def _overwritten(self, value: np.ndarray) -> bool:
        """Writes the value into the array, if nobody else holds that: fresh memory
        would cost as much again (`set_weights` of a new model). Not beside threads of
        Python: NumPy copies without the GIL, and one that reads would see half of it.
        """
        if _thread._count():
            return False
        fits = value.shape == self._shape and value.dtype.kind in "biuf"
        current = state()
        watched = current.tracer is not None or current.stateless is not None
        if not fits or watched or sys.getrefcount(self._array) > 2:
            return False
        if not self._array.flags.writeable:
            return False
        np.copyto(self._array, value, casting="unsafe")
        if self._remote is not None:
            self._remote.replaced()
        return True

    def assign_add(self, delta: Any) -> Self:
        """Adds `delta`, a tensor of the same dtype, a number or an array."""
        return self.assign(self + delta)

    def assign_sub(self, delta: Any) -> Self:
        """Subtracts `delta`."""
        return self.assign(self - delta)

    def _load(self, store: Any, key: str) -> None:
        """Takes its value from a mapping of arrays, of a file without a copy."""
        if hasattr(store, "assign"):
            store.assign(key, self)
        else:
            self.assign(np.asarray(store[key]).astype(self._dtype, copy=False))

    def _clear(self) -> None:
        """Zeros; in the memory that plans have bound, where nobody else holds it."""
        current = state()
        if current.tracer is not None or current.stateless is not None:
            self.assign(np.zeros(self._shape, self._dtype))
        else:
            self._buffer().fill(0)

    # -- parts -----------------------------------------------------------------------

    def scatter_nd_update(self, indices: Any, updates: Any) -> Self:
        """Replaces elements or slices.

        Args:
            indices: integers (..., k), positions along the first k axes.
            updates: (..., *rest), what goes there; of equal positions the last stays.

        Raises:
            IndexError: for a position out of range. ShapeError, DTypeError: for
                updates that do not fit.
        """
        return self._scatter(indices, updates, None)

    def scatter_nd_add(self, indices: Any, updates: Any) -> Self:
        """Adds to elements or slices; equal positions add up."""
        return self._scatter(indices, updates, "add")

    def scatter_nd_sub(self, indices: Any, updates: Any) -> Self:
        """Subtracts from elements or slices."""
        updates = self._fitting(updates, "scatter_nd_sub")
        return self._scatter(indices, -updates, "add")

    def scatter_nd_max(self, indices: Any, updates: Any) -> Self:
        """The larger of what is there and the updates."""
        return self._scatter(indices, updates, "max")

    def scatter_nd_min(self, indices: Any, updates: Any) -> Self:
        """The smaller of what is there and the updates."""
        return self._scatter(indices, updates, "min")

    def scatter_update(self, sparse_delta: IndexedSlices) -> Self:
        """Replaces rows: those numbered `indices` by `values`."""
        return self._scatter_rows("update", sparse_delta)

    def scatter_add(self, sparse_delta: IndexedSlices) -> Self:
        """Adds to rows."""
        return self._scatter_rows("add", sparse_delta)

    def scatter_sub(self, sparse_delta: IndexedSlices) -> Self:
        """Subtracts from rows."""
        return self._scatter_rows("sub", sparse_delta)

    def scatter_max(self, sparse_delta: IndexedSlices) -> Self:
        """The larger of rows and their updates."""
        return self._scatter_rows("max", sparse_delta)

    def scatter_min(self, sparse_delta: IndexedSlices) -> Self:
        """The smaller of rows and their updates."""
        return self._scatter_rows("min", sparse_delta)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "[Variable] item assignment is not supported, for a trace could not see "
            "it: v[key].assign(value)"
        )

    def __getitem__(self, key: Any) -> Any:
        """As of a tensor; the result has `assign`, `assign_add` and `assign_sub`."""
        from fastnn.autodiff.slices import VariableSlice

        return VariableSlice(cast("Variable", self), key)

    def _scatter_rows(self, how: str, delta: Any) -> Self:
        if not (hasattr(delta, "indices") and hasattr(delta, "values")):
            raise TypeError(
                f"[Variable.scatter_{how}] needs IndexedSlices(values, indices), "
                f"received {type(delta).__name__}: scatter_nd_{how} takes indices and "
                f"updates"
            )
        from fastnn.autodiff import raw
        from fastnn.autodiff.tensor import convert_to_tensor

        rows = convert_to_tensor(delta.indices)
        at = raw.reshape(rows, (*rows.shape, 1))
        result: Self = getattr(self, f"scatter_nd_{how}")(at, delta.values)
        return result

    def _scatter(self, indices: Any, updates: Any, how: str | None) -> Self:
        from fastnn.autodiff.scatters import scattered

        name = f"scatter_nd_{how or 'update'}"
        given = self._fitting(updates, name)
        return self.assign(scattered(name, cast("Tensor", self), indices, given, how))

    def _fitting(self, value: Any, method: str) -> Tensor:
        """The value as a tensor; a tensor must have the dtype of the variable."""
        from fastnn.autodiff import raw
        from fastnn.autodiff.tensor import Tensor

        if not isinstance(value, Tensor):
            return Tensor(np.array(value, dtype=self._dtype))
        if value.dtype != self._dtype:
            both = is_float(value.dtype) and is_float(self._dtype)
            if state().autocast is not None and both:
                return raw.cast(value, self._dtype)  # computed from what was read
            raise DTypeError(
                f"[Variable.{method}] {self.path} is {self._dtype}, received a "
                f'{value.dtype} tensor: cast(value, "{self._dtype}") first'
            )
        return value
