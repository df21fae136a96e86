# SPDX-License-Identifier: Apache-2.0
"""`SparseTensor`: the positions and values of the few elements that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError, StructureError
from fastnn.structures import _splits
from fastnn.structures.string_tensor import as_tensor


class SparseTensor:
    """n values at the rows of `indices` in a tensor of `dense_shape`, else zeros.

    Indices and shape are known when a function is traced; values may be traced and
    recorded by tapes. Most functions want the indices in row-major order
    (`tf.sparse.reorder`), as TensorFlow's do.

    Args:
        indices: int64 [n, rank].
        values: n numbers or strings.
        dense_shape: int64 [rank].

    Raises:
        ShapeError: when the three do not fit together.
    """

    __array_priority__ = 100

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        index = _splits.integers("SparseTensor", "indices", indices)
        shape = _splits.vector("SparseTensor", "dense_shape", dense_shape)
        self._values = as_tensor(values)
        if not index.size and index.ndim < 2:
            index = index.reshape(0, len(shape))
        n = len(index) if index.ndim else 0
        if index.shape != (n, len(shape)) or self._values.shape != (n,):
            raise ShapeError(
                f"[SparseTensor] n values need indices of shape (n, rank) and rank "
                f"sizes, received values {self._values.shape}, indices {index.shape}, "
                f"dense_shape {shape}"
            )
        self._index = index
        self._shape = tuple(int(s) for s in shape)

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """Of another sparse tensor, or anything with its three attributes."""
        given = sparse_tensor_value
        return cls(given.indices, given.values, given.dense_shape)

    @property
    def indices(self) -> Tensor:
        return Tensor(self._index)

    @property
    def values(self) -> Any:
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        return Tensor(np.array(self._shape, np.int64))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    def get_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def dtype(self) -> str:
        return self._values.dtype

    def with_values(self, new_values: Any) -> SparseTensor:
        """Other values at the same places."""
        return SparseTensor(self._index, new_values, self._shape)

    def _beside(self, other: Any) -> Any:
        """The elements of a tensor, broadcast to this shape, at this one's places."""
        if isinstance(other, SparseTensor):
            raise StructureError(
                "[SparseTensor] * and / take a tensor beside a sparse one: "
                "tf.sparse.add adds two, tf.sparse.to_dense makes one a tensor"
            )
        value = as_tensor(other, None if hasattr(other, "dtype") else self.dtype)
        if value.ndim == 0:
            return value
        whole = ops.broadcast_to(value, self._shape)
        return whole[tuple(self._index.T)]

    def __mul__(self, other: Any) -> SparseTensor:
        return self.with_values(self._values * self._beside(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        return self.with_values(self._values / self._beside(other))

    def __neg__(self) -> SparseTensor:
        return self.with_values(-self._values)

    def __abs__(self) -> SparseTensor:
        return self.with_values(abs(self._values))

    def __bool__(self) -> bool:
        raise StructureError("[SparseTensor] a sparse tensor is neither true nor false")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise StructureError(
            "[SparseTensor] a sparse tensor is not one array: tf.sparse.to_dense fills "
            "it up"
        )

    def __fastnn_function__(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Functions of ops that leave zeros zeros are applied to the values."""
        name, value = function.__name__, args[0] if args else None
        if isinstance(value, SparseTensor):
            if name == "convert_to_tensor":
                return value
            if name in ("shape", "ndim"):
                return getattr(value, name)
            if name in _ZERO_AT_ZERO:
                return value.with_values(function(value.values, *args[1:], **kwargs))
        raise StructureError(
            f"[{name}] takes no sparse tensors: use tf.sparse's functions, or "
            f"tf.sparse.to_dense"
        )

    def __fastnn_parts__(self) -> Any:
        tensors, inner = _splits.parts_of(self._values)
        index, shape = self._index, self._shape
        return tensors, _splits.Rebuild(
            ("sparse", index.tobytes(), shape, inner.key),
            lambda *found: SparseTensor(index, inner(*found), shape),
        )

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self.indices}, values={self._values}, "
            f"dense_shape={self.dense_shape})"
        )


_ZERO_AT_ZERO = frozenset(
    """abs cast ceil expm1 floor log1p negative relu round sign sin square sqrt tan
    tanh""".split()
)
