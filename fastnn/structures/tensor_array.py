# SPDX-License-Identifier: Apache-2.0
"""`TensorArray`: a list of tensors of one dtype and shape."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError, OutOfRangeError, ShapeError
from fastnn.structures import _splits
from fastnn.structures.string_tensor import StringTensor, as_tensor

_READ: Any = object()  # stands where an element was read and cleared


class TensorArray:
    """A list of tensors, written and read by position.

    Methods that write return the array itself, so that TensorFlow's
    `ta = ta.write(i, x)` works. What is read has the gradient of what was written.

    Args:
        dtype: of all elements.
        size: number of elements, to begin with if dynamic.
        dynamic_size: whether a write behind the end makes the array longer.
        clear_after_read: whether an element can be read only once; True by default.
        tensor_array_name: not used.
        handle: not used.
        flow: not used.
        infer_shape: whether all elements must have the shape of the first.
        element_shape: of all elements, None for sizes that may be anything.
        colocate_with_first_write_call: not used.
        name: not used.

    Raises:
        OutOfRangeError: for positions outside of the array.
        ValueError: for an element that was not written, or was read before.
        DTypeError, ShapeError: for an element unlike the others.
    """

    def __init__(
        self,
        dtype: str,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if size is None:
            raise ValueError(
                "[TensorArray] expects a size: TensorArray(dtype, size=0, "
                "dynamic_size=True) grows"
            )
        self._dtype = dtype
        self._dynamic = bool(dynamic_size)
        self._clear = clear_after_read is None or bool(clear_after_read)
        self._infer = infer_shape
        self._shape = None if element_shape is None else tuple(element_shape)
        self._items: list[Any] = [None] * int(size)

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        return self._dynamic

    @property
    def element_shape(self) -> tuple[int | None, ...] | None:
        return self._shape

    def size(self, name: str | None = None) -> Tensor:
        return Tensor(np.asarray(len(self._items), np.int32))

    def identity(self) -> TensorArray:
        """Another array with the same elements."""
        copy = TensorArray.__new__(TensorArray)
        copy.__dict__.update(self.__dict__)
        copy._items = list(self._items)
        return copy

    def close(self, name: str | None = None) -> None:
        """Let go of all elements."""
        self._items.clear()

    def _position(self, index: Any, size: int | None) -> int:
        i = int(_splits.integers("TensorArray", "index", index))
        if i < 0 or (size is not None and i >= size):
            raise OutOfRangeError(
                f"[TensorArray] index {i} is out of range for size {len(self._items)}"
                + ("" if self._dynamic else "; dynamic_size=True lets it grow")
            )
        return i

    def _accepted(self, value: Any) -> Any:
        numbers = isinstance(value, (int, float, list, tuple, np.ndarray))
        tensor = as_tensor(value, self._dtype if numbers else None)
        if tensor.dtype != self._dtype:
            raise DTypeError(
                f"[TensorArray] elements are {self._dtype}, received {tensor.dtype}"
            )
        wanted = self._shape
        if wanted is not None and (
            len(wanted) != tensor.ndim
            or any(
                w not in (None, -1, n)
                for w, n in zip(wanted, tensor.shape, strict=True)
            )
        ):
            raise ShapeError(
                f"[TensorArray] elements have shape {wanted}, received {tensor.shape}"
            )
        if wanted is None and self._infer:
            self._shape = tensor.shape
        return tensor

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Put an element at a position."""
        i = self._position(index, None if self._dynamic else len(self._items))
        tensor = self._accepted(value)
        if i >= len(self._items):
            self._items += [None] * (i + 1 - len(self._items))
        self._items[i] = tensor
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        """The element at a position, which is then cleared if the array does so."""
        i = self._position(index, len(self._items))
        item = self._filled(i)
        if self._clear:
            self._items[i] = _READ
        return item

    def _filled(self, i: int) -> Any:
        item = self._items[i]
        if item is _READ:
            raise ValueError(
                f"[TensorArray] element {i} was read before and is cleared: "
                f"clear_after_read=False keeps elements"
            )
        if item is None:
            if self._shape is None or any(n in (None, -1) for n in self._shape):
                raise ValueError(f"[TensorArray] element {i} was never written")
            empty = b"" if self._dtype == "string" else np.zeros((), self._dtype)
            return ops.broadcast_to(as_tensor(empty, self._dtype), self._shape)
        return item

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """The elements at these positions, stacked; they are not cleared."""
        at = _splits.vector("TensorArray", "indices", indices)
        n = len(self._items)
        return self._stacked([self._filled(self._position(i, n)) for i in at])

    def stack(self, name: str | None = None) -> Any:
        """All elements, along a new first axis."""
        return self._stacked([self._filled(i) for i in range(len(self._items))])

    def _stacked(self, items: list[Any]) -> Any:
        if items:
            return ops.stack(items, axis=0)
        shape = (0, *[n or 0 for n in self._shape or ()])
        if self._dtype == "string":
            return StringTensor(np.empty(shape, object))
        return Tensor(np.empty(shape, self._dtype))

    def concat(self, name: str | None = None) -> Any:
        """The elements one after the other along their first axis."""
        items = [self._filled(i) for i in range(len(self._items))]
        if any(item.ndim == 0 for item in items):
            raise ShapeError("[TensorArray] scalars cannot be concatenated: stack()")
        return ops.concatenate(items, axis=0) if items else self._stacked([])

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """Fill the array with the rows of a tensor, from position 0."""
        rows = as_tensor(value)
        if len(rows) > len(self._items) and not self._dynamic:
            raise ValueError(
                f"[TensorArray] {len(rows)} rows for an array of size "
                f"{len(self._items)}: dynamic_size=True lets it grow"
            )
        return self.scatter(np.arange(len(rows)), rows)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """Put the rows of a tensor at these positions."""
        at = _splits.vector("TensorArray", "indices", indices)
        rows = as_tensor(value)
        if not rows.ndim or len(rows) != len(at):
            raise ShapeError(
                f"[TensorArray] {len(at)} positions for rows of shape {rows.shape}"
            )
        for i, row in zip(at, rows, strict=True):
            self.write(i, row)
        return self

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """Fill the array with parts of these lengths of a tensor."""
        sizes = _splits.vector("TensorArray", "lengths", lengths)
        rows = as_tensor(value)
        if sizes.sum() != len(rows):
            raise ShapeError(
                f"[TensorArray] lengths {sizes} do not add up to {len(rows)} rows"
            )
        if self._infer and len(set(sizes.tolist())) > 1:
            self._infer = False
        ends = _splits.from_lengths(sizes)
        for i, (a, b) in enumerate(itertools.pairwise(ends)):
            self.write(i, rows[int(a) : int(b)])
        return self

    def __repr__(self) -> str:
        return (
            f"<tf.TensorArray size={len(self._items)}, dtype={self._dtype}, "
            f"element_shape={self._shape}>"
        )
