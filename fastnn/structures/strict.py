# SPDX-License-Identifier: Apache-2.0
"""Functions of `fastnn.ops` for `tf`, which converts no tensor to another dtype."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, wraps
from typing import Any

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.opset._infer import check_same_dtype
from fastnn.structures._names import FUNCTIONS, STRICT


@cache
def function(name: str) -> Any:
    """What `tf.<name>` is: the op, for STRICT names with a look at the dtypes."""
    promoting = getattr(ops, FUNCTIONS[name])
    if name not in STRICT:
        return promoting

    @wraps(promoting)
    def same(*args: Any, **kwargs: Any) -> Any:
        _check(name, (*args, *kwargs.values()))
        return promoting(*args, **kwargs)

    return same


def _check(name: str, values: Iterable[Any]) -> None:
    dtypes = [t.dtype for t in _tensors(values)]
    if dtypes and dtypes.count(dtypes[0]) < len(dtypes):
        check_same_dtype(name, dtypes)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (t for t in value if isinstance(t, Tensor))


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """The matrix product of the last two axes, of either transposed on demand.

    Raises:
        DTypeError: for tensors of two dtypes.
    """
    _check("matmul", (a, b))
    return ops.matmul(
        ops.swapaxes(a, -1, -2) if transpose_a else a,
        ops.swapaxes(b, -1, -2) if transpose_b else b,
    )


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where the condition holds, else `y`; without them indices where it holds.

    Returns:
        A tensor of the broadcast shape; without `x` and `y` the indices (number of
        places, rank) in int64.

    Raises:
        DTypeError: for `x` and `y` of two dtypes.
    """
    if x is None and y is None:
        return ops.cast(ops.stack(ops.nonzero(condition), -1), "int64")
    _check("where", (x, y))
    return ops.where(condition, x, y)
