# SPDX-License-Identifier: Apache-2.0
"""Sorting, searching, order statistics and counts. NaN sorts last, as in NumPy."""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.scatters import index_tensor
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import PlanError, ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._promote import axes_of, axis_of, integer, promote, to_float
from fastnn.ops.arrays import moveaxis, ravel
from fastnn.ops.indexing import take_along_axis


def widened(name: str, x: Tensor) -> Tensor:
    """x in a dtype that kernels of `name` take."""
    return integers.cast(x, integers.wide_dtype(name, x.dtype))


def _in_rows(t: Tensor, axis: int, name: str) -> tuple[Tensor, int]:
    """t as (..., n) of rank 2 at least with the axis last, and the axis itself."""
    a = axis_of(axis, t.ndim, name)
    moved = t if a == t.ndim - 1 else moveaxis(t, a, -1)
    return (raw.reshape(moved, (1, t.size)) if t.ndim == 1 else moved), a


def _from_rows(y: Tensor, axis: int, rank: int) -> Tensor:
    if rank == 1:
        return raw.reshape(y, (y.shape[-1],))
    return y if axis == rank - 1 else moveaxis(y, -1, axis)


def _sorted(name: str, x: Any, axis: int | None) -> Tensor:
    t = convert_to_tensor(x)
    if axis is None:
        t, axis = ravel(t), 0
    rows, a = _in_rows(widened(name, t), axis, name)
    return _from_rows(getattr(raw, name)(rows), a, t.ndim)


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Elements in ascending order along an axis (of the flattened x when None)."""
    return integers.cast(_sorted("sort", x, axis), convert_to_tensor(x).dtype)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Positions that sort x along an axis, int32; equal elements keep their order."""
    return _sorted("argsort", x, axis)


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Positions such that the kth is the one a full sort would put there, int32."""
    t = convert_to_tensor(x)
    n = t.size if axis is None else t.shape[axis_of(axis, t.ndim, "argpartition")]
    if not -n <= integer("argpartition", "kth", kth) < n:
        raise ValueError(f"[argpartition] kth {kth} is out of range for {n} elements")
    return argsort(t, axis)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis, descending, and their positions.

    Of equal elements the first comes first. They are sorted also when `sorted` is
    false, which promises no order.
    """
    t = convert_to_tensor(x)
    rows, a = _in_rows(widened("top_k", t), -1, "top_k")
    values, indices = raw.top_k(rows, integer("top_k", "k", k))
    values = integers.cast(values, t.dtype)
    return _from_rows(values, a, t.ndim), _from_rows(indices, a, t.ndim)


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether fewer than k classes score higher than the target, per row.

    False where the target is no class or its score is not finite.
    """
    t, p = convert_to_tensor(targets), to_float(predictions)
    if p.ndim != 2 or t.shape != p.shape[:1]:
        raise ShapeError(
            f"[in_top_k] needs predictions (batch, classes) and one target for each "
            f"row, received {p.shape} and targets {t.shape}"
        )
    target = t if t.dtype in ("int32", "int64") else integers.cast(t, "int64")
    valid = raw.logical_and(raw.greater_equal(target, 0), raw.less(target, p.shape[1]))
    safe = raw.where(valid, target, 0)
    score = take_along_axis(p, raw.reshape(safe, (*safe.shape, 1)), -1)
    higher = raw.sum(raw.cast(raw.greater(p, score), "int32"), (1,), False)
    valid = raw.logical_and(valid, raw.isfinite(raw.reshape(score, safe.shape)))
    return raw.logical_and(valid, raw.less(higher, integer("in_top_k", "k", k)))


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where to insert values into a sorted 1-D sequence to keep it sorted, int32.

    side: "left" before equal elements, "right" behind them.
    """
    if side not in ("left", "right"):
        raise ValueError(
            f"[searchsorted] side must be left or right, received {side!r}"
        )
    a, v = promote(sorted_sequence, values)
    a, v = widened("searchsorted", a), widened("searchsorted", v)
    return raw.searchsorted(a, v, side == "right")


def digitize(x: Any, bins: Any) -> Tensor:
    """Number of the bin of each element, int32: bins[i - 1] <= x < bins[i]."""
    return searchsorted(bins, x, "right")


# ---- order statistics --------------------------------------------------------------


def _in_last(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """x as (rows, n): the axes merged at the end."""
    order = [i for i in range(x.ndim) if i not in axes]
    rest = [x.shape[i] for i in order]
    n = _math.prod(x.shape[a] for a in axes)
    return raw.reshape(raw.transpose(x, (*order, *axes)), (_math.prod(rest), n))


def _ends(position: Any, method: str) -> tuple[Any, Any, Any]:
    """Lower and upper neighbour of fractional positions and the upper one's weight."""
    low, high = np.floor(position), np.ceil(position)
    if method == "linear":
        return low, high, position - low
    if method == "midpoint":
        return low, high, (high - low) * 0.5
    table = {"lower": low, "higher": high, "nearest": np.round(position)}
    if method not in table:
        raise ValueError(
            f"[quantile] method must be linear, lower, higher, midpoint or nearest, "
            f"received {method!r}"
        )
    return table[method], table[method], np.zeros_like(position)


def _columns(x: Tensor, index: Any) -> Tensor:
    return raw.batch_take(
        x,
        raw.broadcast_to(Tensor(index[None].astype("int32")), (x.shape[0], index.size)),
    )


def _is_lower(a: Tensor, b: Tensor) -> Tensor:
    """Where all between neighbours is the lower one, whose distance is not finite."""
    near = raw.logical_or(raw.equal(a, b), raw.isfinite(b))
    return raw.logical_and(raw.isinf(a), near)


def _quantiles(rows: Tensor, q: Any, method: str) -> Tensor:
    """(rows, n) and positions q in [0, 1] to (rows, len(q)); NaN if the row has one."""
    n = rows.shape[1]
    ordered = raw.sort(rows)
    low, high, weight = _ends(q * (n - 1), method)
    a, b = _columns(ordered, low), _columns(ordered, high)
    between = raw.add(
        a, raw.multiply(raw.subtract(b, a), Tensor(weight.astype(a.dtype)))
    )
    exact = Tensor(np.broadcast_to(weight == 0, between.shape))
    y = raw.where(raw.logical_or(exact, _is_lower(a, b)), a, between)
    last = _columns(ordered, np.array([n - 1]))
    return raw.where(raw.isnan(last), last, y)


def _present_quantiles(rows: Tensor, q: Any, method: str) -> Tensor:
    """The same of what is not NaN in each row; NaN for a row without any."""
    present = raw.sum(raw.cast(raw.logical_not(raw.isnan(rows)), "int32"), (1,), True)
    ordered = raw.sort(rows)
    last = raw.maximum(raw.subtract(present, 1), 0)
    at = raw.multiply(raw.cast(last, "float64"), Tensor(q[None]))
    low, high = raw.floor(at), raw.ceil(at)
    weight = raw.subtract(at, low)
    if method in ("lower", "higher", "nearest"):
        low = high = {"lower": low, "higher": high, "nearest": raw.round(at)}[method]
        weight = raw.multiply(weight, 0.0)
    elif method == "midpoint":
        weight = raw.multiply(raw.subtract(high, low), 0.5)
    elif method != "linear":
        _ends(q, method)  # says what methods there are
    a = raw.batch_take(ordered, raw.cast(low, "int32"))
    b = raw.batch_take(ordered, raw.cast(high, "int32"))
    weight = raw.cast(weight, rows.dtype)
    between = raw.add(a, raw.multiply(raw.subtract(b, a), weight))
    exact = raw.logical_or(raw.equal(weight, 0), _is_lower(a, b))
    return raw.where(exact, a, between)


def _statistic(name: str, x: Any, q: Any, axis: Any, method: str, keep: bool) -> Tensor:
    t = to_float(x)
    axes = axes_of(axis, t.ndim, name)
    positions = _numbers(q)
    if positions.ndim > 1 or not np.all((positions >= 0) & (positions <= 1)):
        raise ValueError(f"[{name}] q must be in the range of 0 to 1 (100 %)")
    rows = _in_last(t, axes)
    if rows.shape[1] == 0:
        raise ValueError(f"[{name}] no elements to reduce in shape {t.shape}")
    function = _present_quantiles if name.startswith("nan") else _quantiles
    y = raw.transpose(function(rows, positions.reshape(-1), method), (1, 0))
    rest = tuple(
        1 if i in axes else n for i, n in enumerate(t.shape) if keep or i not in axes
    )
    return raw.reshape(y, (*positions.shape, *rest))


def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """Values below which fractions q of the elements lie, q's axes first.

    method: linear, lower, higher, midpoint or nearest, between the two neighbours.
    """
    return _statistic("quantile", x, q, axis, method, keepdims)


def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    return _statistic("nanquantile", x, q, axis, method, keepdims)


def _numbers(q: Any) -> np.ndarray:
    values = q._concrete("q") if isinstance(q, Tensor) else q
    return np.asarray(values, "float64")


def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` with q in per cent."""
    return _statistic("percentile", x, _numbers(q) / 100, axis, method, keepdims)


def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`nanquantile` with q in per cent."""
    return _statistic("nanpercentile", x, _numbers(q) / 100, axis, method, keepdims)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Middle element over axes, or the mean of the two middle ones."""
    return _statistic("median", x, 0.5, axis, "linear", keepdims)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of the elements that are not NaN."""
    return _statistic("nanmedian", x, 0.5, axis, "linear", keepdims)


# ---- sets and counts ---------------------------------------------------------------


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of x1 is among x2, by binary search."""
    a, b = promote(x1, x2)
    if b.size == 0:
        return Tensor(np.full(a.shape, invert))
    a, b = widened("sort", a), sort(widened("sort", ravel(b)))
    place = raw.minimum(raw.searchsorted(b, a, False), b.size - 1)
    found = raw.equal(raw.take(b, place), a)
    return raw.logical_not(found) if invert else found


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements (slices along `axis`), ascending, and what is asked for.

    `size` cuts or fills up (with `fill_value`, else the first) to that many. How many
    there are depends on the values: not inside a traced function.
    """
    array = convert_to_tensor(x)._concrete("unique()")
    results: Any = np.unique(  # type: ignore[call-overload]
        array,
        return_index=return_index,
        return_inverse=return_inverse,
        return_counts=return_counts,
        axis=axis,
    )
    parts = list(results) if isinstance(results, tuple) else [results]
    if size is not None:
        keep = [0] + ([1] if return_index else []) + ([-1] if return_counts else [])
        for i in keep:
            along = 0 if i or axis is None else axis
            filler = parts[i].take([0], along) if parts[i].size else parts[i]
            if i:
                filler = filler * 0 if i == -1 else filler
            elif fill_value is not None:
                filler = np.full_like(filler, fill_value)
            have = parts[i].shape[along]
            more = np.repeat(filler, max(size - have, 0), along)
            whole = np.concatenate([parts[i], more], along)
            parts[i] = whole.take(np.arange(min(size, whole.shape[along])), along)
    tensors = [Tensor(np.ascontiguousarray(parts[0]))]
    tensors += [Tensor(np.asarray(p).astype("int32")) for p in parts[1:]]
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False
) -> Tensor:
    """How often each number occurs (or the sum of its weights); per row of a matrix.

    The result is as long as the largest number asks, at least `minlength`; inside a
    traced function exactly `minlength`, which all numbers must be below.
    """
    if sparse:
        raise ValueError("[bincount] sparse tensors are not supported")
    t = convert_to_tensor(x)
    t = index_tensor("bincount", raw.cast(t, "int32") if t.dtype == "bool" else t)
    if t.ndim not in (1, 2):
        raise ValueError(f"[bincount] needs rank 1 or 2, received shape {t.shape}")
    length = integer("bincount", "minlength", minlength)
    if not t.is_symbolic:
        values = t._concrete("bincount()")
        if values.size and values.min() < 0:
            raise ValueError(f"[bincount] {values.min()} is negative")
        if values.size and values.max() >= 2**31 - 1:
            raise ValueError(
                f"[bincount] {values.max()} needs a result of more than 2^31 - 1 "
                f"counts: use `unique` with return_counts=True"
            )
        length = max(length, int(values.max(initial=-1)) + 1)
    elif length < 1:
        raise PlanError("[bincount] needs minlength inside a traced function")
    w = Tensor(np.ones((), "int32")) if weights is None else convert_to_tensor(weights)
    wide = widened("bincount", w)
    rows = t if t.ndim == 2 else raw.reshape(t, (1, t.size))
    wide = raw.reshape(raw.broadcast_to(wide, t.shape), rows.shape)
    y = integers.cast(raw.batch_take_grad(wide, rows, length), w.dtype)
    return y if t.ndim == 2 else raw.reshape(y, (length,))


def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """Counts (int32) in bins of equal width from min to max, or over `range`; edges.

    The last bin is closed; what lies outside the range is not counted.
    """
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(
            f"[histogram] bins must be a positive integer, received {bins}"
        )
    t = ravel(to_float(x))
    if range is None and t.size:
        low, high = raw.min(t, (0,), False), raw.max(t, (0,), False)
    else:
        low, high = (
            Tensor(np.asarray(v, t.dtype)) for v in ((0, 1) if range is None else range)
        )
    same = raw.cast(raw.equal(low, high), t.dtype)  # a width of 1 around one value
    low = raw.subtract(low, raw.multiply(same, 0.5))
    high = raw.add(high, raw.multiply(same, 0.5))
    steps = constant((bins + 1,), t.dtype, lambda: np.arange(bins + 1) / bins)
    edges = raw.add(
        raw.multiply(raw.subtract(1.0, steps), low), raw.multiply(steps, high)
    )
    inside = raw.logical_and(raw.greater_equal(t, low), raw.less_equal(t, high))
    place = raw.searchsorted(edges[1:-1], t, True)
    counts = raw.take_grad(raw.cast(inside, "int32"), place, bins)
    return counts, edges


__all__ = [
    *"argpartition argsort bincount digitize histogram in_top_k isin median".split(),
    *"nanmedian nanpercentile nanquantile percentile quantile searchsorted".split(),
    *"sort top_k unique".split(),
]
