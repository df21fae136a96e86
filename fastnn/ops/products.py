# SPDX-License-Identifier: Apache-2.0
"""Contractions: einsum and its relatives, as transposed views, (batched) matrix
products and sums. Being made of ops, they differentiate and trace like them.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.indexing import matmul as _matmul
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import axes_of, axis_of, promote

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# ---- one contraction of two labelled tensors ---------------------------------------


class _Term:
    """A tensor with one distinct label per axis."""

    __slots__ = ("labels", "x")

    def __init__(self, x: Tensor, labels: Iterable[str]) -> None:
        self.x = x
        self.labels = tuple(labels)

    def size(self, label: str) -> int:
        return self.x.shape[self.labels.index(label)]

    def ordered(self, labels: Iterable[str]) -> Tensor:
        """The tensor with its axes in this order."""
        perm = tuple(self.labels.index(label) for label in labels)
        same = perm == tuple(range(len(perm)))
        return self.x if same else raw.transpose(self.x, perm)

    def summed(self, keep: Iterable[str]) -> _Term:
        """Without the axes that nobody else needs."""
        kept = set(keep)
        axes = tuple(i for i, label in enumerate(self.labels) if label not in kept)
        if not axes:
            return self
        y = integers.cast(integers.reduce("sum", self.x, axes, False), self.x.dtype)
        return _Term(y, [label for label in self.labels if label in kept])


def _reshaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else raw.reshape(x, shape)


def _contract(a: _Term, b: _Term, keep: Iterable[str]) -> _Term:
    """sum over the shared labels that are not kept: one matrix product."""
    kept = set(keep)
    a = a.summed(kept | set(b.labels))
    b = b.summed(kept | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch = [label for label in shared if label in kept]
    inner = [label for label in shared if label not in kept]
    rows = [label for label in a.labels if label not in shared]
    columns = [label for label in b.labels if label not in shared]
    front = tuple(a.size(label) for label in batch)
    m = tuple(a.size(label) for label in rows)
    n = tuple(b.size(label) for label in columns)
    labels = (*batch, *rows, *columns)
    if not inner:
        left = _reshaped(a.ordered((*batch, *rows)), (*front, *m, *(1,) * len(n)))
        right = _reshaped(b.ordered((*batch, *columns)), (*front, *(1,) * len(m), *n))
        return _Term(integers.call("multiply", left, right), labels)
    k = prod(a.size(label) for label in inner)
    left = a.ordered((*batch, *rows, *inner))
    right = b.ordered((*batch, *inner, *columns))
    y = _matmul(
        _reshaped(left, (*front, prod(m), k)), _reshaped(right, (*front, k, prod(n)))
    )
    y = integers.cast(y, a.x.dtype)
    return _Term(_reshaped(y, (*front, *m, *n)), labels)


# ---- einsum ------------------------------------------------------------------------


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Labels of every operand and of the output, one letter per axis."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"[einsum] '{subscripts}' names {len(terms)} operands, received "
            f"{len(shapes)}"
        )
    used = set(text)
    spare = [letter for letter in _LETTERS if letter not in used]
    most = 0
    labelled = []
    for term, shape in zip(terms, shapes, strict=True):
        before, dots, after = term.partition("...")
        count = len(shape) - len(before) - len(after)
        if not all(c in _LETTERS for c in before + after) or (
            count < 0 if dots else count
        ):
            raise ValueError(
                f"[einsum] '{term}' in '{subscripts}' does not describe an operand of "
                f"shape {shape}: expected one letter per axis, or '...'"
            )
        most = max(most, count)
        labelled.append(before + "".join(spare[:count][::-1]) + after)
    ellipsis = "".join(spare[:most][::-1])
    if arrow:
        result = output.replace("...", ellipsis)
    else:
        every = "".join(terms).replace("...", "")
        result = ellipsis + "".join(c for c in sorted(set(every)) if every.count(c) < 2)
    unknown = [c for c in result if c not in "".join(labelled)]
    if unknown or len(set(result)) != len(result):
        raise ValueError(
            f"[einsum] the output '{output}' of '{subscripts}' must name labels of the "
            f"operands, each once"
        )
    return labelled, result


def _diagonals(x: Tensor, labels: str) -> _Term:
    """Axes with the same label become their diagonal."""
    names = list(labels)
    for label in sorted(set(labels)):
        while names.count(label) > 1:
            i = names.index(label)
            j = names.index(label, i + 1)
            n = x.shape[i]
            if x.shape[j] != n:
                raise ShapeError(
                    f"[einsum] label '{label}' stands for sizes {n} and {x.shape[j]}"
                )
            rest = [a for a in range(x.ndim) if a not in (i, j)]
            x = raw.transpose(x, (*rest, i, j))
            front = x.shape[:-2]
            x = raw.reshape(x, (*front, n * n))
            whole = ((None, None, None),) * len(front)
            x = raw.slice(x, (*whole, (None, None, n + 1)))
            names = [names[a] for a in rest] + [label]
    return _Term(x, names)


def _match_sizes(terms: list[_Term]) -> list[_Term]:
    """Axes of size 1 that are broadcast disappear."""
    sizes: dict[str, int] = {}
    for term in terms:
        for label, n in zip(term.labels, term.x.shape, strict=True):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            elif n not in (1, sizes[label]):
                raise ShapeError(
                    f"[einsum] label '{label}' stands for sizes {sizes[label]} and {n}"
                )
    out = []
    for term in terms:
        pairs = [
            (label, n)
            for label, n in zip(term.labels, term.x.shape, strict=True)
            if n == sizes[label]
        ]
        x = _reshaped(term.x, tuple(n for _, n in pairs))
        out.append(_Term(x, [label for label, _ in pairs]))
    return out


def _order(terms: list[_Term], output: str) -> list[tuple[int, ...]]:
    """Which terms to contract next, by NumPy's greedy search."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    text = ",".join("".join(t.labels) for t in terms) + "->" + output
    dummies = [np.broadcast_to(np.int8(0), t.x.shape) for t in terms]
    path, _ = np.einsum_path(text, *dummies, optimize="greedy")
    return path[1:]


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sum of products over labelled axes, as `numpy.einsum`.

    Args:
        subscripts: "ij,jk->ik"; "..." stands for broadcast axes, a repeated label in
            one operand for its diagonal. Without "->" the output has the labels that
            occur once, in alphabetical order.
        operands: tensors, promoted to a common dtype (int8 gives int32).

    Returns:
        A tensor with one axis per output label.
    """
    unknown = set(kwargs) - {"optimize"}
    if unknown:
        raise TypeError(f"[einsum] unexpected arguments: {', '.join(sorted(unknown))}")
    tensors = promote(*[convert_to_tensor(x) for x in operands])
    if not tensors:
        raise ValueError("[einsum] needs at least one operand")
    tensors = tuple(integers.cast(t, _accumulated(t.dtype)) for t in tensors)
    labels, output = _parse(subscripts, [t.shape for t in tensors])
    pairs = zip(tensors, labels, strict=True)
    terms = _match_sizes([_diagonals(t, names) for t, names in pairs])
    for group in _order(terms, output):
        chosen = [terms[i] for i in sorted(group)]
        terms = [t for i, t in enumerate(terms) if i not in group]
        keep = set(output).union(*[t.labels for t in terms])
        result = chosen[0].summed(keep.union(*[t.labels for t in chosen[1:]]))
        for i, term in enumerate(chosen[1:], start=2):
            needed = keep.union(*[t.labels for t in chosen[i:]])
            result = _contract(result, term, needed)
        terms.append(result)
    return terms[0].ordered(output)


def _accumulated(dtype: str) -> str:
    return "int32" if dtype == "int8" else dtype


# ---- its relatives -----------------------------------------------------------------


def _labelled(a: Tensor, b: Tensor, pairs: Iterable[tuple[int, int]]) -> Tensor:
    """Contract axis i of `a` with axis j of `b` for every pair (i, j)."""
    left = list(_LETTERS[: a.ndim])
    right = list(_LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in pairs:
        right[j] = left[i]
    output = [c for c in left + right if (c in left) != (c in right)]
    dtype = _accumulated(a.dtype)
    x, y = integers.cast(a, dtype), integers.cast(b, dtype)
    return _contract(_Term(x, left), _Term(y, right), output).ordered(output)


def _check_pair(name: str, a: Tensor, i: int, b: Tensor, j: int) -> None:
    if a.shape[i] != b.shape[j]:
        raise ShapeError(
            f"[{name}] shapes {a.shape} and {b.shape} do not match: axis {i} of the "
            f"first has size {a.shape[i]}, axis {j} of the second {b.shape[j]}"
        )


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Sum of products over pairs of axes: the last `axes` of x1 and the first of x2, or
    `axes = (axes of x1, axes of x2)`.
    """
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    if isinstance(axes, np.ndarray):
        axes = axes.tolist()
    if isinstance(axes, np.integer):
        axes = int(axes)
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ValueError(
                f"[tensordot] axes={axes} does not fit shapes {a.shape} and {b.shape}"
            )
        first, second = [*range(a.ndim - axes, a.ndim)], [*range(axes)]
    else:
        pair = axes if isinstance(axes, (tuple, list)) else ()
        given = [tuple(np.ravel(v).tolist()) for v in pair]
        if len(given) != 2 or len(given[0]) != len(given[1]):
            raise ValueError(
                f"[tensordot] axes must be an integer or two equally long lists, "
                f"received {axes!r}"
            )
        for t, chosen in zip((a, b), given, strict=True):
            axes_of(chosen, t.ndim, "tensordot")
        first = [i % a.ndim for i in given[0]]
        second = [j % b.ndim for j in given[1]]
    pairs = list(zip(first, second, strict=True))
    for i, j in pairs:
        _check_pair("tensordot", a, i, b, j)
    return _labelled(a, b, pairs)


def dot(x1: Any, x2: Any) -> Tensor:
    """Sum of products over the last axis of x1 and the last but one of x2; a product
    of matrices or vectors; with a scalar, an element-wise product.
    """
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    if a.ndim == 0 or b.ndim == 0:
        return integers.call("multiply", a, b)
    j = max(b.ndim - 2, 0)
    _check_pair("dot", a, a.ndim - 1, b, j)
    return _labelled(a, b, [(a.ndim - 1, j)])


def inner(x1: Any, x2: Any) -> Tensor:
    """Sum of products over the last axes; with a scalar, an element-wise product."""
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    if a.ndim == 0 or b.ndim == 0:
        return integers.call("multiply", a, b)
    _check_pair("inner", a, a.ndim - 1, b, b.ndim - 1)
    return _labelled(a, b, [(a.ndim - 1, b.ndim - 1)])


def vdot(x1: Any, x2: Any) -> Tensor:
    """Sum of the products of all elements, both flattened first."""
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    a, b = _reshaped(a, (a.size,)), _reshaped(b, (b.size,))
    _check_pair("vdot", a, 0, b, 0)
    return _labelled(a, b, [(0, 0)])


def outer(x1: Any, x2: Any) -> Tensor:
    """x1[i] * x2[j] of the flattened operands, shape (x1.size, x2.size)."""
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    return integers.call(
        "multiply", _reshaped(a, (a.size, 1)), _reshaped(b, (1, b.size))
    )


def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker product: blocks of x2 scaled by the elements of x1."""
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    rank = max(a.ndim, b.ndim)
    left = (1,) * (rank - a.ndim) + a.shape
    right = (1,) * (rank - b.ndim) + b.shape
    spread = [n for m in left for n in (m, 1)]
    y = integers.call(
        "multiply",
        _reshaped(a, tuple(spread)),
        _reshaped(b, tuple(n for m in right for n in (1, m))),
    )
    return _reshaped(y, tuple(m * n for m, n in zip(left, right, strict=True)))


def _component(x: Tensor, i: int) -> Tensor:
    whole = ((None, None, None),) * (x.ndim - 1)
    return raw.reshape(raw.slice(x, (*whole, (i, i + 1, None))), x.shape[:-1])


def _last(x: Tensor, axis: int, name: str) -> Tensor:
    at = axis_of(axis, x.ndim, name)
    perm = tuple(i for i in range(x.ndim) if i != at)
    return x if at == x.ndim - 1 else raw.transpose(x, (*perm, at))


def cross(
    x1: Any,
    x2: Any,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """Vector product of vectors of 2 or 3 components along an axis.

    Args:
        axisa, axisb, axisc: the axes of x1, x2 and the result that hold components.
        axis: all three of them.

    Returns:
        Vectors of 3 components, or only the third (no such axis) when both have 2.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote(convert_to_tensor(x1), convert_to_tensor(x2))
    a, b = _last(a, axisa, "cross"), _last(b, axisb, "cross")
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ShapeError(
            f"[cross] vectors must have 2 or 3 components, received {a.shape[-1]} and "
            f"{b.shape[-1]}"
        )
    u = [_component(a, i) for i in range(a.shape[-1])]
    v = [_component(b, i) for i in range(b.shape[-1])]

    def minor(i: int, j: int) -> Tensor:
        """u[i] v[j] - u[j] v[i], a missing third component being 0."""
        parts = []
        for p, q in ((i, j), (j, i)):
            known = p < len(u) and q < len(v)
            parts.append(integers.call("multiply", u[p], v[q]) if known else None)
        first, second = parts
        if second is None:
            return first if first is not None else raw.multiply(u[0], 0)
        if first is None:
            return integers.call("negative", second)
        return integers.call("subtract", first, second)

    if len(u) == len(v) == 2:
        return minor(0, 1)
    parts = [minor(1, 2), minor(2, 0), minor(0, 1)]
    rank = parts[0].ndim
    at = axis_of(axisc, rank + 1, "cross")
    shape = parts[0].shape[:at] + (1,) + parts[0].shape[at:]
    y = _reshaped(parts[0], shape)
    for part in parts[1:]:
        y = raw.concatenate(y, _reshaped(part, shape), at)
    return y


__all__ = "cross dot einsum inner kron outer tensordot vdot".split()
