# SPDX-License-Identifier: Apache-2.0
"""`StringTensor`: an array of byte strings of any lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn.autodiff import tensor as _numbers
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError, ShapeError, StructureError
from fastnn.structures._splits import Rebuild

# Functions of fastnn.ops that move or compare elements: NumPy's do it for strings.
_BY_NUMPY = {
    name: name
    for name in """array_split broadcast_to concatenate copy diagonal equal expand_dims
    flip greater greater_equal hstack less less_equal moveaxis not_equal ravel repeat
    reshape roll rot90 squeeze stack swapaxes take take_along_axis tile transpose tril
    triu vstack where""".split()
} | {"maximum": "maximum", "minimum": "minimum"}
# Keras's names of arguments where NumPy's differ.
_ARGUMENTS = {"x": "a", "x1": "a", "xs": "arrays"}


def as_bytes(value: Any) -> bytes:
    """A byte string; text in UTF-8."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise DTypeError(
        f"[StringTensor] expects str or bytes, received {value!r}: convert numbers "
        f"with tf.strings.as_string"
    )


def object_array(items: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An object array of `shape` with these items, which are not looked into."""
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


_each = np.frompyfunc(as_bytes, 1, 1)


def bytes_array(value: Any, name: str = "constant") -> np.ndarray:
    """An object array of bytes of strings in lists, arrays or a StringTensor.

    Raises:
        DTypeError: for elements that are no strings. ShapeError: for ragged lists.
    """
    if isinstance(value, StringTensor):
        return value._array
    if isinstance(value, (str, bytes)):
        return object_array([as_bytes(value)], ())
    if isinstance(value, (list, tuple)) and any(
        isinstance(v, StringTensor) for v in value
    ):
        return np.stack([bytes_array(v, name) for v in value])
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        given = np.asarray(value)
        items, shape = given.reshape(-1).tolist(), given.shape
    else:
        items, shape = _flattened(value, name)
    return object_array([as_bytes(v) for v in items], shape)


def _flattened(value: Any, name: str) -> tuple[list[Any], tuple[int, ...]]:
    """Leaves and shape of nested lists; NumPy would cut trailing zero bytes."""
    if not isinstance(value, (list, tuple)):
        return [value], ()
    parts = [_flattened(v, name) for v in value]
    shapes = {shape for _, shape in parts}
    if len(shapes) > 1:
        raise ShapeError(
            f"[{name}] not a regular array: rows of shapes {sorted(shapes)}. Use "
            f"tf.ragged.constant for rows of different lengths"
        )
    inner = shapes.pop() if shapes else ()
    return [leaf for leaves, _ in parts for leaf in leaves], (len(value), *inner)


def wrapped(array: Any) -> Any:
    """What NumPy gave: strings as StringTensor, all else as Tensor."""
    if isinstance(array, (list, tuple)):
        return [wrapped(a) for a in array]
    if isinstance(array, bytes):
        array = object_array([array], ())
    array = np.asarray(array)
    return StringTensor(array) if array.dtype == object else Tensor(array)


def _compare(name: str) -> Any:
    function: Callable[..., Any] = getattr(np, name)

    def method(self: StringTensor, other: Any) -> Any:
        if not isinstance(other, (StringTensor, str, bytes, list, tuple, np.ndarray)):
            return NotImplemented
        found = function(self._array, bytes_array(other, name))
        return Tensor(np.asarray(found, bool))

    return method


class StringTensor:
    """An immutable n-dimensional array of byte strings; text becomes UTF-8.

    `tf.constant("café")` makes one, `tf.strings` computes with them. Functions of
    fastnn.ops that only move or compare elements (reshape, concatenate, take, where,
    equal, ...) take them, others raise StructureError.

    Args:
        array: strings in nested lists or an array.
    """

    dtype = "string"
    __array_priority__ = 100

    def __init__(self, array: Any) -> None:
        if isinstance(array, np.ndarray) and array.dtype == object:
            self._array = array
            if not all(type(v) is bytes for v in array.flat):
                self._array = np.asarray(_each(array), object)
        else:
            self._array = bytes_array(array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    def numpy(self) -> Any:
        """An object array of bytes; of a scalar the bytes."""
        return self._array.item() if self._array.ndim == 0 else self._array.copy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = self._array if dtype is None else self._array.astype(dtype)
        return array.copy() if copy else array

    def __getitem__(self, key: Any) -> StringTensor:
        keys = key if isinstance(key, tuple) else (key,)
        plain = tuple(np.asarray(k) if isinstance(k, Tensor) else k for k in keys)
        found = self._array[plain]
        return StringTensor(
            found if isinstance(found, np.ndarray) else object_array([found], ())
        )

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("[StringTensor] len() of a scalar tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[StringTensor]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Any) -> StringTensor:
        """Strings one after the other, broadcast."""
        return StringTensor(np.asarray(self._array + bytes_array(other), object))

    def __radd__(self, other: Any) -> StringTensor:
        return StringTensor(np.asarray(bytes_array(other) + self._array, object))

    __eq__ = _compare("equal")
    __ne__ = _compare("not_equal")
    __lt__, __le__ = _compare("less"), _compare("less_equal")
    __gt__, __ge__ = _compare("greater"), _compare("greater_equal")

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise StructureError(
            "[StringTensor] a string tensor is neither true nor false: compare it, or "
            "ask for tf.strings.length"
        )

    def __reduce__(self) -> Any:
        return StringTensor, (self._array,)

    def __repr__(self) -> str:
        value = self._array if self.ndim else self._array.item()
        return f"<tf.Tensor: shape={self.shape}, dtype=string, numpy={value!r}>"

    def __str__(self) -> str:
        value = self._array if self.ndim else self._array.item()
        return f"tf.Tensor({value}, shape={self.shape}, dtype=string)"

    def __fastnn_parts__(self) -> Any:
        return (), Rebuild(("string", self.shape, *self._array.flat), lambda: self)

    def __fastnn_function__(self, function: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        if name == "convert_to_tensor":
            return self
        if name == "add":
            return StringTensor(args[0]) + args[1]
        if name in ("shape", "size", "ndim"):
            return getattr(args[0], name)
        if name in ("zeros_like", "ones_like") or name not in _BY_NUMPY:
            raise StructureError(
                f"[{name}] takes numbers, received a string tensor of shape "
                f"{self.shape}: tf.strings has the functions of strings"
            )
        from fastnn import tree

        args, kwargs = tree.map_structure(_for_numpy, (args, kwargs))
        kwargs = {
            k if k == "axis" else _ARGUMENTS.get(k, k): v for k, v in kwargs.items()
        }
        return wrapped(getattr(np, name)(*args, **kwargs))


def _for_numpy(value: Any) -> Any:
    if isinstance(value, (str, bytes)):
        return bytes_array(value)
    return np.asarray(value) if isinstance(value, (Tensor, StringTensor)) else value


def is_strings(value: Any) -> bool:
    """Whether a value, or the first leaf of lists or of an array, is a string."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return bool(value.size) and isinstance(value.flat[0], (str, bytes))
        return value.dtype.kind in "SU"
    return isinstance(value, (str, bytes, StringTensor))


def constant(
    value: Any, dtype: str | None = None, shape: Any = None, name: str | None = None
) -> Any:
    """A tensor of numbers, or of strings; with `shape`, of that many elements.

    Args:
        value: numbers or strings in nested lists, or an array. One element fills
            `shape`.
        dtype: "string", or as for `convert_to_tensor`.
        shape: of the result, that of the value when None.
        name: not used.

    Raises:
        DTypeError: for values that are not of `dtype`. ShapeError: for ragged lists, or
            when the elements do not fill `shape`.
    """
    if dtype == "string" or (dtype is None and is_strings(value)):
        tensor: Any = StringTensor(bytes_array(value))
    else:
        tensor = _numbers.convert_to_tensor(value, dtype)
    if shape is None or tuple(shape) == tensor.shape:
        return tensor
    from fastnn import ops

    if tensor.size == 1:
        return ops.broadcast_to(ops.reshape(tensor, ()), tuple(shape))
    return ops.reshape(tensor, tuple(shape))


def as_tensor(value: Any, dtype: str | None = None) -> Any:
    """A Tensor or StringTensor of what is one already, or can become one."""
    if isinstance(value, (Tensor, StringTensor)) and dtype in (None, value.dtype):
        return value
    return constant(value, dtype)


def convert_to_tensor(
    value: Any, dtype: str | None = None, dtype_hint: Any = None, name: Any = None
) -> Any:
    """A tensor of numbers or strings; tensors of `dtype` are returned as they are."""
    return as_tensor(value, dtype)
