# SPDX-License-Identifier: Apache-2.0
"""`RaggedTensor`: rows of different lengths, as values and where the rows end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import DTypeError, ShapeError, StructureError
from fastnn.structures import _splits
from fastnn.structures.string_tensor import StringTensor, as_tensor, object_array


def _operator(name: str, *, swapped: bool = False) -> Any:
    def method(self: RaggedTensor, other: Any) -> Any:
        from fastnn.structures.ragged_math import elementwise

        pair = (other, self) if swapped else (self, other)
        return elementwise(_OPERATORS[name], *pair)

    return method


def _operators() -> dict[str, Callable[..., Any]]:
    import operator

    return {
        "add": operator.add,
        "subtract": operator.sub,
        "multiply": operator.mul,
        "divide": operator.truediv,
        "floor_divide": operator.floordiv,
        "mod": operator.mod,
        "power": operator.pow,
        "less": operator.lt,
        "less_equal": operator.le,
        "greater": operator.gt,
        "greater_equal": operator.ge,
        "equal": operator.eq,
        "not_equal": operator.ne,
        "and": operator.and_,
        "or": operator.or_,
        "xor": operator.xor,
    }


_OPERATORS = _operators()


class RaggedTensor:
    """A tensor with rows of different lengths: `values` cut at `row_splits`.

    `values` are a Tensor, a StringTensor or, for more than one ragged axis, a
    RaggedTensor. Row splits are known when a function is traced; values may be traced
    and recorded by tapes. Made by the `from_...` methods and `tf.ragged.constant`.
    """

    __array_priority__ = 100

    def __init__(
        self, values: Any, row_splits: np.ndarray, uniform: int | None = None
    ) -> None:
        self._values = values
        self._splits = row_splits
        self._uniform = uniform

    # -- made from -------------------------------------------------------------------

    @classmethod
    def from_row_splits(
        cls,
        values: Any,
        row_splits: Any,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        """Row i is `values[row_splits[i] : row_splits[i + 1]]`.

        Raises:
            ShapeError: for splits that do not rise from 0 to the number of values.
        """
        values = _as_values(values)
        splits = _splits.vector("from_row_splits", "row_splits", row_splits)
        return cls(values, _splits.checked("from_row_splits", splits, len(values)))

    @classmethod
    def from_row_lengths(
        cls,
        values: Any,
        row_lengths: Any,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        """Rows of these lengths, one after the other."""
        lengths = _splits.vector("from_row_lengths", "row_lengths", row_lengths)
        return cls.from_row_splits(values, _splits.from_lengths(lengths))

    @classmethod
    def from_row_starts(
        cls,
        values: Any,
        row_starts: Any,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        values = _as_values(values)
        starts = _splits.vector("from_row_starts", "row_starts", row_starts)
        return cls.from_row_splits(values, np.append(starts, len(values)))

    @classmethod
    def from_row_limits(
        cls,
        values: Any,
        row_limits: Any,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        limits = _splits.vector("from_row_limits", "row_limits", row_limits)
        return cls.from_row_splits(values, np.insert(limits, 0, 0))

    @classmethod
    def from_value_rowids(
        cls,
        values: Any,
        value_rowids: Any,
        nrows: Any = None,
        name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:
        """Each value in the row of its number, which do not fall.

        Raises:
            ShapeError: for row numbers that fall, are negative or reach `nrows`.
        """
        ids = _splits.vector("from_value_rowids", "value_rowids", value_rowids)
        n = int(ids[-1]) + 1 if nrows is None and len(ids) else int(nrows or 0)
        if len(ids) and (ids[0] < 0 or (np.diff(ids) < 0).any() or ids[-1] >= n):
            raise ShapeError(
                f"[from_value_rowids] row numbers must not fall and lie in 0..{n - 1}, "
                f"received {ids}"
            )
        return cls.from_row_lengths(values, np.bincount(ids, minlength=n))

    @classmethod
    def from_uniform_row_length(
        cls,
        values: Any,
        uniform_row_length: Any,
        nrows: Any = None,
        validate: bool = True,
        name: str | None = None,
    ) -> RaggedTensor:
        """Rows that all have the same length."""
        values, length = _as_values(values), int(uniform_row_length)
        if nrows is None:
            nrows = len(values) // length if length else 0
        splits = np.arange(int(nrows) + 1, dtype=np.int64) * length
        _splits.checked("from_uniform_row_length", splits, len(values))
        return cls(values, splits, length)

    @classmethod
    def _nested(cls, flat: Any, parts: Any, make: Callable[..., Any]) -> RaggedTensor:
        for part in reversed(list(parts)):
            flat = make(flat, part)
        return flat

    @classmethod
    def from_nested_row_splits(
        cls, flat_values: Any, nested_row_splits: Any, name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        return cls._nested(flat_values, nested_row_splits, cls.from_row_splits)

    @classmethod
    def from_nested_row_lengths(
        cls, flat_values: Any, nested_row_lengths: Any, name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        return cls._nested(flat_values, nested_row_lengths, cls.from_row_lengths)

    @classmethod
    def from_nested_value_rowids(
        cls, flat_values: Any, nested_value_rowids: Any, nested_nrows: Any = None,
        name: str | None = None, validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        rows = nested_nrows or [None] * len(nested_value_rowids)
        parts = zip(nested_value_rowids, rows, strict=True)
        return cls._nested(
            flat_values, parts, lambda v, p: cls.from_value_rowids(v, *p)
        )

    @classmethod
    def from_tensor(
        cls,
        tensor: Any,
        lengths: Any = None,
        padding: Any = None,
        ragged_rank: int = 1,
        name: str | None = None,
        row_splits_dtype: str = "int64",
    ) -> RaggedTensor:
        """The rows of a tensor, cut to `lengths` or behind the last that is no
        `padding`; `ragged_rank` axes become ragged.
        """
        from fastnn.structures.ragged_convert import from_tensor

        return from_tensor(as_tensor(tensor), lengths, padding, ragged_rank)

    @classmethod
    def from_sparse(
        cls, st_input: Any, name: str | None = None, row_splits_dtype: str = "int64"
    ) -> RaggedTensor:
        """Rows of a sparse matrix whose values stand at the rows' beginnings."""
        from fastnn.structures.ragged_convert import from_sparse

        return from_sparse(st_input)

    # -- what it is ------------------------------------------------------------------

    @property
    def values(self) -> Any:
        """What the rows consist of, without the outermost partition."""
        return self._values

    @property
    def flat_values(self) -> Any:
        """The innermost values: no ragged axis is left."""
        values = self._values
        return values.flat_values if isinstance(values, RaggedTensor) else values

    @property
    def row_splits(self) -> Tensor:
        return Tensor(self._splits)

    def row_starts(self, name: str | None = None) -> Tensor:
        return Tensor(self._splits[:-1])

    def row_limits(self, name: str | None = None) -> Tensor:
        return Tensor(self._splits[1:])

    def value_rowids(self, name: str | None = None) -> Tensor:
        return Tensor(_splits.row_ids(self._splits))

    def nrows(self, out_type: str = "int64", name: str | None = None) -> Tensor:
        return Tensor(np.asarray(len(self), out_type))

    def row_lengths(self, axis: int = 1, name: str | None = None) -> Any:
        """Lengths of the rows along an axis: a tensor, or ragged where axis > 1."""
        if axis == 0:
            return self.nrows()
        if axis == 1:
            return Tensor(_splits.lengths_of(self._splits))
        if isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.row_lengths(axis - 1))
        n = self._values.shape[axis - 1]
        return self.with_values(Tensor(np.full(self._values.shape[: axis - 1], n)))

    @property
    def _levels(self) -> list[np.ndarray]:
        values = self._values
        inner = values._levels if isinstance(values, RaggedTensor) else []
        return [self._splits, *inner]

    @property
    def nested_row_splits(self) -> tuple[Tensor, ...]:
        return tuple(Tensor(s) for s in self._levels)

    def nested_row_lengths(self, name: str | None = None) -> tuple[Tensor, ...]:
        return tuple(Tensor(_splits.lengths_of(s)) for s in self._levels)

    def nested_value_rowids(self, name: str | None = None) -> tuple[Tensor, ...]:
        return tuple(Tensor(_splits.row_ids(s)) for s in self._levels)

    @property
    def uniform_row_length(self) -> int | None:
        return self._uniform

    @property
    def ragged_rank(self) -> int:
        return len(self._levels)

    @property
    def dtype(self) -> str:
        return self.flat_values.dtype

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape; None along ragged axes."""
        return (len(self), self._uniform, *self._values.shape[1:])

    def get_shape(self) -> tuple[int | None, ...]:
        return self.shape

    @property
    def ndim(self) -> int:
        return 1 + len(self._values.shape)

    def bounding_shape(
        self, axis: int | None = None, name: str | None = None, out_type: str = "int64"
    ) -> Tensor:
        """The smallest shape that every row fits into."""
        sizes = [len(self)]
        sizes += [int(_splits.lengths_of(s).max(initial=0)) for s in self._levels]
        box = np.array([*sizes, *self.flat_values.shape[1:]], out_type)
        return Tensor(box if axis is None else np.asarray(box[axis]))

    def __len__(self) -> int:
        return len(self._splits) - 1

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    # -- changed ---------------------------------------------------------------------

    def with_values(self, new_values: Any) -> RaggedTensor:
        """The same rows of other values, as many."""
        new_values = _as_values(new_values)
        _splits.checked("with_values", self._splits, len(new_values))
        return RaggedTensor(new_values, self._splits, self._uniform)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """The same partitions of other innermost values."""
        if isinstance(self._values, RaggedTensor):
            new_values = self._values.with_flat_values(new_values)
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype: str) -> RaggedTensor:
        """Itself: row splits are int64 here."""
        return self

    def merge_dims(self, outer_axis: int, inner_axis: int) -> Any:
        """The axes from one to the other as a single one."""
        from fastnn.structures.ragged_convert import merge_dims

        return merge_dims(self, outer_axis, inner_axis)

    def to_tensor(
        self, default_value: Any = None, name: str | None = None, shape: Any = None
    ) -> Any:
        """A tensor of the bounding shape, or of `shape`, filled up with a default."""
        from fastnn.structures.ragged_convert import to_tensor

        return to_tensor(self, default_value, shape)

    def to_sparse(self, name: str | None = None) -> Any:
        """A SparseTensor of the bounding shape that holds every value."""
        from fastnn.structures.ragged_convert import to_sparse

        return to_sparse(self)

    def to_list(self) -> list[Any]:
        """Nested Python lists."""
        values = self._values
        items = values.to_list() if isinstance(values, RaggedTensor) else _items(values)
        ends = self._splits.tolist()
        return [items[a:b] for a, b in itertools.pairwise(ends)]

    def numpy(self) -> np.ndarray:
        """An array where all rows are equally long, else an object array of rows."""
        rows = [np.asarray(row.numpy()) for row in self]
        if len({row.shape for row in rows}) > 1:
            return object_array(list(rows), (len(rows),))
        return np.array(rows, None if rows else self._values.numpy().dtype)

    def __getitem__(self, key: Any) -> Any:
        from fastnn.structures.ragged_convert import getitem

        return getitem(self, key)

    # -- operators -------------------------------------------------------------------

    __add__, __radd__ = _operator("add"), _operator("add", swapped=True)
    __sub__, __rsub__ = _operator("subtract"), _operator("subtract", swapped=True)
    __mul__, __rmul__ = _operator("multiply"), _operator("multiply", swapped=True)
    __truediv__ = _operator("divide")
    __rtruediv__ = _operator("divide", swapped=True)
    __floordiv__ = _operator("floor_divide")
    __rfloordiv__ = _operator("floor_divide", swapped=True)
    __mod__, __rmod__ = _operator("mod"), _operator("mod", swapped=True)
    __pow__, __rpow__ = _operator("power"), _operator("power", swapped=True)
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")
    __and__, __rand__ = _operator("and"), _operator("and", swapped=True)
    __or__, __ror__ = _operator("or"), _operator("or", swapped=True)
    __xor__, __rxor__ = _operator("xor"), _operator("xor", swapped=True)

    def __neg__(self) -> RaggedTensor:
        return self.with_flat_values(-self.flat_values)

    def __abs__(self) -> RaggedTensor:
        return self.with_flat_values(abs(self.flat_values))

    def __invert__(self) -> RaggedTensor:
        return self.with_flat_values(~self.flat_values)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise StructureError(
            "[RaggedTensor] a ragged tensor is neither true nor false: tf.reduce_all"
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise StructureError(
            "[RaggedTensor] rows of different lengths are not one array: to_tensor() "
            "fills them up, flat_values are its elements"
        )

    def __fastnn_function__(self, function: Any, args: Any, kwargs: Any) -> Any:
        from fastnn.structures.ragged_math import call

        return call(function, args, kwargs)

    def __fastnn_parts__(self) -> Any:
        tensors, inner = _splits.parts_of(self._values)
        splits, uniform = self._splits, self._uniform
        return tensors, _splits.Rebuild(
            ("ragged", splits.tobytes(), uniform, inner.key),
            lambda *found: RaggedTensor(inner(*found), splits, uniform),
        )

    def __repr__(self) -> str:
        flat = self.flat_values
        if isinstance(flat, Tensor) and flat.is_symbolic:
            return f"<tf.RaggedTensor shape={self.shape}, dtype={self.dtype}, symbolic>"
        return f"<tf.RaggedTensor {_shown(self)}>"


def _items(values: Any) -> list[Any]:
    array = values._array if isinstance(values, StringTensor) else values.numpy()
    return array.tolist()


def _shown(value: Any) -> str:
    """Nested lists as text: the first and last three rows of long ones."""
    if isinstance(value, (Tensor, StringTensor)):
        value = np.asarray(value)
    if not isinstance(value, (RaggedTensor, np.ndarray)):
        return repr(value) if isinstance(value, bytes) else str(value)
    n = len(value)
    parts = [_shown(value[i]) for i in (range(n) if n <= 20 else _EDGES)]
    if n > 20:
        parts.insert(3, "...")
    return f"[{', '.join(parts)}]"


_EDGES = [0, 1, 2, -3, -2, -1]


def _as_values(values: Any) -> Any:
    """Values of a ragged tensor: with at least one axis."""
    if isinstance(values, RaggedTensor):
        return values
    tensor = as_tensor(values)
    if not tensor.ndim:
        raise ShapeError("[RaggedTensor] values need at least one axis, got a scalar")
    return tensor


def take_rows(values: Any, index: np.ndarray) -> Any:
    """Rows of a Tensor, StringTensor or RaggedTensor by number."""
    if not isinstance(values, RaggedTensor):
        return ops.take(values, index, axis=0)
    lengths = _splits.lengths_of(values._splits)[index]
    inner = _splits.ranges(values._splits[:-1][index], lengths)
    rows = take_rows(values._values, inner)
    return RaggedTensor(rows, _splits.from_lengths(lengths), values._uniform)


def same_dtype(name: str, values: list[Any]) -> None:
    """DTypeError unless all have the dtype of the first."""
    if len(dtypes := {v.dtype for v in values}) > 1:
        raise DTypeError(f"[{name}] expects one dtype, received {sorted(dtypes)}")
