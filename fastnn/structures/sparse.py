# SPDX-License-Identifier: Apache-2.0
"""Functions of `tf.sparse`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError, StructureError
from fastnn.structures import _splits
from fastnn.structures.sparse_tensor import SparseTensor
from fastnn.structures.string_tensor import StringTensor, as_tensor

__all__ = [
    "SparseTensor",
    "add",
    "concat",
    "expand_dims",
    "eye",
    "fill_empty_rows",
    "from_dense",
    "map_values",
    "mask",
    "maximum",
    "minimum",
    "reduce_max",
    "reduce_sum",
    "reorder",
    "reset_shape",
    "reshape",
    "retain",
    "slice",
    "softmax",
    "sparse_dense_matmul",
    "split",
    "to_dense",
    "to_indicator",
    "transpose",
]


def _sparse(name: str, value: Any) -> SparseTensor:
    if not isinstance(value, SparseTensor):
        raise StructureError(
            f"[sparse.{name}] expects a SparseTensor, received {type(value).__name__}"
        )
    return value


def _axis(name: str, axis: Any, rank: int) -> int:
    a = int(axis)
    if not -rank <= a < rank:
        raise ValueError(f"[sparse.{name}] axis {a} is out of range for rank {rank}")
    return a % rank


def _flat(index: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Positions in row-major order; those outside of the shape are refused."""
    if index.size and ((index < 0) | (index >= np.array(shape))).any():
        bad = index[((index < 0) | (index >= np.array(shape))).any(1)][0]
        raise IndexError(f"[SparseTensor] index {bad} is outside of shape {shape}")
    flat = np.zeros(len(index), np.int64)
    for column, n in zip(index.T, shape, strict=True):
        flat = flat * n + column
    return flat


def _unflat(flat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    columns: list[np.ndarray] = []
    for n in reversed(shape):
        flat, column = np.divmod(flat, max(n, 1))
        columns.append(column)
    return np.stack(columns[::-1], 1) if columns else np.zeros((len(flat), 0), np.int64)


def _sorted(index: np.ndarray) -> np.ndarray:
    """The order that sorts rows of indices; equal ones keep theirs."""
    return np.lexsort(index.T[::-1]) if index.shape[1] else np.arange(len(index))


def _kept(
    x: SparseTensor, keep: np.ndarray, index: Any = None, shape: Any = None
) -> Any:
    """The values at the numbers `keep`, at new places if given."""
    at = x._index[keep] if index is None else index
    values = ops.take(x.values, keep, axis=0)
    return SparseTensor(at, values, x.shape if shape is None else shape)


# ---- from and to dense -------------------------------------------------------------


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements of a tensor that are not zero (for strings: not empty)."""
    dense = as_tensor(tensor)
    array = np.asarray(dense)
    index = np.stack(np.nonzero(array), 1) if array.ndim else np.zeros((1, 0), int)
    if isinstance(dense, StringTensor):
        index = np.stack(np.nonzero(array != b""), 1)
    flat = ops.reshape(dense, (dense.size,))
    values = ops.take(flat, _flat(index, dense.shape), axis=0)
    return SparseTensor(index, values, dense.shape)


def to_dense(
    sp_input: Any,
    default_value: Any = None,
    validate_indices: bool = True,
    name: str | None = None,
) -> Any:
    """A tensor of the values, and of the default (0 or an empty string) elsewhere.

    Raises:
        ValueError: for indices that are not sorted or come twice, unless
            `validate_indices` is False: then the last value counts.
    """
    x = _sparse("to_dense", sp_input)
    flat = _flat(x._index, x.shape)
    if validate_indices and (np.diff(flat) <= 0).any():
        raise ValueError(
            "[sparse.to_dense] indices are not sorted or come twice: "
            "tf.sparse.reorder, or validate_indices=False"
        )
    if default_value is None:
        default_value = b"" if x.dtype == "string" else 0
    default = ops.reshape(as_tensor(default_value, x.dtype), (1,))
    source = np.full(math.prod(x.shape), len(flat), np.int64)
    source[flat] = np.arange(len(flat))
    padded = ops.concatenate([x.values, default], axis=0)
    return ops.reshape(ops.take(padded, source, axis=0), x.shape)


def eye(
    num_rows: int,
    num_columns: int | None = None,
    dtype: str = "float32",
    name: str | None = None,
) -> SparseTensor:
    """Ones on the diagonal."""
    columns = num_rows if num_columns is None else num_columns
    at = np.arange(min(num_rows, columns))
    ones = Tensor(np.ones(len(at), dtype))
    return SparseTensor(np.stack([at, at], 1), ones, (num_rows, columns))


def to_indicator(sp_input: Any, vocab_size: int, name: str | None = None) -> Tensor:
    """bool [..., vocab_size]: True at the values of each row."""
    x = _sparse("to_indicator", sp_input)
    index = x._index.copy()
    index[:, -1] = np.asarray(x.values)
    shape = (*x.shape[:-1], int(vocab_size))
    out = np.zeros(math.prod(shape), bool)
    out[_flat(index, shape)] = True
    return Tensor(out.reshape(shape))


# ---- places ------------------------------------------------------------------------


def reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The same with its indices in row-major order."""
    x = _sparse("reorder", sp_input)
    return _kept(x, _sorted(x._index))


def reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same values with new axes; one size may be -1."""
    x = _sparse("reshape", sp_input)
    sizes = [int(n) for n in _splits.vector("reshape", "shape", shape)]
    total = math.prod(x.shape)
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = total // known if known else 0
    if math.prod(sizes) != total or min(sizes, default=0) < 0:
        raise ShapeError(f"[sparse.reshape] cannot make {x.shape} a tensor of {shape}")
    return SparseTensor(_unflat(_flat(x._index, x.shape), sizes), x.values, sizes)


def reset_shape(sp_input: Any, new_shape: Any = None) -> SparseTensor:
    """The same values in a larger shape, by default the smallest that holds them."""
    x = _sparse("reset_shape", sp_input)
    least = x.shape
    if new_shape is None:
        new_shape = least = tuple(x._index.max(0, initial=-1) + 1)
    sizes = tuple(int(n) for n in new_shape)
    if len(sizes) != x.ndim or any(s < 0 for s in np.subtract(sizes, least)):
        raise ShapeError(f"[sparse.reset_shape] {sizes} does not hold {least}")
    return SparseTensor(x._index, x.values, sizes)


def expand_dims(
    sp_input: Any, axis: Any = None, name: str | None = None
) -> SparseTensor:
    """A new axis of size 1, the last by default."""
    x = _sparse("expand_dims", sp_input)
    a = _axis("expand_dims", -1 if axis is None else axis, x.ndim + 1)
    shape = (*x.shape[:a], 1, *x.shape[a:])
    return SparseTensor(np.insert(x._index, a, 0, axis=1), x.values, shape)


def transpose(sp_input: Any, perm: Any = None, name: str | None = None) -> SparseTensor:
    """Axes in another order, the reverse by default; sorted."""
    x = _sparse("transpose", sp_input)
    axes = list(range(x.ndim))[::-1] if perm is None else [int(p) for p in perm]
    if sorted(a % x.ndim for a in axes) != list(range(x.ndim)):
        raise ValueError(
            f"[sparse.transpose] {perm} is no permutation of {x.ndim} axes"
        )
    shape = [x.shape[a] for a in axes]
    return reorder(SparseTensor(x._index[:, axes], x.values, shape))


def concat(
    axis: int,
    sp_inputs: Sequence[Any],
    expand_nonconcat_dims: bool = False,
    name: str | None = None,
) -> SparseTensor:
    """Sparse tensors one after the other along an axis, sorted.

    Args:
        axis: where they are put together.
        sp_inputs: of one rank.
        expand_nonconcat_dims: whether other axes may differ; the largest counts.
        name: not used.
    """
    parts = [_sparse("concat", p) for p in sp_inputs]
    rank = parts[0].ndim
    if any(p.ndim != rank for p in parts):
        raise ShapeError(f"[sparse.concat] ranks differ: {[p.shape for p in parts]}")
    a = _axis("concat", axis, rank)
    sizes = np.array([p.shape for p in parts])
    rest = np.delete(sizes, a, 1)
    if not expand_nonconcat_dims and (rest != rest[0]).any():
        raise ShapeError(
            f"[sparse.concat] shapes {[p.shape for p in parts]} differ along other "
            f"axes than {a}: expand_nonconcat_dims=True takes the largest"
        )
    shape = sizes.max(0)
    shape[a] = sizes[:, a].sum()
    starts = np.cumsum(sizes[:, a]) - sizes[:, a]
    moved = [p._index.copy() for p in parts]
    for index, start in zip(moved, starts, strict=True):
        index[:, a] += start
    values = ops.concatenate([p.values for p in parts], axis=0)
    return reorder(SparseTensor(np.concatenate(moved), values, shape))


def slice(
    sp_input: Any, start: Any, size: Any, name: str | None = None
) -> SparseTensor:
    """The block of `size` from `start`, as far as the tensor reaches."""
    x = _sparse("slice", sp_input)
    low = _splits.vector("slice", "start", start)
    high = np.minimum(low + _splits.vector("slice", "size", size), x.shape)
    keep = np.flatnonzero(((x._index >= low) & (x._index < high)).all(1))
    return _kept(x, keep, x._index[keep] - low, np.maximum(high - low, 0))


def split(
    sp_input: Any, num_split: int, axis: int, name: str | None = None
) -> list[SparseTensor]:
    """`num_split` parts along an axis; the first ones are longer by one if need be."""
    x = _sparse("split", sp_input)
    a = _axis("split", axis, x.ndim)
    small, extra = divmod(x.shape[a], num_split)
    out, at = [], 0
    for i in range(num_split):
        start, size = [0] * x.ndim, list(x.shape)
        start[a], size[a] = at, small + (i < extra)
        at += size[a]
        out.append(slice(x, start, size))
    return out


def retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """The values where the mask is true."""
    x = _sparse("retain", sp_input)
    return _kept(x, np.flatnonzero(np.asarray(to_retain)))


def mask(a: Any, mask_indices: Any, name: str | None = None) -> Any:
    """A sparse tensor without the slices along axis 0 with these numbers."""
    x = _sparse("mask", a)
    drop = _splits.vector("mask", "mask_indices", mask_indices)
    return _kept(x, np.flatnonzero(~np.isin(x._index[:, 0], drop)))


def fill_empty_rows(
    sp_input: Any, default_value: Any, name: str | None = None
) -> tuple[SparseTensor, Tensor]:
    """A value at column 0 of every row without any, and which rows those are."""
    x = _sparse("fill_empty_rows", sp_input)
    empty = np.bincount(x._index[:, 0], minlength=x.shape[0]) == 0
    extra = np.zeros((int(empty.sum()), x.ndim), np.int64)
    extra[:, 0] = np.flatnonzero(empty)
    default = ops.broadcast_to(as_tensor(default_value, x.dtype), (len(extra),))
    values = ops.concatenate([x.values, default], axis=0)
    filled = SparseTensor(np.concatenate([x._index, extra]), values, x.shape)
    order = np.argsort(filled._index[:, 0], kind="stable")
    return _kept(filled, order), Tensor(empty)


# ---- numbers -----------------------------------------------------------------------


def map_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """op applied to the values of the sparse arguments, which share their indices."""
    given = [a for a in (*args, *kwargs.values()) if isinstance(a, SparseTensor)]
    if any(not np.array_equal(g._index, given[0]._index) for g in given):
        raise ShapeError("[sparse.map_values] the arguments have other indices")

    def flat(value: Any) -> Any:
        return value.values if isinstance(value, SparseTensor) else value

    found = op(*map(flat, args), **{k: flat(v) for k, v in kwargs.items()})
    return given[0].with_values(found) if given else found


def _union(name: str, a: SparseTensor, b: SparseTensor) -> tuple[Any, Any, np.ndarray]:
    """Values of both where either has one, zero for the other; and the places."""
    if a.shape != b.shape:
        raise ShapeError(f"[sparse.{name}] shapes {a.shape} and {b.shape} differ")
    at = [_flat(x._index, a.shape) for x in (a, b)]
    places = np.unique(np.concatenate(at))
    spread = [
        ops.segment_sum(x.values, np.searchsorted(places, f), len(places))
        for x, f in zip((a, b), at, strict=True)
    ]
    return spread[0], spread[1], _unflat(places, a.shape)


def add(a: Any, b: Any, threshold: Any = 0) -> Any:
    """a + b: sparse if both are, else a tensor.

    Args:
        a: sparse or dense.
        b: of the same shape; one of the two is sparse.
        threshold: sums of a smaller magnitude are left out of a sparse result.
    """
    if not isinstance(a, SparseTensor) or not isinstance(b, SparseTensor):
        sparse, dense = (a, b) if isinstance(a, SparseTensor) else (b, a)
        x, y = _sparse("add", sparse), as_tensor(dense)
        if x.shape != y.shape:
            raise ShapeError(f"[sparse.add] shapes {x.shape} and {y.shape} differ")
        flat = ops.segment_sum(x.values, _flat(x._index, x.shape), math.prod(x.shape))
        return y + ops.reshape(flat, x.shape)
    left, right, index = _union("add", a, b)
    total = SparseTensor(index, left + right, a.shape)
    limit = np.asarray(threshold)
    if not limit:
        return total
    return _kept(total, np.flatnonzero(np.abs(np.asarray(total.values)) >= limit))


def maximum(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
    """The larger of two sparse tensors' elements."""
    left, right, index = _union("maximum", sp_a, sp_b)
    return SparseTensor(index, ops.maximum(left, right), sp_a.shape)


def minimum(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
    """The smaller of two sparse tensors' elements."""
    left, right, index = _union("minimum", sp_a, sp_b)
    return SparseTensor(index, ops.minimum(left, right), sp_a.shape)


def _reduce(name: str, x: SparseTensor, axis: Any, keepdims: Any, sparse: bool) -> Any:
    given = range(x.ndim) if axis is None else np.atleast_1d(axis).tolist()
    axes = {_axis(f"reduce_{name}", a, x.ndim) for a in given}
    rest = [a for a in range(x.ndim) if a not in axes]
    shape = [x.shape[a] for a in rest]
    flat = _flat(x._index[:, rest], shape)
    wide = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    final = wide if keepdims else tuple(shape)
    run = getattr(ops, f"segment_{name}")
    places, ids = np.unique(flat, return_inverse=True)
    found = run(x.values, ids, len(places))
    packed = SparseTensor(_unflat(places, final), found, final)
    return packed if sparse else to_dense(packed)


def reduce_sum(
    sp_input: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    output_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """Sums along axes, as a tensor unless `output_is_sparse`."""
    x = _sparse("reduce_sum", sp_input)
    return _reduce("sum", x, axis, keepdims, output_is_sparse)


def reduce_max(
    sp_input: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    output_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """Largest of the values (zeros that are not stored do not count) along axes; 0
    where there are none.
    """
    x = _sparse("reduce_max", sp_input)
    return _reduce("max", x, axis, keepdims, output_is_sparse)


def softmax(sp_input: Any, name: str | None = None) -> SparseTensor:
    """exp(x) / sum(exp(x)) over the values of each row along the last axis."""
    x = _sparse("softmax", sp_input)
    _, ids = np.unique(_flat(x._index[:, :-1], x.shape[:-1]), return_inverse=True)
    n = int(ids.max(initial=-1)) + 1
    top = ops.stop_gradient(ops.segment_max(x.values, ids, n))
    e = ops.exp(x.values - ops.take(top, ids, axis=0))
    return x.with_values(e / ops.take(ops.segment_sum(e, ids, n), ids, axis=0))


def sparse_dense_matmul(
    sp_a: Any,
    b: Any,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of a sparse matrix and a dense one; either may be on the right.

    sum over the values v at (i, k): y[i] += v * b[k]. Gradients reach v and b.
    """
    if not isinstance(sp_a, SparseTensor):  # a b = (b' a')'
        x = _sparse("sparse_dense_matmul", b)
        y = sparse_dense_matmul(x, sp_a, not adjoint_b, not adjoint_a)
        return ops.transpose(y)
    dense = as_tensor(b)
    if adjoint_b:
        dense = ops.transpose(dense)
    rows, columns = sp_a._index.T[::-1] if adjoint_a else sp_a._index.T
    n, k = sp_a.shape[::-1] if adjoint_a else sp_a.shape
    if dense.ndim != 2 or dense.shape[0] != k:
        raise ShapeError(
            f"[sparse_dense_matmul] inner sizes differ: ({n}, {k}) with {dense.shape}"
        )
    terms = ops.expand_dims(sp_a.values, 1) * ops.take(dense, columns, axis=0)
    return ops.segment_sum(terms, rows, n)
