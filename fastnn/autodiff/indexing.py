# SPDX-License-Identifier: Apache-2.0
"""`tensor[key]`, `a @ b` and lists of tensors as compositions of ops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff._arrays import native
from fastnn.autodiff._tape import state
from fastnn.errors import ShapeError
from fastnn.opset._dtypes import beside_numbers, is_float, result_type

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


def getitem(x: Tensor, key: Any) -> Tensor:
    """NumPy indexing: slices, integers, ellipsis and newaxis are views; masks and
    index arrays gather.
    """
    if type(key) is slice and x._shape and key != _WHOLE:  # a batch: the quick way
        entry = _plain(key.start), _plain(key.stop), _plain(key.step)
        return raw.slice(x, (entry, *_ENTRIES[: len(x._shape) - 1]))
    if type(key) is int and x._shape and 0 <= key < x._shape[0]:  # a row
        row = raw.slice(x, ((key, key + 1, None), *_ENTRIES[: len(x._shape) - 1]))
        return raw.reshape(row, x._shape[1:])
    keys = key if isinstance(key, tuple) else (key,)
    if all(
        k is None
        or k is Ellipsis
        or (isinstance(k, (slice, int, np.integer)) and not isinstance(k, bool))
        for k in keys
    ):
        return _basic(x, _expand(keys, x.ndim))
    return _gather(x, keys)


_WHOLE = slice(None)
_ENTRIES = ((None, None, None),) * 8


def _plain(bound: Any) -> int | None:
    return bound if bound is None else int(bound)


def _expand(keys: tuple, rank: int) -> tuple:
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > rank:
        raise IndexError(f"[Tensor] {used} indices for a tensor of rank {rank}")
    rest = (slice(None),) * (rank - used)
    i = next((i for i, k in enumerate(keys) if k is Ellipsis), None)
    if i is not None:
        return keys[:i] + rest + keys[i + 1 :]
    return keys + rest


def _basic(x: Tensor, keys: tuple) -> Tensor:
    slices: list[tuple] = []
    shape: list[int] = []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        n = x.shape[len(slices)]
        if isinstance(k, slice):
            entry = _plain(k.start), _plain(k.stop), _plain(k.step)
            slices.append(entry)
            shape.append(len(range(*slice(*entry).indices(n))))
        else:
            i = int(k)
            if not -n <= i < n:
                raise IndexError(
                    f"[Tensor] index {i} is out of range for axis {len(slices)} of "
                    f"size {n}"
                )
            i %= n
            slices.append((i, i + 1, None))
    whole = all(s in ((None, None, None), (0, None, None)) for s in slices)
    y = x if whole else raw.slice(x, tuple(slices))
    return raw.reshape(y, tuple(shape)) if y.shape != tuple(shape) else y


def known_values(x: Any) -> np.ndarray | None:
    """The values of a tensor or array-like; None where they are not known yet."""
    from fastnn.autodiff.tensor import Tensor

    if not isinstance(x, Tensor):
        return np.asarray(x)
    if x.is_symbolic or (x._is_variable and state().tracer is not None):
        return None
    return x._concrete("an index")


def flat_index(
    name: str, indices: list[Any], sizes: list[int], first_axis: int = 0
) -> Tensor:
    """Positions in C order of index arrays, one per axis, that broadcast; int64.

    Raises:
        IndexError: for an index out of range. Where values are not known yet, it gets
            the position behind the last, which the kernels refuse.
    """
    from fastnn.autodiff.tensor import Tensor, convert_to_tensor

    known = [known_values(i) for i in indices]
    if all(k is not None for k in known):
        arrays = [np.asarray(k) for k in known]
        for axis, (array, n) in enumerate(zip(arrays, sizes, strict=True)):
            bad = (array < -n) | (array >= n)
            if bad.any():
                at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(bad)))
                raise IndexError(
                    f"[{name}] index {array[at] if array.ndim else array} at position "
                    f"{at[: array.ndim]} is out of range for axis {first_axis + axis} "
                    f"of size {n}"
                )
        flat: Any = np.zeros((), np.int64)
        for array, n in zip(arrays, sizes, strict=True):
            flat = flat * n + np.where(array < 0, array + n, array)
        return Tensor(np.ascontiguousarray(flat, np.int64).reshape(np.shape(flat)))
    position = inside = None
    for index, n in zip(indices, sizes, strict=True):
        i = convert_to_tensor(index)
        i = i if i.dtype == "int64" else raw.cast(i, "int64")
        i = raw.where(raw.less(i, 0), raw.add(i, n), i)
        here = raw.logical_and(raw.greater_equal(i, 0), raw.less(i, n))
        position = i if position is None else raw.add(raw.multiply(position, n), i)
        inside = here if inside is None else raw.logical_and(inside, here)
    return raw.where(inside, position, math.prod(sizes))


def take_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """x[:, ..., indices] along a canonical axis; x is not moved or copied."""
    if axis == 0:
        return raw.take(x, indices)
    lead, tail = x.shape[:axis], x.shape[axis + 1 :]
    batch, count = math.prod(lead), indices.size
    rows = raw.reshape(x, (batch, x.shape[axis], *tail))
    every = raw.broadcast_to(raw.reshape(indices, (1, count)), (batch, count))
    y = raw.batch_take(rows, every)
    return raw.reshape(y, (*lead, *indices.shape, *tail))


def _advanced(keys: tuple) -> tuple:
    """Keys with masks replaced by the index arrays of their true elements."""
    from fastnn.autodiff.tensor import Tensor, convert_to_tensor

    out: list[Any] = []
    for k in keys:
        if k is None or k is Ellipsis or isinstance(k, (slice, int, np.integer)):
            if isinstance(k, bool):
                raise IndexError("[Tensor] an index may not be True or False")
            out.append(k)
            continue
        index = k if isinstance(k, Tensor) else convert_to_tensor(np.asarray(k))
        if index.dtype == "bool":
            mask = index._concrete("indexing with a mask, whose result's shape")
            out += [Tensor(i) for i in np.nonzero(mask)]
        elif index.dtype[0] not in "iu" and index.size:
            raise IndexError(
                f"[Tensor] indices must be integers, received {index.dtype}"
            )
        elif index.dtype not in ("int32", "int64"):
            out.append(raw.cast(index, "int64"))
        else:
            out.append(index)
    return tuple(out)


def _gather(x: Tensor, keys: tuple) -> Tensor:
    """Index arrays: their axes are merged, moved to the front and taken from."""
    from fastnn.autodiff.tensor import Tensor

    keys = _expand(_advanced(keys), x.ndim)
    basic = (slice, type(None))
    places = [d for d, k in enumerate(keys) if not isinstance(k, basic)]
    plain = tuple(k if isinstance(k, basic) else slice(None) for k in keys)
    y = _basic(x, plain)
    chosen = [keys[d] for d in places]
    sizes = [y.shape[d] for d in places]
    rest = [d for d in range(y.ndim) if d not in places]
    rank = max(k.ndim if isinstance(k, Tensor) else 0 for k in chosen)
    if len(chosen) == 1 and isinstance(chosen[0], Tensor) and places[0] == 0:
        known = known_values(chosen[0])
        if known is not None and known.size < 4096:  # the kernel checks large ones
            flat_index("Tensor", [known], sizes)
        return raw.take(y, chosen[0])  # embeddings: the table is not looked at
    at = flat_index("Tensor", chosen, sizes)
    if len(chosen) == 1:
        return take_axis(y, at, places[0])
    front = y if places == [*range(len(places))] else raw.transpose(y, (*places, *rest))
    tail = front.shape[len(places) :]
    picked = raw.take(raw.reshape(front, (math.prod(sizes), *tail)), at)
    if places != [*range(places[0], places[0] + len(places))] or places[0] == 0:
        return picked  # apart: the index axes come first, as in NumPy
    lead = places[0]
    order = [*range(rank, rank + lead), *range(rank), *range(rank + lead, picked.ndim)]
    return raw.transpose(picked, tuple(order))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product with NumPy's rules for vectors: axes of size 1 come and go."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"[matmul] needs axes, received {a.shape} and {b.shape}")
    left = raw.reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    right = raw.reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    if is_float(a.dtype) and is_float(b.dtype):
        y = raw.matmul(left, right)
    else:
        from fastnn.autodiff import integers

        y = integers.matmul(left, right)
    shape = y.shape
    if a.ndim == 1:
        shape = (*shape[:-2], shape[-1])
    if b.ndim == 1:
        shape = shape[:-1]
    return raw.reshape(y, shape) if shape != y.shape else y


def holds_tensors(value: Sequence[Any]) -> bool:
    """Whether a list, tuple or list of such has a tensor in it."""
    from fastnn.autodiff.tensor import Tensor

    kinds = set(map(type, value))  # far quicker than a look at each of many numbers
    if any(issubclass(kind, Tensor) for kind in kinds):
        return True
    if not any(issubclass(kind, (list, tuple)) for kind in kinds):
        return False
    return any(holds_tensors(v) for v in value if isinstance(v, (list, tuple)))


def common_dtype(values: Any) -> str:
    """Dtype of a list that holds tensors: theirs and the arrays' together; Python
    numbers are weak, as beside an operator.
    """
    dtypes, numbers = _kinds(values)
    floatx = config.floatx()
    return beside_numbers(result_type(*dtypes, floatx=floatx), numbers, floatx)


def _kinds(values: Any) -> tuple[set[str], list[Any]]:
    """Dtypes of the tensors and arrays in nested lists, and the Python numbers."""
    dtypes: set[str] = set()
    numbers: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            inner, more = _kinds(value)
            dtypes |= inner
            numbers += more
        elif isinstance(value, (int, float)) and not isinstance(value, np.generic):
            numbers.append(value)
        else:
            dtype = getattr(value, "dtype", None)
            if not isinstance(dtype, str):  # no tensor
                dtype = native(np.asarray(value)).dtype.name
            dtypes.add(dtype)
    return dtypes, numbers


def stacked(values: Any, dtype: str) -> Tensor:
    """A list of tensors and numbers (or of such lists) as one tensor, recorded."""
    from fastnn.autodiff.tensor import convert_to_tensor

    rows = []
    for value in values:
        nested = isinstance(value, (list, tuple))
        t = stacked(value, dtype) if nested else convert_to_tensor(value, dtype)
        rows.append(raw.reshape(t, (1, *t.shape)))
    out = rows[0]
    for row in rows[1:]:
        out = raw.concatenate(out, row, 0)
    return out
